-- Calls: the two people of a consultation, and nobody else.
GRANT SELECT ON app.call_sessions, app.call_parties, app.call_signals TO huntzen_employee, huntzen_practitioner;
CREATE POLICY fence ON app.call_sessions AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.call_sessions FOR SELECT TO huntzen_employee USING (user_id = (SELECT app.user_id()));
CREATE POLICY assigned ON app.call_sessions FOR SELECT TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()));
CREATE POLICY fence ON app.call_parties AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.call_parties FOR SELECT TO huntzen_employee USING (user_id = (SELECT app.user_id()));
CREATE POLICY assigned ON app.call_parties FOR SELECT TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()));
-- what is signalled is read by whom it is for
CREATE POLICY fence ON app.call_signals AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY addressed ON app.call_signals FOR SELECT TO huntzen_employee, huntzen_practitioner
    USING (addressee_id = (SELECT app.user_id()));

-- Nobody writes but through the functions below: they look at who calls, and at the consultation, whose row is the queue of
-- all that happens to its calls. What is committed is notified, by the consultation's id alone.
GRANT SELECT, INSERT, UPDATE (status, accepted_at, ended_at, end_reason, ended_by) ON app.call_sessions TO huntzen_kernel;
GRANT SELECT, INSERT, UPDATE (is_live, device, seat, seen_at, lost_at, returns, resumes, is_muted, signals, rung_at)
    ON app.call_parties TO huntzen_kernel;
GRANT SELECT, INSERT, DELETE ON app.call_signals TO huntzen_kernel;
CREATE POLICY kernel ON app.call_sessions TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.call_parties TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.call_signals TO huntzen_kernel USING (true) WITH CHECK (true);

-- The states of a call, and which follow which.
CREATE OR REPLACE FUNCTION app.check_call_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.status = 'ringing'
       OR TG_OP = 'UPDATE' AND (OLD.status, NEW.status) IN (('ringing', 'connected'), ('ringing', 'ended'), ('connected', 'ended')) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a call cannot become %', NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'call_sessions_state_machine';
END
$$;
REVOKE ALL ON FUNCTION app.check_call_state() FROM PUBLIC;
DROP TRIGGER IF EXISTS call_sessions_state_machine ON app.call_sessions;
CREATE TRIGGER call_sessions_state_machine BEFORE INSERT OR UPDATE OF status ON app.call_sessions
    FOR EACH ROW EXECUTE FUNCTION app.check_call_state();

-- What follows from a step. Who talks is there: beginning and end of a call are facts about the consultation, and so is who
-- came, and when they left.
CREATE OR REPLACE FUNCTION app.apply_call_step() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF NEW.status = 'connected' THEN
        INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
        SELECT NEW.company_id, NEW.consultation_id, 'JOINED', NEW.accepted_at, it.side
        FROM (VALUES ('employee'), ('practitioner')) AS it (side)
        WHERE 'JOINED' IS DISTINCT FROM (
            SELECT e.kind FROM app.consultation_events e
            WHERE e.consultation_id = NEW.consultation_id AND e.kind IN ('JOINED', 'LEFT') AND e.actor_role = it.side
              AND e.at >= (SELECT c.starts_at - interval '10 minutes' FROM app.consultations c WHERE c.id = NEW.consultation_id)
            ORDER BY e.at DESC, e.id DESC LIMIT 1);
        INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
        VALUES (NEW.company_id, NEW.consultation_id, 'CALL_STARTED', NEW.accepted_at, NEW.caller);
    ELSIF NEW.status = 'ended' THEN
        IF NEW.accepted_at IS NOT NULL THEN
            INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
            SELECT NEW.company_id, NEW.consultation_id, 'LEFT',
                   greatest(NEW.accepted_at, least(NEW.ended_at, p.lost_at)), p.side
            FROM app.call_parties p WHERE p.company_id = NEW.company_id AND p.call_id = NEW.id ORDER BY p.side;
            INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
            VALUES (NEW.company_id, NEW.consultation_id, 'CALL_ENDED', NEW.ended_at, coalesce(NEW.ended_by, 'auto'));
        END IF;
        UPDATE app.call_parties p SET is_live = false WHERE p.company_id = NEW.company_id AND p.call_id = NEW.id;
        DELETE FROM app.call_signals s WHERE s.company_id = NEW.company_id AND s.call_id = NEW.id;
    END IF;
    PERFORM pg_notify('call_changed', NEW.consultation_id::text);
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS call_sessions_step ON app.call_sessions;
CREATE TRIGGER call_sessions_step AFTER INSERT OR UPDATE OF status ON app.call_sessions
    FOR EACH ROW EXECUTE FUNCTION app.apply_call_step();

