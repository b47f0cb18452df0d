-- What must never be true of the database's catalogue. Each rule is a query that returns its offenders.
--
-- Run by the superuser with search_path = pg_catalog, so that every name in an expression is qualified.
-- `-- rule: name` begins a rule; mutations.sql breaks each of them at least once.

-- prelude: what the rules talk about
CREATE TEMP VIEW runtime_role AS SELECT r.* FROM pg_roles r WHERE r.rolname IN (
    'huntzen_employee', 'huntzen_practitioner', 'huntzen_hr', 'huntzen_company_admin', 'huntzen_platform',
    'huntzen_worker', 'huntzen_auth');
-- their people belong to one company
CREATE TEMP VIEW company_role AS SELECT r.* FROM pg_roles r
    WHERE r.rolname IN ('huntzen_employee', 'huntzen_hr', 'huntzen_company_admin');
CREATE TEMP VIEW our_schema AS SELECT n.oid, n.nspname, n.nspacl, n.nspowner FROM pg_namespace n
    WHERE n.nspname IN ('app', 'auth', 'stats');
CREATE TEMP VIEW our_table AS SELECT c.*, format('%s.%s', n.nspname, c.relname) AS name
    FROM pg_class c JOIN our_schema n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p');
CREATE TEMP VIEW tenant_table AS SELECT t.* FROM our_table t
    WHERE EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = 'company_id' AND NOT a.attisdropped);
-- grants on relations and on their columns (column is NULL for the whole relation)
CREATE TEMP VIEW given AS
    SELECT c.oid AS relation, n.nspname, c.relname, c.relkind, NULL::name AS col, a.grantee, a.privilege_type AS verb,
           CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS role
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
    WHERE a.grantee <> c.relowner
    UNION ALL
    SELECT c.oid, n.nspname, c.relname, c.relkind, t.attname, a.grantee, a.privilege_type,
           CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
    FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
         aclexplode(t.attacl) a
    WHERE NOT t.attisdropped AND a.grantee <> c.relowner;
CREATE TEMP VIEW rule_of AS
    SELECT p.oid, t.oid AS relation, format('%s on %s', p.polname, t.name) AS name, p.polroles, p.polpermissive, p.polcmd,
           pg_get_expr(p.polqual, p.polrelid) AS reads, pg_get_expr(p.polwithcheck, p.polrelid) AS writes
    FROM pg_policy p JOIN our_table t ON t.oid = p.polrelid;
CREATE TEMP VIEW our_function AS SELECT p.*, p.oid::regprocedure::text AS name
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname IN ('app', 'auth', 'stats', 'apalis');

-- Tables and policies

-- rule: every_table_forces_row_security
SELECT name FROM our_table WHERE NOT (relrowsecurity AND relforcerowsecurity);

-- rule: new_tables_are_put_under_row_security
-- by the database itself; its function is nobody's who makes tables
SELECT 'no event trigger puts new tables under row security'
WHERE NOT EXISTS (SELECT FROM pg_event_trigger e JOIN pg_proc f ON f.oid = e.evtfoid JOIN pg_roles r ON r.oid = f.proowner
                  WHERE e.evtname = 'huntzen_force_row_security' AND e.evtevent = 'ddl_command_end' AND e.evtenabled = 'O'
                    AND e.evttags @> '{CREATE TABLE,CREATE TABLE AS,SELECT INTO}'
                    AND f.proname = 'force_row_security' AND r.rolsuper)
UNION ALL
SELECT format('%s may run %s', a.grantee::regrole, f.oid::regprocedure) FROM pg_proc f, aclexplode(f.proacl) a
WHERE f.proname = 'force_row_security' AND a.grantee <> f.proowner;

-- rule: tenant_tables_are_fenced
-- each company-bound role with any grant has a restrictive policy that compares the company, for reading and writing
SELECT DISTINCT format('%s for %s', t.name, r.rolname)
FROM our_table t JOIN given g ON g.relation = t.oid JOIN company_role r ON r.oid = g.grantee
WHERE (t.oid IN (SELECT oid FROM tenant_table) OR t.name = 'app.companies')
  AND NOT EXISTS (SELECT FROM rule_of p
                  WHERE p.relation = t.oid AND NOT p.polpermissive AND p.polcmd = '*' AND r.oid = ANY (p.polroles)
                    AND p.reads ~ (CASE t.name WHEN 'app.companies' THEN '\mid\M' ELSE '\mcompany_id\M.*' END
                                   || ' = \( SELECT app\.company_id\(\)')
                    AND p.writes ~ (CASE t.name WHEN 'app.companies' THEN '\mid\M' ELSE '\mcompany_id\M.*' END
                                    || ' = \( SELECT app\.company_id\(\)')
                    AND concat(p.reads, p.writes) !~ '\mOR\M');

