-- Sessions: each person's own. A session is a family of refresh tokens; how it ends is announced to every node.
GRANT SELECT ON app.user_sessions TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT UPDATE (revoked_at) ON app.user_sessions TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
CREATE POLICY own ON app.user_sessions FOR SELECT
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform
    USING (user_id = (SELECT app.user_id()));
CREATE POLICY own_change ON app.user_sessions FOR UPDATE
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform
    -- what is revoked stays revoked
    USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()) AND revoked_at IS NOT NULL);

GRANT SELECT, INSERT, DELETE ON app.user_sessions, app.refresh_tokens TO huntzen_kernel;
GRANT UPDATE (last_used_at, ip, revoked_at) ON app.user_sessions TO huntzen_kernel;
GRANT UPDATE (used_at, superseded_at) ON app.refresh_tokens TO huntzen_kernel;
GRANT SELECT, INSERT, DELETE ON app.ended_sessions, app.known_devices TO huntzen_kernel;
GRANT UPDATE (last_used_at, expires_at) ON app.known_devices TO huntzen_kernel;
GRANT DELETE ON app.one_time_tokens TO huntzen_kernel;
CREATE POLICY kernel ON app.user_sessions TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.refresh_tokens TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.ended_sessions TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.known_devices TO huntzen_kernel USING (true) WITH CHECK (true);

-- How sessions end

CREATE OR REPLACE FUNCTION app.announce_revocation() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    INSERT INTO app.ended_sessions (session_id) VALUES (OLD.id) ON CONFLICT DO NOTHING;
    -- carries nothing: whoever hears it reads the table again
    PERFORM pg_notify('session_revoked', '');
    RETURN NULL;
END
$$;
ALTER FUNCTION app.announce_revocation() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.announce_revocation() FROM PUBLIC;
DROP TRIGGER IF EXISTS user_sessions_revoked ON app.user_sessions;
CREATE TRIGGER user_sessions_revoked AFTER UPDATE OF revoked_at ON app.user_sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION app.announce_revocation();
DROP TRIGGER IF EXISTS user_sessions_deleted ON app.user_sessions;
CREATE TRIGGER user_sessions_deleted AFTER DELETE ON app.user_sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND OLD.expires_at > now()) EXECUTE FUNCTION app.announce_revocation();

-- Whoever is not active any more, or becomes somebody else for the fences, loses their sessions: no use case can
-- forget it.
CREATE OR REPLACE FUNCTION app.end_sessions_with_standing() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.user_sessions s SET revoked_at = clock_timestamp() WHERE s.user_id = NEW.id AND s.revoked_at IS NULL;
    RETURN NULL;
END
$$;
ALTER FUNCTION app.end_sessions_with_standing() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.end_sessions_with_standing() FROM PUBLIC;
DROP TRIGGER IF EXISTS users_standing ON app.users;
CREATE TRIGGER users_standing AFTER UPDATE OF status, role, company_id ON app.users
    FOR EACH ROW WHEN (OLD.status = 'active'
                       AND (NEW.status, NEW.role, NEW.company_id) IS DISTINCT FROM (OLD.status, OLD.role, OLD.company_id))
    EXECUTE FUNCTION app.end_sessions_with_standing();

