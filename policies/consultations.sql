-- Consultations: the two people in them. HR and company admins have no grant at all.
GRANT SELECT ON app.consultations TO huntzen_employee, huntzen_practitioner, huntzen_worker, huntzen_stats;
-- the platform never learns whose they are
GRANT SELECT (id, company_id, practitioner_id, mode, status, starts_at, ends_at, specialty, started_at, ended_at,
              duration_minutes, cancelled_at, cancelled_by, expires_at, missed_by, seen_minutes, times_differ, created_at,
              updated_at) ON app.consultations TO huntzen_platform;
GRANT INSERT (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from, busy_until,
              specialty, department_id, expires_at, agreed_at) ON app.consultations TO huntzen_employee;
GRANT UPDATE (status, cancelled_at, cancelled_by, missed_by, ics_sequence) ON app.consultations
    TO huntzen_employee, huntzen_practitioner;
GRANT UPDATE (agreed_at) ON app.consultations TO huntzen_practitioner;
CREATE POLICY fence ON app.consultations AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.consultations FOR SELECT TO huntzen_employee USING (user_id = (SELECT app.user_id()));
CREATE POLICY own_booking ON app.consultations FOR INSERT TO huntzen_employee
    WITH CHECK (user_id = (SELECT app.user_id()));
-- an employee changes nothing of a session but that it is cancelled, or that the practitioner did not come
CREATE POLICY own_cancelling ON app.consultations FOR UPDATE TO huntzen_employee
    USING (user_id = (SELECT app.user_id()))
    WITH CHECK (user_id = (SELECT app.user_id())
                AND (status = 'cancelled' AND cancelled_by = 'employee'
                     OR status = 'no_show' AND missed_by = 'practitioner'));
CREATE POLICY assigned ON app.consultations FOR SELECT TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()));
CREATE POLICY assigned_change ON app.consultations FOR UPDATE TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()))
    WITH CHECK (practitioner_id = (SELECT app.user_id()) AND coalesce(cancelled_by, 'practitioner') = 'practitioner'
                AND coalesce(missed_by, 'employee') = 'employee');
CREATE POLICY all_rows ON app.consultations FOR SELECT TO huntzen_platform, huntzen_stats USING (true);
CREATE POLICY of_job ON app.consultations FOR SELECT TO huntzen_worker USING (company_id = (SELECT app.company_id()));

-- A practitioner's clients: their names, and nothing else of their accounts.
CREATE OR REPLACE VIEW app.clients WITH (security_barrier = true) AS
    SELECT u.id, u.display_name, u.avatar_id FROM app.users u
    WHERE u.id = ANY (ARRAY(SELECT c.user_id FROM app.consultations c WHERE c.practitioner_id = (SELECT app.user_id())));
ALTER VIEW app.clients OWNER TO huntzen_kernel;
-- as whoever states it again leaves it
REVOKE ALL ON app.clients FROM huntzen_kernel;
GRANT SELECT ON app.clients TO huntzen_practitioner;

-- the triggers and functions below
GRANT SELECT ON app.consultations TO huntzen_kernel;
GRANT UPDATE (status, mode, starts_at, ends_at, busy_from, busy_until, started_at, ended_at, duration_minutes,
              cancelled_at, cancelled_by, expires_at, agreed_at, missed_by, free_to_cancel, reschedules, seen_minutes,
              times_differ, reminded_day_for, reminded_hour_for, ics_sequence) ON app.consultations TO huntzen_kernel;
CREATE POLICY kernel ON app.consultations TO huntzen_kernel USING (true) WITH CHECK (true);

