-- A call that is alone with its wallet, in one statement. No row: the wallet is held by another transaction, or it takes
-- more thought (see apply.sql); nothing has changed then.
CREATE OR REPLACE FUNCTION ai_features_spend(
  wallet bigint, cost bigint, feature text, pricing jsonb, metadata jsonb, member user_key, now timestamptz)
RETURNS TABLE (ids bigint[], balance bigint, available bigint, low_balance bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
BEGIN
  RETURN QUERY
  WITH paid AS (
    UPDATE ai_features_wallet AS x SET balance = x.balance - cost, unallocated = x.unallocated + cost
     WHERE x.id = (SELECT y.id FROM ai_features_wallet AS y WHERE y.id = wallet FOR NO KEY UPDATE SKIP LOCKED)
       AND x.balance - x.held >= cost AND x.debt = 0 AND x.overdue = 0 AND NOT x.is_capped
       AND (x.next_expiry_at IS NULL OR x.next_expiry_at > now)
    RETURNING x.balance AS has, x.held AS holds, x.low_balance AS low
  ), entered AS (
    INSERT INTO ai_features_ledgerentry
      (wallet_id, kind, amount, balance_after, feature, pricing, metadata, member_id, created_at)
    SELECT wallet, 'spend', -cost, has, feature, pricing, metadata, member, now FROM paid
    RETURNING id
  )
  SELECT ARRAY[e.id], p.has, p.has - p.holds, p.low FROM paid AS p, entered AS e;
END $$
