-- The waiting list. Employees see their own place and what is offered to them; a practitioner and the platform's staff
-- see which time is kept, and nobody who waits. HR and company admins have no grant at all.
--
-- Locks are taken in one order: the person's bookings, the practitioner's time (the advisory lock of `lock_hours`), the
-- entry, then company, directory entry and practitioner as a booking takes them, then the offer, then the hold.
REVOKE ALL ON FUNCTION app.check_waitlist_state() FROM PUBLIC;

-- all but the place in the line, whose number would tell how many wait
GRANT SELECT (id, company_id, user_id, practitioner_id, status, modes, duration_minutes, weekdays, until, joined_at, ended_at,
              consultation_id, created_at, updated_at) ON app.waitlist_entries TO huntzen_employee;
GRANT SELECT ON app.waitlist_offers TO huntzen_employee;
GRANT SELECT ON app.waitlist_entries, app.waitlist_offers TO huntzen_worker;
GRANT INSERT (id, company_id, user_id, practitioner_id, modes, duration_minutes, weekdays, until, joined_at),
    UPDATE (modes, duration_minutes, weekdays, until, status, ended_at) ON app.waitlist_entries TO huntzen_employee;
GRANT UPDATE (status, ended_at) ON app.waitlist_offers TO huntzen_employee;
CREATE POLICY fence ON app.waitlist_entries AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.waitlist_entries FOR SELECT TO huntzen_employee USING (user_id = (SELECT app.user_id()));
CREATE POLICY own_joining ON app.waitlist_entries FOR INSERT TO huntzen_employee
    WITH CHECK (user_id = (SELECT app.user_id()));
-- other wishes, or not waiting any more
CREATE POLICY own_change ON app.waitlist_entries FOR UPDATE TO huntzen_employee
    USING (user_id = (SELECT app.user_id()) AND status = 'waiting')
    WITH CHECK (user_id = (SELECT app.user_id()) AND status IN ('waiting', 'left'));
CREATE POLICY of_job ON app.waitlist_entries FOR SELECT TO huntzen_worker USING (company_id = (SELECT app.company_id()));

CREATE POLICY fence ON app.waitlist_offers AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.waitlist_offers FOR SELECT TO huntzen_employee USING (user_id = (SELECT app.user_id()));
CREATE POLICY own_declining ON app.waitlist_offers FOR UPDATE TO huntzen_employee
    USING (user_id = (SELECT app.user_id()) AND status = 'open')
    WITH CHECK (user_id = (SELECT app.user_id()) AND status = 'declined');
CREATE POLICY of_job ON app.waitlist_offers FOR SELECT TO huntzen_worker USING (company_id = (SELECT app.company_id()));

-- why a time is not free; never for whom it is kept
GRANT SELECT (id, practitioner_id, busy_from, busy_until, status) ON app.waitlist_holds
    TO huntzen_practitioner, huntzen_platform;
CREATE POLICY own ON app.waitlist_holds FOR SELECT TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()));
CREATE POLICY all_rows ON app.waitlist_holds FOR SELECT TO huntzen_platform USING (true);

-- the triggers and functions below
GRANT SELECT, DELETE ON app.waitlist_entries, app.waitlist_holds, app.waitlist_offers TO huntzen_kernel;
GRANT UPDATE (status, ended_at, consultation_id) ON app.waitlist_entries TO huntzen_kernel;
GRANT INSERT (practitioner_id, freed_from, freed_until, busy_from, busy_until, had_by),
    UPDATE (busy_from, busy_until, status, ended_at) ON app.waitlist_holds TO huntzen_kernel;
GRANT INSERT (id, company_id, entry_id, user_id, practitioner_id, hold_id, starts_at, ends_at, offered_at, expires_at),
    UPDATE (status, ended_at) ON app.waitlist_offers TO huntzen_kernel;
CREATE POLICY kernel ON app.waitlist_entries TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.waitlist_holds TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.waitlist_offers TO huntzen_kernel USING (true) WITH CHECK (true);