-- The states of a session, and which follow which.
CREATE OR REPLACE FUNCTION app.check_consultation_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status IN ('pending', 'confirmed') THEN
            RETURN NEW;
        END IF;
    ELSIF NEW.status = OLD.status OR (OLD.status, NEW.status) IN (
        ('pending', 'confirmed'), ('pending', 'cancelled'),
        ('confirmed', 'in_progress'), ('confirmed', 'cancelled'), ('confirmed', 'no_show'),
        -- begun by one of the two, while the other never came
        ('in_progress', 'completed'), ('in_progress', 'no_show')
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a consultation cannot become %', NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_state_machine';
END
$$;

-- Whether the server let somebody into the session at its present time. What was before is of no account: it may have
-- been moved after somebody looked in.
CREATE OR REPLACE FUNCTION app.was_seen(session uuid, who text)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM app.consultation_events e JOIN app.consultations c ON c.id = e.consultation_id
                   WHERE e.consultation_id = session AND e.kind = 'JOINED' AND e.actor_role = who
                     AND e.at >= c.starts_at - interval '10 minutes')
$$;
-- When the server saw both people in the session at once, until some time. Who was never seen leaving stayed until its
-- planned end. By audio whoever enters the rooms waits to be rung: they are together as long as they have a call.
CREATE OR REPLACE FUNCTION app.times_together(session uuid, until timestamptz)
RETURNS tstzmultirange LANGUAGE sql STABLE AS $$
    WITH stays AS (
        SELECT j.actor_role, range_agg(tstzrange(j.at, greatest(j.at, least(until, coalesce((
            SELECT min(l.at) FROM app.consultation_events l
            WHERE l.consultation_id = session AND l.kind = 'LEFT' AND l.actor_role = j.actor_role AND l.at >= j.at),
            c.ends_at))))) AS times
        FROM app.consultation_events j JOIN app.consultations c ON c.id = j.consultation_id
        WHERE j.consultation_id = session AND j.kind = 'JOINED' AND j.at >= c.starts_at - interval '10 minutes' AND j.at < until
        GROUP BY j.actor_role
    )
    , calls AS (
        SELECT range_agg(tstzrange(s.at, greatest(s.at, least(until, coalesce((
            SELECT min(e.at) FROM app.consultation_events e
            WHERE e.consultation_id = session AND e.kind = 'CALL_ENDED' AND e.at >= s.at), until))))) AS times
        FROM app.consultation_events s
        WHERE s.consultation_id = session AND s.kind = 'CALL_STARTED' AND s.at < until
    )
    SELECT coalesce((SELECT times FROM stays WHERE actor_role = 'employee')
                    * (SELECT times FROM stays WHERE actor_role = 'practitioner')
                    * CASE (SELECT c.mode FROM app.consultations c WHERE c.id = session)
                          WHEN 'audio' THEN coalesce((SELECT times FROM calls), '{}') ELSE '{(,)}' END, '{}')
$$;
CREATE OR REPLACE FUNCTION app.seen_together(session uuid, until timestamptz)
RETURNS interval LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(upper(span) - lower(span)), interval '0') FROM unnest(app.times_together(session, until)) AS span
$$;

-- Times follow from the facts. Begun minutes count as whole ones. What the server saw stands beside what was claimed, and
-- somebody has to look (`times_differ`) where a session is said to have been held
--   - in which one of the two was never seen, or the two never together,
--   - for more than ten minutes longer than planned,
--   - for more than ten minutes, and a quarter of what is claimed, longer or shorter than it was seen,
--   - or of which nobody said so, but the schedule, because both were seen;
-- and where a session is said to have been missed
--   - by somebody who was seen, or by somebody's word who was not seen themselves,
--   - after it was begun,
--   - or where both were seen, but never together.
CREATE OR REPLACE FUNCTION app.apply_consultation_event() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it       app.consultations;
    claimed  interval;
    seen     interval;
    employee boolean;
    other    boolean;
