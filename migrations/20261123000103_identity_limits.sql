-- Replaced by functions with other arguments or answers: see policies/invitations.sql and policies/administration.sql.
DROP FUNCTION IF EXISTS app.note_invitations(uuid[], text[], timestamptz, int);
DROP FUNCTION IF EXISTS app.create_platform_admin(uuid, text, text, text, uuid, bytea, timestamptz, timestamptz);
