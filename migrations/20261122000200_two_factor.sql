-- The second factor of accounts: codes of an authenticator app (TOTP, RFC 6238) and recovery codes.

-- When the account was first used: the grace period of those who must have a second factor is counted from here.
-- Accounts that exist already get the whole of it, from now on.
ALTER TABLE app.users ADD COLUMN activated_at timestamptz DEFAULT now();
ALTER TABLE app.users ALTER COLUMN activated_at DROP DEFAULT;

-- An account that nobody has accepted yet can be suspended too; only one that is in use needs a password.
ALTER TABLE app.users DROP CONSTRAINT users_check2;
ALTER TABLE app.users ADD CONSTRAINT users_active_password CHECK (status <> 'active' OR password_hash IS NOT NULL);

-- the list of accounts that staff see: newest first, and by what they filter
CREATE INDEX users_role ON app.users (role, id DESC);
CREATE INDEX users_not_active ON app.users (status, id DESC) WHERE status <> 'active';
CREATE INDEX users_email_prefix ON app.users (email text_pattern_ops);

CREATE TABLE app.two_factor (
    user_id        uuid PRIMARY KEY REFERENCES app.users ON DELETE CASCADE,
    -- sealed under MASTER_KEYS, like the one below
    secret         bytea,
    enabled_at     timestamptz,
    -- the newest step that a code was taken for: each counts once
    last_step      bigint NOT NULL DEFAULT 0,
    -- offered to the person, who has not shown a code of it yet
    pending_secret bytea,
    pending_at     timestamptz,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT two_factor_enabled CHECK ((secret IS NULL) = (enabled_at IS NULL)),
    CONSTRAINT two_factor_pending CHECK ((pending_secret IS NULL) = (pending_at IS NULL)),
    CONSTRAINT two_factor_either CHECK (secret IS NOT NULL OR pending_secret IS NOT NULL),
    CONSTRAINT two_factor_sealed CHECK (length(secret) > 32 AND length(pending_secret) > 32)
);
CREATE TRIGGER two_factor_touch BEFORE UPDATE ON app.two_factor FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

CREATE TABLE app.recovery_codes (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES app.two_factor (user_id) ON DELETE CASCADE,
    -- SHA-256 of what was shown once
    hash       bytea NOT NULL CHECK (length(hash) = 32),
    created_at timestamptz NOT NULL,
    used_at    timestamptz,
    CONSTRAINT recovery_codes_hash_key UNIQUE (user_id, hash)
);

-- A log-in between the password and the code: what it carries, and how often a code was tried.
ALTER TABLE app.one_time_tokens DROP CONSTRAINT IF EXISTS one_time_tokens_purpose_check;
ALTER TABLE app.one_time_tokens ADD CONSTRAINT one_time_tokens_purpose_check CHECK (purpose IN (
    'invitation', 'password_reset', 'email_verification', 'email_change', 'login_ticket', 'employee_invitation'));
ALTER TABLE app.one_time_tokens
    ADD COLUMN attempts  int NOT NULL DEFAULT 0 CONSTRAINT one_time_tokens_attempts CHECK (attempts BETWEEN 0 AND 5),
    ADD COLUMN in_cookie boolean,
    ADD COLUMN device    text CHECK (length(device) <= 200),
    ADD CONSTRAINT one_time_tokens_ticket CHECK (
        CASE purpose WHEN 'login_ticket' THEN in_cookie IS NOT NULL AND user_id IS NOT NULL
                     ELSE in_cookie IS NULL AND device IS NULL AND attempts = 0 END);