-- rule: granted_verbs_have_a_policy
SELECT DISTINCT format('%s may %s %s', g.role, g.verb, t.name)
FROM given g JOIN our_table t ON t.oid = g.relation
WHERE g.verb IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND g.role LIKE 'huntzen\_%'
  AND NOT EXISTS (SELECT FROM rule_of p
                  WHERE p.relation = t.oid AND p.polpermissive AND g.grantee = ANY (p.polroles)
                    AND p.polcmd IN ('*', CASE g.verb WHEN 'SELECT' THEN 'r' WHEN 'INSERT' THEN 'a' WHEN 'UPDATE' THEN 'w'
                                                      ELSE 'd' END::"char"));

-- rule: policies_have_a_grant
SELECT format('%s for %s', p.name, r.oid::regrole)
FROM rule_of p, unnest(p.polroles) AS r (oid)
WHERE NOT EXISTS (SELECT FROM given g
                  WHERE g.relation = p.relation AND g.grantee = r.oid
                    AND (p.polcmd = '*' OR g.verb = CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT'
                                                                  WHEN 'w' THEN 'UPDATE' ELSE 'DELETE' END));

-- rule: policies_name_their_roles
SELECT name FROM rule_of WHERE 0 = ANY (polroles);

-- rule: policies_do_not_switch_by_role
-- roles decide by TO; an expression that asks for the role scans what an index would find
SELECT name FROM rule_of
WHERE concat(reads, ' ', writes) ~* '\mcase\M|current_user|session_user|current_role|pg_has_role|current_setting'
   OR concat(reads, ' ', writes) ~ '\mrole\M[^)]*\mOR\M|\mOR\M[^)]*\mrole\M';

-- rule: policies_ask_for_the_caller_once
-- wrapped in SELECT a setting is read once for a statement, bare once for a row
SELECT name FROM rule_of
WHERE regexp_replace(concat(reads, ' ', writes), 'SELECT app\.(user|company)_id\(\)', '', 'g') ~ 'app\.(user|company)_id\(\)';

-- rule: policies_check_what_is_written
SELECT name FROM rule_of WHERE polcmd IN ('a', 'w', '*') AND writes IS NULL;

-- rule: people_write_only_what_is_checked
-- WITH CHECK (true) lets an UPDATE move rows to somebody else
SELECT format('%s for %s', p.name, r.rolname) FROM rule_of p JOIN runtime_role r ON r.oid = ANY (p.polroles)
WHERE p.polpermissive AND p.writes = 'true' AND r.rolname NOT IN ('huntzen_platform', 'huntzen_worker');

-- rule: people_read_no_whole_table
-- USING (true) is for those who serve every company; the others name whose rows
SELECT format('%s for %s', p.name, r.rolname) FROM rule_of p JOIN runtime_role r ON r.oid = ANY (p.polroles)
WHERE p.polpermissive AND p.reads = 'true' AND r.rolname NOT IN ('huntzen_platform', 'huntzen_worker');

-- rule: the_company_of_a_row_never_changes
SELECT format('%s of %s.%s for %s', coalesce(g.col, 'the whole'), g.nspname, g.relname, g.role)
FROM given g JOIN tenant_table t ON t.oid = g.relation
WHERE g.verb = 'UPDATE' AND (g.col IS NULL OR g.col = 'company_id');

-- rule: the_identity_of_a_row_never_changes
SELECT format('%s of %s.%s for %s', g.col, g.nspname, g.relname, g.role) FROM given g JOIN our_table t ON t.oid = g.relation
WHERE g.verb = 'UPDATE' AND g.col IN ('id', 'user_id', 'practitioner_id', 'employee_id', 'actor_id', 'created_at')
  -- an erasure cuts what ties an account to a directory
  AND (g.relname, g.col, g.role) <> ('users', 'employee_id', 'huntzen_kernel');

