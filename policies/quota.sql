-- The contract's sessions of each employee and contract year. There is no balance that could be wrong: what counts
-- stands on the consultations themselves, and is counted under a lock whenever one is booked or moved.

-- The year of a contract that holds a day, and when the next one begins. A contract that began on the 29th of February
-- begins its other years on the 28th where there is no such day.
CREATE OR REPLACE FUNCTION app.contract_year(first_day date, held date, OUT starts_on date, OUT next_starts_on date)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (first_day + make_interval(years => year.n))::date, (first_day + make_interval(years => year.n + 1))::date
    FROM (SELECT extract(year FROM held)::int - extract(year FROM first_day)::int AS n) apart
    CROSS JOIN LATERAL (
        SELECT apart.n - CASE WHEN (first_day + make_interval(years => apart.n))::date > held THEN 1 ELSE 0 END AS n
    ) year
$$;

-- The sessions of a person that count in a year, but for one. A session counts in the year of its day by the company's
-- clock; the wider bounds are for the index.
CREATE OR REPLACE FUNCTION app.sessions_used(company uuid, person uuid, zone text, first_day date, next_first_day date,
                                             but_for uuid)
RETURNS int LANGUAGE sql STABLE AS $$
    SELECT count(*)::int FROM app.consultations c
    WHERE c.user_id = person AND c.company_id = company AND c.counts AND c.id IS DISTINCT FROM but_for
      AND c.starts_at >= first_day - 2 AND c.starts_at < next_first_day + 2
      AND (c.starts_at AT TIME ZONE zone)::date >= first_day AND (c.starts_at AT TIME ZONE zone)::date < next_first_day
