-- Calls of any kind in one statement, each array in their order (see operations.py). A call that is not returned was left
-- alone, with nothing changed for it; one without ids found its wallet held by another transaction, which is an answer
-- only where it may not wait.
--
-- What it costs to begin a statement weighs more than what it does to a row, so there is one for all. A capture takes no more
-- than its reservation holds, so it is always paid for; what captures and releases let go of is there for the others of
-- their wallet, which are paid for all together or left alone.
--
-- Wallets are locked by a statement before it, so that it sees them, their reservations and their keys as whoever had the
-- lock has left them. Reservations' status is compared as no index has it; else PostgreSQL, while few are open, reads all
-- that are. Of two calls that end one reservation the statement takes one.
--
-- Two settings, here and in all functions that take arrays. PostgreSQL would plan anew for each array, since it thinks a
-- plan for just these few elements cheaper; but planning takes longer than all the rest. And while there are a thousand
-- rows or none yet counted, it would rather read them all than look up a few by their keys, and keep that plan.
DROP FUNCTION IF EXISTS
  ai_features_apply(json, bigint[], timestamptz, boolean), ai_features_reserve_each, ai_features_capture_each;
CREATE OR REPLACE FUNCTION ai_features_apply(
  wallets bigint[], costs bigint[], features text[], pricings text[], notes text[], members user_key[], ops text[],
  tokens text[], reservations bigint[], ends timestamptz[], over_http boolean[], keys text[], requests text[],
  now timestamptz, may_wait boolean)
RETURNS TABLE (n bigint, ids bigint[], balance bigint, available bigint, low_balance bigint)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
  at_hand bigint[];            -- the wallets that are locked
  known bigint[] := '{}';      -- the calls whose key was seen before
BEGIN
  IF may_wait THEN
    at_hand := ARRAY(SELECT x.id FROM ai_features_wallet AS x WHERE x.id = ANY (wallets) ORDER BY x.id FOR NO KEY UPDATE);
  ELSE
    at_hand := ARRAY(SELECT x.id FROM ai_features_wallet AS x WHERE x.id = ANY (wallets) FOR NO KEY UPDATE SKIP LOCKED);
  END IF;
  IF cardinality(keys) > 0 THEN
    -- A look each, by a question that PostgreSQL cannot turn into a table of all answers.
    known := ARRAY(
      SELECT a.n
        FROM (SELECT u.*, row_number() OVER (PARTITION BY u.wallet, u.key ORDER BY u.n) AS time
                FROM unnest(wallets, keys) WITH ORDINALITY AS u (wallet, key, n) WHERE u.key IS NOT NULL) AS a
       WHERE a.time > 1
          OR (SELECT x.key FROM ai_features_idempotencykey AS x WHERE x.wallet_id = a.wallet AND x.key = a.key) IS NOT NULL);
  END IF;
  RETURN QUERY
  WITH calls AS (
    SELECT a.*, x.balance, x.balance - x.held AS available, x.low_balance AS low,
           CASE a.op WHEN 'reserve' THEN 0 ELSE a.cost END AS spent
      FROM unnest(
             wallets, costs, features, pricings, notes, members, ops, tokens, reservations, ends, over_http, keys, requests)
        WITH ORDINALITY AS a (
             wallet, cost, feature, pricing, note, member, op, token, reservation, until, is_http, key, request, n)
      JOIN ai_features_wallet AS x ON x.id = a.wallet AND x.id = ANY (at_hand)
     WHERE a.n <> ALL (known) AND x.debt = 0 AND x.overdue = 0 AND NOT x.is_capped
       AND (x.next_expiry_at IS NULL OR x.next_expiry_at > now)
  ), ended AS (
    UPDATE ai_features_reservation AS x
       SET captured = x.captured + c.cost, ended_at = now,
           status = CASE c.op WHEN 'release' THEN 'released' ELSE 'captured' END
      FROM calls AS c
     WHERE c.op IN ('capture', 'release')
       AND x.id = c.reservation AND x.id = ANY (reservations) AND x.wallet_id = c.wallet
       AND x.status || '' = 'open' AND x.expires_at > now AND x.credits >= c.cost AND (x.over_http OR c.is_http IS NULL)
    RETURNING c.n, x.credits AS let_go
  ), weighed AS (
    SELECT c.*, e.n AS ends, coalesce(e.let_go, 0) AS let_go,
           c.balance - sum(c.spent) OVER so_far AS leaves,
           c.available + sum(coalesce(e.let_go, 0) - c.cost) OVER so_far AS leaves_available,
           c.available + sum(coalesce(e.let_go, 0) - c.cost) OVER (PARTITION BY c.wallet) AS in_the_end
      FROM calls AS c LEFT JOIN ended AS e ON e.n = c.n
     WHERE e.n IS NOT NULL OR c.op IN ('spend', 'reserve')
    WINDOW so_far AS (PARTITION BY c.wallet ORDER BY e.n, c.n)
  ), done AS (
    -- Sorted before they get their ids, so that within a wallet the order of ids is that of the balances.
    SELECT o.*, CASE o.op WHEN 'reserve' THEN nextval('ai_features_reservation_id_seq')
                          WHEN 'release' THEN o.reservation
                          ELSE nextval('ai_features_ledgerentry_id_seq') END AS id
      FROM (SELECT w.* FROM weighed AS w WHERE w.ends IS NOT NULL OR w.in_the_end >= 0 ORDER BY w.wallet, w.ends, w.n) AS o
  ), moved AS (
    UPDATE ai_features_wallet AS x
       SET balance = x.balance - t.spent, held = x.held + t.held, unallocated = x.unallocated + t.spent
      FROM (SELECT d.wallet, sum(d.spent) AS spent, sum(d.cost - d.spent - d.let_go) AS held
              FROM done AS d GROUP BY d.wallet) AS t
     WHERE x.id = t.wallet AND x.id = ANY (at_hand)
  ), entered AS (
    INSERT INTO ai_features_ledgerentry
      (id, wallet_id, kind, amount, balance_after, feature, pricing, metadata, member_id, reservation_id, created_at)
    SELECT d.id, d.wallet, d.op, -d.cost, d.leaves, d.feature, d.pricing::jsonb, d.note::jsonb, d.member, d.reservation, now
      FROM done AS d WHERE d.op IN ('spend', 'capture')
  ), reserved AS (
    INSERT INTO ai_features_reservation
      (id, wallet_id, credits, feature, member_id, token, over_http, expires_at, created_at)
    SELECT d.id, d.wallet, d.cost, d.feature, d.member, coalesce(d.token, ''), d.is_http IS NOT NULL, d.until, now
      FROM done AS d WHERE d.op = 'reserve'
  ), remembered AS (
    INSERT INTO ai_features_idempotencykey (wallet_id, key, request, answer)
    SELECT d.wallet, d.key, d.request::jsonb,
           json_strip_nulls(json_build_object('ids', ARRAY[d.id], 'balance', d.leaves, 'expires_at', d.until))
      FROM done AS d WHERE d.key IS NOT NULL
  )
  SELECT d.n, ARRAY[d.id], d.leaves::bigint, d.leaves_available::bigint, d.low FROM done AS d
   UNION ALL
  SELECT a.n, NULL, NULL, NULL, NULL FROM unnest(wallets) WITH ORDINALITY AS a (wallet, n)
   WHERE a.wallet <> ALL (at_hand);
END $$
