-- What is written about sessions, and in reviews, is sealed under a key of its own, which erasure destroys. Rows without a key
-- are of earlier releases, sealed under a master key itself: `huntzen keys rotate` seals them anew.
ALTER TABLE app.encryption_keys
    DROP CONSTRAINT encryption_keys_purpose,
    ADD CONSTRAINT encryption_keys_purpose CHECK (
        purpose IN ('chat', 'copy', 'file', 'note', 'journal', 'reason', 'review')) NOT VALID;
ALTER TABLE app.encryption_keys VALIDATE CONSTRAINT encryption_keys_purpose;
ALTER TABLE app.consultation_reasons ADD COLUMN key_id uuid;
ALTER TABLE app.reviews
    ADD COLUMN key_id uuid,
    -- which version of the words this is: a moderator's verdict is a version of the row, and leaves them
    ADD COLUMN sealed_version int NOT NULL DEFAULT 1 CONSTRAINT reviews_sealed_version CHECK (sealed_version >= 1);
CREATE INDEX consultation_reasons_older ON app.consultation_reasons (about, consultation_id) WHERE key_id IS NULL;
CREATE INDEX reviews_older ON app.reviews (id) WHERE key_id IS NULL;