-- whoever passes time on looks for it as a booking does: by the same terms, hours and calendars
GRANT SELECT ON app.practitioner_specialties, app.availability_rules, app.company_networks TO huntzen_worker;
GRANT SELECT (practitioner_id, kind, starts_at, ends_at) ON app.availability_overrides TO huntzen_worker;
CREATE POLICY of_job ON app.practitioner_specialties FOR SELECT TO huntzen_worker USING (true);
CREATE POLICY of_job ON app.availability_rules FOR SELECT TO huntzen_worker USING (true);
CREATE POLICY of_job ON app.availability_overrides FOR SELECT TO huntzen_worker USING (true);
CREATE POLICY of_job ON app.company_networks FOR SELECT TO huntzen_worker USING (company_id = (SELECT app.company_id()));
GRANT EXECUTE ON FUNCTION app.busy_times(uuid[], timestamptz, timestamptz, uuid),
    app.external_busy(uuid[], timestamptz, timestamptz), app.suspended_practitioners() TO huntzen_worker;

-- Whether the contract's year of a time has a session left for somebody.
CREATE OR REPLACE FUNCTION app.has_session_left(company uuid, person uuid, starts timestamptz)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT app.sessions_used(c.id, person, c.time_zone, y.starts_on, y.next_starts_on, NULL) < c.sessions_per_employee
    FROM app.companies c
    CROSS JOIN LATERAL app.contract_year(c.contract_starts_on, (starts AT TIME ZONE c.time_zone)::date) y
    WHERE c.id = company
$$;

-- Whether a person could book a time of a practitioner, as far as the person and their company go: what
-- app.check_covered() and the constraints ask of a booking, so that what is offered can be taken.
CREATE OR REPLACE FUNCTION app.could_book(company uuid, person uuid, practitioner uuid, starts timestamptz, ends timestamptz,
                                          at timestamptz)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM app.companies c
        LEFT JOIN app.company_settings s ON s.company_id = c.id
        JOIN app.users u ON u.company_id = c.id AND u.id = person AND u.status = 'active'
        JOIN app.employees e ON e.company_id = c.id AND e.id = u.employee_id AND e.status = 'active'
        JOIN app.practitioners p ON p.id = practitioner AND p.status = 'active'
        JOIN app.users pu ON pu.id = p.id AND pu.status <> 'suspended'
        WHERE c.id = company AND c.status = 'active'
          AND (starts AT TIME ZONE c.time_zone)::date BETWEEN c.contract_starts_on AND c.contract_ends_on
          AND starts <= at + make_interval(days => coalesce(s.booking_horizon_days, 60))
          AND (c.network = 'open' OR EXISTS (SELECT FROM app.company_networks n
                                             WHERE n.company_id = c.id AND n.practitioner_id = p.id))
          AND NOT EXISTS (SELECT FROM app.consultations o
                          WHERE o.user_id = person AND o.status IN ('pending', 'confirmed', 'in_progress')
                            AND tstzrange(o.starts_at, o.ends_at) && tstzrange(starts, ends))
          AND app.has_session_left(company, person, starts))