-- A consultation that is over, or at another time, has no call.
CREATE OR REPLACE FUNCTION app.end_call_of_consultation() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.call_sessions c
        SET status = 'ended', end_reason = 'closed', ended_at = greatest(NEW.at, coalesce(c.accepted_at, c.rang_at))
        WHERE c.company_id = NEW.company_id AND c.consultation_id = NEW.consultation_id AND c.status <> 'ended';
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS consultation_events_call ON app.consultation_events;
CREATE TRIGGER consultation_events_call AFTER INSERT ON app.consultation_events
    FOR EACH ROW WHEN (NEW.kind IN ('CANCELLED', 'RESCHEDULED', 'ENDED', 'NO_SHOW', 'EXPIRED'))
    EXECUTE FUNCTION app.end_call_of_consultation();

-- Locks a consultation of the caller's, and says whether its rooms are open. No row: it is not theirs.
CREATE OR REPLACE FUNCTION app.lock_call_room(wanted uuid, at timestamptz)
RETURNS TABLE (side text, company_id uuid, user_id uuid, practitioner_id uuid, closes_at timestamptz, is_open boolean)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT app.connected_role(), c.company_id, c.user_id, c.practitioner_id, c.ends_at + interval '30 minutes',
           c.mode = 'audio' AND c.status IN ('confirmed', 'in_progress')
           AND lock_call_room.at BETWEEN c.starts_at - interval '10 minutes' AND c.ends_at + interval '30 minutes'
    FROM app.consultations c
    WHERE c.id = wanted
      AND CASE app.connected_role() WHEN 'employee' THEN c.user_id = app.user_id() AND c.company_id = app.company_id()
                                    WHEN 'practitioner' THEN c.practitioner_id = app.user_id() ELSE false END
    FOR NO KEY UPDATE
$$;

