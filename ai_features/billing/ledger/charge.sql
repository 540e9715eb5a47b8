-- One call with many entries, each array in the order of the entries: `spend_many`, and what a lease writes. No row: it
-- takes more thought (see apply.sql), and nothing has changed then.
CREATE OR REPLACE FUNCTION ai_features_charge(
  op text, wallet bigint, total bigint, costs bigint[], features text[], pricings text[], notes text[], members user_key[],
  reservation bigint, closes boolean, until timestamptz, key text, request jsonb, now timestamptz)
RETURNS TABLE (ids bigint[], balance bigint, available bigint, low_balance bigint)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
  w record;
  let_go bigint := 0;
BEGIN
  SELECT x.balance, x.held, x.low_balance INTO w FROM ai_features_wallet AS x
   WHERE x.id = wallet AND x.debt = 0 AND x.overdue = 0 AND NOT x.is_capped
     AND (x.next_expiry_at IS NULL OR x.next_expiry_at > now)
     FOR NO KEY UPDATE;
  IF NOT FOUND OR EXISTS (SELECT FROM ai_features_idempotencykey AS x WHERE x.wallet_id = wallet AND x.key = key) THEN
    RETURN;
  END IF;
  IF op = 'capture' THEN
    UPDATE ai_features_reservation AS x
       SET captured = x.captured + total,
           credits = CASE WHEN closes THEN x.credits ELSE x.credits - total END,
           status = CASE WHEN closes THEN 'captured' ELSE 'open' END,
           ended_at = CASE WHEN closes THEN now END,
           expires_at = CASE WHEN closes THEN x.expires_at ELSE coalesce(until, x.expires_at) END
     WHERE x.id = reservation AND x.wallet_id = wallet AND x.status = 'open' AND x.expires_at > now AND x.credits >= total
    RETURNING CASE WHEN closes THEN x.credits ELSE total END INTO let_go;
    IF NOT FOUND THEN RETURN; END IF;
  ELSIF w.balance - w.held < total THEN
    RETURN;
  END IF;
  balance := w.balance - total; available := balance - w.held + let_go; low_balance := w.low_balance;
  UPDATE ai_features_wallet AS x SET balance = balance, held = x.held - let_go, unallocated = x.unallocated + total
   WHERE x.id = wallet;
  WITH entered AS (
    INSERT INTO ai_features_ledgerentry
      (wallet_id, kind, amount, balance_after, feature, pricing, metadata, member_id, reservation_id, created_at)
    SELECT wallet, op, -a.cost, w.balance - sum(a.cost) OVER (ROWS UNBOUNDED PRECEDING), a.feature, a.pricing::jsonb,
           a.note::jsonb, a.member, reservation, now
      FROM unnest(costs, features, pricings, notes, members) AS a (cost, feature, pricing, note, member)
    RETURNING id)
  SELECT array_agg(e.id ORDER BY e.id) INTO ids FROM entered AS e;
  IF key IS NOT NULL THEN
    INSERT INTO ai_features_idempotencykey (wallet_id, key, request, answer)
    VALUES (wallet, key, request, json_strip_nulls(json_build_object('ids', ids, 'balance', balance, 'expires_at', until)));
  END IF;
  RETURN NEXT;
END $$
