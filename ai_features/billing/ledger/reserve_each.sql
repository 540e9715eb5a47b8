-- Several reservations without a key in one statement, where each wallet can pay for all of its own: the same as
-- ai_features_apply does one by one, at less cost. A call that is not returned was left alone, with nothing changed for it.
CREATE OR REPLACE FUNCTION ai_features_reserve_each(
  wallets bigint[], costs bigint[], features text[], members user_key[], tokens text[], ends timestamptz[],
  over_http boolean[], now timestamptz, may_wait boolean)
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
      FROM unnest(wallets, costs, features, members, tokens, ends, over_http)
        WITH ORDINALITY AS a (wallet, cost, feature, member, token, until, is_http, n)
  ), set_aside AS (
    UPDATE ai_features_wallet AS x SET held = x.held + t.total
      FROM free AS f, (SELECT c.wallet, max(c.so_far) AS total FROM calls AS c GROUP BY c.wallet) AS t
     WHERE x.id = f.id AND x.id = t.wallet AND x.id = ANY (wallets)
       AND x.balance - x.held >= t.total AND x.debt = 0 AND x.overdue = 0 AND NOT x.is_capped
       AND (x.next_expiry_at IS NULL OR x.next_expiry_at > now)
    RETURNING x.id, x.balance AS has, x.balance - x.held + t.total AS had_free, x.low_balance AS low
  ), reserved AS (
    SELECT c.*, nextval('ai_features_reservation_id_seq') AS id, s.has, (s.had_free - c.so_far)::bigint AS left_free, s.low
      FROM calls AS c JOIN set_aside AS s ON s.id = c.wallet
  ), entered AS (
    INSERT INTO ai_features_reservation
      (id, wallet_id, credits, feature, member_id, token, over_http, expires_at, created_at)
    SELECT r.id, r.wallet, r.cost, r.feature, r.member, coalesce(r.token, ''), r.is_http IS NOT NULL, r.until, now
      FROM reserved AS r
  )
  SELECT r.n, ARRAY[r.id], r.has, r.left_free, r.low FROM reserved AS r;
END $$