-- Ends a call whose time is over: nobody answered, who rings has been gone for ten seconds, somebody stayed away for half a
-- minute, or the rooms are closed.
CREATE OR REPLACE FUNCTION app.end_call_in_time(wanted uuid, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.call_sessions c
        SET status = 'ended',
            end_reason = CASE WHEN c.closes_at <= at THEN 'closed'
                              WHEN c.status = 'connected' THEN 'lost'
                              WHEN c.rings_until <= at THEN 'missed' ELSE 'cancelled' END,
            ended_at = greatest(at, coalesce(c.accepted_at, c.rang_at))
        WHERE c.id = wanted
          AND (c.closes_at <= at OR c.status = 'ringing' AND c.rings_until <= at
               OR EXISTS (SELECT FROM app.call_parties p WHERE p.company_id = c.company_id AND p.call_id = c.id
                            AND p.lost_at <= at - CASE c.status WHEN 'ringing' THEN interval '10 seconds'
                                                                ELSE interval '30 seconds' END));
    RETURN FOUND;
END
$$;

-- Lets a device of the caller's into the rooms; it takes the place again that it had in a call. Whether the server sees the
-- person for the first time. NULL: the rooms are not open.
CREATE OR REPLACE FUNCTION app.enter_call(wanted uuid, its_device uuid, its_seat uuid, still_has_it boolean, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    room record;
    live uuid;
    seen boolean;
BEGIN
    SELECT * INTO room FROM app.lock_call_room(wanted, at);
    IF NOT FOUND OR NOT room.is_open THEN
        RETURN NULL;
    END IF;
    seen := app.was_seen(wanted, room.side);
    IF NOT seen THEN
        INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
            VALUES (room.company_id, wanted, 'JOINED', enter_call.at, room.side);
    END IF;
    SELECT c.id INTO live FROM app.call_sessions c
        WHERE c.company_id = room.company_id AND c.consultation_id = wanted AND c.status <> 'ended';
    IF FOUND AND NOT app.end_call_in_time(live, at) THEN
        UPDATE app.call_parties p
            SET seat = its_seat, seen_at = at, lost_at = NULL, returns = p.returns + 1, resumes = still_has_it
            WHERE p.company_id = room.company_id AND p.call_id = live AND p.side = room.side AND p.device = its_device
              AND (p.seat <> its_seat OR p.lost_at IS NOT NULL);
        IF FOUND THEN
            IF NOT still_has_it THEN
                DELETE FROM app.call_signals s
                    WHERE s.company_id = room.company_id AND s.call_id = live AND s.addressee_id = app.user_id();
            END IF;
            PERFORM pg_notify('call_changed', wanted::text);
        END IF;
    END IF;
    RETURN NOT seen;
END
$$;

-- Rings the other one: 'rung'. Where they ring at the same moment it is one call, 'accepted'; where the caller's device was
-- lost, another one takes its place, 'moved'; once more changes nothing, 'again'. Refused: 'elsewhere' (the caller's other
-- device is in it), 'in_another_call', 'peer_busy' (which is kept as a call that they missed), 'too_many'. NULL: the rooms are not open.
CREATE OR REPLACE FUNCTION app.ring_call(wanted uuid, new_call uuid, its_device uuid, its_seat uuid, at timestamptz,
                                         until timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    room  record;
    live  app.call_sessions;
    mine  app.call_parties;
    other uuid;
    busy  uuid;
    last  int;
BEGIN
    SELECT * INTO room FROM app.lock_call_room(wanted, at);
    IF NOT FOUND OR NOT room.is_open THEN
        RETURN NULL;
    END IF;
    other := CASE room.side WHEN 'employee' THEN room.practitioner_id ELSE room.user_id END;
    -- what is over by the clock keeps nobody
    PERFORM app.end_call_in_time(it.call_id, at)
        FROM (SELECT p.call_id FROM app.call_parties p
              WHERE p.person_id IN (room.user_id, room.practitioner_id) AND p.is_live ORDER BY p.call_id) it;
    SELECT * INTO live FROM app.call_sessions c
        WHERE c.company_id = room.company_id AND c.consultation_id = wanted AND c.status <> 'ended';
    IF FOUND THEN
        SELECT * INTO mine FROM app.call_parties p
            WHERE p.company_id = live.company_id AND p.call_id = live.id AND p.side = room.side;
        IF mine.seat = its_seat THEN
            RETURN 'again';
        ELSIF live.status = 'ringing' AND live.caller <> room.side THEN
            -- the call first, then its sides, as whoever ends it does
            UPDATE app.call_sessions c SET status = 'connected', accepted_at = greatest(at, c.rang_at) WHERE c.id = live.id;
            UPDATE app.call_parties p SET device = its_device, seat = its_seat, seen_at = at
                WHERE p.company_id = live.company_id AND p.call_id = live.id AND p.side = room.side;
            RETURN 'accepted';
        ELSIF mine.lost_at IS NULL THEN
            RETURN 'elsewhere';
        END IF;
        UPDATE app.call_parties p
            SET device = its_device, seat = its_seat, seen_at = at, lost_at = NULL, returns = p.returns + 1, resumes = false
            WHERE p.company_id = live.company_id AND p.call_id = live.id AND p.side = room.side;
        DELETE FROM app.call_signals s
            WHERE s.company_id = live.company_id AND s.call_id = live.id AND s.addressee_id = app.user_id();
        PERFORM pg_notify('call_changed', wanted::text);
        RETURN 'moved';
    END IF;
    SELECT p.person_id INTO busy FROM app.call_parties p
        WHERE p.person_id IN (room.user_id, room.practitioner_id) AND p.is_live
        ORDER BY p.person_id = other LIMIT 1;
    SELECT coalesce(max(c.number), 0) INTO last FROM app.call_sessions c
        WHERE c.company_id = room.company_id AND c.consultation_id = wanted;
    IF busy = other THEN
        -- they are told afterwards; who rings on and on is told of once
        IF last < 50 AND NOT EXISTS (
               SELECT FROM app.call_sessions c
               WHERE c.company_id = room.company_id AND c.consultation_id = wanted AND c.number = last
                 AND c.end_reason = 'busy' AND c.caller = room.side AND c.ended_at > at - interval '10 minutes') THEN
            INSERT INTO app.call_sessions (id, company_id, consultation_id, user_id, practitioner_id, number, caller, rang_at,
                                           rings_until, closes_at)
                VALUES (new_call, room.company_id, wanted, room.user_id, room.practitioner_id, last + 1, room.side, at, until,
                        room.closes_at);
            UPDATE app.call_sessions c SET status = 'ended', end_reason = 'busy', ended_at = at WHERE c.id = new_call;
            INSERT INTO app.call_parties (company_id, call_id, user_id, practitioner_id, side, person_id, is_live)
            SELECT room.company_id, new_call, room.user_id, room.practitioner_id, it.side, it.person, false
            FROM (VALUES ('employee', room.user_id), ('practitioner', room.practitioner_id)) AS it (side, person);
        END IF;
        RETURN 'peer_busy';
    ELSIF busy IS NOT NULL THEN
        RETURN 'in_another_call';
    ELSIF last >= 50 THEN
        RETURN 'too_many';
    END IF;
    INSERT INTO app.call_sessions (id, company_id, consultation_id, user_id, practitioner_id, number, caller, rang_at,
                                   rings_until, closes_at)
        VALUES (new_call, room.company_id, wanted, room.user_id, room.practitioner_id, last + 1, room.side, at, until,
                room.closes_at);
    INSERT INTO app.call_parties (company_id, call_id, user_id, practitioner_id, side, person_id, device, seat, seen_at)
    SELECT room.company_id, new_call, room.user_id, room.practitioner_id, it.side, it.person,
           CASE it.side WHEN room.side THEN its_device END, CASE it.side WHEN room.side THEN its_seat END,
           CASE it.side WHEN room.side THEN at END
    FROM (VALUES ('employee', room.user_id), ('practitioner', room.practitioner_id)) AS it (side, person) ORDER BY it.person;
    RETURN 'rung';
END
$$;

-- Accepts a call that rings: 'accepted', or 'again'. Refused: 'elsewhere', 'not_ringing'. NULL: the rooms are not open.
CREATE OR REPLACE FUNCTION app.accept_call(wanted uuid, its_device uuid, its_seat uuid, at timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    room record;
    live app.call_sessions;
    mine app.call_parties;
BEGIN
    SELECT * INTO room FROM app.lock_call_room(wanted, at);
    IF NOT FOUND OR NOT room.is_open THEN
        RETURN NULL;
    END IF;
    SELECT * INTO live FROM app.call_sessions c
        WHERE c.company_id = room.company_id AND c.consultation_id = wanted AND c.status <> 'ended';
    IF NOT FOUND OR app.end_call_in_time(live.id, at) THEN
        RETURN 'not_ringing';
    END IF;
    SELECT * INTO mine FROM app.call_parties p
        WHERE p.company_id = live.company_id AND p.call_id = live.id AND p.side = room.side;
    IF live.status = 'connected' THEN
        RETURN CASE WHEN mine.seat = its_seat THEN 'again' ELSE 'elsewhere' END;
    ELSIF live.caller = room.side THEN
        RETURN 'not_ringing';
    END IF;
    UPDATE app.call_sessions c SET status = 'connected', accepted_at = greatest(at, c.rang_at) WHERE c.id = live.id;
    UPDATE app.call_parties p SET device = its_device, seat = its_seat, seen_at = at
        WHERE p.company_id = live.company_id AND p.call_id = live.id AND p.side = room.side;
    RETURN 'accepted';
END
$$;

-- Ends the call that the seat is in, or one that rings: by whom it rings for ('declined'), or who rang ('cancelled', from any
-- of their devices). Refused: 'elsewhere', 'no_call'.
CREATE OR REPLACE FUNCTION app.hang_up_call(wanted uuid, its_seat uuid, only_ringing boolean, at timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    room   record;
    live   app.call_sessions;
    reason text;
BEGIN
    SELECT * INTO room FROM app.lock_call_room(wanted, at);
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT * INTO live FROM app.call_sessions c
        WHERE c.company_id = room.company_id AND c.consultation_id = wanted AND c.status <> 'ended';
    IF NOT FOUND OR app.end_call_in_time(live.id, at) THEN
        RETURN 'no_call';
    ELSIF live.status = 'ringing' AND (live.caller <> room.side OR NOT only_ringing) THEN
        reason := CASE live.caller WHEN room.side THEN 'cancelled' ELSE 'declined' END;
    ELSIF only_ringing THEN
        RETURN 'no_call';
    ELSIF NOT EXISTS (SELECT FROM app.call_parties p
                      WHERE p.company_id = live.company_id AND p.call_id = live.id AND p.side = room.side AND p.seat = its_seat) THEN
        RETURN 'elsewhere';
    ELSE
        reason := 'hung_up';
    END IF;
    UPDATE app.call_sessions c
        SET status = 'ended', end_reason = reason, ended_by = room.side, ended_at = greatest(at, coalesce(c.accepted_at, c.rang_at))
        WHERE c.id = live.id;
    RETURN reason;
END
$$;

-- The place of a seat of the caller's in a call that goes on.
CREATE OR REPLACE FUNCTION app.call_place(wanted uuid, its_seat uuid)
RETURNS SETOF app.call_parties LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT p.* FROM app.call_sessions c
    JOIN app.call_parties p ON p.company_id = c.company_id AND p.call_id = c.id
    WHERE c.consultation_id = wanted AND c.status <> 'ended' AND p.person_id = app.user_id() AND p.is_live AND p.seat = its_seat
$$;

-- Says that the caller's microphone is off, or on again. False: they are in no call.
CREATE OR REPLACE FUNCTION app.mute_call(wanted uuid, its_seat uuid, muted boolean, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    mine app.call_parties;
BEGIN
    PERFORM app.lock_call_room(wanted, at);
    SELECT * INTO mine FROM app.call_place(wanted, its_seat);
    IF NOT FOUND THEN
        RETURN false;
    ELSIF mine.is_muted <> muted THEN
        UPDATE app.call_parties p SET is_muted = muted
            WHERE p.company_id = mine.company_id AND p.call_id = mine.call_id AND p.side = mine.side;
        PERFORM pg_notify('call_changed', wanted::text);
    END IF;
    RETURN true;
END
$$;

-- Leaves something for the other one's device: 'sent'. Refused: 'not_in_call', 'too_many'.
CREATE OR REPLACE FUNCTION app.send_call_signal(wanted uuid, its_seat uuid, signal uuid, its_kind text, contents bytea,
                                                at timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    mine      app.call_parties;
    addressee uuid;
BEGIN
    PERFORM app.lock_call_room(wanted, at);
    SELECT * INTO mine FROM app.call_place(wanted, its_seat);
    IF NOT FOUND OR NOT EXISTS (SELECT FROM app.call_sessions c WHERE c.id = mine.call_id AND c.status = 'connected') THEN
        RETURN 'not_in_call';
    END IF;
    addressee := CASE mine.side WHEN 'employee' THEN mine.practitioner_id ELSE mine.user_id END;
    -- what waits for somebody who is away, and what is said in one call at all
    IF mine.signals >= 2000
       OR 100 <= (SELECT count(*) FROM app.call_signals s
                  WHERE s.company_id = mine.company_id AND s.call_id = mine.call_id AND s.addressee_id = addressee) THEN
        RETURN 'too_many';
    END IF;
    UPDATE app.call_parties p SET signals = p.signals + 1
        WHERE p.company_id = mine.company_id AND p.call_id = mine.call_id AND p.side = mine.side;
    INSERT INTO app.call_signals (id, company_id, call_id, user_id, practitioner_id, addressee_id, number, kind, sealed,
                                  created_at)
        VALUES (signal, mine.company_id, mine.call_id, mine.user_id, mine.practitioner_id, addressee, mine.signals + 1, its_kind,
                contents, at);
    PERFORM pg_notify('call_changed', wanted::text);
    RETURN 'sent';
END
$$;

-- Forgets what the caller's device says that it has.
CREATE OR REPLACE FUNCTION app.forget_call_signals(taken uuid[])
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    DELETE FROM app.call_signals s WHERE s.id = ANY (taken) AND s.addressee_id = app.user_id()
$$;

-- A seat is still there. Who has not been heard for 25 seconds is lost, wherever their node went; what is over by the clock
-- ends.
CREATE OR REPLACE FUNCTION app.keep_call(wanted uuid, its_seat uuid, at timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    room    record;
    live    uuid;
    changed boolean := false;
BEGIN
    SELECT * INTO room FROM app.lock_call_room(wanted, at);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT c.id INTO live FROM app.call_sessions c
        WHERE c.company_id = room.company_id AND c.consultation_id = wanted AND c.status <> 'ended';
    IF NOT FOUND OR app.end_call_in_time(live, at) THEN
        RETURN;
    END IF;
    SELECT p.lost_at IS NOT NULL INTO changed FROM app.call_place(wanted, its_seat) p;
    IF FOUND THEN
        UPDATE app.call_parties p
            SET seen_at = at, lost_at = NULL, returns = p.returns + changed::int, resumes = p.resumes OR changed
            WHERE p.company_id = room.company_id AND p.call_id = live AND p.side = room.side;
        UPDATE app.call_parties p SET lost_at = at
            WHERE p.company_id = room.company_id AND p.call_id = live AND p.side <> room.side AND p.lost_at IS NULL
              AND p.seen_at <= at - interval '25 seconds';
        IF FOUND OR changed THEN
            PERFORM pg_notify('call_changed', wanted::text);
        END IF;
    END IF;
END
$$;

-- A device of the caller's rings.
CREATE OR REPLACE FUNCTION app.note_rung_call(wanted uuid, at timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    room record;
BEGIN
    SELECT * INTO room FROM app.lock_call_room(wanted, at);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE app.call_parties p SET rung_at = at
        FROM app.call_sessions c
        WHERE c.company_id = room.company_id AND c.consultation_id = wanted AND c.status = 'ringing' AND c.caller <> room.side
          AND p.company_id = c.company_id AND p.call_id = c.id AND p.side = room.side AND p.rung_at IS NULL;
    IF FOUND THEN
        PERFORM pg_notify('call_changed', wanted::text);
    END IF;
END
$$;

-- A seat is gone: its device may come back within half a minute.
CREATE OR REPLACE FUNCTION app.leave_call(wanted uuid, its_seat uuid, at timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    mine app.call_parties;
BEGIN
    PERFORM app.lock_call_room(wanted, at);
    SELECT * INTO mine FROM app.call_place(wanted, its_seat);
    IF FOUND AND mine.lost_at IS NULL THEN
        UPDATE app.call_parties p SET lost_at = at
            WHERE p.company_id = mine.company_id AND p.call_id = mine.call_id AND p.side = mine.side;
        PERFORM pg_notify('call_changed', wanted::text);
    END IF;
END
$$;

-- What nobody is there to end, of all companies: calls whose time is over, and those of nodes that went; what was signalled
-- and never taken. How many calls ended. Whoever was not heard for a minute is lost first, and their call ends at a later
-- turn: it may be the database that nobody could reach, and then they are heard now.
CREATE OR REPLACE FUNCTION app.keep_calls(at timestamptz, most int)
RETURNS int LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it    record;
    ended int := 0;
BEGIN
    DELETE FROM app.call_signals s WHERE s.created_at <= at - app.kept_for('call_signal');
    FOR it IN SELECT c.id, c.company_id, c.consultation_id, c.status,
                     (SELECT max(p.seen_at) FROM app.call_parties p WHERE p.company_id = c.company_id AND p.call_id = c.id) AS last_seen,
                     -- empty, as long as one of them is not
                     (SELECT CASE WHEN count(p.lost_at) = 2 THEN max(p.lost_at) END FROM app.call_parties p
                      WHERE p.company_id = c.company_id AND p.call_id = c.id) AS lost_since
              FROM app.call_sessions c WHERE c.status <> 'ended' ORDER BY c.rang_at LIMIT most FOR NO KEY UPDATE SKIP LOCKED LOOP
        IF it.status = 'connected' AND it.last_seen <= at - interval '1 minute' AND it.lost_since <= at - interval '30 seconds' THEN
            -- both went with their nodes
            UPDATE app.call_sessions c
                SET status = 'ended', end_reason = 'abandoned', ended_at = greatest(it.last_seen, c.accepted_at)
                WHERE c.id = it.id;
            ended := ended + 1;
        ELSIF app.end_call_in_time(it.id, at) THEN
            ended := ended + 1;
        ELSIF it.status = 'connected' AND it.last_seen <= at - interval '1 minute' THEN
            UPDATE app.call_parties p SET lost_at = at
                WHERE p.company_id = it.company_id AND p.call_id = it.id AND p.lost_at IS NULL;
            IF FOUND THEN
                PERFORM pg_notify('call_changed', it.consultation_id::text);
            END IF;
        END IF;
    END LOOP;
    RETURN ended;
END
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.apply_call_step()', 'app.end_call_of_consultation()', 'app.lock_call_room(uuid, timestamptz)',
        'app.end_call_in_time(uuid, timestamptz)', 'app.enter_call(uuid, uuid, uuid, boolean, timestamptz)',
        'app.ring_call(uuid, uuid, uuid, uuid, timestamptz, timestamptz)', 'app.accept_call(uuid, uuid, uuid, timestamptz)',
        'app.hang_up_call(uuid, uuid, boolean, timestamptz)', 'app.call_place(uuid, uuid)',
        'app.mute_call(uuid, uuid, boolean, timestamptz)',
        'app.send_call_signal(uuid, uuid, uuid, text, bytea, timestamptz)', 'app.forget_call_signals(uuid[])',
        'app.keep_call(uuid, uuid, timestamptz)', 'app.note_rung_call(uuid, timestamptz)', 'app.leave_call(uuid, uuid, timestamptz)',
        'app.keep_calls(timestamptz, int)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.lock_call_room(uuid, timestamptz), app.end_call_in_time(uuid, timestamptz),
    app.call_place(uuid, uuid) TO huntzen_kernel;
GRANT EXECUTE ON FUNCTION
    app.enter_call(uuid, uuid, uuid, boolean, timestamptz),
    app.ring_call(uuid, uuid, uuid, uuid, timestamptz, timestamptz), app.accept_call(uuid, uuid, uuid, timestamptz),
    app.hang_up_call(uuid, uuid, boolean, timestamptz), app.mute_call(uuid, uuid, boolean, timestamptz),
    app.send_call_signal(uuid, uuid, uuid, text, bytea, timestamptz), app.forget_call_signals(uuid[]),
    app.keep_call(uuid, uuid, timestamptz), app.note_rung_call(uuid, timestamptz),
    app.leave_call(uuid, uuid, timestamptz) TO huntzen_employee, huntzen_practitioner;
GRANT EXECUTE ON FUNCTION app.keep_calls(timestamptz, int) TO huntzen_worker;
