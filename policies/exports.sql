-- Files: whoever asked for one, within their company. Which kinds somebody may ask for is theirs by role; the job that makes
-- one acts for them, and for nobody else.
GRANT SELECT ON app.exports TO huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker;
GRANT INSERT (id, company_id, requested_by, kind, params, created_at) ON app.exports
    TO huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT UPDATE (status, file_key, row_count, finished_at, expires_at, rows_written, rows_expected, failure) ON app.exports
    TO huntzen_worker;
CREATE POLICY fence ON app.exports AS RESTRICTIVE TO huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.exports FOR SELECT TO huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform
    USING (requested_by = (SELECT app.user_id()));
CREATE POLICY own_insert ON app.exports FOR INSERT TO huntzen_hr, huntzen_company_admin
    WITH CHECK (requested_by = (SELECT app.user_id()) AND kind = 'usage');
CREATE POLICY own_activity ON app.exports FOR INSERT TO huntzen_practitioner
    WITH CHECK (requested_by = (SELECT app.user_id()) AND kind = 'practitioner_activity');
CREATE POLICY staffs_insert ON app.exports FOR INSERT TO huntzen_platform
    WITH CHECK (requested_by = (SELECT app.user_id()) AND kind IN ('usage', 'payroll'));
CREATE POLICY of_job ON app.exports FOR SELECT TO huntzen_worker
    USING (company_id IS NOT DISTINCT FROM (SELECT app.company_id()) AND requested_by = (SELECT app.user_id()));
CREATE POLICY of_job_change ON app.exports FOR UPDATE TO huntzen_worker
    USING (company_id IS NOT DISTINCT FROM (SELECT app.company_id()) AND requested_by = (SELECT app.user_id()))
    WITH CHECK (company_id IS NOT DISTINCT FROM (SELECT app.company_id()) AND requested_by = (SELECT app.user_id()));

-- Whether who asked for a file may still have it: they are let in, and what they asked for is still their business.
CREATE OR REPLACE FUNCTION app.is_entitled_to_export(wanted uuid)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM app.exports e JOIN app.users u ON u.id = e.requested_by
        WHERE e.id = wanted AND u.status = 'active'
          AND CASE e.kind
                  WHEN 'usage' THEN u.role = 'platform_admin'
                                    OR u.role IN ('hr', 'company_admin') AND u.company_id = e.company_id
                  WHEN 'practitioner_activity' THEN u.role = 'practitioner'
                  WHEN 'payroll' THEN u.role = 'platform_admin' END)
$$;

-- The next sessions of the practitioner whose job it is, after the one that came last, written as lines of a file: a million
-- of them are never in the program's memory, and made where they are. Every field is quoted. None holds what somebody typed,
-- so none can be a formula. `words` are the reader's.
CREATE OR REPLACE FUNCTION app.activity_lines(since timestamptz, until timestamptz, after_at timestamptz, after_id uuid,
                                              batch int, delimiter text, words jsonb)
