-- Who asks, and a clean slate: the files after this one state every grant and policy in force.
CREATE OR REPLACE FUNCTION app.user_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('app.user_id', true), '')::uuid $$;
CREATE OR REPLACE FUNCTION app.company_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('app.company_id', true), '')::uuid $$;

DO $$
DECLARE
    it record;
    runtime text := 'huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, '
                    'huntzen_worker, huntzen_auth, huntzen_kernel, huntzen_stats';
BEGIN
    FOR it IN SELECT schemaname, tablename, policyname FROM pg_policies WHERE schemaname IN ('app', 'auth', 'stats') LOOP
        EXECUTE format('DROP POLICY %I ON %I.%I', it.policyname, it.schemaname, it.tablename);
    END LOOP;
    FOR it IN SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE n.nspname IN ('app', 'auth') AND c.relkind IN ('r', 'p', 'v', 'm') LOOP
        -- revoking on the table revokes its columns' grants as well
        EXECUTE format('REVOKE ALL ON %I.%I FROM PUBLIC, %s', it.nspname, it.relname, runtime);
        IF it.relkind IN ('r', 'p') THEN
            EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', it.nspname, it.relname);
            EXECUTE format('ALTER TABLE %I.%I FORCE ROW LEVEL SECURITY', it.nspname, it.relname);
        END IF;
    END LOOP;
    FOR it IN SELECT p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
              WHERE n.nspname IN ('app', 'auth', 'stats') LOOP
        -- not from its owner, who may be one of the two below
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, %s', it.name,
                       replace(replace(runtime, ', huntzen_kernel', ''), ', huntzen_stats', ''));
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA app TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker,
    huntzen_auth, huntzen_kernel, huntzen_stats;
GRANT EXECUTE ON FUNCTION app.user_id(), app.company_id() TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker,
    huntzen_auth, huntzen_kernel, huntzen_stats;
GRANT EXECUTE ON FUNCTION app.uuid_v7(), app.touch_updated_at(), app.refuse_change() TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker,
    huntzen_kernel;
