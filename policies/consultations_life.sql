-- What becomes of sessions by moving them, by joining them, and by the clock: each a function of the kernel, because it
-- changes what no caller may change freely.

-- Moves a session of the calling employee or practitioner, in one UPDATE, so that the constraints look at its new time
-- without its old one. False: it is not what the caller thought any more. An employee moves what is agreed as long as
-- cancelling it would not be late; what the practitioner moved, and what is not agreed yet, until it begins.
CREATE OR REPLACE FUNCTION app.reschedule_consultation(
    wanted uuid, at timestamptz, known_start timestamptz, new_start timestamptz, new_end timestamptz,
    new_busy_from timestamptz, new_busy_until timestamptz, new_mode text, new_expiry timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    caller text := app.connected_role();
    it     record;
BEGIN
    SELECT c.company_id, c.status, c.starts_at, c.expires_at, c.free_to_cancel,
           c.starts_at - make_interval(hours => coalesce(s.cancellation_window_hours, 24)) AS free_until INTO it
        FROM app.consultations c LEFT JOIN app.company_settings s ON s.company_id = c.company_id
        WHERE c.id = wanted
          AND CASE caller WHEN 'employee' THEN c.user_id = app.user_id() AND c.company_id = app.company_id()
                          WHEN 'practitioner' THEN c.practitioner_id = app.user_id() ELSE false END
        FOR NO KEY UPDATE OF c;
    IF NOT FOUND OR it.status NOT IN ('pending', 'confirmed') OR it.starts_at <> known_start
       OR it.status = 'pending' AND it.expires_at <= at THEN
        RETURN false;
    ELSIF at >= it.starts_at
          OR caller = 'employee' AND it.status = 'confirmed' AND NOT it.free_to_cancel AND at > it.free_until THEN
        RAISE EXCEPTION 'too late to move it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_moved_in_time';
    END IF;
    UPDATE app.consultations c
        SET starts_at = new_start, ends_at = new_end, busy_from = new_busy_from, busy_until = new_busy_until,
            mode = new_mode, ics_sequence = c.ics_sequence + 1, reschedules = c.reschedules + 1,
            free_to_cancel = caller = 'practitioner',
            agreed_at = CASE c.status WHEN 'confirmed' THEN at END,
            expires_at = CASE c.status WHEN 'pending' THEN new_expiry ELSE c.expires_at END
        WHERE c.id = wanted;
    INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role, moved_from, moved_to)
        VALUES (it.company_id, wanted, 'RESCHEDULED', at, caller, it.starts_at, new_start);
    RETURN true;
END
$$;

