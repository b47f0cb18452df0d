-- What a suspended or archived company's people cannot do, whatever the program forgets. A status changes under a lock
-- on the company's row; the trigger below, and that of quota.sql on bookings, share that lock, so that nothing slips in
-- beside the change.

-- whoever locks a row needs a policy for changing it; this one lets nothing be changed
GRANT UPDATE (status) ON app.companies TO huntzen_kernel;
CREATE POLICY kernel_lock ON app.companies FOR UPDATE TO huntzen_kernel USING (true) WITH CHECK (false);

-- Nobody runs an archived company: its HR and admins open no session. Its employees do, to read what is theirs.
CREATE OR REPLACE FUNCTION app.check_company_open() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
DECLARE
    standing text;
BEGIN
    SELECT c.status INTO standing FROM app.users u JOIN app.companies c ON c.id = u.company_id
        WHERE u.id = NEW.user_id AND u.role IN ('hr', 'company_admin') FOR SHARE OF c;
    IF standing = 'archived' THEN
        RAISE EXCEPTION 'the company is archived'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'user_sessions_company_archived';
    END IF;
    RETURN NEW;
END
$$;
ALTER FUNCTION app.check_company_open() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.check_company_open() FROM PUBLIC;
DROP TRIGGER IF EXISTS user_sessions_company_open ON app.user_sessions;
CREATE TRIGGER user_sessions_company_open BEFORE INSERT ON app.user_sessions
    FOR EACH ROW EXECUTE FUNCTION app.check_company_open();

-- Ends the sessions of those who ran the company that the transaction archives.
CREATE OR REPLACE FUNCTION app.end_sessions_of_members(at timestamptz)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    UPDATE app.user_sessions s SET revoked_at = at
    WHERE s.revoked_at IS NULL
      AND s.user_id = ANY (ARRAY(SELECT u.id FROM app.users u
                                 WHERE u.company_id = (SELECT app.company_id()) AND u.role IN ('hr', 'company_admin')))
$$;
ALTER FUNCTION app.end_sessions_of_members(timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.end_sessions_of_members(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.end_sessions_of_members(timestamptz) TO huntzen_platform;

-- What was booked on an archived company's contract is cancelled, some at a time. Answers with the cancelled ones.
CREATE OR REPLACE FUNCTION app.cancel_consultations_of_archived_company(at timestamptz, most int)
RETURNS SETOF uuid LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH chosen AS (
        SELECT c.id FROM app.consultations c JOIN app.companies o ON o.id = c.company_id
        WHERE o.id = (SELECT app.company_id()) AND o.status = 'archived'
          AND c.status IN ('pending', 'confirmed') AND c.starts_at > at
        ORDER BY c.starts_at, c.id LIMIT most FOR UPDATE OF c
    ), cancelled AS (
        UPDATE app.consultations c
        SET status = 'cancelled', cancelled_at = at, cancelled_by = 'platform', ics_sequence = ics_sequence + 1
        FROM chosen WHERE c.id = chosen.id AND c.status IN ('pending', 'confirmed')
        RETURNING c.id, c.company_id
    ), told AS (
        INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
        SELECT company_id, id, 'CANCELLED', cancel_consultations_of_archived_company.at, 'platform' FROM cancelled
        RETURNING consultation_id
    )
    SELECT consultation_id FROM told
$$;
ALTER FUNCTION app.cancel_consultations_of_archived_company(timestamptz, int) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.cancel_consultations_of_archived_company(timestamptz, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.cancel_consultations_of_archived_company(timestamptz, int) TO huntzen_worker;
