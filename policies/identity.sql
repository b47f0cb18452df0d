-- Accounts and sessions: each person's own. HR gets nothing of other people's accounts.
GRANT SELECT (id, email, role, display_name, locale, time_zone, status, company_id, created_at, updated_at) ON app.users
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT SELECT (employee_id) ON app.users TO huntzen_employee;
GRANT SELECT (id, email, role, display_name, locale, time_zone, status, company_id, employee_id) ON app.users
    TO huntzen_worker;
GRANT UPDATE (display_name, locale, time_zone) ON app.users
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT INSERT (id, email, role, display_name, locale, time_zone, status, company_id) ON app.users
    TO huntzen_platform, huntzen_company_admin;

CREATE POLICY fence ON app.users AS RESTRICTIVE TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.users FOR SELECT TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin
    USING (id = (SELECT app.user_id()));
CREATE POLICY own_change ON app.users FOR UPDATE
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform
    USING (id = (SELECT app.user_id())) WITH CHECK (id = (SELECT app.user_id()));
CREATE POLICY members ON app.users FOR SELECT TO huntzen_company_admin USING (role IN ('hr', 'company_admin'));
CREATE POLICY new_member ON app.users FOR INSERT TO huntzen_company_admin
    WITH CHECK (role IN ('hr', 'company_admin') AND status = 'invited');
-- staff read accounts for support; they change their own only, and add those that wait for their owner
CREATE POLICY all_rows ON app.users FOR SELECT TO huntzen_platform USING (true);
CREATE POLICY new_account ON app.users FOR INSERT TO huntzen_platform
    WITH CHECK (role <> 'employee' AND status = 'invited');
CREATE POLICY of_job ON app.users FOR SELECT TO huntzen_worker
    USING (company_id IS NULL OR company_id = (SELECT app.company_id()));

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

CREATE OR REPLACE FUNCTION app.announce_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- carries nothing: whoever hears it reads the table again
    PERFORM pg_notify('session_revoked', '');
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION app.announce_revocation() FROM PUBLIC;
DROP TRIGGER IF EXISTS user_sessions_revoked ON app.user_sessions;
CREATE TRIGGER user_sessions_revoked AFTER UPDATE OF revoked_at ON app.user_sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION app.announce_revocation();

-- invitations are minted by the job that mails them
GRANT SELECT (id, purpose, user_id, company_id, employee_id, created_at, expires_at, used_at), DELETE
    ON app.one_time_tokens TO huntzen_worker;
GRANT INSERT (id, purpose, hash, user_id, company_id, employee_id, created_at, expires_at) ON app.one_time_tokens
    TO huntzen_worker;
CREATE POLICY of_job ON app.one_time_tokens TO huntzen_worker
    USING (company_id IS NOT DISTINCT FROM (SELECT app.company_id()))
    WITH CHECK (company_id IS NOT DISTINCT FROM (SELECT app.company_id()));

-- before anybody is signed in: functions only
GRANT USAGE ON SCHEMA auth TO huntzen_auth, huntzen_kernel;
GRANT SELECT ON app.users, app.user_sessions, app.refresh_tokens, app.one_time_tokens TO huntzen_kernel;
GRANT INSERT ON app.users, app.user_sessions, app.refresh_tokens TO huntzen_kernel;
GRANT UPDATE (password_hash, display_name, locale, time_zone, status, terms_version, terms_at) ON app.users TO huntzen_kernel;
GRANT UPDATE (last_used_at, revoked_at) ON app.user_sessions TO huntzen_kernel;
GRANT UPDATE (used_at), DELETE ON app.refresh_tokens TO huntzen_kernel;
GRANT UPDATE (used_at) ON app.one_time_tokens TO huntzen_kernel;
CREATE POLICY kernel ON app.users TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.user_sessions TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.refresh_tokens TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.one_time_tokens TO huntzen_kernel USING (true) WITH CHECK (true);

