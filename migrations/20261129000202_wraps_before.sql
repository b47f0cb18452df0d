-- The wraps that were replaced, for a fortnight: whoever replaces them by mistake, or has them replaced, gets them back. Where
-- they are replaced several times, it is those of before the first time that stay.
ALTER TABLE app.journal_keys
    ADD COLUMN before_key_id        uuid,
    ADD COLUMN before_version       int,
    ADD COLUMN before_passphrase    bytea,
    ADD COLUMN before_recovery_code bytea,
    ADD COLUMN replaced_at          timestamptz,
    ADD CONSTRAINT journal_keys_before CHECK (
        num_nulls(before_key_id, before_version, before_passphrase, before_recovery_code, replaced_at) IN (0, 5)) NOT VALID;
ALTER TABLE app.journal_keys NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.journal_keys VALIDATE CONSTRAINT journal_keys_before;
ALTER TABLE app.journal_keys FORCE ROW LEVEL SECURITY;
