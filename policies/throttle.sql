-- Attempts that fail are slowed down: a growing delay for what is tried, budgets for who tries. On every node alike.
GRANT SELECT, INSERT, DELETE ON app.throttles TO huntzen_kernel;
GRANT UPDATE (failures, clear_at, failed_at) ON app.throttles TO huntzen_kernel;
CREATE POLICY kernel ON app.throttles TO huntzen_kernel USING (true) WITH CHECK (true);

-- Seconds that an attempt must wait; 0 if it may be made. A budget is refused once what it owes exceeds what it allows.
CREATE OR REPLACE FUNCTION auth.attempt_wait(delayed bytea, budgets bytea[], allowed double precision[], at timestamptz)
RETURNS int LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT greatest(0, coalesce(max(ceil(extract(epoch FROM t.clear_at - at) - b.allowance)), 0))::int
    FROM (SELECT delayed AS key, 0 AS allowance UNION ALL SELECT * FROM unnest(budgets, allowed)) b
    JOIN app.throttles t ON t.key = b.key
$$;

-- Counts a failure, unless another one came first and made it wait: then it counts for nothing, and the answer says
-- how long, whatever was found. So of many attempts at once one is judged, as if they had come one by one.
CREATE OR REPLACE FUNCTION auth.attempt_failed(delayed bytea, delays double precision[], budgets bytea[],
                                               allowed double precision[], steps double precision[], at timestamptz)
RETURNS int LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    wait int;
BEGIN
    -- the rows are locked in one order, whether they were there or not
    INSERT INTO app.throttles AS t (key, failures, clear_at, failed_at)
        SELECT k.key, 0, at, at FROM unnest(budgets || delayed) AS k (key) ORDER BY k.key
        ON CONFLICT (key) DO UPDATE SET failures = t.failures;
    wait := auth.attempt_wait(delayed, budgets, allowed, at);
    IF wait > 0 THEN
        RETURN wait;
    END IF;
    UPDATE app.throttles t
        SET failures = n.failures, failed_at = at,
            clear_at = at + make_interval(secs => delays[least(n.failures, cardinality(delays))])
        FROM (SELECT CASE WHEN o.failed_at < at - interval '1 day' THEN 1 ELSE o.failures + 1 END AS failures
              FROM app.throttles o WHERE o.key = delayed) n
        WHERE t.key = delayed;
    UPDATE app.throttles t
        SET failures = t.failures + 1, failed_at = at,
            clear_at = greatest(t.clear_at, at) + make_interval(secs => b.step)
        FROM unnest(budgets, steps) AS b (key, step) WHERE t.key = b.key;
    RETURN 0;
END
$$;

-- A success, unless failures came first. It clears the delay, not the budgets.
CREATE OR REPLACE FUNCTION auth.attempt_succeeded(delayed bytea, budgets bytea[], allowed double precision[], at timestamptz)
RETURNS int LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    wait int := auth.attempt_wait(delayed, budgets, allowed, at);
BEGIN
    IF wait = 0 THEN
        DELETE FROM app.throttles t WHERE t.key = delayed;
    END IF;
    RETURN wait;
END
$$;

-- the functions of this schema that the files since identity.sql made
DO $$
DECLARE
    it regprocedure;
BEGIN
    FOR it IN SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
              WHERE n.nspname = 'auth' LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO huntzen_auth', it);
    END LOOP;
END
$$;