RETURNS TABLE (lines text, rows int, last_at timestamptz, last_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp SET "TimeZone" = 'UTC' SET datestyle = 'ISO' AS $$
    WITH page AS MATERIALIZED (
        SELECT c.id, c.starts_at, c.ends_at, c.mode, c.specialty, c.status, c.duration_minutes, c.seen_minutes, c.times_differ,
               r.hourly_rate_cents, r.currency
        FROM app.consultations c
        CROSS JOIN LATERAL (SELECT r.currency, r.hourly_rate_cents FROM app.practitioner_rates r
                            WHERE r.practitioner_id = c.practitioner_id AND r.since <= c.starts_at
                            ORDER BY r.since DESC LIMIT 1) r
        WHERE c.practitioner_id = app.user_id() AND c.starts_at >= since AND c.starts_at < until
          AND (c.starts_at, c.id) > (after_at, after_id)
        ORDER BY c.starts_at, c.id LIMIT batch
    ), written AS (
        SELECT p.id, p.starts_at,
               '"' || concat_ws('"' || delimiter || '"',
                   left(replace(p.starts_at::text, ' ', 'T'), 19) || 'Z',
                   (extract(epoch FROM p.ends_at - p.starts_at) / 60)::int,
                   coalesce(words ->> p.specialty, p.specialty), coalesce(words ->> p.mode, p.mode),
                   coalesce(words ->> p.status, p.status),
                   coalesce(p.duration_minutes::text, ''), coalesce(p.seen_minutes::text, ''),
                   coalesce(words ->> CASE WHEN p.times_differ THEN 'yes' ELSE 'no' END, ''),
                   p.hourly_rate_cents, p.currency,
                   CASE WHEN p.status = 'completed' THEN app.session_fee(p.hourly_rate_cents, p.duration_minutes) ELSE 0 END)
               || '"' || E'\r\n' AS line
        FROM page p
    )
    SELECT coalesce(string_agg(w.line, '' ORDER BY w.starts_at, w.id), ''), count(*)::int,
           (array_agg(w.starts_at ORDER BY w.starts_at DESC, w.id DESC))[1], (array_agg(w.id ORDER BY w.starts_at DESC, w.id DESC))[1]
    FROM written w
$$;
-- How many there are.
CREATE OR REPLACE FUNCTION app.count_activity_lines(since timestamptz, until timestamptz)
RETURNS int LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT count(*)::int FROM app.consultations c
    WHERE c.practitioner_id = app.user_id() AND c.starts_at >= since AND c.starts_at < until
$$;

-- The files whose time is over, of all companies: first listed, and forgotten once they are gone.
CREATE OR REPLACE FUNCTION app.expired_exports(at timestamptz)
RETURNS TABLE (id uuid, file_key text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT e.id, e.file_key FROM app.exports e WHERE e.status = 'ready' AND e.expires_at <= expired_exports.at
    ORDER BY e.expires_at LIMIT 1000
$$;
CREATE OR REPLACE FUNCTION app.forget_exports(gone uuid[])
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    UPDATE app.exports SET status = 'expired', file_key = NULL WHERE id = ANY (gone) AND status = 'ready'
$$;

-- So many files wait for one person at most: whoever asks for more keeps others waiting, whose payroll is made by the same
-- workers.
CREATE OR REPLACE FUNCTION app.bound_exports() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('exports of ' || NEW.requested_by, 0));
    IF (SELECT count(*) FROM (SELECT FROM app.exports e WHERE e.requested_by = NEW.requested_by AND e.status IN ('pending', 'running')
                              LIMIT 20) waiting) >= 20 THEN
        RAISE EXCEPTION 'too many files wait' USING ERRCODE = 'check_violation', CONSTRAINT = 'exports_waiting';
    END IF;
    RETURN NEW;
END
$$;
ALTER FUNCTION app.bound_exports() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.bound_exports() FROM PUBLIC;
DROP TRIGGER IF EXISTS exports_bounded ON app.exports;
CREATE TRIGGER exports_bounded BEFORE INSERT ON app.exports FOR EACH ROW EXECUTE FUNCTION app.bound_exports();

-- Of some objects of the storage, those that are no export's file, and not about to be one.
CREATE OR REPLACE FUNCTION app.unknown_exports(keys text[])
RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT k FROM unnest(keys) k WHERE NOT EXISTS (
        SELECT FROM app.exports e
        WHERE e.id = substring(k FROM '^exports/([0-9a-f]{32})[.]csv$')::uuid AND e.status IN ('pending', 'running', 'ready'))
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.is_entitled_to_export(uuid)', 'app.unknown_exports(text[])',
        'app.activity_lines(timestamptz, timestamptz, timestamptz, uuid, int, text, jsonb)',
        'app.count_activity_lines(timestamptz, timestamptz)',
        'app.expired_exports(timestamptz)', 'app.forget_exports(uuid[])']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO huntzen_worker', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.is_entitled_to_export(uuid)
    TO huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT SELECT ON app.exports TO huntzen_kernel;
GRANT UPDATE (status, file_key) ON app.exports TO huntzen_kernel;
CREATE POLICY kernel ON app.exports TO huntzen_kernel USING (true) WITH CHECK (true);
