-- The directory: HR's own. The platform may read it for support, and every such read is audited.
GRANT SELECT ON app.departments TO huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_stats;
GRANT INSERT, DELETE ON app.departments TO huntzen_hr, huntzen_company_admin;
GRANT UPDATE (name) ON app.departments TO huntzen_hr, huntzen_company_admin;
CREATE POLICY fence ON app.departments AS RESTRICTIVE TO huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.departments TO huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY all_rows ON app.departments FOR SELECT TO huntzen_platform, huntzen_stats USING (true);

GRANT SELECT ON app.employees TO huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker, huntzen_employee;
GRANT INSERT ON app.employees TO huntzen_hr, huntzen_company_admin;
GRANT UPDATE (email, first_name, last_name, staff_number, department_id, site, locale, status, left_at) ON app.employees
    TO huntzen_hr, huntzen_company_admin;
CREATE POLICY fence ON app.employees AS RESTRICTIVE TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
-- what was kept for long enough after somebody left is nobody's any more, and shown to nobody
CREATE POLICY own_company ON app.employees TO huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id()) AND forgotten_at IS NULL) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own_entry ON app.employees FOR SELECT TO huntzen_employee
    USING (id = (SELECT u.employee_id FROM app.users u WHERE u.id = (SELECT app.user_id())));
CREATE POLICY all_rows ON app.employees FOR SELECT TO huntzen_platform USING (true);
CREATE POLICY of_job ON app.employees FOR SELECT TO huntzen_worker USING (company_id = (SELECT app.company_id()));
GRANT SELECT ON app.employees TO huntzen_kernel;
-- who counts needs no names
GRANT SELECT (id, company_id, department_id, status, left_at, created_at) ON app.employees TO huntzen_stats;
CREATE POLICY kernel ON app.employees FOR SELECT TO huntzen_kernel, huntzen_stats USING (true);

-- An invitation that went to a wrong address must not open the account of the right one, whatever becomes of the mail to
-- that; nor does one open anything that went to somebody who left since.
CREATE OR REPLACE FUNCTION app.withdraw_invitations() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
BEGIN
    DELETE FROM app.one_time_tokens t
        WHERE t.company_id = NEW.company_id AND t.employee_id = NEW.id AND t.purpose = 'invitation' AND t.used_at IS NULL;
    RETURN NULL;
END
$$;
ALTER FUNCTION app.withdraw_invitations() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.withdraw_invitations() FROM PUBLIC;
GRANT DELETE ON app.one_time_tokens TO huntzen_kernel;
DROP TRIGGER IF EXISTS employees_withdraw_invitations ON app.employees;
CREATE TRIGGER employees_withdraw_invitations AFTER UPDATE OF email, status ON app.employees
    FOR EACH ROW WHEN (OLD.email <> NEW.email OR NEW.status = 'left' AND OLD.status <> 'left')
    EXECUTE FUNCTION app.withdraw_invitations();

-- The seats of the contract: no statement leaves more people active than there are. Two that activate people of one
-- company at once are told one after the other.
CREATE OR REPLACE FUNCTION app.check_seats() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
DECLARE
    concerned uuid[];
    it        record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        concerned := ARRAY(SELECT DISTINCT n.company_id FROM new_rows n WHERE n.status = 'active' ORDER BY 1);
    ELSE
        concerned := ARRAY(SELECT DISTINCT n.company_id FROM new_rows n JOIN old_rows o ON o.id = n.id
                           WHERE n.status = 'active' AND o.status <> 'active' ORDER BY 1);
    END IF;
    FOR it IN SELECT id FROM unnest(concerned) AS wanted (id) LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended('seats ' || it.id::text, 0));
    END LOOP;
    SELECT c.seats INTO it FROM app.companies c
        WHERE c.id = ANY (concerned)
          AND (SELECT count(*) FROM app.employees e WHERE e.company_id = c.id AND e.status = 'active') > c.seats;
    IF FOUND THEN
        RAISE EXCEPTION 'every seat of the contract is taken'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'employees_seats', DETAIL = it.seats::text;
    END IF;
    RETURN NULL;
END
$$;
ALTER FUNCTION app.check_seats() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.check_seats() FROM PUBLIC;
DROP TRIGGER IF EXISTS employees_seats_insert ON app.employees;
CREATE TRIGGER employees_seats_insert AFTER INSERT ON app.employees
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.check_seats();
DROP TRIGGER IF EXISTS employees_seats_update ON app.employees;
CREATE TRIGGER employees_seats_update AFTER UPDATE ON app.employees
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.check_seats();

-- Nor does a contract that is cut leave more people active than it has seats: who makes it is told how many there are.
CREATE OR REPLACE FUNCTION app.check_seats_in_use() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
DECLARE
    taken bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('seats ' || NEW.id::text, 0));
    SELECT count(*) INTO taken FROM app.employees e WHERE e.company_id = NEW.id AND e.status = 'active';
    IF taken > NEW.seats THEN
        RAISE EXCEPTION 'more people are active than that'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'companies_seats_in_use', DETAIL = taken::text;
    END IF;
    RETURN NEW;
END
$$;
ALTER FUNCTION app.check_seats_in_use() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.check_seats_in_use() FROM PUBLIC;
DROP TRIGGER IF EXISTS companies_seats_in_use ON app.companies;
CREATE TRIGGER companies_seats_in_use BEFORE UPDATE OF seats ON app.companies
    FOR EACH ROW WHEN (NEW.seats < OLD.seats) EXECUTE FUNCTION app.check_seats_in_use();
