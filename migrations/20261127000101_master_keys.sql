-- The master keys that this database knows: what tells another key of the same name, and how much is sealed under each.
CREATE TABLE app.master_keys (
    id          text PRIMARY KEY CONSTRAINT master_keys_id CHECK (id ~ '^[A-Za-z0-9._-]{1,64}$'),
    -- derived from the key. Empty: no program that had it has been started yet
    check_value bytea CONSTRAINT master_keys_check_value CHECK (length(check_value) = 32),
    -- when they were counted last
    secrets     bigint NOT NULL DEFAULT 0 CONSTRAINT master_keys_secrets CHECK (secrets >= 0),
    counted_at  timestamptz
);

-- they take many rows at once now (policies/sealed_secrets.sql)
DROP FUNCTION IF EXISTS app.list_sealed(text, text, uuid, int);
DROP FUNCTION IF EXISTS app.replace_sealed(text, uuid, bytea, bytea);
