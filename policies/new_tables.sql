-- Every new table of ours is under row security from its first moment, whoever makes it, partitions included. Run by the
-- user of DATABASE_URL, after the migrations that were there before this file: only a superuser may make such a trigger.
-- It is that user's, so that nobody who makes tables can change what is done on making them.
CREATE OR REPLACE FUNCTION migrate.force_row_security() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    it record;
BEGIN
    FOR it IN SELECT made.object_identity AS name FROM pg_event_trigger_ddl_commands() made
              WHERE made.object_type = 'table' AND made.schema_name IN ('app', 'auth', 'stats') LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', it.name);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', it.name);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION migrate.force_row_security() FROM PUBLIC;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_event_trigger e WHERE e.evtname = 'huntzen_force_row_security') THEN
        CREATE EVENT TRIGGER huntzen_force_row_security ON ddl_command_end
            WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO') EXECUTE FUNCTION migrate.force_row_security();
    END IF;
END
$$;
