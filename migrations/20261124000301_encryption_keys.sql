-- Keys of contents, one for each subject and purpose, wrapped under a master key. A table of its own, so that it is dumped
-- apart from what its keys open, and its backups can go earlier.
CREATE TABLE app.encryption_keys (
    id           uuid PRIMARY KEY,
    company_id   uuid NOT NULL,
    purpose      text NOT NULL CONSTRAINT encryption_keys_purpose CHECK (purpose IN ('chat')),
    -- what the contents are about: of 'chat' the conversation
    subject_id   uuid NOT NULL,
    -- whose erasure destroys it
    person_id    uuid NOT NULL,
    -- empty: destroyed, and with it whatever it opened
    wrapped      bytea CONSTRAINT encryption_keys_size CHECK (length(wrapped) BETWEEN 60 AND 400),
    created_at   timestamptz NOT NULL,
    destroyed_at timestamptz,
    CONSTRAINT encryption_keys_destroyed CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL)),
    CONSTRAINT encryption_keys_subject UNIQUE (company_id, purpose, subject_id),
    CONSTRAINT encryption_keys_person_fkey FOREIGN KEY (company_id, person_id) REFERENCES app.users (company_id, id)
);
CREATE INDEX encryption_keys_person ON app.encryption_keys (company_id, person_id);
-- it never becomes the key of something else, and what was destroyed never comes back
CREATE TRIGGER encryption_keys_fixed BEFORE UPDATE OF id, company_id, purpose, subject_id, person_id, created_at
    ON app.encryption_keys FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER encryption_keys_final BEFORE UPDATE ON app.encryption_keys
    FOR EACH ROW WHEN (OLD.destroyed_at IS NOT NULL) EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER encryption_keys_remembered BEFORE DELETE ON app.encryption_keys
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
