-- Each mutation breaks one rule of lint.sql, in a transaction that is rolled back; the rule must then name an offender.

-- mutation: every_table_forces_row_security
ALTER TABLE app.consultations NO FORCE ROW LEVEL SECURITY;
-- mutation: every_table_forces_row_security
ALTER TABLE app.employees DISABLE ROW LEVEL SECURITY;
-- mutation: every_table_forces_row_security
ALTER EVENT TRIGGER huntzen_force_row_security DISABLE; CREATE TABLE stats.new (id uuid);

-- mutation: new_tables_are_put_under_row_security
DROP EVENT TRIGGER huntzen_force_row_security;
-- mutation: new_tables_are_put_under_row_security
ALTER EVENT TRIGGER huntzen_force_row_security DISABLE;
-- mutation: new_tables_are_put_under_row_security
ALTER FUNCTION migrate.force_row_security() OWNER TO huntzen_owner;
-- mutation: new_tables_are_put_under_row_security
GRANT EXECUTE ON FUNCTION migrate.force_row_security() TO PUBLIC;

-- mutation: tenant_tables_are_fenced
DROP POLICY fence ON app.employees;
-- mutation: tenant_tables_are_fenced
ALTER POLICY fence ON app.users TO huntzen_employee, huntzen_company_admin;
-- mutation: tenant_tables_are_fenced
DROP POLICY fence ON app.departments; CREATE POLICY fence ON app.departments TO huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
-- mutation: tenant_tables_are_fenced
ALTER POLICY fence ON app.companies USING (true);
-- mutation: tenant_tables_are_fenced
ALTER POLICY fence ON app.consultations WITH CHECK (true);
-- mutation: tenant_tables_are_fenced
ALTER POLICY fence ON app.employees USING (company_id = (SELECT app.company_id()) OR status = 'left');

-- mutation: granted_verbs_have_a_policy
GRANT DELETE ON app.consultations TO huntzen_employee;
-- mutation: granted_verbs_have_a_policy
DROP POLICY own_change ON app.users;
-- mutation: granted_verbs_have_a_policy
GRANT SELECT (id) ON app.consultations TO huntzen_hr;

-- mutation: policies_have_a_grant
CREATE POLICY stray ON app.consultations FOR SELECT TO huntzen_hr USING (company_id = (SELECT app.company_id()));
-- mutation: policies_have_a_grant
REVOKE UPDATE (display_name, locale, time_zone) ON app.users FROM huntzen_hr;

-- mutation: policies_name_their_roles
CREATE POLICY stray ON app.users FOR SELECT USING (id = (SELECT app.user_id()));

-- mutation: policies_do_not_switch_by_role
ALTER POLICY own ON app.users USING (id = (SELECT app.user_id()) OR role = 'practitioner');
-- mutation: policies_do_not_switch_by_role
ALTER POLICY own ON app.users USING (CASE WHEN status = 'active' THEN id = (SELECT app.user_id()) END);
-- mutation: policies_do_not_switch_by_role
ALTER POLICY own ON app.users USING (id = (SELECT current_setting('app.user_id')::uuid));
-- mutation: policies_do_not_switch_by_role
ALTER POLICY own ON app.users USING (id = (SELECT app.user_id()) AND current_user = 'huntzen_hr');

-- mutation: policies_ask_for_the_caller_once
ALTER POLICY own ON app.users USING (id = app.user_id());
-- mutation: policies_ask_for_the_caller_once
ALTER POLICY own_insert ON app.company_networks WITH CHECK (company_id = app.company_id());

-- mutation: policies_check_what_is_written
DROP POLICY own_change ON app.users;
CREATE POLICY own_change ON app.users FOR UPDATE TO huntzen_employee USING (id = (SELECT app.user_id()));

-- mutation: people_write_only_what_is_checked
ALTER POLICY own_change ON app.users WITH CHECK (true);

-- mutation: people_read_no_whole_table
ALTER POLICY own ON app.user_sessions USING (true);

-- mutation: the_company_of_a_row_never_changes
GRANT UPDATE (company_id) ON app.employees TO huntzen_hr;
-- mutation: the_company_of_a_row_never_changes
GRANT UPDATE ON app.consultations TO huntzen_kernel;

-- mutation: the_identity_of_a_row_never_changes
GRANT UPDATE (practitioner_id) ON app.consultations TO huntzen_practitioner;

