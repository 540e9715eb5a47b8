-- One webhook that confirms a purchase exactly as it was sold: recorded and settled together. `is_settled` false says
-- that it was only recorded, because something about it needs the exact path.
CREATE OR REPLACE FUNCTION ai_features_settle(delivery json, body bytea, now timestamptz)
RETURNS TABLE (event_id bigint, is_settled boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  d record;
  p record;                            -- the purchase
  w record;                            -- its wallet
  new_lot bigint;
BEGIN
  is_settled := false;
  SELECT * INTO d FROM json_to_record(delivery) AS d (
    sha256 text, event text, reference text, source_ip text, mode text, currency text, amount_minor bigint,
    paystack_id text, paid_amount_minor bigint, paid_currency text, fees_minor bigint, channel text,
    gateway_response text, paid_at timestamptz, expires_at timestamptz, max_micro bigint);

  SELECT x.id, x.wallet_id, x.credits, x.bonus_credits INTO p FROM ai_features_purchase AS x
   WHERE x.reference = d.reference AND x.status IN ('pending', 'failed', 'abandoned')
     AND x.mode = d.mode AND x.currency = d.currency AND x.amount_minor = d.amount_minor
     FOR NO KEY UPDATE;
  IF FOUND THEN
    SELECT x.id, x.balance, x.unallocated, x.debt, x.overdue, x.next_expiry_at INTO w
      FROM ai_features_wallet AS x WHERE x.id = p.wallet_id FOR NO KEY UPDATE;
    is_settled := w.debt = 0 AND w.overdue = 0 AND coalesce(w.next_expiry_at > now, true)
      AND w.balance <= d.max_micro - p.credits - p.bonus_credits
      -- What was spent so far is charged to the lots before, unless the new ones are the last to be used anyway.
      AND (w.unallocated = 0 OR NOT EXISTS (
        SELECT FROM ai_features_lot AS x WHERE x.wallet_id = w.id AND x.remaining > 0
          AND (x.expires_at IS NULL OR x.expires_at >= d.expires_at)));
  END IF;

  INSERT INTO ai_features_webhookevent
    (body, body_sha256, event, reference, source_ip, received_at, error, status, outcome, attempts, processed_at)
  VALUES (body, d.sha256, d.event, d.reference, d.source_ip, now, '',
    CASE WHEN is_settled THEN 'processed' ELSE 'received' END, CASE WHEN is_settled THEN 'completed' ELSE '' END,
    CASE WHEN is_settled THEN 1 ELSE 0 END, CASE WHEN is_settled THEN now END)
  RETURNING id INTO event_id;

  IF is_settled THEN
    UPDATE ai_features_purchase AS x
       SET status = 'completed', status_reason = '', settled_by = 'webhook', completed_at = now,
           paystack_id = d.paystack_id, paid_amount_minor = d.paid_amount_minor, paid_currency = d.paid_currency,
           fees_minor = d.fees_minor, channel = d.channel, gateway_response = d.gateway_response, paid_at = d.paid_at
     WHERE x.id = p.id;
    INSERT INTO ai_features_lot (wallet_id, source, amount, remaining, expires_at, purchase_id, created_at)
    VALUES (w.id, 'purchased', p.credits, p.credits, d.expires_at, p.id, now) RETURNING id INTO new_lot;
    INSERT INTO ai_features_ledgerentry (wallet_id, kind, amount, balance_after, purchase_id, lot_id, created_at)
    VALUES (w.id, 'purchase', p.credits, w.balance + p.credits, p.id, new_lot, now);
    IF p.bonus_credits > 0 THEN
      INSERT INTO ai_features_lot (wallet_id, source, amount, remaining, expires_at, purchase_id, created_at)
      VALUES (w.id, 'bonus', p.bonus_credits, p.bonus_credits, d.expires_at, p.id, now) RETURNING id INTO new_lot;
      INSERT INTO ai_features_ledgerentry (wallet_id, kind, amount, balance_after, purchase_id, lot_id, created_at)
      VALUES (w.id, 'bonus', p.bonus_credits, w.balance + p.credits + p.bonus_credits, p.id, new_lot, now);
    END IF;
    UPDATE ai_features_wallet AS x
       SET balance = w.balance + p.credits + p.bonus_credits, next_expiry_at = least(x.next_expiry_at, d.expires_at)
     WHERE x.id = w.id;
  END IF;
  RETURN NEXT;
END $$
