-- Replaced by a function that looks at the key that a message is sealed with: see policies/chat.sql.
DROP FUNCTION IF EXISTS app.send_message(uuid, uuid, uuid, bytea, timestamptz, int);
