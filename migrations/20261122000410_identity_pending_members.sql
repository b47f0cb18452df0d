-- HR users and admins who were invited: entries of the company's own, which become accounts when they are accepted. So
-- inviting asks nothing of the accounts, and its answer can tell nothing of them.
CREATE TABLE app.member_invitations (
    id           uuid PRIMARY KEY,
    company_id   uuid NOT NULL REFERENCES app.companies,
    email        text NOT NULL CHECK (email = lower(email) AND length(email) <= 254),
    role         text NOT NULL CHECK (role IN ('hr', 'company_admin')),
    display_name text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 200),
    locale       text NOT NULL CHECK (locale IN ('fr', 'en')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (company_id, id),
    CONSTRAINT member_invitations_email_key UNIQUE (company_id, email)
);
CREATE TRIGGER member_invitations_touch BEFORE UPDATE ON app.member_invitations
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

ALTER TABLE app.one_time_tokens ADD COLUMN member_invitation_id uuid;
ALTER TABLE app.one_time_tokens ADD CONSTRAINT one_time_tokens_member_invitation_fkey
    FOREIGN KEY (company_id, member_invitation_id) REFERENCES app.member_invitations (company_id, id) ON DELETE CASCADE;
CREATE INDEX one_time_tokens_member_invitation ON app.one_time_tokens (company_id, member_invitation_id);
ALTER TABLE app.one_time_tokens DROP CONSTRAINT one_time_tokens_check;
ALTER TABLE app.one_time_tokens ADD CONSTRAINT one_time_tokens_subject
    CHECK (num_nonnulls(user_id, employee_id, member_invitation_id) = 1);

-- Those who wait already become such entries; their links end, and they can be invited again. The owner reads past the
-- policies of a database that had them.
ALTER TABLE app.users NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.one_time_tokens NO FORCE ROW LEVEL SECURITY;
INSERT INTO app.member_invitations (id, company_id, email, role, display_name, locale, created_at)
    SELECT id, company_id, email, role, display_name, locale, created_at FROM app.users
    WHERE role IN ('hr', 'company_admin') AND status = 'invited';
DELETE FROM app.users WHERE role IN ('hr', 'company_admin') AND status = 'invited';
ALTER TABLE app.users FORCE ROW LEVEL SECURITY;
ALTER TABLE app.one_time_tokens FORCE ROW LEVEL SECURITY;
ALTER TABLE app.users
    ADD CONSTRAINT users_members_have_accepted CHECK (role NOT IN ('hr', 'company_admin') OR status <> 'invited'),
    -- a member who was taken away: other rows know the account, nobody logs in to it, its address is free
    ADD COLUMN removed_at timestamptz;

-- Invitations of the last 24 hours, so that nobody is buried in them. Neither names nor addresses.
CREATE TABLE app.invitation_mails (
    id           uuid PRIMARY KEY DEFAULT app.uuid_v7(),
    -- the company, or the nil UUID for the platform's own invitations
    scope        uuid NOT NULL,
    -- the directory's entry, the member's invitation or the account
    subject      uuid NOT NULL,
    address_hash bytea NOT NULL CHECK (length(address_hash) = 32),
    sent_at      timestamptz NOT NULL
);
CREATE INDEX invitation_mails_subject ON app.invitation_mails (scope, subject, sent_at DESC);
CREATE INDEX invitation_mails_address ON app.invitation_mails (scope, address_hash, sent_at DESC);
CREATE INDEX invitation_mails_sent_at ON app.invitation_mails (sent_at);
