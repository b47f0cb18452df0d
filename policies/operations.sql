-- What the platform's staff run, without seeing anybody's data.

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

-- Maintenance: whoever serves asks for it, staff switch it.
GRANT SELECT, UPDATE (is_on, retry_after_seconds, since) ON app.maintenance TO huntzen_platform;
CREATE POLICY only_row ON app.maintenance FOR SELECT TO huntzen_platform USING (true);
CREATE POLICY only_row_change ON app.maintenance FOR UPDATE TO huntzen_platform USING (true) WITH CHECK (true);
GRANT SELECT ON app.maintenance TO huntzen_kernel;
CREATE POLICY kernel ON app.maintenance FOR SELECT TO huntzen_kernel USING (true);
CREATE OR REPLACE FUNCTION auth.maintenance(OUT is_on boolean, OUT retry_after_seconds int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT m.is_on, m.retry_after_seconds FROM app.maintenance m WHERE m.only_row
$$;

-- Jobs, by what became of them: which, how often, why; never whose, nor their payload.
CREATE OR REPLACE FUNCTION app.list_jobs(wanted text[], queues text[], page_size int, before text)
RETURNS TABLE (id text, queue text, kind text, state text, attempts int, max_attempts int, code text, run_at timestamptz,
               done_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT j.id, j.job_type, coalesce(convert_from(j.job, 'UTF8')::jsonb ->> 'kind', 'unknown'), j.status, j.attempts,
           j.max_attempts, j.last_result ->> 'code', j.run_at, j.done_at
    FROM apalis.jobs j
    WHERE j.job_type = ANY (queues) AND j.status = ANY (wanted) AND j.status <> 'Done'
      AND (list_jobs.before IS NULL OR j.id < list_jobs.before)
    ORDER BY j.id DESC
    LIMIT least(greatest(list_jobs.page_size, 1), 101)
$$;
CREATE OR REPLACE FUNCTION app.is_job(wanted text)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT EXISTS (SELECT FROM apalis.jobs j WHERE j.id = wanted AND j.status <> 'Done')
$$;
-- How many wait, run and have died in each queue.
CREATE OR REPLACE FUNCTION app.count_jobs(queues text[])
RETURNS TABLE (queue text, pending bigint, running bigint, dead bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT q.name, count(j.id) FILTER (WHERE j.status IN ('Pending', 'Failed')),
           count(j.id) FILTER (WHERE j.status IN ('Queued', 'Running')), count(j.id) FILTER (WHERE j.status = 'Killed')
    FROM unnest(queues) AS q (name) LEFT JOIN apalis.jobs j ON j.job_type = q.name AND j.status <> 'Done'
    GROUP BY q.name
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.has_feature(text)', 'app.features_off()', 'app.check_mode_included()', 'auth.maintenance()',
        'app.list_jobs(text[], text[], int, text)', 'app.count_jobs(text[])', 'app.is_job(text)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.has_feature(text) TO huntzen_employee, huntzen_hr, huntzen_company_admin, huntzen_kernel;
GRANT EXECUTE ON FUNCTION app.features_off() TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker;
GRANT EXECUTE ON FUNCTION auth.maintenance() TO huntzen_auth;
GRANT EXECUTE ON FUNCTION app.list_jobs(text[], text[], int, text), app.count_jobs(text[]), app.is_job(text) TO huntzen_platform;