-- mutation: append_only_tables_refuse_changes
ALTER TABLE app.audit_logs DISABLE TRIGGER audit_logs_append_only;
-- mutation: append_only_tables_refuse_changes
DROP TRIGGER consultation_events_no_truncate ON app.consultation_events;
-- mutation: append_only_tables_refuse_changes
GRANT DELETE ON app.audit_logs TO huntzen_worker;
-- mutation: append_only_tables_refuse_changes
DROP TRIGGER clinical_note_versions_append_only ON app.clinical_note_versions;
-- mutation: append_only_tables_refuse_changes
GRANT UPDATE (sealed) ON app.clinical_note_versions TO huntzen_kernel;
-- mutation: append_only_tables_refuse_changes
DROP TRIGGER clinical_notes_kept ON app.clinical_notes;
-- mutation: append_only_tables_refuse_changes
ALTER TABLE app.consents DISABLE TRIGGER consents_kept;
-- mutation: append_only_tables_refuse_changes
DROP TRIGGER consultation_events_kept ON app.consultation_events;
-- mutation: append_only_tables_refuse_changes
ALTER TABLE app.encryption_keys DISABLE TRIGGER encryption_keys_remembered;
-- mutation: append_only_tables_refuse_changes
GRANT DELETE ON app.erasure_ledger TO huntzen_kernel;
-- mutation: append_only_tables_refuse_changes
ALTER TABLE app.audit_logs DISABLE TRIGGER audit_logs_kept;
-- mutation: append_only_tables_refuse_changes
CREATE FUNCTION app.tidy_up() RETURNS void LANGUAGE sql AS $$ DELETE FROM app.audit_logs $$;
REVOKE ALL ON FUNCTION app.tidy_up() FROM PUBLIC;

-- mutation: append_only_tables_refuse_changes
GRANT UPDATE ON app.audit_chain TO huntzen_kernel;

-- mutation: every_entry_of_the_record_is_chained
DROP TRIGGER audit_logs_link ON app.audit_logs;
-- mutation: every_entry_of_the_record_is_chained
ALTER TABLE app.audit_logs DISABLE TRIGGER audit_logs_link;
-- mutation: every_entry_of_the_record_is_chained
ALTER TABLE app.audit_logs ENABLE REPLICA TRIGGER audit_logs_link;
-- mutation: every_entry_of_the_record_is_chained
ALTER FUNCTION app.link_audit_entry() SECURITY INVOKER;
-- mutation: every_entry_of_the_record_is_chained
DROP TRIGGER audit_heads_forward_only ON app.audit_heads;

-- mutation: the_record_is_written_by_its_functions_alone
GRANT INSERT ON app.audit_logs TO huntzen_employee;
-- mutation: the_record_is_written_by_its_functions_alone
GRANT UPDATE ON app.audit_heads TO huntzen_worker;
-- mutation: the_record_is_written_by_its_functions_alone
GRANT EXECUTE ON FUNCTION app.audit_chains() TO huntzen_hr;

-- mutation: who_writes_is_read_from_the_connection
CREATE OR REPLACE FUNCTION app.connected_role() RETURNS text LANGUAGE sql STABLE
    AS $$ SELECT current_setting('app.role', true) $$;
-- mutation: who_writes_is_read_from_the_connection
CREATE OR REPLACE FUNCTION app.connected_role() RETURNS text LANGUAGE sql STABLE
    AS $$ SELECT CASE session_user WHEN 'huntzen_hr' THEN 'hr' ELSE current_setting('app.role', true) END $$;
-- mutation: who_writes_is_read_from_the_connection
CREATE OR REPLACE FUNCTION app.enqueue(queue text, kind text, payloads jsonb[], keys text[], run_at timestamptz, max_attempts int)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = app, pg_temp AS $$ SELECT $$;

-- mutation: triggers_are_enabled
ALTER TABLE app.consultations DISABLE TRIGGER consultations_state_machine;

-- mutation: constraints_are_valid
ALTER TABLE app.employees ADD CONSTRAINT later CHECK (site <> '') NOT VALID;

-- mutation: tenant_references_carry_the_company
ALTER TABLE app.consultations ADD CONSTRAINT loose FOREIGN KEY (user_id) REFERENCES app.users;

-- mutation: tenant_uniqueness_includes_the_company
CREATE UNIQUE INDEX employees_everywhere ON app.employees (email);
-- mutation: tenant_uniqueness_includes_the_company
ALTER TABLE app.departments DROP CONSTRAINT departments_pkey, ADD PRIMARY KEY (name);

-- mutation: nothing_counts_in_sequence
CREATE SEQUENCE app.invoices;

-- mutation: definer_functions_fix_their_search_path
ALTER FUNCTION auth.find_login(text) RESET search_path;
-- mutation: definer_functions_fix_their_search_path
ALTER FUNCTION auth.find_login(text) SET search_path = app;
-- mutation: definer_functions_fix_their_search_path
ALTER FUNCTION auth.find_login(text) SET search_path = pg_temp, app, pg_temp;

