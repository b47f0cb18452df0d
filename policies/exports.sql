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

-- The months whose payroll is published.
CREATE OR REPLACE FUNCTION app.published_payroll()
RETURNS tstzmultirange LANGUAGE sql STABLE SET search_path = app, pg_temp AS $$
    SELECT coalesce(range_agg(tstzrange(p.month::timestamp AT TIME ZONE 'Europe/Paris',
                                        (p.month + interval '1 month') AT TIME ZONE 'Europe/Paris')), '{}')
    FROM app.payroll_months p WHERE p.has_sessions
$$;

-- The next sessions of the practitioner whose job it is (of published months as they were then), after the one that came
-- last, in their order.
DROP FUNCTION IF EXISTS app.activity_lines(timestamptz, timestamptz, timestamptz, uuid, int, text, jsonb);
CREATE OR REPLACE FUNCTION app.activity_sessions(since timestamptz, until timestamptz, after_at timestamptz, after_id uuid,
                                                 batch int)
RETURNS TABLE (id uuid, starts_at timestamptz, ends_at timestamptz, specialty text, mode text, status text,
               duration_minutes int, seen_minutes int, times_differ boolean, hourly_rate_cents int, currency text, amount bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH running AS (
        -- in the times between: what is published is not read here only to be left out
        SELECT c.*
        FROM unnest(tstzmultirange(tstzrange(greatest(since, after_at), until)) - app.published_payroll()) AS open (span)
        CROSS JOIN LATERAL (
            SELECT c.id, c.starts_at, c.ends_at, c.specialty, c.mode, c.status, c.duration_minutes, c.seen_minutes,
                   c.times_differ, r.hourly_rate_cents, r.currency
            FROM app.consultations c
            CROSS JOIN LATERAL (SELECT r.currency, r.hourly_rate_cents FROM app.practitioner_rates r
                                WHERE r.practitioner_id = c.practitioner_id AND r.since <= c.starts_at
                                ORDER BY r.since DESC LIMIT 1) r
            WHERE c.practitioner_id = app.user_id() AND c.starts_at >= lower(open.span) AND c.starts_at < upper(open.span)
              AND (c.starts_at, c.id) > (after_at, after_id)
            ORDER BY c.starts_at, c.id LIMIT batch) c
        ORDER BY c.starts_at, c.id LIMIT batch
    ), published AS (
        SELECT s.consultation_id, s.starts_at, s.ends_at, s.specialty, s.mode, s.status, s.duration_minutes, s.seen_minutes,
               s.times_differ, s.hourly_rate_cents, s.currency
        FROM app.payroll_sessions s
        WHERE s.practitioner_id = app.user_id() AND s.starts_at >= since AND s.starts_at < until
          AND (s.starts_at, s.consultation_id) > (after_at, after_id)
        ORDER BY s.starts_at, s.consultation_id LIMIT batch
    )
    SELECT p.*,
           CASE WHEN p.status = 'completed' THEN app.session_fee(p.hourly_rate_cents, p.duration_minutes) ELSE 0 END
    FROM (SELECT * FROM running UNION ALL SELECT * FROM published ORDER BY starts_at, id LIMIT batch) p
$$;
-- How many there are.
DROP FUNCTION IF EXISTS app.count_activity_lines(timestamptz, timestamptz);
CREATE OR REPLACE FUNCTION app.count_activity_sessions(since timestamptz, until timestamptz)
RETURNS int LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT (SELECT count(*)
            FROM unnest(tstzmultirange(tstzrange(since, until)) - app.published_payroll()) AS open (span)
            JOIN app.consultations c ON c.starts_at >= lower(open.span) AND c.starts_at < upper(open.span)
            WHERE c.practitioner_id = app.user_id())::int
        + (SELECT count(*) FROM app.payroll_sessions s
           WHERE s.practitioner_id = app.user_id() AND s.starts_at >= since AND s.starts_at < until)::int
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

-- Those of some files that no export that is ready has.
CREATE OR REPLACE FUNCTION app.unknown_exports(file_keys text[])
RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT k FROM unnest(file_keys) k
    WHERE NOT EXISTS (SELECT FROM app.exports e WHERE e.file_key = k AND e.status = 'ready')
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.is_entitled_to_export(uuid)', 'app.unknown_exports(text[])',
        'app.activity_sessions(timestamptz, timestamptz, timestamptz, uuid, int)',
        'app.count_activity_sessions(timestamptz, timestamptz)',
        'app.expired_exports(timestamptz)', 'app.forget_exports(uuid[])']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO huntzen_worker', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.is_entitled_to_export(uuid)
    TO huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
REVOKE ALL ON FUNCTION app.published_payroll() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.published_payroll() TO huntzen_kernel;
GRANT SELECT ON app.exports TO huntzen_kernel;
GRANT UPDATE (status, file_key) ON app.exports TO huntzen_kernel;
CREATE POLICY kernel ON app.exports TO huntzen_kernel USING (true) WITH CHECK (true);