-- rule: append_only_tables_refuse_changes
SELECT format('%s lacks a trigger %s', wanted.relation, wanted.event)
FROM (VALUES ('app.audit_logs', 'UPDATE', 16), ('app.audit_logs', 'TRUNCATE', 32),
             ('app.audit_chain', 'UPDATE', 16), ('app.audit_chain', 'DELETE', 8), ('app.audit_chain', 'TRUNCATE', 32),
             ('app.consultation_events', 'UPDATE', 16), ('app.consultation_events', 'TRUNCATE', 32),
             ('app.clinical_note_versions', 'UPDATE', 16), ('app.clinical_note_versions', 'TRUNCATE', 32),
             ('app.consents', 'UPDATE', 16), ('app.consents', 'TRUNCATE', 32),
             ('app.erasure_ledger', 'UPDATE', 16), ('app.erasure_ledger', 'DELETE', 8), ('app.erasure_ledger', 'TRUNCATE', 32),
             ('app.usage_months', 'UPDATE', 16), ('app.usage_months', 'DELETE', 8), ('app.usage_months', 'TRUNCATE', 32),
             ('app.usage_cells', 'UPDATE', 16), ('app.usage_cells', 'DELETE', 8), ('app.usage_cells', 'TRUNCATE', 32),
             ('app.payroll_months', 'UPDATE', 16), ('app.payroll_months', 'DELETE', 8), ('app.payroll_months', 'TRUNCATE', 32),
             ('app.payroll_lines', 'UPDATE', 16), ('app.payroll_lines', 'TRUNCATE', 32),
             ('app.payroll_sessions', 'UPDATE', 16), ('app.payroll_sessions', 'TRUNCATE', 32),
             ('app.practitioner_rates', 'UPDATE', 16)
            ) AS wanted (relation, event, bit)
WHERE NOT EXISTS (SELECT FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
                  WHERE g.tgrelid = wanted.relation::regclass AND f.proname = 'refuse_change' AND g.tgenabled = 'O'
                    AND g.tgtype & wanted.bit > 0 AND g.tgtype & 2 > 0 AND g.tgqual IS NULL
                    AND g.tgattr = ''::int2vector)
UNION ALL
-- old entries of the log go by one function, and by nothing else
SELECT 'app.audit_logs lacks the trigger that keeps its entries for a year'
WHERE NOT EXISTS (SELECT FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
                  WHERE g.tgrelid = 'app.audit_logs'::regclass AND f.proname = 'refuse_early_removal'
                    AND g.tgenabled = 'O' AND g.tgtype & 11 = 11 AND g.tgqual IS NULL)
UNION ALL
-- notes go when their legal time is over, decisions some years after their account was erased, facts when nobody accounts for
-- them any more, and none before
SELECT format('%s lacks the trigger that keeps its rows', wanted.relation)
FROM (VALUES ('app.clinical_notes', 'refuse_early_note_removal'), ('app.clinical_note_versions', 'refuse_early_note_removal'),
             ('app.consents', 'refuse_removal'), ('app.consultation_events', 'refuse_removal_in_time'),
             ('app.payroll_lines', 'refuse_removal_in_time'), ('app.payroll_sessions', 'refuse_removal_in_time'),
             ('app.practitioner_rates', 'refuse_removal_in_time'), ('app.encryption_keys', 'refuse_removal_in_time')
            ) AS wanted (relation, function)
WHERE NOT EXISTS (SELECT FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
                  WHERE g.tgrelid = wanted.relation::regclass AND f.proname = wanted.function AND g.tgenabled = 'O'
                    AND g.tgtype & 11 = 11 AND g.tgqual IS NULL)
UNION ALL
SELECT format('%s may %s %s', g.role, g.verb, g.relname) FROM given g
WHERE g.nspname = 'app'
  AND g.relname IN ('audit_logs', 'audit_chain', 'consultation_events', 'clinical_note_versions', 'consents', 'erasure_ledger')
  AND g.verb IN ('UPDATE', 'DELETE', 'TRUNCATE')
  AND (g.relname, g.verb, g.role::text) NOT IN (
      ('audit_logs', 'DELETE', 'huntzen_kernel'), ('clinical_note_versions', 'DELETE', 'huntzen_kernel'),
      ('consents', 'DELETE', 'huntzen_kernel'), ('consultation_events', 'DELETE', 'huntzen_kernel'))
UNION ALL
SELECT format('%s removes entries of the log', f.name) FROM our_function f
WHERE f.prosrc ~* 'DELETE\s+FROM\s+(app\.)?audit_logs' AND f.proname <> 'cut_audit_log';

