-- Webhooks that confirm purchases exactly as they were sold: each recorded, and its purchase settled, in one statement for
-- all. `is_settled` false says that one was only recorded: something about it needs the exact path, or another transaction
-- holds its purchase or its wallet. Nothing here waits for a lock.
DROP FUNCTION IF EXISTS ai_features_settle(json, bytea, timestamptz);
CREATE OR REPLACE FUNCTION ai_features_settle(
  deliveries json, bodies bytea[], refs text[], max_micro bigint, now timestamptz)
RETURNS TABLE (n bigint, event_id bigint, is_settled boolean)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
  purchases bigint[];
  wallets bigint[];
BEGIN
  -- A statement of its own, so that the next sees what was committed before the locks were taken.
  WITH sold AS MATERIALIZED (
    SELECT x.id, x.wallet_id FROM ai_features_purchase AS x
     WHERE x.reference = ANY (refs) AND x.status IN ('pending', 'failed', 'abandoned') FOR NO KEY UPDATE SKIP LOCKED
  ), owners AS MATERIALIZED (
    SELECT x.id FROM ai_features_wallet AS x
     WHERE x.id = ANY (ARRAY(SELECT s.wallet_id FROM sold AS s)) FOR NO KEY UPDATE SKIP LOCKED
  )
  SELECT ARRAY(SELECT s.id FROM sold AS s), ARRAY(SELECT o.id FROM owners AS o) INTO purchases, wallets;

  RETURN QUERY
  WITH told AS MATERIALIZED (
    SELECT d.*, nextval('ai_features_webhookevent_id_seq') AS id
      FROM ROWS FROM (json_to_recordset(deliveries) AS (
        sha256 text, event text, source_ip text, mode text, currency text, amount_minor bigint, paystack_id text,
        paid_amount_minor bigint, paid_currency text, fees_minor bigint, channel text, gateway_response text,
        paid_at timestamptz, expires_at timestamptz), unnest(bodies), unnest(refs)) WITH ORDINALITY AS d (
        sha256, event, source_ip, mode, currency, amount_minor, paystack_id, paid_amount_minor, paid_currency, fees_minor,
        channel, gateway_response, paid_at, expires_at, body, reference, n)
  ), sold AS (
    SELECT DISTINCT ON (p.id) t.*, p.id AS purchase, p.wallet_id, p.credits, p.bonus_credits
      FROM told AS t JOIN ai_features_purchase AS p ON p.reference = t.reference
     WHERE p.id = ANY (purchases) AND p.mode = t.mode AND p.currency = t.currency AND p.amount_minor = t.amount_minor
     ORDER BY p.id, t.n
  ), paid AS (
    UPDATE ai_features_wallet AS x
       SET balance = x.balance + b.total, next_expiry_at = least(x.next_expiry_at, b.expires_at)
      FROM (SELECT s.wallet_id, sum(s.credits + s.bonus_credits) AS total, min(s.expires_at) AS expires_at
              FROM sold AS s GROUP BY s.wallet_id) AS b
     WHERE x.id = ANY (wallets) AND x.id = b.wallet_id
       AND x.debt = 0 AND x.overdue = 0 AND coalesce(x.next_expiry_at > now, true) AND x.balance + b.total <= max_micro
       -- What was spent so far is charged to the lots before, unless the new ones are the last to be used anyway.
       -- The last lot to be used is one look at the end of their index. To ask whether there is a later one would read every
       -- lot: of the wallet where the question has an OR in it, and of all wallets where PostgreSQL makes a table of the answers.
       AND (x.unallocated = 0 OR coalesce(b.expires_at, 'infinity') > coalesce(
         (SELECT coalesce(l.expires_at, 'infinity') FROM ai_features_lot AS l
           WHERE l.wallet_id = x.id AND l.remaining > 0 ORDER BY l.expires_at DESC LIMIT 1), '-infinity'))
    RETURNING x.id, x.balance - b.total AS had
  ), settled AS (
    SELECT s.*, (p.had + sum(s.credits + s.bonus_credits) OVER (PARTITION BY p.id ORDER BY s.n))::bigint AS leaves
      FROM sold AS s JOIN paid AS p ON p.id = s.wallet_id
  ), completed AS (
    UPDATE ai_features_purchase AS x
       SET status = 'completed', status_reason = '', settled_by = 'webhook', completed_at = now,
           paystack_id = s.paystack_id, paid_amount_minor = s.paid_amount_minor, paid_currency = s.paid_currency,
           fees_minor = s.fees_minor, channel = s.channel, gateway_response = s.gateway_response, paid_at = s.paid_at
      FROM settled AS s WHERE x.id = ANY (purchases) AND x.id = s.purchase
  ), gained AS (
    -- Sorted before they get their ids, so that within a wallet the order of ids is that of the balances.
    SELECT g.*, nextval('ai_features_lot_id_seq') AS lot, nextval('ai_features_ledgerentry_id_seq') AS entry
      FROM (SELECT s.wallet_id, s.purchase, s.expires_at, v.* FROM settled AS s CROSS JOIN LATERAL (VALUES
              ('purchased', 'purchase', s.credits, s.leaves - s.bonus_credits),
              ('bonus', 'bonus', s.bonus_credits, s.leaves)) AS v (source, kind, amount, leaves)
             WHERE v.amount > 0 ORDER BY s.n, v.leaves) AS g
  ), new_lots AS (
    INSERT INTO ai_features_lot (id, wallet_id, source, amount, remaining, expires_at, purchase_id, created_at)
    SELECT g.lot, g.wallet_id, g.source, g.amount, g.amount, g.expires_at, g.purchase, now FROM gained AS g
  ), entered AS (
    INSERT INTO ai_features_ledgerentry (id, wallet_id, kind, amount, balance_after, purchase_id, lot_id, created_at)
    SELECT g.entry, g.wallet_id, g.kind, g.amount, g.leaves, g.purchase, g.lot, now FROM gained AS g
  ), outcomes AS MATERIALIZED (
    SELECT t.*, s.n IS NOT NULL AS is_done FROM told AS t LEFT JOIN settled AS s ON s.n = t.n
  ), recorded AS (
    INSERT INTO ai_features_webhookevent
      (id, body, body_sha256, event, reference, source_ip, received_at, error, status, outcome, attempts, processed_at)
    SELECT o.id, o.body, o.sha256, o.event, o.reference, o.source_ip, now, '',
           CASE WHEN o.is_done THEN 'processed' ELSE 'received' END, CASE WHEN o.is_done THEN 'completed' ELSE '' END,
           o.is_done::int, CASE WHEN o.is_done THEN now END
      FROM outcomes AS o
  )
  SELECT o.n, o.id, o.is_done FROM outcomes AS o;
END $$
