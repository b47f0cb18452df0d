-- What an erasure, and a copy of somebody's data, look for by person.
CREATE INDEX email_log_recipient ON app.email_log (recipient_user_id) WHERE recipient_user_id IS NOT NULL;
CREATE INDEX files_employee ON app.files (user_id) WHERE user_id IS NOT NULL AND state <> 'deleted';
-- whether they were sent or not
CREATE INDEX files_conversation ON app.files (company_id, conversation_id) WHERE conversation_id IS NOT NULL AND state <> 'deleted';
