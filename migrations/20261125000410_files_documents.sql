-- Keys of a person's own documents. The list names the purposes of other modules as well.
ALTER TABLE app.encryption_keys
    DROP CONSTRAINT encryption_keys_purpose,
    ADD CONSTRAINT encryption_keys_purpose CHECK (purpose IN ('chat', 'file', 'note', 'journal')) NOT VALID;
ALTER TABLE app.encryption_keys VALIDATE CONSTRAINT encryption_keys_purpose;
