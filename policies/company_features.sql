-- Modules of a company. Its people do not read the table; what they have is decided by the two functions below.
GRANT SELECT, INSERT (company_id, feature, is_on), UPDATE (is_on) ON app.feature_flags TO huntzen_platform;
CREATE POLICY all_rows ON app.feature_flags TO huntzen_platform USING (true) WITH CHECK (true);
GRANT SELECT ON app.feature_flags TO huntzen_kernel;
CREATE POLICY kernel ON app.feature_flags FOR SELECT TO huntzen_kernel USING (true);

-- Whether the company of the transaction has a module. Who belongs to none has all.
CREATE OR REPLACE FUNCTION app.has_feature(wanted text)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT NOT EXISTS (SELECT FROM app.feature_flags f
                       WHERE f.company_id = app.company_id() AND f.feature = wanted AND NOT f.is_on)
$$;
-- The modules that it has not.
CREATE OR REPLACE FUNCTION app.features_off()
RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT f.feature FROM app.feature_flags f WHERE f.company_id = app.company_id() AND NOT f.is_on
$$;
-- No session is booked, or moved to be held, in a way that the company has not. What was booked before is held as agreed.
CREATE OR REPLACE FUNCTION app.check_mode_included() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM app.feature_flags f
               WHERE f.company_id = NEW.company_id AND f.feature = NEW.mode AND NOT f.is_on) THEN
        RAISE EXCEPTION 'the company has no sessions by %', NEW.mode
            USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_mode_included';
    END IF;
    RETURN NEW;
END
$$;
DROP TRIGGER IF EXISTS consultations_mode_included ON app.consultations;
DROP TRIGGER IF EXISTS consultations_mode_changed ON app.consultations;
CREATE TRIGGER consultations_mode_included BEFORE INSERT ON app.consultations
    FOR EACH ROW EXECUTE FUNCTION app.check_mode_included();
CREATE TRIGGER consultations_mode_changed BEFORE UPDATE OF mode ON app.consultations
    FOR EACH ROW WHEN (NEW.mode IS DISTINCT FROM OLD.mode) EXECUTE FUNCTION app.check_mode_included();

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.has_feature(text)', 'app.features_off()', 'app.check_mode_included()']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.has_feature(text) TO huntzen_employee, huntzen_hr, huntzen_company_admin, huntzen_kernel;
GRANT EXECUTE ON FUNCTION app.features_off() TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker;