$$;
REVOKE ALL ON FUNCTION app.has_session_left(uuid, uuid, timestamptz),
    app.could_book(uuid, uuid, uuid, timestamptz, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.has_session_left(uuid, uuid, timestamptz),
    app.could_book(uuid, uuid, uuid, timestamptz, timestamptz, timestamptz) TO huntzen_kernel;

-- Only who could book waits, on ten lists at most. Who books, and who waits, is counted under a lock on the entry of
-- the directory.
CREATE OR REPLACE FUNCTION app.check_waiting() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM FROM app.companies c WHERE c.id = NEW.company_id AND c.status = 'active'
        AND (NEW.joined_at AT TIME ZONE c.time_zone)::date <= c.contract_ends_on FOR SHARE;
    IF FOUND THEN
        PERFORM FROM app.users u JOIN app.employees e ON e.company_id = u.company_id AND e.id = u.employee_id
            WHERE u.id = NEW.user_id AND e.company_id = NEW.company_id AND e.status = 'active' FOR NO KEY UPDATE OF e;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the contract does not cover the person'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'waitlist_entries_covered';
    END IF;
    PERFORM FROM app.practitioners p JOIN app.users u ON u.id = p.id JOIN app.companies c ON c.id = NEW.company_id
        WHERE p.id = NEW.practitioner_id AND p.status = 'active' AND u.status <> 'suspended'
          AND (c.network = 'open' OR EXISTS (SELECT FROM app.company_networks n
                                             WHERE n.company_id = c.id AND n.practitioner_id = p.id));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the practitioner takes no bookings of the company'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'waitlist_entries_network';
    END IF;
    IF (SELECT count(*) FROM app.waitlist_entries w
        WHERE w.company_id = NEW.company_id AND w.user_id = NEW.user_id AND w.status = 'waiting'
          AND w.practitioner_id <> NEW.practitioner_id) >= 10 THEN
        RAISE EXCEPTION 'the person waits on ten lists'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'waitlist_entries_bounded';
    END IF;
    RETURN NEW;
END
$$;
DROP TRIGGER IF EXISTS waitlist_entries_checked ON app.waitlist_entries;
CREATE TRIGGER waitlist_entries_checked BEFORE INSERT ON app.waitlist_entries
    FOR EACH ROW EXECUTE FUNCTION app.check_waiting();

-- Who does not wait any more is offered nothing.
CREATE OR REPLACE FUNCTION app.withdraw_offers() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.waitlist_offers SET status = 'withdrawn', ended_at = NEW.ended_at
        WHERE entry_id = NEW.id AND status = 'open';
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS waitlist_entries_over ON app.waitlist_entries;
CREATE TRIGGER waitlist_entries_over AFTER UPDATE OF status ON app.waitlist_entries
    FOR EACH ROW WHEN (NEW.status <> 'waiting' AND OLD.status = 'waiting') EXECUTE FUNCTION app.withdraw_offers();

-- Keeps what became free, where anybody waits for the practitioner.
CREATE OR REPLACE FUNCTION app.keep_for_waiting(practitioner uuid, freed tstzmultirange, had_by uuid)
RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO app.waitlist_holds (practitioner_id, freed_from, freed_until, busy_from, busy_until, had_by)
    SELECT practitioner, lower(span), upper(span), lower(span), upper(span), had_by FROM unnest(freed) AS span
    WHERE EXISTS (SELECT FROM app.waitlist_entries e WHERE e.practitioner_id = practitioner AND e.status = 'waiting')
      AND EXISTS (SELECT FROM app.practitioners p WHERE p.id = practitioner AND p.status = 'active')
$$;
REVOKE ALL ON FUNCTION app.keep_for_waiting(uuid, tstzmultirange, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.keep_for_waiting(uuid, tstzmultirange, uuid) TO huntzen_kernel;

-- A session that is given up or moved: its time goes to those who wait in the very transaction that frees it, so that
-- nobody books it in between. Until the commit the session's own row keeps others out of it.
CREATE OR REPLACE FUNCTION app.keep_freed_time() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
DECLARE
    freed tstzmultirange := tstzmultirange(tstzrange(OLD.busy_from, OLD.busy_until));
BEGIN
    IF NEW.status <> 'cancelled' THEN
        freed := freed - tstzmultirange(tstzrange(NEW.busy_from, NEW.busy_until));
    ELSIF NEW.cancelled_at >= OLD.starts_at THEN
        RETURN NULL;
    ELSIF OLD.status = 'pending' AND NEW.cancelled_by <> 'employee' THEN
        -- nothing came of it: whose it was is back in their old place, also if they joined ten other lists meanwhile
        BEGIN
            UPDATE app.waitlist_entries e SET status = 'waiting', ended_at = NULL, consultation_id = NULL
                WHERE e.consultation_id = NEW.id AND e.status = 'booked'
                  AND NOT EXISTS (SELECT FROM app.waitlist_entries w WHERE w.user_id = e.user_id
                                    AND w.practitioner_id = e.practitioner_id AND w.status = 'waiting');
        EXCEPTION WHEN unique_violation THEN
            NULL; -- they joined again at this very moment
        END;
    END IF;
    PERFORM app.keep_for_waiting(OLD.practitioner_id, freed, OLD.user_id);
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS consultations_freed ON app.consultations;
CREATE TRIGGER consultations_freed AFTER UPDATE OF status, busy_from, busy_until ON app.consultations
    FOR EACH ROW WHEN (OLD.status IN ('pending', 'confirmed')
                       AND (NEW.status = 'cancelled' OR NEW.busy_from <> OLD.busy_from OR NEW.busy_until <> OLD.busy_until))
    EXECUTE FUNCTION app.keep_freed_time();

-- Sessions and kept time never share a moment of a practitioner. Both sides look under the practitioner's lock, but for
-- the freeing of time, which the session's own row covers: the look at kept time comes after the exclusion constraint
-- has waited for that row.
CREATE OR REPLACE FUNCTION app.lock_practitioner_time() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.practitioner_id::text, 2));
    IF TG_TABLE_NAME = 'waitlist_holds' AND EXISTS (
        SELECT FROM app.consultations c
        WHERE c.practitioner_id = NEW.practitioner_id AND c.status IN ('pending', 'confirmed', 'in_progress')
          AND tstzrange(c.busy_from, c.busy_until) && tstzrange(NEW.busy_from, NEW.busy_until)
    ) THEN
        RAISE EXCEPTION 'a session is booked at that time'
            USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'waitlist_holds_practitioner_free';
    END IF;
    RETURN NEW;
