-- Forgotten passwords, changes of address, and whose the account's address is.
ALTER TABLE app.users
    -- when the person last proved that mail to the address reaches them
    ADD COLUMN email_verified_at timestamptz,
    -- an employee proved an address that is not the employer's; false for the one that the invitation went to
    ADD COLUMN private_address boolean NOT NULL DEFAULT false,
    -- the address that waits to be proved, and until when
    ADD COLUMN pending_email text,
    ADD COLUMN pending_email_until timestamptz,
    ADD CONSTRAINT users_pending_email_form CHECK (pending_email = lower(pending_email) AND length(pending_email) <= 254),
    ADD CONSTRAINT users_pending_email_until CHECK ((pending_email IS NULL) = (pending_email_until IS NULL));
CREATE INDEX users_pending_email ON app.users (pending_email_until) WHERE pending_email_until IS NOT NULL;

ALTER TABLE app.one_time_tokens
    -- of a change of address: the new one, which proves it, or the old one, which may stop it
    ADD COLUMN address text CONSTRAINT one_time_tokens_address_form CHECK (address = lower(address) AND length(address) <= 254),
    DROP CONSTRAINT IF EXISTS one_time_tokens_purpose_check,
    ADD CONSTRAINT one_time_tokens_purpose_check CHECK (purpose IN (
        'invitation', 'password_reset', 'email_verification', 'email_change', 'login_ticket', 'employee_invitation')),
    ADD CONSTRAINT one_time_tokens_address CHECK (
        (purpose IN ('email_verification', 'email_change')) = (address IS NOT NULL)),
    ADD CONSTRAINT one_time_tokens_of_account CHECK (
        purpose NOT IN ('password_reset', 'email_verification', 'email_change') OR user_id IS NOT NULL);