-- mutation: definer_functions_are_the_kernels_or_the_statistics
ALTER FUNCTION auth.find_login(text) OWNER TO huntzen_owner;
-- mutation: definer_functions_are_the_kernels_or_the_statistics
ALTER FUNCTION auth.find_login(text) OWNER TO CURRENT_USER;
-- mutation: definer_functions_are_the_kernels_or_the_statistics
ALTER TABLE app.departments OWNER TO huntzen_kernel;

-- mutation: functions_are_not_for_everybody
GRANT EXECUTE ON FUNCTION app.busy_times(uuid[], timestamptz, timestamptz, uuid) TO PUBLIC;
-- mutation: functions_are_not_for_everybody
CREATE FUNCTION app.open() RETURNS int LANGUAGE sql AS 'SELECT 1';

-- mutation: functions_before_sign_in_are_for_strangers_only
GRANT EXECUTE ON FUNCTION auth.find_login(text) TO huntzen_hr;
-- mutation: functions_before_sign_in_are_for_strangers_only
GRANT USAGE ON SCHEMA auth TO huntzen_employee;

-- mutation: the_caller_is_read_plainly
ALTER FUNCTION app.user_id() SET search_path = app, pg_temp;
-- mutation: the_caller_is_read_plainly
CREATE OR REPLACE FUNCTION app.company_id() RETURNS uuid LANGUAGE sql STABLE
    AS $$ SELECT current_setting('app.company_id', true)::uuid $$;

-- mutation: views_ask_as_their_reader
CREATE VIEW app.everybody AS SELECT * FROM app.users;
-- mutation: views_ask_as_their_reader
ALTER VIEW app.clients SET (security_barrier = false);
-- mutation: views_ask_as_their_reader
CREATE OR REPLACE VIEW app.clients WITH (security_barrier = true) AS SELECT u.id, u.display_name, u.avatar_id FROM app.users u;

-- mutation: materialized_views_are_the_statistics_alone
CREATE MATERIALIZED VIEW app.totals AS SELECT count(*) FROM app.consultations;
-- mutation: materialized_views_are_the_statistics_alone
CREATE MATERIALIZED VIEW stats.totals AS SELECT count(*) FROM app.consultations;
-- mutation: materialized_views_are_the_statistics_alone
CREATE MATERIALIZED VIEW stats.totals AS SELECT 1 AS one; ALTER MATERIALIZED VIEW stats.totals OWNER TO huntzen_stats;
GRANT SELECT ON stats.totals TO huntzen_hr;

-- mutation: functions_are_written_in_sql
CREATE FUNCTION app.raw() RETURNS trigger LANGUAGE internal AS 'suppress_redundant_updates_trigger';

-- mutation: everybody_is_granted_nothing
GRANT SELECT ON app.companies TO PUBLIC;
-- mutation: everybody_is_granted_nothing
GRANT SELECT (name) ON app.companies TO PUBLIC;
-- mutation: everybody_is_granted_nothing
GRANT USAGE ON SCHEMA app TO PUBLIC;
-- mutation: everybody_is_granted_nothing
GRANT CREATE ON SCHEMA public TO PUBLIC;

-- mutation: schema_public_is_empty
CREATE TABLE public.stray (id int);

-- mutation: default_privileges_grant_nothing
ALTER DEFAULT PRIVILEGES FOR ROLE huntzen_owner IN SCHEMA app GRANT SELECT ON TABLES TO huntzen_platform;

-- mutation: new_functions_are_private
ALTER DEFAULT PRIVILEGES FOR ROLE huntzen_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC;

-- mutation: partitions_are_read_through_their_parent
CREATE TABLE app.measures (at date) PARTITION BY RANGE (at);
CREATE TABLE app.measures_old PARTITION OF app.measures FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
GRANT SELECT ON app.measures_old TO huntzen_hr;

-- mutation: the_queue_is_the_workers
GRANT INSERT ON apalis.jobs TO huntzen_employee;
-- mutation: the_queue_is_the_workers
GRANT USAGE ON SCHEMA apalis TO huntzen_platform;
-- mutation: the_queue_is_the_workers
GRANT EXECUTE ON FUNCTION apalis.generate_ulid() TO huntzen_employee;

-- mutation: the_record_of_migrations_is_the_owners
CREATE SCHEMA IF NOT EXISTS migrate; GRANT USAGE ON SCHEMA migrate TO huntzen_worker;

