-- Sessions that ended, devices that are known, attempts that are slowed down.

-- a successor that was given up because its predecessor came again: presenting it is theft, so it is remembered
ALTER TABLE app.refresh_tokens ADD COLUMN superseded_at timestamptz;

-- What every node must hear of: sessions that were revoked, or deleted with their person. Without a foreign key,
-- because it outlives them. By the database's clock, whatever the nodes' clocks say.
CREATE TABLE app.ended_sessions (
    session_id uuid PRIMARY KEY,
    noted_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ended_sessions_noted ON app.ended_sessions (noted_at);
INSERT INTO app.ended_sessions (session_id, noted_at)
    SELECT id, clock_timestamp() FROM app.user_sessions WHERE revoked_at > now() - interval '1 day';
DROP INDEX app.user_sessions_revoked;
CREATE INDEX user_sessions_expires ON app.user_sessions (expires_at);
CREATE INDEX one_time_tokens_expires ON app.one_time_tokens (expires_at);

-- A device from which its person logged in before. It is not slowed down by what strangers try.
CREATE TABLE app.known_devices (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES app.users ON DELETE CASCADE,
    -- SHA-256 of what the client holds
    hash         bytea NOT NULL CONSTRAINT known_devices_hash_key UNIQUE CHECK (length(hash) = 32),
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL
);
CREATE INDEX known_devices_user ON app.known_devices (user_id, last_used_at DESC);
CREATE INDEX known_devices_expires ON app.known_devices (expires_at);

-- Failed attempts. The key is a keyed hash of what was tried (an account, a device, a network): the table names
-- nobody, also those who do not exist.
CREATE TABLE app.throttles (
    key       bytea PRIMARY KEY CHECK (length(key) = 32),
    failures  int NOT NULL,
    -- a delay: refused until then; a budget: full again by then
    clear_at  timestamptz NOT NULL,
    failed_at timestamptz NOT NULL
);
CREATE INDEX throttles_failed ON app.throttles (failed_at);

-- replaced by functions with other answers
DROP FUNCTION IF EXISTS auth.rotate_refresh_token(bytea, uuid, bytea, timestamptz);
DROP FUNCTION IF EXISTS auth.revoked_since(timestamptz);
