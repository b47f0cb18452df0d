-- Companies: their own people read them, the platform runs them.
GRANT SELECT ON app.companies TO huntzen_employee, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker,
    huntzen_kernel, huntzen_stats;
GRANT SELECT (id, name) ON app.companies TO huntzen_practitioner;
GRANT INSERT ON app.companies TO huntzen_platform;
GRANT UPDATE (name, siren, locale, time_zone, status, contract_starts_on, contract_ends_on, sessions_per_employee, seats,
              network, archived_at) ON app.companies TO huntzen_platform;
-- not the time zone: by it sessions fall into months, and two ways of counting a month tell of single sessions
GRANT UPDATE (name, locale, network) ON app.companies TO huntzen_company_admin;

CREATE POLICY fence ON app.companies AS RESTRICTIVE TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (id = (SELECT app.company_id())) WITH CHECK (id = (SELECT app.company_id()));
CREATE POLICY own ON app.companies FOR SELECT TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (id = (SELECT app.company_id()));
CREATE POLICY own_change ON app.companies FOR UPDATE TO huntzen_company_admin
    USING (id = (SELECT app.company_id())) WITH CHECK (id = (SELECT app.company_id()));
CREATE POLICY of_own_consultations ON app.companies FOR SELECT TO huntzen_practitioner
    USING (id = ANY (ARRAY(SELECT c.company_id FROM app.consultations c WHERE c.practitioner_id = (SELECT app.user_id()))));
CREATE POLICY all_rows ON app.companies TO huntzen_platform USING (true) WITH CHECK (true);
CREATE POLICY of_job ON app.companies FOR SELECT TO huntzen_worker USING (id = (SELECT app.company_id()));
CREATE POLICY kernel ON app.companies FOR SELECT TO huntzen_kernel, huntzen_stats USING (true);

GRANT SELECT ON app.company_settings TO huntzen_employee, huntzen_hr, huntzen_company_admin, huntzen_platform,
    huntzen_worker, huntzen_stats;
GRANT INSERT ON app.company_settings TO huntzen_platform;
GRANT UPDATE (cancellation_window_hours, booking_horizon_days, reporting_threshold, late_cancellation_counts,
              no_show_counts) ON app.company_settings
    TO huntzen_company_admin, huntzen_platform;
CREATE POLICY fence ON app.company_settings AS RESTRICTIVE TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.company_settings FOR SELECT TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id()));
CREATE POLICY own_change ON app.company_settings FOR UPDATE TO huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY all_rows ON app.company_settings TO huntzen_platform USING (true) WITH CHECK (true);
CREATE POLICY of_job ON app.company_settings FOR SELECT TO huntzen_worker USING (company_id = (SELECT app.company_id()));
CREATE POLICY stats ON app.company_settings FOR SELECT TO huntzen_stats USING (true);

GRANT SELECT ON app.company_networks TO huntzen_employee, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT INSERT, DELETE ON app.company_networks TO huntzen_company_admin, huntzen_platform;
CREATE POLICY fence ON app.company_networks AS RESTRICTIVE TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.company_networks FOR SELECT TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id()));
CREATE POLICY own_insert ON app.company_networks FOR INSERT TO huntzen_company_admin
    WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own_delete ON app.company_networks FOR DELETE TO huntzen_company_admin
    USING (company_id = (SELECT app.company_id()));
CREATE POLICY all_rows ON app.company_networks TO huntzen_platform USING (true) WITH CHECK (true);

-- Takes a member's account away from the company that the transaction is about: it is suspended, because the audit log
-- and other rows know it, its sessions end, and its address is free for another account.
CREATE OR REPLACE FUNCTION app.remove_member(member uuid, at timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    its app.users;
BEGIN
    -- one removal at a time: two admins cannot remove each other
    PERFORM FROM app.users u WHERE u.company_id = app.company_id() AND u.role = 'company_admin' ORDER BY u.id FOR UPDATE;
    SELECT * INTO its FROM app.users u
        WHERE u.id = member AND u.company_id = app.company_id() AND u.role IN ('hr', 'company_admin') FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    ELSIF its.removed_at IS NOT NULL THEN
        RETURN 'removed';
    ELSIF its.role = 'company_admin' AND NOT EXISTS (
           SELECT FROM app.users u
           WHERE u.company_id = its.company_id AND u.role = 'company_admin' AND u.id <> its.id AND u.status = 'active') THEN
        RETURN 'last_admin';
    END IF;
    UPDATE app.users u
        SET status = 'suspended', removed_at = at, email = 'removed-' || u.id || '@removed.invalid', company_address = NULL
        WHERE u.id = its.id;
    UPDATE app.user_sessions s SET revoked_at = at WHERE s.user_id = its.id AND s.revoked_at IS NULL;
    RETURN 'removed';
END
$$;
ALTER FUNCTION app.remove_member(uuid, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.remove_member(uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.remove_member(uuid, timestamptz) TO huntzen_company_admin, huntzen_platform;
GRANT UPDATE (email, removed_at, company_address) ON app.users TO huntzen_kernel;