CREATE OR REPLACE FUNCTION auth.find_login(wanted text)
RETURNS TABLE (id uuid, password_hash text, role text, company_id uuid, status text, display_name text, locale text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT u.id, u.password_hash, u.role, u.company_id, u.status, u.display_name, u.locale
    FROM app.users u WHERE u.email = wanted
$$;

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
CREATE OR REPLACE FUNCTION auth.rotate_refresh_token(presented bytea, token uuid, token_hash bytea, at timestamptz)
RETURNS TABLE (outcome text, user_id uuid, session_id uuid, role text, company_id uuid, email text, display_name text,
               locale text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    known app.refresh_tokens;
    its   app.user_sessions;
BEGIN
    SELECT * INTO known FROM app.refresh_tokens t WHERE t.hash = presented;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'unknown', NULL::uuid, NULL::uuid, NULL, NULL::uuid, NULL, NULL, NULL;
        RETURN;
    END IF;
    -- one rotation of a family at a time
    SELECT * INTO its FROM app.user_sessions s WHERE s.id = known.session_id FOR UPDATE;
    IF its.revoked_at IS NOT NULL OR its.expires_at <= at THEN
        RETURN QUERY SELECT 'ended', its.user_id, its.id, NULL, NULL::uuid, NULL, NULL, NULL;
        RETURN;
    END IF;
    SELECT * INTO known FROM app.refresh_tokens t WHERE t.hash = presented;
    IF NOT FOUND OR (known.used_at IS NOT NULL AND (
           known.used_at < at - interval '30 seconds'
           OR EXISTS (SELECT FROM app.refresh_tokens c WHERE c.parent_id = known.id AND c.used_at IS NOT NULL)
       )) THEN
        UPDATE app.user_sessions s SET revoked_at = at WHERE s.id = its.id;
        RETURN QUERY SELECT 'reused', its.user_id, its.id, NULL, NULL::uuid, NULL, NULL, NULL;
        RETURN;
    END IF;
    IF known.used_at IS NULL THEN
        UPDATE app.refresh_tokens t SET used_at = at WHERE t.id = known.id;
    ELSE
        -- the answer to the first try was lost: its token must not live beside the new one
        DELETE FROM app.refresh_tokens t WHERE t.parent_id = known.id;
    END IF;
    INSERT INTO app.refresh_tokens (id, session_id, hash, parent_id, created_at)
        VALUES (token, its.id, token_hash, known.id, at);
    UPDATE app.user_sessions s SET last_used_at = at WHERE s.id = its.id;
    RETURN QUERY SELECT CASE WHEN u.status = 'active' THEN 'rotated' ELSE 'ended' END, u.id, its.id, u.role, u.company_id,
                        u.email, u.display_name, u.locale
        FROM app.users u WHERE u.id = its.user_id;
END
$$;

CREATE OR REPLACE FUNCTION auth.session_is_live(session uuid)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT EXISTS (SELECT FROM app.user_sessions s WHERE s.id = session AND s.revoked_at IS NULL)
$$;

CREATE OR REPLACE FUNCTION auth.revoked_since(since timestamptz)
RETURNS TABLE (id uuid, revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT s.id, s.revoked_at FROM app.user_sessions s WHERE s.revoked_at > since
$$;

CREATE OR REPLACE FUNCTION auth.invitation_is_open(presented bytea, at timestamptz)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT EXISTS (SELECT FROM app.one_time_tokens t
                   WHERE t.hash = presented AND t.purpose = 'invitation' AND t.used_at IS NULL AND t.expires_at > at)
$$;

-- Turns an invitation into an account, once. An employee's account is made here; the others exist already.
CREATE OR REPLACE FUNCTION auth.accept_invitation(presented bytea, new_user uuid, new_password_hash text,
                                                  new_display_name text, new_locale text, new_time_zone text,
                                                  new_terms_version text, at timestamptz)
RETURNS TABLE (outcome text, user_id uuid, role text, company_id uuid, email text, display_name text, locale text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    invitation app.one_time_tokens;
    entry      app.employees;
    account    uuid;
BEGIN
    UPDATE app.one_time_tokens t SET used_at = at
        WHERE t.hash = presented AND t.purpose = 'invitation' AND t.used_at IS NULL AND t.expires_at > at
        RETURNING * INTO invitation;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'invalid', NULL::uuid, NULL, NULL::uuid, NULL, NULL, NULL;
        RETURN;
    END IF;
    IF invitation.user_id IS NOT NULL THEN
        account := invitation.user_id;
        UPDATE app.users u
            SET password_hash = new_password_hash, status = 'active', terms_version = new_terms_version, terms_at = at,
                display_name = coalesce(new_display_name, u.display_name), locale = coalesce(new_locale, u.locale),
                time_zone = coalesce(new_time_zone, u.time_zone)
            WHERE u.id = account AND u.status = 'invited';
        IF NOT FOUND THEN
            RETURN QUERY SELECT 'invalid', NULL::uuid, NULL, NULL::uuid, NULL, NULL, NULL;
            RETURN;
        END IF;
    ELSE
        SELECT * INTO entry FROM app.employees e
            WHERE e.id = invitation.employee_id AND e.company_id = invitation.company_id AND e.status = 'active';
        IF NOT FOUND OR EXISTS (SELECT FROM app.users u WHERE u.employee_id = entry.id) THEN
            RETURN QUERY SELECT 'invalid', NULL::uuid, NULL, NULL::uuid, NULL, NULL, NULL;
            RETURN;
        END IF;
        account := new_user;
        INSERT INTO app.users (id, email, password_hash, role, display_name, locale, time_zone, status, company_id,
                               employee_id, terms_version, terms_at)
            SELECT new_user, entry.email, new_password_hash, 'employee',
                   coalesce(new_display_name, entry.first_name || ' ' || entry.last_name),
                   coalesce(new_locale, entry.locale), coalesce(new_time_zone, c.time_zone), 'active', entry.company_id,
                   entry.id, new_terms_version, at
            FROM app.companies c WHERE c.id = entry.company_id
            ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING;
        IF NOT FOUND THEN
            -- told to nobody but the holder of the address, who got the invitation
            RETURN QUERY SELECT 'address_taken', NULL::uuid, NULL, NULL::uuid, NULL, NULL, NULL;
            RETURN;
        END IF;
    END IF;
    RETURN QUERY SELECT 'accepted', u.id, u.role, u.company_id, u.email, u.display_name, u.locale
        FROM app.users u WHERE u.id = account;
END
$$;

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
