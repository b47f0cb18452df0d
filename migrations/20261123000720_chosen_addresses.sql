-- Who accepts an invitation may log in with another address than the one that was invited, once its mailbox has proved
-- it. The company goes on knowing its members by the address that it invited, and learns nothing of the other one.
ALTER TABLE app.users
    ADD COLUMN company_address text
        CONSTRAINT users_company_address_form CHECK (company_address = lower(company_address) AND length(company_address) <= 254),
    ADD CONSTRAINT users_company_address_of_members CHECK (company_address IS NULL OR role IN ('hr', 'company_admin'));

ALTER TABLE app.users NO FORCE ROW LEVEL SECURITY;
UPDATE app.users SET company_address = email WHERE role IN ('hr', 'company_admin') AND removed_at IS NULL;
ALTER TABLE app.users FORCE ROW LEVEL SECURITY;
CREATE UNIQUE INDEX users_company_address_key ON app.users (company_id, company_address) WHERE company_address IS NOT NULL;

CREATE FUNCTION app.keep_company_address() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.role IN ('hr', 'company_admin') AND NEW.removed_at IS NULL AND NEW.company_address IS NULL THEN
        NEW.company_address := NEW.email;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER users_company_address BEFORE INSERT ON app.users
    FOR EACH ROW EXECUTE FUNCTION app.keep_company_address();

-- an invitation that was asked to another address
ALTER TABLE app.one_time_tokens
    DROP CONSTRAINT one_time_tokens_address,
    ADD CONSTRAINT one_time_tokens_address CHECK (CASE
        WHEN purpose IN ('email_verification', 'email_change') THEN address IS NOT NULL
        WHEN purpose = 'invitation' THEN address IS NULL OR user_id IS NULL
        ELSE address IS NULL
    END);