-- mutation: secrets_are_read_by_the_kernel_only
GRANT SELECT (password_hash) ON app.users TO huntzen_platform;
-- mutation: secrets_are_read_by_the_kernel_only
GRANT SELECT ON app.one_time_tokens TO huntzen_worker;
-- mutation: secrets_are_read_by_the_kernel_only
GRANT UPDATE (hash) ON app.refresh_tokens TO huntzen_employee;

-- mutation: the_statistics_read_no_names
GRANT SELECT ON app.employees TO huntzen_stats;
-- mutation: the_statistics_read_no_names
GRANT SELECT (email) ON app.users TO huntzen_stats;

-- mutation: people_get_reading_and_writing_only
GRANT TRUNCATE ON app.departments TO huntzen_hr;

-- mutation: nobody_passes_grants_on
GRANT SELECT ON app.companies TO huntzen_platform WITH GRANT OPTION;

-- mutation: employers_touch_no_care
GRANT SELECT (id) ON app.consultations TO huntzen_hr;
-- mutation: employers_touch_no_care
GRANT SELECT ON app.consultation_events TO huntzen_company_admin;

-- mutation: the_platform_never_learns_whose
ALTER POLICY own ON app.notifications USING (user_id = (SELECT app.user_id()) OR read_at IS NULL);
-- mutation: the_platform_never_learns_whose
GRANT SELECT (reader_id) ON app.unread_conversations TO huntzen_platform;
-- mutation: the_platform_never_learns_whose
GRANT SELECT ON app.consultations TO huntzen_platform;
-- mutation: the_platform_never_learns_whose
GRANT SELECT (recipient_user_id) ON app.email_log TO huntzen_platform;

-- mutation: runtime_roles_are_plain
ALTER ROLE huntzen_employee BYPASSRLS;
-- mutation: runtime_roles_are_plain
ALTER ROLE huntzen_platform CREATEROLE;
-- mutation: runtime_roles_are_plain
ALTER ROLE huntzen_worker INHERIT;

-- mutation: runtime_roles_become_nobody_else
GRANT huntzen_kernel TO huntzen_worker;

-- mutation: runtime_roles_own_nothing
ALTER TABLE app.departments OWNER TO huntzen_hr;

-- mutation: runtime_roles_create_nothing
GRANT CREATE ON SCHEMA app TO huntzen_platform;
-- mutation: runtime_roles_create_nothing
DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO huntzen_worker', current_database()); END $$;

-- mutation: owners_cannot_log_in
ALTER ROLE huntzen_kernel LOGIN;

-- mutation: only_backups_pass_row_security
ALTER ROLE huntzen_kernel BYPASSRLS;
-- mutation: only_backups_pass_row_security
ALTER ROLE huntzen_stats SUPERUSER;
-- mutation: only_backups_pass_row_security
GRANT huntzen_backup TO huntzen_kernel;

-- mutation: no_role_starts_with_somebodys_settings
ALTER ROLE huntzen_employee SET app.company_id = '00000000-0000-7000-8000-000000000001';

-- mutation: definer_functions_run_no_text
CREATE FUNCTION app.run(what text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_temp
    AS $$ BEGIN EXECUTE what; END $$;

-- mutation: definer_functions_do_not_ask_whose_rights_they_have
CREATE FUNCTION app.is_staff() RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = app, pg_temp
    AS $$ SELECT current_user = 'huntzen_platform' $$;

-- mutation: functions_in_policies_only_look
CREATE FUNCTION app.noted(row_id uuid) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
ALTER POLICY own ON app.users USING (id = (SELECT app.user_id()) AND app.noted(id));

-- mutation: nothing_runs_before_row_security
CREATE FUNCTION app.tell(name text) RETURNS boolean LANGUAGE sql IMMUTABLE LEAKPROOF AS $$ SELECT true $$;

-- mutation: rows_of_tenants_name_their_company
ALTER TABLE app.consultation_events ALTER company_id DROP NOT NULL;
-- mutation: rows_of_tenants_name_their_company
CREATE TABLE app.diaries (id uuid PRIMARY KEY, company_id uuid);

-- mutation: nothing_rewrites_statements
CREATE RULE elsewhere AS ON DELETE TO app.departments DO INSTEAD NOTHING;

-- mutation: rows_leave_by_no_other_way
CREATE PUBLICATION everything FOR ALL TABLES;
-- mutation: rows_leave_by_no_other_way
CREATE FOREIGN DATA WRAPPER away; CREATE SERVER elsewhere FOREIGN DATA WRAPPER away;

-- mutation: tables_survive_a_crash
CREATE UNLOGGED TABLE app.scratch (id uuid);

-- mutation: runtime_roles_set_no_guarded_settings
GRANT SET ON PARAMETER session_replication_role TO huntzen_worker;