$$;
REVOKE ALL ON FUNCTION app.contract_year(date, date), app.sessions_used(uuid, uuid, text, date, date, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.contract_year(date, date), app.sessions_used(uuid, uuid, text, date, date, uuid)
    TO huntzen_employee, huntzen_kernel;

-- Whoever locks a row needs a policy for changing it; this one lets nothing be changed. That of companies is in
-- company_lifecycle.sql.
GRANT UPDATE (status) ON app.employees, app.practitioners TO huntzen_kernel;
CREATE POLICY kernel_lock ON app.employees FOR UPDATE TO huntzen_kernel USING (true) WITH CHECK (false);
CREATE POLICY kernel_lock ON app.practitioners FOR UPDATE TO huntzen_kernel USING (true) WITH CHECK (false);

GRANT SELECT ON app.company_networks TO huntzen_kernel;
CREATE POLICY kernel ON app.company_networks FOR SELECT TO huntzen_kernel USING (true);

-- A session is booked, or moved to another time, on a running contract with sessions left, by somebody who still works
-- there, with a practitioner who still practises, and whom the company's network holds. Who changes one of these waits for the bookings that rest on it, and
-- a booking waits for such a change: the locks are taken from the company downwards. The entry in the directory is
-- locked alone, so that bookings of one person are counted one after the other.
CREATE OR REPLACE FUNCTION app.check_covered() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
DECLARE
    company record;
    held_on date;
    was_on  date;
    year    record;
BEGIN
    -- elsewhere, what was counted could be older than the lock
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'bookings are made in read committed' USING ERRCODE = 'feature_not_supported';
    END IF;
    SELECT c.status, c.time_zone, c.contract_starts_on, c.contract_ends_on, c.sessions_per_employee, c.network
        INTO company
        FROM app.companies c WHERE c.id = NEW.company_id FOR SHARE;
    IF company.status = 'archived' THEN
        RAISE EXCEPTION 'the company is archived'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_company_archived';
    ELSIF company.status IS DISTINCT FROM 'active' THEN
        RAISE EXCEPTION 'the company is not active'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_company_active';
    END IF;
    held_on := (NEW.starts_at AT TIME ZONE company.time_zone)::date;
    IF held_on < company.contract_starts_on OR held_on > company.contract_ends_on THEN
        RAISE EXCEPTION 'the contract does not cover the day'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_contract';
    END IF;
    PERFORM FROM app.users u JOIN app.employees e ON e.company_id = u.company_id AND e.id = u.employee_id
        WHERE u.id = NEW.user_id AND e.company_id = NEW.company_id AND e.status = 'active' FOR NO KEY UPDATE OF e;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the person has left the company'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_employee_active';
    END IF;
    -- an erasure that begins waits for this booking, and cancels it; one that has begun is seen here
    PERFORM FROM app.users u WHERE u.id = NEW.user_id AND u.removed_at IS NULL FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the account is closed'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_employee_active';
    END IF;
    PERFORM FROM app.practitioners p JOIN app.users u ON u.id = p.id
        WHERE p.id = NEW.practitioner_id AND p.status = 'active' AND u.status <> 'suspended' FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the practitioner is not active'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_practitioner_active';
    END IF;
    -- what is booked already may be moved
    IF TG_OP = 'INSERT' AND company.network = 'restricted' AND NOT EXISTS (
        SELECT FROM app.company_networks n WHERE n.company_id = NEW.company_id AND n.practitioner_id = NEW.practitioner_id
    ) THEN
        RAISE EXCEPTION 'the practitioner is not in the network of the company'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_network';
    END IF;
    year := app.contract_year(company.contract_starts_on, held_on);
    IF TG_OP = 'UPDATE' THEN
        was_on := (OLD.starts_at AT TIME ZONE company.time_zone)::date;
        -- within its year a session takes no other: also where the contract has come to grant fewer
        IF was_on >= year.starts_on AND was_on < year.next_starts_on THEN
            RETURN NEW;
        END IF;
    END IF;
    IF app.sessions_used(NEW.company_id, NEW.user_id, company.time_zone, year.starts_on, year.next_starts_on, NEW.id)
       >= company.sessions_per_employee THEN
        RAISE EXCEPTION 'the sessions of the contract year are used up'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_quota';
    END IF;
    RETURN NEW;
END
$$;
ALTER FUNCTION app.check_covered() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.check_covered() FROM PUBLIC;
DROP TRIGGER IF EXISTS consultations_covered ON app.consultations;
CREATE TRIGGER consultations_covered BEFORE INSERT ON app.consultations
    FOR EACH ROW EXECUTE FUNCTION app.check_covered();
DROP TRIGGER IF EXISTS consultations_covered_when_moved ON app.consultations;
CREATE TRIGGER consultations_covered_when_moved BEFORE UPDATE OF starts_at ON app.consultations
    FOR EACH ROW WHEN (NEW.counts AND NEW.starts_at <> OLD.starts_at) EXECUTE FUNCTION app.check_covered();

-- What does not take place counts only where the company's rules say so: a session that the employee gave back later
-- than the cancellation window before its start, or to which they did not come, unless the server saw them there. What the
-- practitioner or the platform cancels, what the practitioner moved or missed, and a request that was never confirmed, does
-- not; nor does what is said to have been held where the server saw the employee wait alone.
CREATE OR REPLACE FUNCTION app.settle_quota() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
BEGIN
    SELECT CASE NEW.status
               WHEN 'completed' THEN app.was_seen(NEW.id, 'practitioner') OR NOT app.was_seen(NEW.id, 'employee')
               WHEN 'no_show' THEN coalesce(s.no_show_counts, true) AND NEW.missed_by IS NOT DISTINCT FROM 'employee'
                                   AND NOT app.was_seen(NEW.id, 'employee')
               ELSE coalesce(s.late_cancellation_counts, true) AND OLD.status = 'confirmed' AND NOT OLD.free_to_cancel
                    AND NEW.cancelled_by IS NOT DISTINCT FROM 'employee'
                    AND NEW.cancelled_at > NEW.starts_at - make_interval(hours => coalesce(s.cancellation_window_hours, 24))
           END INTO NEW.counts
        FROM app.companies c LEFT JOIN app.company_settings s ON s.company_id = c.id WHERE c.id = NEW.company_id;
    RETURN NEW;
END
$$;
ALTER FUNCTION app.settle_quota() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.settle_quota() FROM PUBLIC;
GRANT SELECT ON app.company_settings TO huntzen_kernel;
CREATE POLICY kernel ON app.company_settings FOR SELECT TO huntzen_kernel USING (true);
DROP TRIGGER IF EXISTS consultations_settle_quota ON app.consultations;
CREATE TRIGGER consultations_settle_quota BEFORE UPDATE OF status ON app.consultations
    FOR EACH ROW WHEN (NEW.status <> OLD.status AND NEW.status IN ('completed', 'cancelled', 'no_show'))
    EXECUTE FUNCTION app.settle_quota();
