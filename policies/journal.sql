-- The journal: the person's own, and nobody else's: no practitioner, no employer, no staff, no job.
GRANT SELECT, DELETE ON app.journal_entries TO huntzen_employee;
GRANT INSERT (id, company_id, user_id, day, sealed, facts, private_key_id, created_at, updated_at),
    UPDATE (day, version, sealed, facts, private_key_id, updated_at) ON app.journal_entries TO huntzen_employee;
CREATE POLICY fence ON app.journal_entries AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.journal_entries TO huntzen_employee
    USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));
GRANT SELECT ON app.journal_keys TO huntzen_employee;
GRANT INSERT (company_id, user_id, key_id, by_passphrase, by_recovery_code, created_at, updated_at),
    UPDATE (key_id, version, by_passphrase, by_recovery_code, updated_at) ON app.journal_keys TO huntzen_employee;
CREATE POLICY fence ON app.journal_keys AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.journal_keys FOR SELECT TO huntzen_employee USING (user_id = (SELECT app.user_id()));
CREATE POLICY own_first ON app.journal_keys FOR INSERT TO huntzen_employee WITH CHECK (user_id = (SELECT app.user_id()));
CREATE POLICY own_change ON app.journal_keys FOR UPDATE TO huntzen_employee
    USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- A version is taken from the one that is known: whoever changes without knowing it changes nothing.
CREATE OR REPLACE FUNCTION app.check_next_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'versions follow each other'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_TABLE_NAME || '_version_order';
    END IF;
    RETURN NEW;
END
$$;
-- What is replaced stays as long as `journal_wrap_before` says, as it was before the first of several changes.
CREATE OR REPLACE FUNCTION app.keep_wraps_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.replaced_at > NEW.updated_at - app.kept_for('journal_wrap_before') THEN
        NEW.before_key_id := OLD.before_key_id;
        NEW.before_version := OLD.before_version;
        NEW.before_passphrase := OLD.before_passphrase;
        NEW.before_recovery_code := OLD.before_recovery_code;
        NEW.replaced_at := OLD.replaced_at;
    ELSE
        NEW.before_key_id := OLD.key_id;
        NEW.before_version := OLD.version;
        NEW.before_passphrase := OLD.by_passphrase;
        NEW.before_recovery_code := OLD.by_recovery_code;
        NEW.replaced_at := NEW.updated_at;
    END IF;
    RETURN NEW;
END
$$;
-- A journal has an end: searching it reads the facts of all its entries.
CREATE OR REPLACE FUNCTION app.check_journal_size() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('huntzen journal ' || NEW.user_id, 0));
    IF (SELECT count(*) FROM app.journal_entries e
        WHERE e.user_id = NEW.user_id AND e.company_id = NEW.company_id) >= 5000 THEN
        RAISE EXCEPTION 'the journal is full'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_entries_enough';
    END IF;
    RETURN NEW;
END
$$;
GRANT SELECT ON app.journal_entries TO huntzen_kernel;
CREATE POLICY kernel ON app.journal_entries FOR SELECT TO huntzen_kernel USING (true);

-- The key of the caller's own journal, and of nobody else's.
CREATE OR REPLACE FUNCTION app.journal_key()
RETURNS TABLE (id uuid, wrapped bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT k.id, k.wrapped FROM app.encryption_keys k
    WHERE k.company_id = app.company_id() AND k.purpose = 'journal' AND k.subject_id = app.user_id()
      AND k.person_id = app.user_id() AND app.connected_role() = 'employee'
$$;
-- Keeps the first key of the caller's journal; of two brought at the same time the first one's stays. Of somebody who was erased,
-- or is just being, nothing new is kept: no row.
CREATE OR REPLACE FUNCTION app.keep_journal_key(key_id uuid, key_wrapped bytea, at timestamptz)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
    SELECT key_id, u.company_id, 'journal', u.id, u.id, key_wrapped, at FROM app.users u
    WHERE u.id = app.user_id() AND u.company_id = app.company_id() AND u.erased_at IS NULL AND app.connected_role() = 'employee'
    FOR SHARE OF u
    ON CONFLICT ON CONSTRAINT encryption_keys_subject DO NOTHING
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.check_journal_size()', 'app.journal_key()', 'app.keep_journal_key(uuid, bytea, timestamptz)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION app.check_next_version(), app.keep_wraps_before() FROM PUBLIC;
DROP TRIGGER IF EXISTS journal_entries_next ON app.journal_entries;
CREATE TRIGGER journal_entries_next BEFORE UPDATE ON app.journal_entries
    FOR EACH ROW EXECUTE FUNCTION app.check_next_version();
DROP TRIGGER IF EXISTS journal_keys_next ON app.journal_keys;
CREATE TRIGGER journal_keys_next BEFORE UPDATE OF company_id, user_id, key_id, version, by_passphrase, by_recovery_code,
    created_at, updated_at ON app.journal_keys
    FOR EACH ROW EXECUTE FUNCTION app.check_next_version();
DROP TRIGGER IF EXISTS journal_keys_replaced ON app.journal_keys;
CREATE TRIGGER journal_keys_replaced BEFORE UPDATE OF key_id, version, by_passphrase, by_recovery_code ON app.journal_keys
    FOR EACH ROW EXECUTE FUNCTION app.keep_wraps_before();
DROP TRIGGER IF EXISTS journal_entries_limit ON app.journal_entries;
CREATE TRIGGER journal_entries_limit BEFORE INSERT ON app.journal_entries
    FOR EACH ROW EXECUTE FUNCTION app.check_journal_size();
GRANT EXECUTE ON FUNCTION app.journal_key(), app.keep_journal_key(uuid, bytea, timestamptz) TO huntzen_employee;
