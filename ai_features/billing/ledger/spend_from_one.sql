-- Spends of one wallet, each array in the order of the entries: all of them, or no row where it takes more thought (see
-- apply.sql); nothing has changed then.
CREATE OR REPLACE FUNCTION ai_features_spend_from_one(
  wallet bigint, total bigint, costs bigint[], features text[], pricings text[], notes text[], members user_key[],
  now timestamptz)
RETURNS TABLE (ids bigint[], balance bigint, available bigint, low_balance bigint)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_variable
BEGIN
  RETURN QUERY
  WITH paid AS (
    UPDATE ai_features_wallet AS x SET balance = x.balance - total, unallocated = x.unallocated + total
     WHERE x.id = wallet AND x.balance - x.held >= total AND x.debt = 0 AND x.overdue = 0 AND NOT x.is_capped
       AND (x.next_expiry_at IS NULL OR x.next_expiry_at > now)
    RETURNING x.balance AS has, x.held AS holds, x.low_balance AS low
  ), entered AS (
    INSERT INTO ai_features_ledgerentry
      (wallet_id, kind, amount, balance_after, feature, pricing, metadata, member_id, created_at)
    SELECT wallet, 'spend', -a.cost, p.has + total - sum(a.cost) OVER (ROWS UNBOUNDED PRECEDING), a.feature,
           a.pricing::jsonb, a.note::jsonb, a.member, now
      FROM paid AS p, unnest(costs, features, pricings, notes, members) AS a (cost, feature, pricing, note, member)
    RETURNING id
  )
  SELECT (SELECT array_agg(e.id ORDER BY e.id) FROM entered AS e), p.has, p.has - p.holds, p.low FROM paid AS p;
END $$;

-- The same for a wallet that others want too, each process its own calls. A transaction keeps its locks until the disk has
-- what it did, which takes longer than doing it; this one lets go before, and the next flushes all that was written so far,
-- by an empty message to nobody. So the answer still comes only when the credits are spent for good. The first of it is null
-- where nothing has changed. Not inside a transaction. Without a key: who repeats a call must not be told what the disk may
-- lose. A cancellation may come between the two transactions, when it is done.
CREATE OR REPLACE PROCEDURE ai_features_spend_and_let_go(
  wallet bigint, total bigint, costs bigint[], features text[], pricings text[], notes text[], members user_key[],
  now timestamptz, INOUT ids bigint[], INOUT balance bigint, INOUT available bigint, INOUT low_balance bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
  -- MAY_FLUSH of functions.py. Everybody may, unless somebody has forbidden it.
  may_flush boolean := has_function_privilege(3577::oid, 'EXECUTE');
BEGIN
  IF may_flush THEN
    PERFORM set_config('synchronous_commit', 'off', true);
  END IF;
  SELECT s.ids, s.balance, s.available, s.low_balance INTO ids, balance, available, low_balance
    FROM ai_features_spend_from_one(wallet, total, costs, features, pricings, notes, members, now) AS s;
  COMMIT;
  IF may_flush AND ids IS NOT NULL THEN
    PERFORM pg_logical_emit_message(true, 'ai_features', '');
  END IF;
END $$
