-- The roles of the cluster. Run first, by the user of DATABASE_URL. Roles are cluster-wide, so this
-- only makes what is missing; passwords of the log-in roles are set by `huntzen migrate`.
DO $$
DECLARE
    role text;
BEGIN
    -- owns the tables; the migrations become it
    -- owns the definer functions, with exactly the grants they need
    -- owns the materialized views, and is their only reader of facts
    FOREACH role IN ARRAY ARRAY['huntzen_owner', 'huntzen_kernel', 'huntzen_stats'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
    END LOOP;
    FOREACH role IN ARRAY ARRAY['huntzen_employee', 'huntzen_practitioner', 'huntzen_hr', 'huntzen_company_admin',
                                'huntzen_platform', 'huntzen_worker', 'huntzen_auth'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', role);
        END IF;
    END LOOP;
    -- backups read past row security; only a superuser can make such a role
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'huntzen_backup')
       AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        CREATE ROLE huntzen_backup NOLOGIN BYPASSRLS;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'huntzen_backup') AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
       AND NOT pg_has_role('huntzen_backup', 'pg_read_all_data', 'MEMBER') THEN
        GRANT pg_read_all_data TO huntzen_backup;
    END IF;
    -- the owner hands functions and views over to these two
    IF NOT pg_has_role('huntzen_owner', 'huntzen_kernel', 'MEMBER') THEN
        GRANT huntzen_kernel TO huntzen_owner;
    END IF;
    IF NOT pg_has_role('huntzen_owner', 'huntzen_stats', 'MEMBER') THEN
        GRANT huntzen_stats TO huntzen_owner;
    END IF;
    IF NOT pg_has_role(current_user, 'huntzen_owner', 'MEMBER') THEN
        EXECUTE format('GRANT huntzen_owner TO %I', current_user);
    END IF;
    EXECUTE format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO huntzen_owner', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    -- a concurrent refresh of a materialized view compares through a temporary table
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO huntzen_stats', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin,
         huntzen_platform, huntzen_worker, huntzen_auth', current_database());
END
$$;