-- rule: every_entry_of_the_record_is_chained
SELECT 'app.audit_logs lacks the trigger that links its entries when they are committed'
WHERE NOT EXISTS (SELECT FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
                  WHERE g.tgrelid = 'app.audit_logs'::regclass AND f.proname = 'link_audit_entry' AND f.prosecdef
                    AND f.proowner = 'huntzen_kernel'::regrole AND g.tgenabled = 'O' AND g.tgdeferrable AND g.tginitdeferred
                    AND g.tgtype = 5 AND g.tgqual IS NULL)
UNION ALL
SELECT 'the heads of chains can be set back'
WHERE NOT EXISTS (SELECT FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
                  WHERE g.tgrelid = 'app.audit_heads'::regclass AND f.proname = 'check_audit_head' AND g.tgenabled = 'O'
                    AND g.tgtype & 26 = 26 AND g.tgtype & 1 = 1 AND g.tgqual IS NULL);

-- rule: the_record_is_written_by_its_functions_alone
SELECT format('%s may %s app.%s', g.role, g.verb, g.relname) FROM given g JOIN runtime_role r ON r.oid = g.grantee
WHERE g.nspname = 'app' AND g.relname IN ('audit_logs', 'audit_chain', 'audit_heads') AND g.verb <> 'SELECT'
UNION ALL
SELECT format('%s may run %s', a.grantee::regrole, f.name) FROM our_function f, aclexplode(f.proacl) a
WHERE f.proname IN ('link_audit_entry', 'audit_chains', 'cut_audit_log') AND a.grantee NOT IN (f.proowner, 'huntzen_worker'::regrole);

-- rule: who_writes_is_read_from_the_connection
-- what the program says, or a setting, would be believed to whoever smuggles in a statement
SELECT wanted.name FROM (VALUES ('audit'), ('enqueue'), ('access_log')) AS wanted (name)
WHERE EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'app'::regnamespace AND p.proname = wanted.name
                AND p.prosrc NOT LIKE '%app.connected_role()%')
UNION ALL
SELECT 'connected_role'
WHERE NOT EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'app'::regnamespace AND p.proname = 'connected_role'
                    AND p.prosrc LIKE '%CASE session_user%' AND p.prosrc !~ 'current_setting|current_user');

-- rule: triggers_are_enabled
SELECT format('%s on %s', g.tgname, t.name) FROM pg_trigger g JOIN our_table t ON t.oid = g.tgrelid WHERE g.tgenabled <> 'O';

-- rule: constraints_are_valid
SELECT format('%s on %s', c.conname, t.name) FROM pg_constraint c JOIN our_table t ON t.oid = c.conrelid WHERE NOT c.convalidated;

-- Keys

-- rule: tenant_references_carry_the_company
-- foreign-key checks and cascades ignore row security
SELECT format('%s on %s', c.conname, t.name)
FROM pg_constraint c JOIN tenant_table t ON t.oid = c.conrelid JOIN tenant_table o ON o.oid = c.confrelid
WHERE c.contype = 'f'
  AND NOT EXISTS (SELECT FROM generate_subscripts(c.conkey, 1) i
                  JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[i] AND a.attname = 'company_id'
                  JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[i] AND b.attname = 'company_id')
  AND (t.name, c.conname) NOT IN (VALUES
      -- invited practitioners and platform admins belong to no company
      ('app.one_time_tokens', 'one_time_tokens_user_id_fkey'::name),
      -- staff ask for files about companies that are not theirs
      ('app.exports', 'exports_requested_by_fkey'),
      -- practitioners bring files to conversations of every company
      ('app.files', 'files_owner_fkey'));

-- rule: rows_of_tenants_name_their_company
-- but for those of people and acts that belong to none: a fence hides what has no company, and no foreign key checks it
SELECT t.name FROM our_table t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = 'company_id' AND NOT a.attnotnull
WHERE t.name NOT IN ('app.users', 'app.one_time_tokens', 'app.audit_logs', 'app.email_log', 'app.exports', 'app.files');

