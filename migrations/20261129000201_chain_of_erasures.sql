-- Each erasure in the ledger says by a digest which ones were before it: a line that is changed, taken out or slipped in is
-- found, in the table and in the copy that is kept outside of the backups.
ALTER TABLE app.erasure_ledger NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.erasure_ledger DISABLE TRIGGER erasure_ledger_append_only;
ALTER TABLE app.erasure_ledger ADD COLUMN place bigint, ADD COLUMN digest bytea;

-- `domain::privacy::erasure::ledger` computes the same.
CREATE FUNCTION app.chain_erasure() RETURNS trigger LANGUAGE plpgsql SET search_path = app, pg_temp AS $$
DECLARE
    last app.erasure_ledger;
BEGIN
    -- one after the other, however many are carried out at once
    PERFORM pg_advisory_xact_lock(7203847, 1);
    SELECT * INTO last FROM app.erasure_ledger l WHERE l.place IS NOT NULL ORDER BY l.place DESC LIMIT 1;
    NEW.place := coalesce(last.place, 0) + 1;
    NEW.digest := sha256(convert_to(concat_ws('|', NEW.place, NEW.user_id, array_to_string(NEW.key_ids, ','),
        (extract(epoch FROM NEW.erased_at) * 1000000)::bigint, encode(coalesce(last.digest, ''), 'hex')), 'UTF8'));
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION app.chain_erasure() FROM PUBLIC;
CREATE TRIGGER erasure_ledger_chain BEFORE INSERT ON app.erasure_ledger
    FOR EACH ROW EXECUTE FUNCTION app.chain_erasure();

DO $$
DECLARE
    before app.erasure_ledger[];
BEGIN
    SELECT array_agg(l ORDER BY l.erased_at, l.user_id) INTO before FROM app.erasure_ledger l;
    DELETE FROM app.erasure_ledger;
    INSERT INTO app.erasure_ledger (user_id, key_ids, erased_at)
        SELECT l.user_id, l.key_ids, l.erased_at FROM unnest(before) l ORDER BY l.erased_at, l.user_id;
END
$$;

ALTER TABLE app.erasure_ledger
    ALTER COLUMN place SET NOT NULL,
    ALTER COLUMN digest SET NOT NULL,
    ADD CONSTRAINT erasure_ledger_place UNIQUE (place),
    ADD CONSTRAINT erasure_ledger_digest CHECK (length(digest) = 32);
ALTER TABLE app.erasure_ledger ENABLE TRIGGER erasure_ledger_append_only;
ALTER TABLE app.erasure_ledger FORCE ROW LEVEL SECURITY;

-- their results change; policies/privacy.sql has them as they are now
DROP FUNCTION IF EXISTS app.list_erasures(uuid, int);
DROP FUNCTION IF EXISTS app.replay_erasure(uuid, uuid[], timestamptz);