-- Ends a person's sessions, but for one that may stay; how many. People end their own; the platform's staff those
-- of anybody, and so do the functions of those who are not signed in, such as a new password.
CREATE OR REPLACE FUNCTION app.end_sessions_of(person uuid, except_session uuid, at timestamptz)
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    ended bigint;
BEGIN
    IF person IS DISTINCT FROM app.user_id() AND session_user NOT IN ('huntzen_platform', 'huntzen_auth') THEN
        RAISE EXCEPTION 'somebody else''s sessions' USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE app.user_sessions s SET revoked_at = at
        WHERE s.user_id = person AND s.revoked_at IS NULL AND s.id IS DISTINCT FROM except_session;
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END
$$;
ALTER FUNCTION app.end_sessions_of(uuid, uuid, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.end_sessions_of(uuid, uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.end_sessions_of(uuid, uuid, timestamptz) TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_auth;

-- before anybody is signed in: functions only

-- Whether the session was opened: not for a person who was suspended while the password was checked.
CREATE OR REPLACE FUNCTION auth.open_session(session uuid, of_user uuid, token uuid, token_hash bytea, device text,
                                             ip text, at timestamptz, expires timestamptz)
RETURNS boolean LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH person AS (
        SELECT u.id FROM app.users u WHERE u.id = of_user AND u.status = 'active' FOR SHARE
    ), opened AS (
        INSERT INTO app.user_sessions (id, user_id, device, ip, created_at, last_used_at, expires_at)
        SELECT session, person.id, device, ip::inet, at, at, expires FROM person RETURNING id
    ), token AS (
        INSERT INTO app.refresh_tokens (id, session_id, hash, created_at)
        SELECT open_session.token, opened.id, token_hash, at FROM opened RETURNING id
    )
    SELECT EXISTS (SELECT FROM opened)
$$;

-- A refresh token is used once. Its direct predecessor is taken again for 30 seconds, while the successor is
-- unused: that absorbs a request sent twice. Anything else is theft: the family ends.
CREATE OR REPLACE FUNCTION auth.renew_session(presented bytea, token uuid, token_hash bytea, from_ip text, at timestamptz)
RETURNS TABLE (outcome text, user_id uuid, session_id uuid, role text, company_id uuid, email text, display_name text,
               locale text, expires_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    known app.refresh_tokens;
    its   app.user_sessions;
BEGIN
    SELECT * INTO known FROM app.refresh_tokens t WHERE t.hash = presented;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'unknown', NULL::uuid, NULL::uuid, NULL, NULL::uuid, NULL, NULL, NULL, NULL::timestamptz;
        RETURN;
    END IF;
    -- one renewal of a family at a time
    SELECT * INTO its FROM app.user_sessions s WHERE s.id = known.session_id FOR UPDATE;
    IF NOT FOUND OR its.revoked_at IS NOT NULL OR its.expires_at <= at THEN
        RETURN QUERY SELECT 'ended', its.user_id, its.id, NULL, NULL::uuid, NULL, NULL, NULL, NULL::timestamptz;
        RETURN;
    END IF;
    -- as it is now that the family is ours
    SELECT * INTO known FROM app.refresh_tokens t WHERE t.hash = presented;
    IF known.superseded_at IS NOT NULL OR (known.used_at IS NOT NULL AND (
           known.used_at < at - interval '30 seconds'
           OR EXISTS (SELECT FROM app.refresh_tokens c WHERE c.parent_id = known.id AND c.used_at IS NOT NULL)
       )) THEN
        UPDATE app.user_sessions s SET revoked_at = at WHERE s.id = its.id;
        RETURN QUERY SELECT 'reused', its.user_id, its.id, NULL, its_user.company_id, NULL, NULL, NULL, NULL::timestamptz
            FROM app.users its_user WHERE its_user.id = its.user_id;
        RETURN;
    END IF;
    IF known.used_at IS NULL THEN
        UPDATE app.refresh_tokens t SET used_at = at WHERE t.id = known.id;
    ELSE
        -- the answer to the first try was lost, or went to a thief: its token is remembered, not forgotten, so
        -- that whoever presents it is found out
        UPDATE app.refresh_tokens t SET superseded_at = at WHERE t.parent_id = known.id AND t.superseded_at IS NULL;
    END IF;
    INSERT INTO app.refresh_tokens (id, session_id, hash, parent_id, created_at)
        VALUES (token, its.id, token_hash, known.id, at);
    UPDATE app.user_sessions s SET last_used_at = at, ip = coalesce(from_ip::inet, s.ip) WHERE s.id = its.id;
    RETURN QUERY SELECT CASE WHEN u.status = 'active' THEN 'renewed' ELSE 'ended' END, u.id, its.id, u.role, u.company_id,
                        u.email, u.display_name, u.locale, its.expires_at
        FROM app.users u WHERE u.id = its.user_id;
END
$$;

CREATE OR REPLACE FUNCTION auth.session_is_live(session uuid)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT EXISTS (SELECT FROM app.user_sessions s WHERE s.id = session AND s.revoked_at IS NULL)
$$;

-- The sessions that ended within the last so many seconds, by the database's own clock.
CREATE OR REPLACE FUNCTION auth.sessions_ended(within_seconds double precision)
RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT e.session_id FROM app.ended_sessions e
    -- the statement's time, which an index can be asked for
    WHERE e.noted_at > statement_timestamp() - make_interval(secs => within_seconds)
$$;

-- Known devices

-- The device, where the token is that of a device of this very person: of an address, or of an account.
CREATE OR REPLACE FUNCTION auth.known_device(presented bytea, of_address text, of_user uuid, at timestamptz)
RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT d.id FROM app.known_devices d JOIN app.users u ON u.id = d.user_id
    WHERE d.hash = presented AND d.expires_at > at AND (u.email = of_address OR u.id = of_user)
$$;

-- Notes that the person logged in from it. Whether the presented token stays; otherwise the fresh one counts, and
-- of many devices the ten that were used last.
CREATE OR REPLACE FUNCTION auth.remember_device(device uuid, of_user uuid, presented bytea, fresh bytea, at timestamptz,
                                                expires timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.known_devices d SET last_used_at = at, expires_at = expires
        WHERE d.hash = presented AND d.user_id = of_user AND d.expires_at > at;
    IF FOUND THEN
        RETURN true;
    END IF;
    INSERT INTO app.known_devices (id, user_id, hash, created_at, last_used_at, expires_at)
        VALUES (device, of_user, fresh, at, at, expires);
    DELETE FROM app.known_devices d WHERE d.user_id = of_user AND d.id IN (
        SELECT k.id FROM app.known_devices k WHERE k.user_id = of_user ORDER BY k.last_used_at DESC, k.id DESC OFFSET 10);
    RETURN false;
END
$$;

-- What is over goes every night. Whether there may be more than one batch could take.
CREATE OR REPLACE FUNCTION app.purge_sessions(at timestamptz, batch int)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    gone bigint;
    most bigint := 0;
BEGIN
    -- a day longer than it counts, so that no request meets a session that vanishes under it
    DELETE FROM app.user_sessions WHERE id IN (
        SELECT s.id FROM app.user_sessions s
        WHERE s.expires_at < at - app.kept_for('session') OR s.revoked_at < at - app.kept_for('session') LIMIT batch);
    GET DIAGNOSTICS gone = ROW_COUNT; most := greatest(most, gone);
    DELETE FROM app.one_time_tokens WHERE id IN (
        SELECT t.id FROM app.one_time_tokens t WHERE t.expires_at < at - app.kept_for('mailed_link') LIMIT batch);
    GET DIAGNOSTICS gone = ROW_COUNT; most := greatest(most, gone);
    DELETE FROM app.known_devices WHERE id IN (
        SELECT d.id FROM app.known_devices d WHERE d.expires_at < at - app.kept_for('known_device') LIMIT batch);
    GET DIAGNOSTICS gone = ROW_COUNT; most := greatest(most, gone);
    DELETE FROM app.throttles WHERE key IN (
        SELECT t.key FROM app.throttles t WHERE t.failed_at < at - app.kept_for('failed_attempt') AND t.clear_at < at LIMIT batch);
    GET DIAGNOSTICS gone = ROW_COUNT; most := greatest(most, gone);
    -- no access token lives so long
    DELETE FROM app.ended_sessions WHERE session_id IN (
        SELECT e.session_id FROM app.ended_sessions e WHERE e.noted_at < clock_timestamp() - app.kept_for('session') LIMIT batch);
    GET DIAGNOSTICS gone = ROW_COUNT; most := greatest(most, gone);
    RETURN most >= batch;
END
$$;
ALTER FUNCTION app.purge_sessions(timestamptz, int) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.purge_sessions(timestamptz, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.purge_sessions(timestamptz, int) TO huntzen_worker;
