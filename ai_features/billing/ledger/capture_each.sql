-- Several captures without a key in one statement, each of one entry and the last of its reservation: the same as
-- ai_features_apply does one by one, at less cost. A call that is not returned was left alone, with nothing changed for it;
-- of two that are about one reservation the statement takes one.
--
-- A reservation holds at least what is captured of it, so its wallet can pay. That it is still open is known only once
-- its wallet is locked: the UPDATE looks at it anew where another transaction has just ended it. Its status is compared as
-- no index has it; else PostgreSQL, while few are open, reads all that are.
CREATE OR REPLACE FUNCTION ai_features_capture_each(
  wallets bigint[], costs bigint[], features text[], pricings text[], notes text[], members user_key[],
  reservations bigint[], over_http boolean[], now timestamptz, may_wait boolean)
RETURNS TABLE (n bigint, ids bigint[], balance bigint, available bigint, low_balance bigint)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_variable
BEGIN
  IF may_wait THEN
    PERFORM FROM ai_features_wallet AS x WHERE x.id = ANY (wallets) ORDER BY x.id FOR NO KEY UPDATE;
  END IF;
  RETURN QUERY
  WITH free AS (
    SELECT x.id FROM ai_features_wallet AS x
     WHERE x.id = ANY (wallets) AND x.debt = 0 AND x.overdue = 0 AND NOT x.is_capped
       AND (x.next_expiry_at IS NULL OR x.next_expiry_at > now)
       FOR NO KEY UPDATE SKIP LOCKED
  ), ended AS (
    UPDATE ai_features_reservation AS x SET captured = x.captured + c.cost, status = 'captured', ended_at = now
      FROM free AS f,
           unnest(wallets, costs, features, pricings, notes, members, reservations, over_http)
             WITH ORDINALITY AS c (wallet, cost, feature, pricing, note, member, reservation, is_http, n)
     WHERE f.id = c.wallet AND x.id = c.reservation AND x.id = ANY (reservations) AND x.wallet_id = c.wallet
       AND x.status || '' = 'open' AND x.expires_at > now AND x.credits >= c.cost AND (x.over_http OR c.is_http IS NULL)
    RETURNING c.*, x.credits AS let_go
  ), paid AS (
    UPDATE ai_features_wallet AS x
       SET balance = x.balance - t.total, held = x.held - t.let_go, unallocated = x.unallocated + t.total
      FROM (SELECT e.wallet, sum(e.cost) AS total, sum(e.let_go) AS let_go FROM ended AS e GROUP BY e.wallet) AS t
     WHERE x.id = t.wallet AND x.id = ANY (wallets)
    RETURNING x.id, x.balance + t.total AS had, x.balance - x.held + t.total - t.let_go AS had_free, x.low_balance AS low
  ), charged AS (
    -- Sorted before they get their ids, so that within a wallet the order of ids is that of the balances.
    SELECT o.*, nextval('ai_features_ledgerentry_id_seq') AS entry
      FROM (SELECT e.*, (p.had - sum(e.cost) OVER w)::bigint AS leaves,
                   (p.had_free + sum(e.let_go - e.cost) OVER w)::bigint AS leaves_free, p.low
              FROM ended AS e JOIN paid AS p ON p.id = e.wallet
            WINDOW w AS (PARTITION BY e.wallet ORDER BY e.n) ORDER BY e.n) AS o
  ), entered AS (
    INSERT INTO ai_features_ledgerentry
      (id, wallet_id, kind, amount, balance_after, feature, pricing, metadata, member_id, reservation_id, created_at)
    SELECT o.entry, o.wallet, 'capture', -o.cost, o.leaves, o.feature, o.pricing::jsonb, o.note::jsonb, o.member,
           o.reservation, now
      FROM charged AS o
  )
  SELECT o.n, ARRAY[o.entry], o.leaves, o.leaves_free, o.low FROM charged AS o;
END $$