-- rule: tenant_uniqueness_includes_the_company
-- or a collision tells of another company's row; exclusion constraints as well
SELECT format('%s on %s', x.relname, t.name)
FROM pg_index i JOIN tenant_table t ON t.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
WHERE (i.indisunique OR i.indisexclusion)
  AND NOT EXISTS (SELECT FROM pg_attribute a
                  WHERE a.attrelid = t.oid AND a.attname = 'company_id' AND a.attnum = ANY (i.indkey::int2[]))
  -- a random id: nobody guesses one
  AND NOT (i.indisprimary AND i.indnkeyatts = 1
           AND (SELECT a.attname = 'id' AND a.atttypid = 'uuid'::regtype FROM pg_attribute a
                WHERE a.attrelid = t.oid AND a.attnum = i.indkey[0]))
  AND x.relname NOT IN (
      'users_email_key',                -- one address, one account, whichever the company
      'one_time_tokens_hash_key',       -- hashes of 256 random bits
      'email_log_key_key',              -- the worker's own, made of ids
      'email_log_message_id_key',
      'consultation_events_once',       -- led by the consultation's id
      'consultations_practitioner_free', -- a practitioner serves many companies, one session at a time
      'consultations_employee_free',    -- led by the account's id
      'call_parties_free',              -- as these two: one call at a time
      'waitlist_entries_once',
      'waitlist_offers_person_free',
      'waitlist_offers_once',           -- led by the ids of a hold and of an entry
      'waitlist_offers_one_of_hold',
      'waitlist_offers_one_of_entry');

-- rule: nothing_counts_in_sequence
-- sequences show volumes
SELECT format('%s.%s', n.nspname, c.relname) FROM pg_class c JOIN our_schema n ON n.oid = c.relnamespace WHERE c.relkind = 'S'
  AND c.relname <> 'waitlist_entries_place_seq'; -- who comes first: the kernel and the worker read it

-- Functions and views

-- rule: definer_functions_fix_their_search_path
SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND NOT EXISTS (SELECT FROM unnest(p.proconfig) setting
                  WHERE setting ~ '^search_path=.*pg_temp$' AND setting !~ 'pg_temp.*pg_temp|public|"\$user"');

