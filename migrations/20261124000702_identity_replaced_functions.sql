-- Replaced by functions that take or answer something else: see policies/account.sql.
DROP FUNCTION IF EXISTS app.list_people_of_archived_company(uuid, int);
DROP FUNCTION IF EXISTS app.letter_of_email_change(uuid, timestamptz);
