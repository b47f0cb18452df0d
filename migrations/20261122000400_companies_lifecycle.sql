-- The steps of a company's life, and what late cancellations and no-shows cost.
CREATE FUNCTION app.check_company_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status = 'active' THEN
            RETURN NEW;
        END IF;
    ELSIF NEW.status = OLD.status OR (OLD.status, NEW.status) IN (
        ('active', 'suspended'), ('active', 'archived'), ('suspended', 'active'), ('suspended', 'archived'),
        -- a customer who returns, or an archiving by mistake
        ('archived', 'active')
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a company cannot become %', NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'companies_state_machine';
END
$$;
CREATE TRIGGER companies_state_machine BEFORE INSERT OR UPDATE OF status ON app.companies
    FOR EACH ROW EXECUTE FUNCTION app.check_company_state();

ALTER TABLE app.company_settings
    -- whether a session counts against the contract that was cancelled within the cancellation window
    ADD COLUMN late_cancellation_counts boolean NOT NULL DEFAULT true,
    -- whether one counts to which nobody came
    ADD COLUMN no_show_counts boolean NOT NULL DEFAULT true;
