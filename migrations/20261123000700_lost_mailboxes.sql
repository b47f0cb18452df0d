-- The mailbox at work is the employer's: when a person lost theirs stays known on their account, whatever the directory
-- says later, until they prove a mailbox again.
ALTER TABLE app.users ADD COLUMN work_mailbox_lost_at timestamptz;
-- since when a company is archived: its people keep their mailbox at work for a while
ALTER TABLE app.companies ADD COLUMN archived_at timestamptz;

CREATE FUNCTION app.keep_archived_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.archived_at := CASE WHEN NEW.status = 'archived' THEN coalesce(NEW.archived_at, clock_timestamp()) END;
    RETURN NEW;
END
$$;

-- The owner reads past the policies of a database that had them.
ALTER TABLE app.users NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.employees NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.companies NO FORCE ROW LEVEL SECURITY;
UPDATE app.users u SET work_mailbox_lost_at = e.left_at
    FROM app.employees e WHERE e.company_id = u.company_id AND e.id = u.employee_id AND e.status = 'left';
UPDATE app.companies c SET archived_at = clock_timestamp() WHERE c.status = 'archived';
ALTER TABLE app.users FORCE ROW LEVEL SECURITY;
ALTER TABLE app.employees FORCE ROW LEVEL SECURITY;
ALTER TABLE app.companies FORCE ROW LEVEL SECURITY;

CREATE TRIGGER companies_archived_at BEFORE INSERT OR UPDATE OF status, archived_at ON app.companies
    FOR EACH ROW EXECUTE FUNCTION app.keep_archived_at();

-- what they answer with changes; policies/account.sql makes them anew
DROP FUNCTION IF EXISTS app.own_address();
DROP FUNCTION IF EXISTS app.find_leaver(uuid);
DROP FUNCTION IF EXISTS auth.ask_for_password_reset(text, text, text, int, timestamptz);
