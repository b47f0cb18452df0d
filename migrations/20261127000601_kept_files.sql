-- What a person has, beside what they have sent: looked at before each upload.
CREATE INDEX files_kept ON app.files (owner_id) WHERE state <> 'deleted' AND message_seq IS NULL;