-- rule: definer_functions_are_the_kernels_or_the_statistics
-- never a superuser's, nor of the owner of tables, whom row security cannot hold back the same way
SELECT format('%s of %s', p.oid::regprocedure, r.rolname)
FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND (r.rolname NOT IN ('huntzen_kernel', 'huntzen_stats')
       OR EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p')));

-- rule: definer_functions_run_no_text
-- what a caller gives must not become a statement
SELECT f.name FROM our_function f
-- these make theirs of app.sealed_places(), and look a caller's word up there
WHERE f.proname NOT IN ('list_sealed', 'replace_sealed', 'count_by_master_key')
  AND f.prosecdef AND regexp_replace(f.prosrc, '--[^\n]*', '', 'g') ~* '\mexecute\M(?!\s+(function|procedure))';

-- rule: definer_functions_do_not_ask_whose_rights_they_have
-- there current_user is their owner, whoever calls: session_user and app.user_id() tell the caller
SELECT f.name FROM our_function f
WHERE f.prosecdef
  AND regexp_replace(f.prosrc, '--[^\n]*', '', 'g') ~* '\mcurrent_user\M|\mcurrent_role\M|''role''|session_authorization';

-- rule: functions_in_policies_only_look
-- pg_depend knows every function of ours that a policy calls
SELECT format('%s in %s', f.name, p.name)
FROM pg_depend d JOIN rule_of p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
JOIN our_function f ON d.refclassid = 'pg_proc'::regclass AND f.oid = d.refobjid
WHERE f.provolatile = 'v';

-- rule: nothing_runs_before_row_security
-- a leakproof function sees the rows that policies would hide
SELECT f.name FROM our_function f WHERE f.proleakproof;

-- rule: functions_are_not_for_everybody
SELECT f.name FROM our_function f, aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE';

-- rule: functions_before_sign_in_are_for_strangers_only
SELECT format('%s for %s', f.name, a.grantee::regrole)
FROM our_function f JOIN pg_namespace n ON n.oid = f.pronamespace, aclexplode(f.proacl) a
WHERE n.nspname = 'auth' AND a.grantee NOT IN (0, f.proowner, 'huntzen_auth'::regrole, 'huntzen_kernel'::regrole)
UNION ALL
SELECT format('schema auth for %s', a.grantee::regrole) FROM our_schema n, aclexplode(n.nspacl) a
WHERE n.nspname = 'auth' AND a.grantee NOT IN (0, n.nspowner, 'huntzen_auth'::regrole, 'huntzen_kernel'::regrole,
                                               'huntzen_stats'::regrole);

-- rule: the_caller_is_read_plainly
-- a SET clause or PL/pgSQL makes them many times slower; without nullif an ended transaction's '' matches
SELECT wanted.name FROM (VALUES ('user_id'), ('company_id')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
                  WHERE p.pronamespace = 'app'::regnamespace AND p.proname = wanted.name AND p.pronargs = 0
                    AND NOT p.prosecdef AND p.proconfig IS NULL AND p.provolatile = 's' AND l.lanname = 'sql'
                    AND p.prosrc LIKE format('%%nullif(current_setting(''app.%s'', true), '''')::uuid%%', wanted.name));

-- rule: views_ask_as_their_reader
-- or, on this list, are the kernel's, filter by the caller, and cannot be looked behind
SELECT format('%s.%s', n.nspname, c.relname) FROM pg_class c JOIN our_schema n ON n.oid = c.relnamespace
WHERE c.relkind = 'v'
  AND NOT EXISTS (SELECT FROM unnest(c.reloptions) o WHERE o IN ('security_invoker=true', 'security_invoker=on'))
  AND NOT (c.relname = 'clients' AND c.relowner = 'huntzen_kernel'::regrole AND c.reloptions @> '{security_barrier=true}'
           AND pg_get_viewdef(c.oid) LIKE '%practitioner_id = ( SELECT app.user_id()%');

-- rule: materialized_views_are_the_statistics_alone
-- they have no row security: read through functions that filter and withhold
SELECT format('%s.%s', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm'
  AND (n.nspname <> 'stats' OR c.relowner <> 'huntzen_stats'::regrole
       OR EXISTS (SELECT FROM given g WHERE g.relation = c.oid));

-- rule: functions_are_written_in_sql
SELECT format('%s in %s', f.name, l.lanname) FROM our_function f JOIN pg_language l ON l.oid = f.prolang
WHERE l.lanname NOT IN ('sql', 'plpgsql');

-- rule: nothing_rewrites_statements
SELECT format('%s on %s', r.rulename, r.ev_class::regclass) FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
JOIN our_schema n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN';

-- rule: rows_leave_by_no_other_way
-- replication and foreign servers know no policies
SELECT format('publication %s', p.pubname) FROM pg_publication p
UNION ALL
SELECT format('server %s', s.srvname) FROM pg_foreign_server s;

-- rule: tables_survive_a_crash
SELECT name FROM our_table WHERE relpersistence <> 'p';

-- Grants

-- rule: everybody_is_granted_nothing
SELECT format('%s on %s.%s', g.verb, g.nspname, g.relname) FROM given g
WHERE g.role = 'PUBLIC' AND g.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT format('%s on database', a.privilege_type) FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
WHERE d.datname = current_database() AND a.grantee = 0
UNION ALL
-- schema public holds extensions only; that its names can be seen is PostgreSQL's default
SELECT format('%s on schema %s', a.privilege_type, n.nspname) FROM pg_namespace n, aclexplode(n.nspacl) a
WHERE a.grantee = 0 AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND NOT (n.nspname = 'public' AND a.privilege_type = 'USAGE');

-- rule: schema_public_is_empty
SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace;

-- rule: default_privileges_grant_nothing
SELECT format('%s to %s', a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
FROM pg_default_acl d, aclexplode(d.defaclacl) a WHERE a.grantee <> d.defaclrole;

-- rule: new_functions_are_private
SELECT 'functions of huntzen_owner are executable by everybody when made'
WHERE NOT EXISTS (SELECT FROM pg_default_acl d
                  WHERE d.defaclrole = 'huntzen_owner'::regrole AND d.defaclnamespace = 0 AND d.defaclobjtype = 'f'
                    AND NOT EXISTS (SELECT FROM aclexplode(d.defaclacl) a WHERE a.grantee = 0));

-- rule: partitions_are_read_through_their_parent
SELECT format('%s.%s for %s', g.nspname, g.relname, g.role)
FROM pg_inherits i JOIN given g ON g.relation = i.inhrelid JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind IN ('r', 'p');

-- rule: the_queue_is_the_workers
SELECT format('%s may %s apalis.%s', g.role, g.verb, g.relname) FROM given g JOIN runtime_role r ON r.oid = g.grantee
WHERE g.nspname = 'apalis' AND r.rolname <> 'huntzen_worker'
UNION ALL
SELECT format('%s may use schema apalis', r.rolname) FROM pg_namespace n, aclexplode(n.nspacl) a
JOIN runtime_role r ON r.oid = a.grantee WHERE n.nspname = 'apalis' AND r.rolname <> 'huntzen_worker'
UNION ALL
SELECT format('%s may run %s', r.rolname, f.name) FROM our_function f, aclexplode(f.proacl) a
JOIN runtime_role r ON r.oid = a.grantee WHERE f.pronamespace = 'apalis'::regnamespace AND r.rolname <> 'huntzen_worker';

-- rule: the_record_of_migrations_is_the_owners
SELECT format('%s on %s.%s for %s', g.verb, g.nspname, g.relname, g.role) FROM given g WHERE g.nspname = 'migrate'
UNION ALL
SELECT format('schema migrate for %s', a.grantee) FROM pg_namespace n, aclexplode(n.nspacl) a
WHERE n.nspname = 'migrate' AND a.grantee <> n.nspowner;

-- rule: secrets_are_read_by_the_kernel_only
SELECT format('%s may %s %s of %s.%s', g.role, g.verb, a.attname, g.nspname, g.relname)
FROM given g JOIN runtime_role r ON r.oid = g.grantee
JOIN pg_attribute a ON a.attrelid = g.relation AND a.attnum > 0 AND a.attname ~ 'hash|secret|password|ciphertext|wrapped'
WHERE g.nspname IN ('app', 'stats') AND g.verb IN ('SELECT', 'UPDATE') AND (g.col IS NULL OR g.col = a.attname);

-- rule: the_statistics_read_no_names
SELECT format('%s of %s.%s', coalesce(g.col, 'all'), g.nspname, g.relname) FROM given g
WHERE g.role = 'huntzen_stats' AND g.verb = 'SELECT'
  AND ((g.relname = 'employees' AND (g.col IS NULL OR g.col IN ('email', 'first_name', 'last_name', 'staff_number')))
       -- whose account is whose entry's, and since when
       OR (g.relname = 'users' AND (g.col IS NULL OR g.col NOT IN ('id', 'company_id', 'employee_id', 'status', 'created_at')))
       OR g.relname IN ('user_sessions', 'messages', 'clinical_notes', 'journal_entries'));

-- rule: people_get_reading_and_writing_only
SELECT format('%s may %s %s.%s', g.role, g.verb, g.nspname, g.relname) FROM given g
WHERE g.role LIKE 'huntzen\_%' AND g.nspname IN ('app', 'auth', 'stats') AND g.verb IN ('TRUNCATE', 'REFERENCES', 'TRIGGER');

-- rule: nobody_passes_grants_on
SELECT format('%s of %s', a.privilege_type, c.oid::regclass) FROM pg_class c JOIN our_schema n ON n.oid = c.relnamespace,
     aclexplode(c.relacl) a WHERE a.is_grantable AND a.grantee <> c.relowner
UNION ALL
SELECT format('%s of %s', t.attname, t.attrelid::regclass) FROM pg_attribute t JOIN our_table c ON c.oid = t.attrelid,
     aclexplode(t.attacl) a WHERE a.is_grantable AND a.grantee <> c.relowner
UNION ALL
SELECT f.name FROM our_function f, aclexplode(f.proacl) a WHERE a.is_grantable AND a.grantee <> f.proowner;

-- rule: employers_touch_no_care
-- everything that HR and company admins may touch at all: a new table is closed to them until it is named here
SELECT DISTINCT format('%s may %s %s.%s', g.role, g.verb, g.nspname, g.relname) FROM given g
WHERE g.role IN ('huntzen_hr', 'huntzen_company_admin')
  AND (g.nspname, g.relname) NOT IN (VALUES
      ('app', 'companies'), ('app', 'company_settings'), ('app', 'company_networks'), ('app', 'departments'),
      ('app', 'employees'), ('app', 'member_invitations'), ('app', 'users'), ('app', 'user_sessions'), ('app', 'practitioners'),
      ('app', 'practitioner_specialties'), ('app', 'audit_logs'), ('app', 'exports'), ('app', 'notifications'),
      -- their own, as everybody's
      ('app', 'notification_preferences'), ('app', 'consents'), ('app', 'privacy_requests'),
      -- what may be shown of their months
      ('app', 'usage_months'), ('app', 'usage_cells'),
      ('app', 'articles'), ('app', 'article_translations'), ('app', 'article_slugs'),
      -- what was published of practitioners, without authors; their own announcements, and what they have read of them
      ('app', 'published_reviews'), ('app', 'news'), ('app', 'news_reads'),
      -- what the platform announces to everybody or to their company
      ('app', 'platform_news'), ('app', 'platform_news_companies'));

-- rule: the_platform_never_learns_whose
SELECT format('%s of %s.%s', coalesce(g.col, 'all'), g.nspname, g.relname) FROM given g
WHERE g.role = 'huntzen_platform' AND g.verb = 'SELECT'
  AND ((g.relname = 'consultations' AND (g.col IS NULL OR g.col IN ('user_id', 'department_id')))
       OR (g.relname = 'email_log' AND (g.col IS NULL OR g.col IN ('key', 'recipient_user_id', 'recipient_employee_id')))
       OR (g.relname = 'reviews' AND (g.col IS NULL OR g.col IN ('user_id', 'company_id', 'consultation_id')))
       OR g.relname IN ('messages', 'message_receipts', 'clinical_notes', 'clinical_note_versions', 'journal_entries',
                        'unread_conversations'))
UNION ALL
-- what people were told says what they have: everybody reads their own, the staff as well
SELECT p.name FROM rule_of p JOIN our_table t ON t.oid = p.relation
WHERE t.name IN ('app.notifications', 'app.notification_preferences', 'app.consents', 'app.privacy_requests') AND p.polpermissive
  AND 'huntzen_platform'::regrole = ANY (p.polroles)
  AND (p.reads IS NULL OR p.reads !~ 'user_id = \( SELECT app\.user_id\(\)' OR p.reads ~ '\mOR\M');

-- Roles

-- rule: runtime_roles_are_plain
SELECT format('%s: %s', r.rolname, concat_ws(', ', CASE WHEN rolsuper THEN 'superuser' END,
           CASE WHEN rolbypassrls THEN 'bypasses row security' END, CASE WHEN rolcreaterole THEN 'creates roles' END,
           CASE WHEN rolcreatedb THEN 'creates databases' END, CASE WHEN rolreplication THEN 'replicates' END,
           CASE WHEN rolinherit THEN 'inherits' END, CASE WHEN NOT rolcanlogin THEN 'cannot log in' END))
FROM runtime_role r
WHERE rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication OR rolinherit OR NOT rolcanlogin;

-- rule: runtime_roles_become_nobody_else
SELECT format('%s is a member of %s', r.rolname, m.roleid::regrole) FROM pg_auth_members m JOIN runtime_role r ON r.oid = m.member;

-- rule: runtime_roles_own_nothing
SELECT format('%s owns %s', r.rolname, pg_describe_object(s.classid, s.objid, s.objsubid))
FROM pg_shdepend s JOIN runtime_role r ON r.oid = s.refobjid
WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o'
  AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()));

-- rule: runtime_roles_create_nothing
SELECT format('%s may %s in schema %s', r.rolname, a.privilege_type, n.nspname)
FROM pg_namespace n, aclexplode(n.nspacl) a JOIN runtime_role r ON r.oid = a.grantee WHERE a.privilege_type <> 'USAGE'
UNION ALL
SELECT format('%s may %s on the database', r.rolname, a.privilege_type)
FROM pg_database d, aclexplode(d.datacl) a JOIN runtime_role r ON r.oid = a.grantee
WHERE d.datname = current_database() AND a.privilege_type <> 'CONNECT';

-- rule: runtime_roles_set_no_guarded_settings
SELECT format('%s may %s %s', r.rolname, a.privilege_type, p.parname)
FROM pg_parameter_acl p, aclexplode(p.paracl) a LEFT JOIN runtime_role r ON r.oid = a.grantee
WHERE r.oid IS NOT NULL OR a.grantee = 0;

-- rule: owners_cannot_log_in
SELECT r.rolname FROM pg_roles r
WHERE r.rolname IN ('huntzen_owner', 'huntzen_kernel', 'huntzen_stats', 'huntzen_backup') AND r.rolcanlogin;

-- rule: only_backups_pass_row_security
SELECT r.rolname FROM pg_roles r
WHERE r.rolname LIKE 'huntzen\_%' AND (r.rolsuper OR r.rolbypassrls AND r.rolname <> 'huntzen_backup')
UNION ALL
SELECT format('%s becomes huntzen_backup', m.member::regrole) FROM pg_auth_members m
WHERE m.roleid::regrole::text = 'huntzen_backup';

-- rule: no_role_starts_with_somebodys_settings
SELECT setting FROM pg_db_role_setting s, unnest(s.setconfig) setting
WHERE setting ~ '^(app\.|row_security|role=|session_authorization|session_replication_role)';
