-- What the platform's staff run, without seeing anybody's data.

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

-- What kind of job it is, as far as its bytes can be read: one that nobody can read is listed, and discarded, like any other.
CREATE OR REPLACE FUNCTION app.kind_of_job(job bytea)
RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = app, pg_temp AS $$
BEGIN
    RETURN coalesce(left(convert_from(job, 'UTF8')::jsonb ->> 'kind', 100), 'unknown');
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN 'unknown';
END
$$;

-- Jobs, by what became of them: which, how often, why, and the mail that they could not send; never whose, nor their payload.
CREATE OR REPLACE FUNCTION app.list_jobs(wanted text[], queues text[], page_size int, before text)
RETURNS TABLE (id text, queue text, kind text, state text, attempts int, max_attempts int, code text, run_at timestamptz,
               done_at timestamptz, email_id uuid, template text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT j.id, j.job_type, app.kind_of_job(j.job), j.status, j.attempts, j.max_attempts, j.last_result ->> 'code', j.run_at,
           j.done_at, m.id, m.template
    FROM (SELECT * FROM apalis.jobs j
          WHERE j.job_type = ANY (queues) AND j.status = ANY (wanted) AND j.status <> 'Done'
            AND (list_jobs.before IS NULL OR j.id < list_jobs.before)
          ORDER BY j.id DESC
          LIMIT least(greatest(list_jobs.page_size, 1), 101)) j
    LEFT JOIN LATERAL (SELECT l.id, l.template FROM app.email_log l WHERE l.job_id = j.id
                       ORDER BY l.created_at DESC, l.id DESC LIMIT 1) m ON true
    ORDER BY j.id DESC
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
        'auth.maintenance()', 'app.kind_of_job(bytea)',
        'app.list_jobs(text[], text[], int, text)', 'app.count_jobs(text[])', 'app.is_job(text)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION auth.maintenance() TO huntzen_auth;
GRANT EXECUTE ON FUNCTION app.list_jobs(text[], text[], int, text), app.count_jobs(text[]), app.is_job(text) TO huntzen_platform;
