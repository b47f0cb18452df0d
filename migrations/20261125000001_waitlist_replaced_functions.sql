-- These took fewer arguments.
DROP FUNCTION IF EXISTS app.next_in_line(uuid, timestamptz, timestamptz[], timestamptz[]);
DROP FUNCTION IF EXISTS app.idle_holds(uuid, int);
