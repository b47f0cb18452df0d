-- Replaced by functions with other answers: see policies/invitations.sql.
DROP FUNCTION IF EXISTS auth.invitation_is_open(bytea, timestamptz);
