-- What people agreed to: each reads their own, and decides through the function below. Nobody changes a decision, and staff
-- learn numbers only.
GRANT SELECT (user_id, place, document, version, decision, decided_at) ON app.consents TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
CREATE POLICY own ON app.consents FOR SELECT
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform
    USING (user_id = (SELECT app.user_id()));
GRANT SELECT, INSERT, DELETE ON app.consents TO huntzen_kernel;
CREATE POLICY kernel ON app.consents TO huntzen_kernel USING (true) WITH CHECK (true);

-- Adds a decision of somebody's. False: it was so already.
CREATE OR REPLACE FUNCTION app.add_consent(person uuid, about text, of_version text, decided text, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    latest app.consents;
BEGIN
    -- one decision at a time for each person
    PERFORM pg_advisory_xact_lock(hashtextextended('consents ' || person, 0));
    SELECT * INTO latest FROM app.consents c WHERE c.user_id = person AND c.document = about ORDER BY c.place DESC LIMIT 1;
    IF latest.decision = decided AND latest.version = of_version OR decided = 'withdrawn' AND coalesce(latest.decision, decided) = decided THEN
        RETURN false;
    END IF;
    INSERT INTO app.consents (user_id, place, document, version, decision, decided_at)
        SELECT person, coalesce(max(c.place), 0) + 1, about, of_version, decided, at FROM app.consents c WHERE c.user_id = person;
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION app.decide_consent(about text, of_version text, decided text, at timestamptz)
RETURNS boolean LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT app.add_consent(app.user_id(), about, of_version, decided, at)
$$;

-- Who accepts an invitation agrees to the terms: whichever way an account comes to be, the decision is noted.
CREATE OR REPLACE FUNCTION app.note_accepted_terms() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- nobody else knows the account yet
        INSERT INTO app.consents (user_id, place, document, version, decision, decided_at)
            VALUES (NEW.id, 1, 'terms', NEW.terms_version, 'accepted', coalesce(NEW.terms_at, clock_timestamp()));
        RETURN NULL;
    END IF;
    PERFORM app.add_consent(NEW.id, 'terms', NEW.terms_version, 'accepted', coalesce(NEW.terms_at, clock_timestamp()));
    RETURN NULL;
END
$$;

-- How many people agreed to each version, and how many took it back, as they decided last.
CREATE OR REPLACE FUNCTION app.count_consents()
RETURNS TABLE (document text, version text, accepted bigint, withdrawn bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT l.document, l.version, count(*) FILTER (WHERE l.decision = 'accepted'), count(*) FILTER (WHERE l.decision = 'withdrawn')
    FROM (SELECT DISTINCT ON (c.document, c.user_id) c.document, c.version, c.decision, c.user_id FROM app.consents c
          ORDER BY c.document, c.user_id, c.place DESC) l
    JOIN app.users u ON u.id = l.user_id AND u.erased_at IS NULL
    GROUP BY l.document, l.version ORDER BY l.document, l.version
$$;

-- How long records are kept: told whoever reads the privacy notice, signed in or not.
CREATE OR REPLACE FUNCTION auth.durations()
RETURNS TABLE (record text, profession text, years int, days int, minutes int, since text, ground text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT r.record, r.profession, r.years, r.days, r.minutes, r.since, r.ground FROM app.retention_rules r
    ORDER BY r.record, r.profession
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.add_consent(uuid, text, text, text, timestamptz)', 'app.decide_consent(text, text, text, timestamptz)',
        'app.note_accepted_terms()', 'app.count_consents()', 'auth.durations()']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
DROP TRIGGER IF EXISTS users_terms_at_first ON app.users;
CREATE TRIGGER users_terms_at_first AFTER INSERT ON app.users
    FOR EACH ROW WHEN (NEW.terms_version IS NOT NULL) EXECUTE FUNCTION app.note_accepted_terms();
DROP TRIGGER IF EXISTS users_terms ON app.users;
CREATE TRIGGER users_terms AFTER UPDATE OF terms_version, terms_at ON app.users
    FOR EACH ROW WHEN (NEW.terms_version IS NOT NULL
                       AND (NEW.terms_version, NEW.terms_at) IS DISTINCT FROM (OLD.terms_version, OLD.terms_at))
    EXECUTE FUNCTION app.note_accepted_terms();
GRANT EXECUTE ON FUNCTION app.add_consent(uuid, text, text, text, timestamptz) TO huntzen_kernel;
GRANT EXECUTE ON FUNCTION app.decide_consent(text, text, text, timestamptz) TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT EXECUTE ON FUNCTION app.count_consents() TO huntzen_platform;
GRANT EXECUTE ON FUNCTION auth.durations() TO huntzen_auth;