BEGIN
    IF NEW.kind = 'STARTED' THEN
        UPDATE app.consultations SET started_at = NEW.at WHERE id = NEW.consultation_id;
        RETURN NULL;
    ELSIF NEW.kind NOT IN ('ENDED', 'NO_SHOW') THEN
        RETURN NULL;
    END IF;
    SELECT * INTO it FROM app.consultations c WHERE c.id = NEW.consultation_id;
    employee := app.was_seen(it.id, 'employee');
    other := app.was_seen(it.id, 'practitioner');
    IF NEW.kind = 'ENDED' THEN
        -- later, the schedule has ended it
        IF NEW.at > greatest(it.ends_at, it.started_at) + interval '30 minutes' THEN
            RAISE EXCEPTION 'it ended before'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_ended_in_time';
        END IF;
        -- a clock that was set back between the two says that it ended before it began
        claimed := greatest(NEW.at - it.started_at, interval '0');
        seen := app.seen_together(it.id, NEW.at);
        UPDATE app.consultations
            SET ended_at = greatest(NEW.at, it.started_at), duration_minutes = ceil(extract(epoch FROM claimed) / 60),
                seen_minutes = ceil(extract(epoch FROM seen) / 60),
                times_differ = NOT employee OR NOT other OR seen = interval '0' OR NEW.at < it.started_at
                               OR claimed > it.ends_at - it.starts_at + interval '10 minutes'
                               OR greatest(claimed - seen, seen - claimed) > greatest(interval '10 minutes', claimed / 4)
                               OR EXISTS (SELECT FROM app.consultation_events e
                                          WHERE e.consultation_id = it.id AND e.kind = 'STARTED' AND e.actor_role = 'auto')
            WHERE id = it.id;
    ELSE
        UPDATE app.consultations
            SET seen_minutes = ceil(extract(epoch FROM app.seen_together(it.id, least(NEW.at, it.ends_at))) / 60),
                times_differ = it.started_at IS NOT NULL
                               OR CASE it.missed_by WHEN 'employee' THEN employee WHEN 'practitioner' THEN other
                                                    ELSE employee AND other END
                               OR CASE NEW.actor_role WHEN 'employee' THEN NOT employee WHEN 'practitioner' THEN NOT other
                                                      ELSE false END
            WHERE id = it.id;
    END IF;
    RETURN NULL;
END
$$;
ALTER FUNCTION app.apply_consultation_event() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.times_together(uuid, timestamptz), app.seen_together(uuid, timestamptz), app.was_seen(uuid, text),
    app.apply_consultation_event() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.times_together(uuid, timestamptz), app.seen_together(uuid, timestamptz), app.was_seen(uuid, text)
    TO huntzen_kernel;
DROP TRIGGER IF EXISTS consultation_events_apply ON app.consultation_events;
CREATE TRIGGER consultation_events_apply AFTER INSERT ON app.consultation_events
    FOR EACH ROW EXECUTE FUNCTION app.apply_consultation_event();
REVOKE ALL ON FUNCTION app.check_consultation_state() FROM PUBLIC;

-- Nobody says of a practitioner whom the server saw in the session that they did not come; nor does a practitioner say so
-- of an employee who was seen, once they have begun.
CREATE OR REPLACE FUNCTION app.check_absence() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF NEW.missed_by = 'practitioner' AND app.was_seen(NEW.id, 'practitioner') THEN
        RAISE EXCEPTION 'the practitioner was there'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_practitioner_was_there';
    ELSIF NEW.missed_by = 'employee' AND OLD.status = 'in_progress' AND app.was_seen(NEW.id, 'employee') THEN
        RAISE EXCEPTION 'the employee was there'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_employee_was_there';
    END IF;
    RETURN NEW;
END
$$;
ALTER FUNCTION app.check_absence() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.check_absence() FROM PUBLIC;
DROP TRIGGER IF EXISTS consultations_absence ON app.consultations;
CREATE TRIGGER consultations_absence BEFORE UPDATE OF missed_by ON app.consultations
    FOR EACH ROW WHEN (NEW.missed_by IS NOT NULL AND OLD.missed_by IS NULL) EXECUTE FUNCTION app.check_absence();

GRANT SELECT ON app.consultation_events TO huntzen_employee, huntzen_practitioner, huntzen_platform, huntzen_stats;
GRANT INSERT (company_id, consultation_id, kind, at, actor_role) ON app.consultation_events
    TO huntzen_employee, huntzen_practitioner;
