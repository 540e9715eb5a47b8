-- The functions of entry_laws.py. %1$I is the schema, for they look in none by themselves; %% is a percent sign.
DO $install$ BEGIN EXECUTE format($functions$
CREATE OR REPLACE FUNCTION ai_features_check_entries() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  is_stray boolean;                    -- refers to what does not exist
  is_unusual boolean;                  -- may break a law: anything but usage that refers to its wallet alone
BEGIN
  SELECT bool_or((SELECT x.id FROM %1$I.ai_features_wallet AS x WHERE x.id = e.wallet_id FOR KEY SHARE) IS NULL),
         bool_or(e.is_unusual)
    INTO is_stray, is_unusual
    FROM (SELECT DISTINCT x.wallet_id, x.kind NOT IN ('spend', 'capture')
                 OR coalesce(x.purchase_id, x.lot_id, x.refund_id, x.dispute_id) IS NOT NULL AS is_unusual
            FROM entered AS x) AS e;
  IF is_unusual THEN
    is_stray := is_stray OR EXISTS (SELECT FROM entered AS e WHERE
      e.purchase_id IS NOT NULL
        AND (SELECT x.id FROM %1$I.ai_features_purchase AS x WHERE x.id = e.purchase_id FOR KEY SHARE) IS NULL
      OR e.lot_id IS NOT NULL
        AND (SELECT x.id FROM %1$I.ai_features_lot AS x WHERE x.id = e.lot_id FOR KEY SHARE) IS NULL
      OR e.refund_id IS NOT NULL
        AND (SELECT x.id FROM %1$I.ai_features_refund AS x WHERE x.id = e.refund_id FOR KEY SHARE) IS NULL
      OR e.dispute_id IS NOT NULL
        AND (SELECT x.id FROM %1$I.ai_features_dispute AS x WHERE x.id = e.dispute_id FOR KEY SHARE) IS NULL);
    IF EXISTS (SELECT FROM entered AS e WHERE
         e.kind IN ('purchase', 'bonus') AND e.purchase_id IS NULL
      OR (e.kind IN ('refund', 'refund_failed')) <> (e.refund_id IS NOT NULL)
      OR (e.kind IN ('dispute', 'dispute_release')) <> (e.dispute_id IS NOT NULL)
      OR e.kind IN ('dispute', 'dispute_release') AND e.lot_id IS NULL
      OR e.kind IN ('refund', 'dispute') AND e.amount >= 0
      OR e.kind IN ('refund_failed', 'dispute_release') AND e.amount <= 0) THEN
      RAISE EXCEPTION 'a ledger entry is not as its kind must be' USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  IF is_stray THEN
    RAISE EXCEPTION 'a ledger entry refers to what does not exist' USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION ai_features_keep_referred() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  is_needed boolean := true;
BEGIN
  IF TG_OP = 'DELETE' THEN
    EXECUTE format('SELECT EXISTS (SELECT FROM %1$I.ai_features_ledgerentry WHERE %%I = $1)', TG_ARGV[0])
       INTO is_needed USING OLD.id;
  ELSIF TG_OP = 'UPDATE' THEN
    is_needed := NEW.id <> OLD.id;
  END IF;
  IF is_needed THEN
    RAISE EXCEPTION '%% is referred to by ledger entries', TG_TABLE_NAME USING ERRCODE = 'foreign_key_violation';
  -- The row is locked, so whatever entries it has are committed; but an older snapshot would not show them.
  ELSIF TG_OP = 'DELETE' AND current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'delete from %% under READ COMMITTED only', TG_TABLE_NAME USING ERRCODE = 'feature_not_supported';
  END IF;
  RETURN NULL;
END $$
$functions$, current_schema()); END $install$
