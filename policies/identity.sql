-- Accounts: each person's own. HR gets nothing of other people's accounts.
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
GRANT SELECT ON app.users, app.one_time_tokens TO huntzen_kernel;
GRANT INSERT ON app.users TO huntzen_kernel;
GRANT UPDATE (password_hash, display_name, locale, time_zone, status, terms_version, terms_at) ON app.users TO huntzen_kernel;
GRANT UPDATE (used_at) ON app.one_time_tokens TO huntzen_kernel;
CREATE POLICY kernel ON app.users TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.one_time_tokens TO huntzen_kernel USING (true) WITH CHECK (true);

CREATE OR REPLACE FUNCTION auth.find_login(wanted text)
RETURNS TABLE (id uuid, password_hash text, role text, company_id uuid, status text, display_name text, locale text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT u.id, u.password_hash, u.role, u.company_id, u.status, u.display_name, u.locale
    FROM app.users u WHERE u.email = wanted
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
