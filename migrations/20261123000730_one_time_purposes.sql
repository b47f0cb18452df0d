-- A purpose that nothing ever wrote: an invitation of the directory is an invitation.
ALTER TABLE app.one_time_tokens
    DROP CONSTRAINT one_time_tokens_purpose_check,
    ADD CONSTRAINT one_time_tokens_purpose_check CHECK (purpose IN (
        'invitation', 'password_reset', 'email_verification', 'email_change', 'login_ticket'));
