-- One row of `operations` is one call (see hot_path.py), and `wallets` are those they are about. A row that is not
-- returned was left alone, with nothing changed for it; one without a balance found its wallet held by another
-- transaction, which is an answer only where it may not wait.
--
-- What each statement costs to begin weighs more than what it does to a row, so wallets are locked, moved and given
-- their entries in one statement each for all calls.
--
-- Two settings, here and in all functions that take arrays. PostgreSQL would plan anew for each array, since it thinks a
-- plan for just these few elements cheaper; but planning takes longer than all the rest. And while there are a thousand
-- rows or none yet counted, it would rather read them all than look up a few by their keys, and keep that plan.
DROP FUNCTION IF EXISTS ai_features_apply(json, timestamptz, boolean);
CREATE OR REPLACE FUNCTION ai_features_apply(operations json, wallets bigint[], now timestamptz, may_wait boolean)
RETURNS TABLE (n int, ids bigint[], balance bigint, available bigint, low_balance bigint)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  o record;                                          -- the operation, with its wallet as it was before the first
  wallet bigint[]; has bigint[]; holds bigint[]; owes_lots bigint[];           -- the wallets as they will be
  i int := 0;                                        -- which of them it is about
  let_go bigint;
  made bigint[];
  charged int[]; entry bigint[]; leaves bigint[];    -- the entries to be: operation, id, balance after
BEGIN
  <<anew>>
  LOOP
    FOR o IN
      SELECT o.*, x.*
        FROM json_to_recordset(operations) AS o (
          n int, op text, w bigint, c bigint, k text, q jsonb, r bigint, h boolean, e timestamptz, f text,
          p jsonb, d jsonb, m user_key, t text)
        LEFT JOIN (
          SELECT x.id, x.balance, x.held, x.unallocated, x.low_balance, (x.debt > 0 OR x.overdue > 0 OR x.is_capped
              OR coalesce(x.next_expiry_at <= now, false)) AS is_unusual
            FROM ai_features_wallet AS x WHERE x.id = ANY (wallets) ORDER BY x.id FOR NO KEY UPDATE SKIP LOCKED) AS x
          ON x.id = o.w
       ORDER BY o.w, o.n
    LOOP
      IF o.id IS NULL AND may_wait THEN  -- all are of this wallet then, and nothing has been done yet
        PERFORM FROM ai_features_wallet AS x WHERE x.id = o.w FOR NO KEY UPDATE;
        may_wait := false;
        CONTINUE anew;
      END IF;
      IF o.id IS NULL THEN
        n := o.n; ids := NULL; balance := NULL; available := NULL; low_balance := NULL;
        RETURN NEXT;
        CONTINUE;
      END IF;
      CONTINUE WHEN o.is_unusual;
      IF i = 0 OR wallet[i] <> o.w THEN
        i := i + 1;
        wallet[i] := o.w; has[i] := o.balance; holds[i] := o.held; owes_lots[i] := o.unallocated;
      END IF;
      IF o.k IS NOT NULL THEN
        CONTINUE WHEN EXISTS (SELECT FROM ai_features_idempotencykey AS x WHERE x.wallet_id = o.w AND x.key = o.k);
      END IF;

      IF o.op IN ('spend', 'reserve') THEN
        CONTINUE WHEN has[i] - holds[i] < o.c;
      ELSE
        UPDATE ai_features_reservation AS x
           SET captured = x.captured + o.c, ended_at = now,
               status = CASE WHEN o.op = 'release' THEN 'released' ELSE 'captured' END
         WHERE x.id = o.r AND x.wallet_id = o.w AND x.status = 'open' AND x.expires_at > now AND x.credits >= o.c
           AND (x.over_http OR o.h IS NULL)
        RETURNING x.credits INTO let_go;
        CONTINUE WHEN NOT FOUND;
        holds[i] := holds[i] - let_go;
      END IF;

      IF o.op = 'reserve' THEN
        holds[i] := holds[i] + o.c;
        INSERT INTO ai_features_reservation
          (wallet_id, credits, feature, member_id, token, over_http, expires_at, created_at)
        VALUES (o.w, o.c, o.f, o.m, o.t, o.h IS NOT NULL, o.e, now)
        RETURNING ARRAY[id] INTO made;
      ELSIF o.op = 'release' THEN
        made := ARRAY[o.r];
      ELSE
        has[i] := has[i] - o.c;
        owes_lots[i] := owes_lots[i] + o.c;
        made := ARRAY[nextval('ai_features_ledgerentry_id_seq')];
        charged := charged || o.n; entry := entry || made; leaves := leaves || has[i];
      END IF;
      IF o.k IS NOT NULL THEN
        INSERT INTO ai_features_idempotencykey (wallet_id, key, request, answer)
        VALUES (o.w, o.k, o.q, json_strip_nulls(json_build_object('ids', made, 'balance', has[i], 'expires_at', o.e)));
      END IF;
      n := o.n; ids := made; balance := has[i]; available := has[i] - holds[i]; low_balance := o.low_balance;
      RETURN NEXT;
    END LOOP;
    EXIT;
  END LOOP;

  IF i > 0 THEN
    WITH moved AS (
      UPDATE ai_features_wallet AS x SET balance = a.has, held = a.holds, unallocated = a.owes_lots
        FROM unnest(wallet, has, holds, owes_lots) AS a (id, has, holds, owes_lots)
       WHERE x.id = a.id AND x.id = ANY (wallet))
    INSERT INTO ai_features_ledgerentry
      (id, wallet_id, kind, amount, balance_after, feature, pricing, metadata, member_id, reservation_id, created_at)
    SELECT a.id, o.w, o.op, -o.c, a.leaves, o.f, o.p, o.d, o.m, o.r, now
      FROM unnest(charged, entry, leaves) AS a (n, id, leaves)
      JOIN json_to_recordset(operations) AS o (
        n int, op text, w bigint, c bigint, r bigint, f text, p jsonb, d jsonb, m user_key) ON o.n = a.n;
  END IF;
END $$
