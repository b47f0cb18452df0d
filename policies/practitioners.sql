-- Practitioners: a public profile for everybody who may book or choose, the rest for themselves and the platform.
GRANT SELECT (id, display_name, bio_fr, bio_en, languages, modes, time_zone, session_lengths, buffer_before_minutes,
              buffer_after_minutes, min_notice_minutes, horizon_days, confirms_by_hand, status, created_at, updated_at)
    ON app.practitioners TO huntzen_employee, huntzen_hr, huntzen_company_admin, huntzen_worker;
GRANT SELECT ON app.practitioners TO huntzen_practitioner, huntzen_platform;
GRANT INSERT ON app.practitioners TO huntzen_platform;
GRANT UPDATE (display_name, bio_fr, bio_en, languages, modes, time_zone, session_lengths, buffer_before_minutes,
              buffer_after_minutes, min_notice_minutes, horizon_days, confirms_by_hand) ON app.practitioners
    TO huntzen_practitioner;
GRANT UPDATE (display_name, bio_fr, bio_en, languages, modes, rpps, adeli, time_zone, session_lengths,
              buffer_before_minutes, buffer_after_minutes, min_notice_minutes, horizon_days, confirms_by_hand,
              hourly_rate_cents, currency, status) ON app.practitioners TO huntzen_platform;
-- Whose account is suspended takes no bookings: asked once for a statement, and there are few.
CREATE OR REPLACE FUNCTION app.suspended_practitioners() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT u.id FROM app.users u WHERE u.role = 'practitioner' AND u.status = 'suspended'
$$;
ALTER FUNCTION app.suspended_practitioners() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.suspended_practitioners() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.suspended_practitioners()
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;

CREATE POLICY own ON app.practitioners FOR SELECT TO huntzen_practitioner USING (id = (SELECT app.user_id()));
CREATE POLICY own_change ON app.practitioners FOR UPDATE TO huntzen_practitioner
    USING (id = (SELECT app.user_id())) WITH CHECK (id = (SELECT app.user_id()));
-- the network of the company; each branch is looked up once for a statement, and only when needed
CREATE POLICY network ON app.practitioners FOR SELECT TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (status = 'active' AND id <> ALL (ARRAY(SELECT app.suspended_practitioners()))
           AND ((SELECT c.network FROM app.companies c WHERE c.id = (SELECT app.company_id())) = 'open'
                OR id = ANY (ARRAY(SELECT n.practitioner_id FROM app.company_networks n
                                   WHERE n.company_id = (SELECT app.company_id())))));
-- a company admin chooses the network from all
CREATE POLICY choosable ON app.practitioners FOR SELECT TO huntzen_company_admin
    USING (status = 'active' AND id <> ALL (ARRAY(SELECT app.suspended_practitioners())));
-- whom one has met stays visible
CREATE POLICY met ON app.practitioners FOR SELECT TO huntzen_employee
    USING (id = ANY (ARRAY(SELECT c.practitioner_id FROM app.consultations c WHERE c.user_id = (SELECT app.user_id()))));
CREATE POLICY all_rows ON app.practitioners TO huntzen_platform USING (true) WITH CHECK (true);
CREATE POLICY of_job ON app.practitioners FOR SELECT TO huntzen_worker USING (true);
GRANT SELECT ON app.practitioners TO huntzen_kernel, huntzen_stats;
CREATE POLICY kernel ON app.practitioners FOR SELECT TO huntzen_kernel, huntzen_stats USING (true);

GRANT SELECT ON app.practitioner_specialties TO huntzen_employee, huntzen_practitioner, huntzen_hr,
    huntzen_company_admin, huntzen_platform;
GRANT INSERT, DELETE ON app.practitioner_specialties TO huntzen_platform, huntzen_practitioner;
-- Of those whose profile one sees. Here and below not as a list of ids: a list would be looked up in an index for each
-- of the practitioners that a statement asks for, which takes a minute where it asks for a thousand.
CREATE POLICY public_profile ON app.practitioner_specialties FOR SELECT
    TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (EXISTS (SELECT FROM app.practitioners p WHERE p.id = practitioner_id));
CREATE POLICY own ON app.practitioner_specialties FOR SELECT TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()));
-- until the platform has verified them; then it is the platform that changes what they are found under
CREATE POLICY own_add ON app.practitioner_specialties FOR INSERT TO huntzen_practitioner
    WITH CHECK (practitioner_id = (SELECT p.id FROM app.practitioners p
                                   WHERE p.id = (SELECT app.user_id()) AND p.verified_at IS NULL));
CREATE POLICY own_remove ON app.practitioner_specialties FOR DELETE TO huntzen_practitioner
    USING (practitioner_id = (SELECT p.id FROM app.practitioners p
                              WHERE p.id = (SELECT app.user_id()) AND p.verified_at IS NULL));
CREATE POLICY all_rows ON app.practitioner_specialties TO huntzen_platform USING (true) WITH CHECK (true);
-- for the rules about registered professions, and the words under which people are found
GRANT SELECT ON app.practitioner_specialties TO huntzen_kernel;
CREATE POLICY kernel ON app.practitioner_specialties FOR SELECT TO huntzen_kernel USING (true);
ALTER FUNCTION app.practitioner_registered() OWNER TO huntzen_kernel;
ALTER FUNCTION app.practitioner_keeps_name() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.practitioner_registered(), app.practitioner_keeps_name() FROM PUBLIC;

-- hours are shown as slots, which employees get computed
GRANT SELECT ON app.availability_rules TO huntzen_employee, huntzen_practitioner, huntzen_platform;
GRANT INSERT, DELETE ON app.availability_rules TO huntzen_practitioner;
CREATE POLICY own ON app.availability_rules TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id())) WITH CHECK (practitioner_id = (SELECT app.user_id()));
CREATE POLICY network ON app.availability_rules FOR SELECT TO huntzen_employee
    USING (EXISTS (SELECT FROM app.practitioners p WHERE p.id = practitioner_id AND p.status = 'active'));
CREATE POLICY all_rows ON app.availability_rules FOR SELECT TO huntzen_platform USING (true);

-- so are their dated changes; why something is closed is the practitioner's own affair, and staff's who help them
GRANT SELECT ON app.availability_overrides TO huntzen_practitioner, huntzen_platform;
GRANT SELECT (practitioner_id, kind, starts_at, ends_at) ON app.availability_overrides TO huntzen_employee;
GRANT INSERT, DELETE ON app.availability_overrides TO huntzen_practitioner;
CREATE POLICY own ON app.availability_overrides TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id())) WITH CHECK (practitioner_id = (SELECT app.user_id()));
CREATE POLICY network ON app.availability_overrides FOR SELECT TO huntzen_employee
    USING (EXISTS (SELECT FROM app.practitioners p WHERE p.id = practitioner_id AND p.status = 'active'));
CREATE POLICY all_rows ON app.availability_overrides FOR SELECT TO huntzen_platform USING (true);
REVOKE ALL ON FUNCTION app.bound_overrides() FROM PUBLIC;
