-- Keys that sign access tokens, beside those of JWT_KEYS: sealed under the master keys, so that the database alone
-- signs nothing.
CREATE TABLE app.signing_keys (
    -- its text is the `kid`
    id           uuid PRIMARY KEY,
    secret       bytea NOT NULL,
    published_at timestamptz NOT NULL,
    signs_from   timestamptz NOT NULL CONSTRAINT signing_keys_signs_from_key UNIQUE,
    CONSTRAINT signing_keys_published_first CHECK (signs_from > published_at)
);
