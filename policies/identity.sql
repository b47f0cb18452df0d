-- Accounts: each person's own. HR gets nothing of other people's accounts.
GRANT SELECT (id, role, display_name, locale, time_zone, status, company_id, created_at, updated_at) ON app.users
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
-- one's own is read by app.own_address(): an admin knows the members by the address that the company invited, and not by
-- the one that they log in with
GRANT SELECT (email) ON app.users TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_platform;
GRANT SELECT (company_address) ON app.users TO huntzen_company_admin, huntzen_platform;
GRANT SELECT (employee_id) ON app.users TO huntzen_employee;
GRANT SELECT (removed_at) ON app.users TO huntzen_company_admin, huntzen_platform;
GRANT SELECT (id, email, role, display_name, locale, time_zone, status, company_id, employee_id) ON app.users
    TO huntzen_worker;
GRANT UPDATE (display_name, locale, time_zone) ON app.users
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT INSERT (id, email, role, display_name, locale, time_zone, status, company_id) ON app.users TO huntzen_platform;

CREATE POLICY fence ON app.users AS RESTRICTIVE TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.users FOR SELECT TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin
    USING (id = (SELECT app.user_id()));
CREATE POLICY own_change ON app.users FOR UPDATE
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform
    USING (id = (SELECT app.user_id())) WITH CHECK (id = (SELECT app.user_id()));
CREATE POLICY members ON app.users FOR SELECT TO huntzen_company_admin USING (role IN ('hr', 'company_admin'));
-- staff read accounts for support; they change their own only, and add those that wait for their owner
CREATE POLICY all_rows ON app.users FOR SELECT TO huntzen_platform USING (true);
CREATE POLICY new_account ON app.users FOR INSERT TO huntzen_platform
    WITH CHECK (role IN ('practitioner', 'platform_admin') AND status = 'invited');
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

-- The account whose password was checked, locked until the transaction ends: whoever changes or resets the password, or
-- suspends the account, was first, or waits and then ends what was opened. No row: `checked` is not its hash any more.
-- `renewed` is the same password, hashed anew.
CREATE OR REPLACE FUNCTION auth.hold_login(person uuid, checked text, renewed text)
RETURNS TABLE (id uuid, password_hash text, role text, company_id uuid, status text, display_name text, locale text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF renewed IS NOT NULL THEN
        UPDATE app.users u SET password_hash = renewed
            WHERE u.id = person AND u.password_hash = checked AND u.status = 'active';
    END IF;
    RETURN QUERY SELECT u.id, u.password_hash, u.role, u.company_id, u.status, u.display_name, u.locale
        FROM app.users u WHERE u.id = person AND u.password_hash IN (checked, renewed) FOR SHARE;
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