-- When the employee of a session of the calling practitioner has other sessions, within some days: where the session cannot
-- be moved to. Times only.
CREATE OR REPLACE FUNCTION app.times_of_client(wanted uuid, since timestamptz, until timestamptz)
RETURNS TABLE (starts_at timestamptz, ends_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT other.starts_at, other.ends_at
    FROM app.consultations own JOIN app.consultations other ON other.user_id = own.user_id AND other.id <> own.id
    WHERE own.id = wanted AND own.status IN ('pending', 'confirmed')
      AND app.connected_role() = 'practitioner' AND own.practitioner_id = app.user_id()
      AND other.status IN ('pending', 'confirmed', 'in_progress')
      -- no session lasts longer than eight hours
      AND other.starts_at > since - interval '8 hours' AND other.starts_at < least(until, since + interval '16 days')
      AND other.ends_at > since
    ORDER BY other.starts_at
$$;

-- Records that the caller was let into their session, unless they are known to be in it. False: it is not open.
CREATE OR REPLACE FUNCTION app.join_consultation(wanted uuid, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    caller text := app.connected_role();
    it     record;
    last   text;
BEGIN
    SELECT c.company_id, c.starts_at INTO it FROM app.consultations c
        WHERE c.id = wanted AND c.status IN ('confirmed', 'in_progress')
          AND at BETWEEN c.starts_at - interval '10 minutes' AND c.ends_at + interval '30 minutes'
          AND CASE caller WHEN 'employee' THEN c.user_id = app.user_id() AND c.company_id = app.company_id()
                          WHEN 'practitioner' THEN c.practitioner_id = app.user_id() ELSE false END
        FOR NO KEY UPDATE OF c;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT e.kind INTO last FROM app.consultation_events e
        WHERE e.consultation_id = wanted AND e.kind IN ('JOINED', 'LEFT') AND e.actor_role = caller
          AND e.at >= it.starts_at - interval '10 minutes'
        ORDER BY e.at DESC, e.id DESC LIMIT 1;
    IF last IS DISTINCT FROM 'JOINED' THEN
        INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
            VALUES (it.company_id, wanted, 'JOINED', at, caller);
    END IF;
    RETURN true;
END
$$;

-- What the clock has to do, of all companies: requests whose time is over, sessions that nobody ended, and sessions of
-- which nobody said anything for a day.
CREATE OR REPLACE FUNCTION app.due_consultations(at timestamptz, most int)
RETURNS TABLE (id uuid, company_id uuid) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    (SELECT c.id, c.company_id FROM app.consultations c
     WHERE c.status = 'pending' AND c.expires_at <= at ORDER BY c.expires_at LIMIT most)
    UNION ALL
    (SELECT c.id, c.company_id FROM app.consultations c
     WHERE c.status = 'in_progress' AND c.ends_at <= at - interval '30 minutes'
       AND coalesce(c.started_at, c.starts_at) <= at - interval '30 minutes' ORDER BY c.ends_at LIMIT most)
    UNION ALL
    (SELECT c.id, c.company_id FROM app.consultations c
     WHERE c.status = 'confirmed' AND c.ends_at <= at - interval '24 hours' ORDER BY c.ends_at LIMIT most)
$$;

-- Does it for one of the transaction's company, unless somebody was faster. What it was: 'expired', 'ended' or 'missed'.
-- Nobody ended it: it ended when it was to end. Nobody said anything of it: if both were seen together, it was held then;
-- else who was seen alone was there.
CREATE OR REPLACE FUNCTION app.close_consultation(wanted uuid, at timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it       record;
    together tstzmultirange;
BEGIN
    SELECT c.company_id, c.status, c.starts_at, c.ends_at, coalesce(c.started_at, c.starts_at) AS began INTO it
        FROM app.consultations c
        WHERE c.id = wanted AND c.company_id = app.company_id()
          AND CASE c.status WHEN 'pending' THEN c.expires_at <= at
                            WHEN 'in_progress' THEN greatest(c.ends_at, c.started_at) <= at - interval '30 minutes'
                            WHEN 'confirmed' THEN c.ends_at <= at - interval '24 hours' ELSE false END
        FOR NO KEY UPDATE OF c;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF it.status = 'pending' THEN
        UPDATE app.consultations c SET status = 'cancelled', cancelled_at = at, cancelled_by = 'auto',
                                       ics_sequence = c.ics_sequence + 1 WHERE c.id = wanted;
        INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
            VALUES (it.company_id, wanted, 'EXPIRED', at, 'auto');
        RETURN 'expired';
    ELSIF it.status = 'in_progress' THEN
        UPDATE app.consultations c SET status = 'completed' WHERE c.id = wanted;
        INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
            VALUES (it.company_id, wanted, 'ENDED', greatest(it.ends_at, it.began), 'auto');
        RETURN 'ended';
    END IF;
    together := app.times_together(wanted, it.ends_at + interval '30 minutes')
                * tstzmultirange(tstzrange(it.starts_at, NULL));
    IF NOT isempty(together) THEN
        UPDATE app.consultations c SET status = 'in_progress' WHERE c.id = wanted;
        INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
            VALUES (it.company_id, wanted, 'STARTED', lower(together), 'auto');
        UPDATE app.consultations c SET status = 'completed' WHERE c.id = wanted;
        INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
            VALUES (it.company_id, wanted, 'ENDED', upper(together), 'auto');
        RETURN 'ended';
    END IF;
    UPDATE app.consultations c
        SET status = 'no_show',
            missed_by = CASE WHEN app.was_seen(wanted, 'employee') = app.was_seen(wanted, 'practitioner') THEN 'unknown'
                             WHEN app.was_seen(wanted, 'practitioner') THEN 'employee' ELSE 'practitioner' END
        WHERE c.id = wanted;
    INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
        VALUES (it.company_id, wanted, 'NO_SHOW', at, 'auto');
    RETURN 'missed';
END
$$;

-- Sessions whose reminder is due, a day or an hour before they begin, each once for each time that it is moved to. Who
-- agreed to the time when the reminder would have been due already needs none; nor do those of a practitioner whose
-- account is suspended, who cannot come.
CREATE OR REPLACE FUNCTION app.take_due_reminders(at timestamptz, most int)
RETURNS TABLE (id uuid, company_id uuid, reminder text, starts_at timestamptz)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH due AS (
        SELECT c.id, c.starts_at <= at + interval '1 hour' AS is_hour FROM app.consultations c
        WHERE c.status = 'confirmed' AND c.starts_at > at AND c.starts_at <= at + interval '24 hours'
          AND CASE WHEN c.starts_at <= at + interval '1 hour'
                   THEN c.reminded_hour_for IS DISTINCT FROM c.starts_at
                        AND coalesce(c.agreed_at, c.created_at) <= c.starts_at - interval '1 hour'
                   ELSE c.reminded_day_for IS DISTINCT FROM c.starts_at
                        AND coalesce(c.agreed_at, c.created_at) <= c.starts_at - interval '24 hours' END
          AND NOT EXISTS (SELECT FROM app.users u
                          WHERE u.id = c.practitioner_id AND u.role = 'practitioner' AND u.status = 'suspended')
        ORDER BY c.starts_at LIMIT most FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE app.consultations c
        SET reminded_hour_for = CASE WHEN due.is_hour THEN c.starts_at ELSE c.reminded_hour_for END,
            reminded_day_for = CASE WHEN due.is_hour THEN c.reminded_day_for ELSE c.starts_at END
        FROM due WHERE c.id = due.id
        RETURNING c.id, c.company_id, CASE WHEN due.is_hour THEN 'hour' ELSE 'day' END, c.starts_at
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.reschedule_consultation(uuid, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz, text, timestamptz)',
        'app.times_of_client(uuid, timestamptz, timestamptz)', 'app.join_consultation(uuid, timestamptz)', 'app.due_consultations(timestamptz, int)',
        'app.close_consultation(uuid, timestamptz)', 'app.take_due_reminders(timestamptz, int)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION
    app.reschedule_consultation(uuid, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz, text, timestamptz),
    app.join_consultation(uuid, timestamptz) TO huntzen_employee, huntzen_practitioner;
GRANT EXECUTE ON FUNCTION app.times_of_client(uuid, timestamptz, timestamptz) TO huntzen_practitioner;
GRANT EXECUTE ON FUNCTION app.due_consultations(timestamptz, int), app.close_consultation(uuid, timestamptz),
    app.take_due_reminders(timestamptz, int) TO huntzen_worker;
