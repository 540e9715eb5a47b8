-- Several spends without a key in one statement, where each wallet can pay for all of its own: the same as ai_features_apply
-- does, at less cost. A call that is not returned was left alone, with nothing changed for it.
CREATE OR REPLACE FUNCTION ai_features_spend_each(
  wallets bigint[], costs bigint[], features text[], pricings text[], notes text[], members user_key[],
  now timestamptz, may_wait boolean)
RETURNS TABLE (n bigint, ids bigint[], balance bigint, available bigint, low_balance bigint)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_variable
BEGIN
  IF may_wait THEN
    PERFORM FROM ai_features_wallet AS x WHERE x.id = ANY (wallets) ORDER BY x.id FOR NO KEY UPDATE;
  END IF;
  RETURN QUERY
  WITH free AS (
    SELECT x.id FROM ai_features_wallet AS x WHERE x.id = ANY (wallets) FOR NO KEY UPDATE SKIP LOCKED
  ), calls AS (
    SELECT a.*, sum(a.cost) OVER (PARTITION BY a.wallet ORDER BY a.n) AS so_far
      FROM unnest(wallets, costs, features, pricings, notes, members)
        WITH ORDINALITY AS a (wallet, cost, feature, pricing, note, member, n)
  ), paid AS (
    UPDATE ai_features_wallet AS x SET balance = x.balance - t.total, unallocated = x.unallocated + t.total
      FROM free AS f, (SELECT c.wallet, max(c.so_far) AS total FROM calls AS c GROUP BY c.wallet) AS t
     WHERE x.id = f.id AND x.id = t.wallet AND x.id = ANY (wallets)
       AND x.balance - x.held >= t.total AND x.debt = 0 AND x.overdue = 0 AND NOT x.is_capped
       AND (x.next_expiry_at IS NULL OR x.next_expiry_at > now)
    RETURNING x.id, x.balance + t.total AS had, x.held AS holds, x.low_balance AS low
  ), charged AS (
    -- Sorted before they get their ids, so that within a wallet the order of ids is that of the balances.
    SELECT o.*, nextval('ai_features_ledgerentry_id_seq') AS entry
      FROM (SELECT c.*, (p.had - c.so_far)::bigint AS leaves, p.holds, p.low
              FROM calls AS c JOIN paid AS p ON p.id = c.wallet ORDER BY c.n) AS o
  ), entered AS (
    INSERT INTO ai_features_ledgerentry
      (id, wallet_id, kind, amount, balance_after, feature, pricing, metadata, member_id, created_at)
    SELECT o.entry, o.wallet, 'spend', -o.cost, o.leaves, o.feature, o.pricing::jsonb, o.note::jsonb, o.member, now
      FROM charged AS o
  )
  SELECT o.n, ARRAY[o.entry], o.leaves, o.leaves - o.holds, o.low FROM charged AS o;
END $$