-- who joins and leaves, and what is moved, is written by functions
CREATE POLICY fence ON app.consultation_events AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
-- asked of the rows of one session, and not of all that a practitioner ever had
CREATE POLICY own ON app.consultation_events FOR SELECT TO huntzen_employee, huntzen_practitioner
    USING (EXISTS (SELECT FROM app.consultations c WHERE c.id = consultation_id));
-- each says what is theirs to say: times of sessions are what practitioners are paid by
CREATE POLICY booked ON app.consultation_events FOR INSERT TO huntzen_employee
    WITH CHECK (actor_role = 'employee' AND kind IN ('BOOKED', 'CANCELLED', 'NO_SHOW')
                AND EXISTS (SELECT FROM app.consultations c
                            WHERE c.id = consultation_id AND c.company_id = consultation_events.company_id));
CREATE POLICY held ON app.consultation_events FOR INSERT TO huntzen_practitioner
    WITH CHECK (actor_role = 'practitioner' AND kind IN ('CONFIRMED', 'CANCELLED', 'STARTED', 'ENDED', 'NO_SHOW')
                AND EXISTS (SELECT FROM app.consultations c
                            WHERE c.id = consultation_id AND c.company_id = consultation_events.company_id));
CREATE POLICY all_rows ON app.consultation_events FOR SELECT TO huntzen_platform, huntzen_stats USING (true);