END
$$;
DROP TRIGGER IF EXISTS consultations_apart ON app.consultations;
CREATE TRIGGER consultations_apart BEFORE INSERT ON app.consultations
    FOR EACH ROW EXECUTE FUNCTION app.lock_practitioner_time();
DROP TRIGGER IF EXISTS consultations_apart_when_moved ON app.consultations;
CREATE TRIGGER consultations_apart_when_moved BEFORE UPDATE OF busy_from, busy_until ON app.consultations
    FOR EACH ROW WHEN (NEW.busy_from <> OLD.busy_from OR NEW.busy_until <> OLD.busy_until)
    EXECUTE FUNCTION app.lock_practitioner_time();
DROP TRIGGER IF EXISTS waitlist_holds_lock_time ON app.waitlist_holds;
CREATE TRIGGER waitlist_holds_lock_time BEFORE UPDATE OF busy_from, busy_until ON app.waitlist_holds
    FOR EACH ROW WHEN (NEW.busy_from < OLD.busy_from OR NEW.busy_until > OLD.busy_until)
    EXECUTE FUNCTION app.lock_practitioner_time();

-- Refuses a session in kept time. A booking ends the wait for its practitioner; what else was offered to the person and
-- cannot be taken beside it goes to the next.
CREATE OR REPLACE FUNCTION app.settle_waiting() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
DECLARE
    at timestamptz := coalesce(NEW.agreed_at, clock_timestamp());
BEGIN
    IF EXISTS (SELECT FROM app.waitlist_holds h
               WHERE h.practitioner_id = NEW.practitioner_id AND h.status = 'held'
                 AND tstzrange(h.busy_from, h.busy_until) && tstzrange(NEW.busy_from, NEW.busy_until)) THEN
        RAISE EXCEPTION 'the time is kept for those who wait'
            USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'consultations_time_kept';
    END IF;
    IF TG_OP = 'INSERT' THEN
        UPDATE app.waitlist_entries SET status = 'booked', ended_at = at, consultation_id = NEW.id
            WHERE user_id = NEW.user_id AND practitioner_id = NEW.practitioner_id AND status = 'waiting';
    END IF;
    UPDATE app.waitlist_offers o SET status = 'withdrawn', ended_at = at
        WHERE o.user_id = NEW.user_id AND o.status = 'open'
          AND (tstzrange(o.starts_at, o.ends_at) && tstzrange(NEW.starts_at, NEW.ends_at)
               OR NOT app.has_session_left(o.company_id, o.user_id, o.starts_at));
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS consultations_settle_waiting ON app.consultations;
CREATE TRIGGER consultations_settle_waiting AFTER INSERT ON app.consultations
    FOR EACH ROW EXECUTE FUNCTION app.settle_waiting();
DROP TRIGGER IF EXISTS consultations_settle_waiting_when_moved ON app.consultations;
CREATE TRIGGER consultations_settle_waiting_when_moved AFTER UPDATE OF busy_from, busy_until ON app.consultations
    FOR EACH ROW WHEN (NEW.busy_from <> OLD.busy_from OR NEW.busy_until <> OLD.busy_until)
    EXECUTE FUNCTION app.settle_waiting();

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY['app.check_waiting()', 'app.withdraw_offers()', 'app.keep_freed_time()',
                              'app.lock_practitioner_time()', 'app.settle_waiting()']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
