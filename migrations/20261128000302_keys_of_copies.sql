-- Keys are restored from a dump of their own, with contents of another day: whose they are need not be there yet, or any more.
-- What makes a key looks for its person itself. And the key of a copy of somebody's data is kept with the others, so that a dump
-- without them opens no copy either.
ALTER TABLE app.encryption_keys
    DROP CONSTRAINT encryption_keys_person_fkey,
    DROP CONSTRAINT encryption_keys_keeper_fkey,
    DROP CONSTRAINT encryption_keys_purpose,
    ADD CONSTRAINT encryption_keys_purpose CHECK (purpose IN ('chat', 'copy', 'file', 'note', 'journal')) NOT VALID;
ALTER TABLE app.encryption_keys VALIDATE CONSTRAINT encryption_keys_purpose;

-- copies that wait to be fetched are made again when they are asked for
ALTER TABLE app.privacy_requests NO FORCE ROW LEVEL SECURITY;
UPDATE app.privacy_requests SET status = 'expired', wrapped_key = NULL, sealed_key = NULL WHERE status = 'ready';
ALTER TABLE app.privacy_requests FORCE ROW LEVEL SECURITY;
ALTER TABLE app.privacy_requests
    DROP CONSTRAINT privacy_requests_file,
    DROP COLUMN wrapped_key,
    ADD CONSTRAINT privacy_requests_file CHECK (
        CASE WHEN status = 'ready' THEN num_nulls(object_key, sealed_key, size_bytes, expires_at) = 0
             ELSE sealed_key IS NULL END);
