-- Calendars that practitioners keep elsewhere, and the one that they have of us.
-- The practitioner's own; the address is for the program alone to open, and no use to anybody without its key.
GRANT SELECT (id, practitioner_id, place, label, host, read_at, failures, failing_since, failed_at, failure_code,
              next_read_at, created_at, updated_at) ON app.external_calendars TO huntzen_practitioner;
GRANT INSERT (id, practitioner_id, place, label, url, host, next_read_at, created_at), DELETE
    ON app.external_calendars TO huntzen_practitioner;
CREATE POLICY own ON app.external_calendars TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id())) WITH CHECK (practitioner_id = (SELECT app.user_id()));
-- staff who are asked why a time is not offered see how the reading goes, and nothing of what is read
GRANT SELECT (id, practitioner_id, read_at, failing_since, failed_at, failure_code, created_at) ON app.external_calendars
    TO huntzen_platform;
CREATE POLICY support ON app.external_calendars FOR SELECT TO huntzen_platform USING (true);
-- read by jobs, of nobody's company
GRANT SELECT ON app.external_calendars TO huntzen_worker;
GRANT UPDATE (next_read_at, read_at, whole_read_at, read_zone, etag, last_modified, failures, failing_since, failed_at,
              failure_code, told_at, url) ON app.external_calendars TO huntzen_worker;
CREATE POLICY of_job ON app.external_calendars FOR SELECT TO huntzen_worker USING (true);
CREATE POLICY of_job_change ON app.external_calendars FOR UPDATE TO huntzen_worker USING (true) WITH CHECK (true);
-- whose a job about one is, and sealing anew under another master key
GRANT SELECT (id, practitioner_id, url), UPDATE (url) ON app.external_calendars TO huntzen_kernel;
CREATE POLICY kernel ON app.external_calendars TO huntzen_kernel USING (true) WITH CHECK (true);

GRANT SELECT ON app.external_busy_times TO huntzen_practitioner;
CREATE POLICY own ON app.external_busy_times FOR SELECT TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()));
GRANT SELECT, INSERT, DELETE ON app.external_busy_times TO huntzen_worker;
CREATE POLICY of_job ON app.external_busy_times TO huntzen_worker USING (true) WITH CHECK (true);
GRANT SELECT ON app.external_busy_times TO huntzen_kernel;
CREATE POLICY kernel ON app.external_busy_times FOR SELECT TO huntzen_kernel USING (true);

-- When practitioners are busy elsewhere: what slots are computed from, of many practitioners in one statement.
CREATE OR REPLACE FUNCTION app.external_busy(practitioners uuid[], since timestamptz, until timestamptz)
RETURNS TABLE (practitioner_id uuid, starts_at timestamptz, ends_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT b.practitioner_id, b.starts_at, b.ends_at FROM app.external_busy_times b
    WHERE b.practitioner_id = ANY (external_busy.practitioners) AND b.ends_at > since AND b.starts_at < until
    ORDER BY b.practitioner_id, b.starts_at
$$;
ALTER FUNCTION app.external_busy(uuid[], timestamptz, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.external_busy(uuid[], timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.external_busy(uuid[], timestamptz, timestamptz)
    TO huntzen_employee, huntzen_practitioner, huntzen_platform;

-- The sessions that a practitioner has, has moved or cancelled: their own entries in a calendar that is read.
CREATE OR REPLACE FUNCTION app.sessions_of(practitioner uuid, since timestamptz)
RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT c.id FROM app.consultations c WHERE c.practitioner_id = practitioner AND c.starts_at > since
$$;
ALTER FUNCTION app.sessions_of(uuid, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.sessions_of(uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.sessions_of(uuid, timestamptz) TO huntzen_worker;

GRANT SELECT (id, practitioner_id, place, label, created_at), DELETE,
    INSERT (id, practitioner_id, place, label, hash, created_at) ON app.calendar_feeds TO huntzen_practitioner;
CREATE POLICY own ON app.calendar_feeds TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id())) WITH CHECK (practitioner_id = (SELECT app.user_id()));
GRANT SELECT ON app.calendar_feeds TO huntzen_kernel;
CREATE POLICY kernel ON app.calendar_feeds FOR SELECT TO huntzen_kernel USING (true);

-- The consultations of the practitioner whose feed has this token, without anything of who comes; the first row says
-- in which language they read. No row: there is no such feed.
CREATE OR REPLACE FUNCTION auth.calendar_feed(token_hash bytea, since timestamptz, until timestamptz)
RETURNS TABLE (locale text, id uuid, status text, starts_at timestamptz, ends_at timestamptz, ics_sequence int,
               updated_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH feed AS (
        SELECT f.practitioner_id, u.locale FROM app.calendar_feeds f JOIN app.users u ON u.id = f.practitioner_id
        WHERE f.hash = token_hash AND u.status = 'active'
    )
    SELECT feed.locale, NULL::uuid, NULL, NULL::timestamptz, NULL::timestamptz, NULL::int, NULL::timestamptz FROM feed
    UNION ALL
    (SELECT feed.locale, c.id, c.status, c.starts_at, c.ends_at, c.ics_sequence, c.updated_at
     FROM feed JOIN app.consultations c ON c.practitioner_id = feed.practitioner_id
     WHERE c.starts_at >= since AND c.starts_at < until AND c.status <> 'cancelled'
     ORDER BY c.starts_at, c.id LIMIT 10000)
$$;
ALTER FUNCTION auth.calendar_feed(bytea, timestamptz, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION auth.calendar_feed(bytea, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auth.calendar_feed(bytea, timestamptz, timestamptz) TO huntzen_auth;
