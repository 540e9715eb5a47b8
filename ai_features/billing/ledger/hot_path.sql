-- One row of `operations` is one call (see hot_path.py); rows of one wallet stand together, wallets in id order.
-- A row that is not returned was left alone, with nothing changed for it; one without a balance found its wallet held
-- by another transaction, which is an answer only where it may not wait.
CREATE OR REPLACE FUNCTION ai_features_apply(operations json, now timestamptz, may_wait boolean)
RETURNS TABLE (n int, ids bigint[], balance bigint, available bigint, low_balance bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  o record;                            -- the operation
  wallet bigint;                       -- the wallet that is locked, and its row as it will be
  has bigint; holds bigint; owes_lots bigint; low bigint;
  unusual boolean;                     -- for the exact path
  changed boolean := false;
  let_go bigint;
  made bigint[];
BEGIN
  FOR o IN
    SELECT * FROM json_to_recordset(operations) AS o (
      n int, op text, w bigint, c bigint, items json, k text, q jsonb, r bigint, closes boolean,
      e timestamptz, f text, p jsonb, d jsonb, m bigint, t text)
  LOOP
    IF wallet IS DISTINCT FROM o.w THEN
      IF changed THEN
        UPDATE ai_features_wallet AS x SET balance = has, held = holds, unallocated = owes_lots WHERE x.id = wallet;
        changed := false;
      END IF;
      wallet := o.w;
      IF may_wait THEN
        SELECT x.balance, x.held, x.unallocated, x.low_balance, (x.debt > 0 OR x.overdue > 0 OR x.is_capped
            OR coalesce(x.next_expiry_at <= now, false))
          INTO has, holds, owes_lots, low, unusual
          FROM ai_features_wallet AS x WHERE x.id = o.w FOR NO KEY UPDATE;
      ELSE
        SELECT x.balance, x.held, x.unallocated, x.low_balance, (x.debt > 0 OR x.overdue > 0 OR x.is_capped
            OR coalesce(x.next_expiry_at <= now, false))
          INTO has, holds, owes_lots, low, unusual
          FROM ai_features_wallet AS x WHERE x.id = o.w FOR NO KEY UPDATE SKIP LOCKED;
      END IF;
    END IF;
    IF has IS NULL THEN
      n := o.n; ids := NULL; balance := NULL; available := NULL; low_balance := NULL;
      RETURN NEXT;
      CONTINUE;
    END IF;
    CONTINUE WHEN unusual;
    IF o.k IS NOT NULL THEN
      CONTINUE WHEN EXISTS (SELECT FROM ai_features_idempotencykey AS x WHERE x.wallet_id = o.w AND x.key = o.k);
    END IF;

    IF o.op IN ('spend', 'reserve') THEN
      CONTINUE WHEN has - holds < o.c;
    ELSE
      UPDATE ai_features_reservation AS x
         SET captured = x.captured + o.c,
             credits = CASE WHEN o.closes THEN x.credits ELSE x.credits - o.c END,
             status = CASE WHEN NOT o.closes THEN 'open' WHEN o.op = 'release' THEN 'released' ELSE 'captured' END,
             ended_at = CASE WHEN o.closes THEN now END,
             expires_at = CASE WHEN o.closes THEN x.expires_at ELSE coalesce(o.e, x.expires_at) END
       WHERE x.id = o.r AND x.wallet_id = o.w AND x.status = 'open' AND x.expires_at > now AND x.credits >= o.c
      RETURNING CASE WHEN o.closes THEN x.credits ELSE o.c END INTO let_go;
      CONTINUE WHEN NOT FOUND;
      holds := holds - let_go;
    END IF;

    changed := true;
    IF o.op = 'reserve' THEN
      holds := holds + o.c;
      INSERT INTO ai_features_reservation (wallet_id, credits, feature, member_id, token, expires_at, created_at)
      VALUES (o.w, o.c, o.f, o.m, o.t, o.e, now)
      RETURNING ARRAY[id] INTO made;
    ELSIF o.op = 'release' THEN
      made := ARRAY[o.r];
    ELSIF o.items IS NULL THEN
      has := has - o.c;
      owes_lots := owes_lots + o.c;
      INSERT INTO ai_features_ledgerentry
        (wallet_id, kind, amount, balance_after, feature, pricing, metadata, member_id, reservation_id, created_at)
      VALUES (o.w, o.op, -o.c, has, o.f, o.p, o.d, o.m, o.r, now)
      RETURNING ARRAY[id] INTO made;
    ELSE
      WITH entries AS (
        INSERT INTO ai_features_ledgerentry
          (wallet_id, kind, amount, balance_after, feature, pricing, metadata, member_id, reservation_id, created_at)
        SELECT o.w, o.op, -i.c, has - sum(i.c) OVER (ROWS UNBOUNDED PRECEDING), i.f, i.p, i.d, i.m, o.r, now
          FROM json_to_recordset(o.items) AS i (c bigint, f text, p jsonb, d jsonb, m bigint)
        RETURNING id)
      SELECT array_agg(id ORDER BY id) INTO made FROM entries;
      has := has - o.c;
      owes_lots := owes_lots + o.c;
    END IF;
    IF o.k IS NOT NULL THEN
      INSERT INTO ai_features_idempotencykey (wallet_id, key, request, answer)
      VALUES (o.w, o.k, o.q, json_strip_nulls(json_build_object('ids', made, 'balance', has, 'expires_at', o.e)));
    END IF;
    n := o.n; ids := made; balance := has; available := has - holds; low_balance := low;
    RETURN NEXT;
  END LOOP;
  IF changed THEN
    UPDATE ai_features_wallet AS x SET balance = has, held = holds, unallocated = owes_lots WHERE x.id = wallet;
  END IF;
END $$