-- When practitioners are taken, and nothing else about it: what slots are computed from. One consultation can be left
-- out, which is about to be moved. What is kept for those who wait is taken for everybody but whom it is offered to.
CREATE OR REPLACE FUNCTION app.busy_times(practitioners uuid[], since timestamptz, until timestamptz, but_for uuid)
RETURNS TABLE (practitioner_id uuid, busy_from timestamptz, busy_until timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT c.practitioner_id, c.busy_from, c.busy_until FROM app.consultations c
    WHERE c.practitioner_id = ANY (practitioners) AND c.status IN ('pending', 'confirmed', 'in_progress')
      -- consultations_busy_length bounds what a range of beginnings could miss
      AND c.busy_from > since - interval '12 hours' AND c.busy_from < until AND c.busy_until > since
      AND c.id IS DISTINCT FROM but_for
    UNION ALL
    SELECT h.practitioner_id, h.busy_from, h.busy_until FROM app.waitlist_holds h
    WHERE h.practitioner_id = ANY (practitioners) AND h.status = 'held'
      -- and so does waitlist_holds_length
      AND h.busy_from > since - interval '24 hours' AND h.busy_from < until AND h.busy_until > since
      AND NOT EXISTS (SELECT FROM app.waitlist_offers o
                      WHERE o.hold_id = h.id AND o.status = 'open' AND o.user_id = app.user_id())
    ORDER BY 1, 2
$$;
ALTER FUNCTION app.busy_times(uuid[], timestamptz, timestamptz, uuid) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.busy_times(uuid[], timestamptz, timestamptz, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.busy_times(uuid[], timestamptz, timestamptz, uuid)
    TO huntzen_employee, huntzen_practitioner, huntzen_platform;

-- A person who left their company: what they had booked on its contract is cancelled. Answers with the cancelled ones.
CREATE OR REPLACE FUNCTION app.cancel_consultations_of_leaver(leaver uuid, at timestamptz)
RETURNS SETOF uuid LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH cancelled AS (
        UPDATE app.consultations c
        SET status = 'cancelled', cancelled_at = at, cancelled_by = 'platform', ics_sequence = ics_sequence + 1
        FROM app.users u JOIN app.employees e ON e.company_id = u.company_id AND e.id = u.employee_id
        WHERE e.company_id = (SELECT app.company_id()) AND e.id = leaver AND e.status = 'left'
          AND c.company_id = e.company_id AND c.user_id = u.id AND c.status IN ('pending', 'confirmed') AND c.starts_at > at
        RETURNING c.id, c.company_id
    ), told AS (
        INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
        SELECT company_id, id, 'CANCELLED', cancel_consultations_of_leaver.at, 'platform' FROM cancelled
        RETURNING consultation_id
    )
    SELECT consultation_id FROM told
$$;
-- A person whose account is suspended cannot come: what they had booked is cancelled. Answers with the cancelled ones.
CREATE OR REPLACE FUNCTION app.cancel_consultations_of_suspended(person uuid, at timestamptz)
RETURNS SETOF uuid LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH cancelled AS (
        UPDATE app.consultations c
        SET status = 'cancelled', cancelled_at = at, cancelled_by = 'platform', ics_sequence = ics_sequence + 1
        FROM app.users u
        WHERE u.id = person AND u.company_id = (SELECT app.company_id()) AND u.status = 'suspended'
          AND c.company_id = u.company_id AND c.user_id = u.id AND c.status IN ('pending', 'confirmed') AND c.starts_at > at
        RETURNING c.id, c.company_id
    ), told AS (
        INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
        SELECT company_id, id, 'CANCELLED', cancel_consultations_of_suspended.at, 'platform' FROM cancelled
        RETURNING consultation_id
    )
    SELECT consultation_id FROM told
$$;
ALTER FUNCTION app.cancel_consultations_of_suspended(uuid, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.cancel_consultations_of_suspended(uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.cancel_consultations_of_suspended(uuid, timestamptz) TO huntzen_worker;
ALTER FUNCTION app.cancel_consultations_of_leaver(uuid, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.cancel_consultations_of_leaver(uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.cancel_consultations_of_leaver(uuid, timestamptz) TO huntzen_worker;
GRANT SELECT ON app.consultation_events TO huntzen_kernel;
GRANT INSERT (company_id, consultation_id, kind, at, actor_role, moved_from, moved_to) ON app.consultation_events
    TO huntzen_kernel;
CREATE POLICY kernel ON app.consultation_events FOR SELECT TO huntzen_kernel USING (true);
CREATE POLICY kernel_insert ON app.consultation_events FOR INSERT TO huntzen_kernel WITH CHECK (true);

-- What was written about a session: the two people in it, and nobody else, not even the platform.
GRANT SELECT ON app.consultation_reasons TO huntzen_employee, huntzen_practitioner;
GRANT INSERT (company_id, consultation_id, about, sealed, key_id, written_by, written_at) ON app.consultation_reasons
    TO huntzen_employee, huntzen_practitioner;
CREATE POLICY fence ON app.consultation_reasons AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.consultation_reasons FOR SELECT TO huntzen_employee, huntzen_practitioner
    USING (EXISTS (SELECT FROM app.consultations c WHERE c.id = consultation_id));
CREATE POLICY own_words ON app.consultation_reasons FOR INSERT TO huntzen_employee
    WITH CHECK (written_by = 'employee'
                AND EXISTS (SELECT FROM app.consultations c
                            WHERE c.id = consultation_id AND c.company_id = consultation_reasons.company_id));
CREATE POLICY own_words_practitioner ON app.consultation_reasons FOR INSERT TO huntzen_practitioner
    WITH CHECK (written_by = 'practitioner' AND about = 'cancelling'
                AND EXISTS (SELECT FROM app.consultations c
                            WHERE c.id = consultation_id AND c.company_id = consultation_reasons.company_id));

-- What a session is worth: minutes times the hourly rate, rounded half up to the minor unit.
CREATE OR REPLACE FUNCTION app.session_fee(hourly_rate int, minutes int)
RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- whole numbers take a fifth of the time that decimals take; none is less than 0
    SELECT (hourly_rate::bigint * greatest(minutes, 0) + 30) / 60
$$;
REVOKE ALL ON FUNCTION app.session_fee(int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.session_fee(int, int) TO huntzen_practitioner, huntzen_platform, huntzen_kernel;
