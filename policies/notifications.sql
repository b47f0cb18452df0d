-- Notifications: each person's own, whatever their role. They are written by the functions below alone; their reader notes
-- that they were read, once.
GRANT SELECT ON app.notifications, app.notification_preferences TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT UPDATE (read_at) ON app.notifications TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT INSERT (user_id, kind, channel), DELETE ON app.notification_preferences TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
CREATE POLICY own ON app.notifications FOR SELECT
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform
    USING (user_id = (SELECT app.user_id()));
CREATE POLICY own_reading ON app.notifications FOR UPDATE
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform
    USING (user_id = (SELECT app.user_id()) AND read_at IS NULL)
    WITH CHECK (user_id = (SELECT app.user_id()) AND read_at IS NOT NULL);
CREATE POLICY own ON app.notification_preferences
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform
    USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

GRANT SELECT, INSERT, DELETE ON app.notifications TO huntzen_kernel;
GRANT UPDATE (read_at) ON app.notifications TO huntzen_kernel;
GRANT SELECT ON app.notification_preferences TO huntzen_kernel;
CREATE POLICY kernel ON app.notifications TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.notification_preferences FOR SELECT TO huntzen_kernel USING (true);

-- Whether somebody wants to be told of a kind by a channel, as they say now.
CREATE OR REPLACE FUNCTION app.wants_notice(person uuid, of_kind text, by_channel text)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT NOT EXISTS (SELECT FROM app.notification_preferences p
                       WHERE p.user_id = person AND p.kind = of_kind AND p.channel = by_channel)
$$;

-- Adds to somebody's list, unless they do not want it or have it already. Whoever adds holds the list until they commit,
-- so that places become visible in their order: a reader who has seen one has seen all before it.
CREATE OR REPLACE FUNCTION app.add_notification(new_id uuid, person uuid, of_kind text, about_type text, about uuid,
                                                nth bigint, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF person IS NULL OR NOT app.wants_notice(person, of_kind, 'in_app')
       -- an account that is closed for good reads nothing any more
       OR EXISTS (SELECT FROM app.users u WHERE u.id = person AND u.removed_at IS NOT NULL) THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('notifications:' || person::text, 0));
    INSERT INTO app.notifications (id, user_id, place, kind, object_type, object_id, occurrence, created_at)
        VALUES (new_id, person,
                greatest((extract(epoch FROM at) * 1000000)::bigint,
                         (SELECT n.place + 1 FROM app.notifications n WHERE n.user_id = person ORDER BY n.place DESC LIMIT 1)),
                of_kind, about_type, about, nth, at)
        ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$$;

-- Tells one of the two people of a session of the transaction's company: adds to their list what is still so, and answers
-- whether they want a mail. `nth` is the calendars' number of a move, and the start (in seconds) that a reminder is about.
CREATE OR REPLACE FUNCTION app.notify_of_consultation(new_id uuid, consultation uuid, reader text, of_kind text, nth bigint,
                                                      at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it      record;
    is_so   boolean;
BEGIN
    SELECT c.id, c.status, c.starts_at, c.ics_sequence,
           CASE reader WHEN 'employee' THEN c.user_id WHEN 'practitioner' THEN c.practitioner_id END AS person,
           EXISTS (SELECT FROM app.users u WHERE u.id = c.practitioner_id AND u.status = 'suspended') AS is_suspended
        INTO it FROM app.consultations c WHERE c.id = consultation AND c.company_id = app.company_id();
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    is_so := CASE
        WHEN of_kind = 'consultation_requested' THEN it.status = 'pending'
        WHEN of_kind IN ('consultation_booked', 'consultation_confirmed') THEN it.status <> 'cancelled'
        WHEN of_kind = 'consultation_rescheduled' THEN it.status <> 'cancelled' AND it.ics_sequence = nth
        WHEN of_kind IN ('consultation_cancelled', 'consultation_expired') THEN it.status = 'cancelled'
        WHEN of_kind = 'consultation_missed' THEN it.status = 'no_show'
        WHEN of_kind IN ('reminder_day', 'reminder_hour') THEN
            it.status = 'confirmed' AND floor(extract(epoch FROM it.starts_at)) = nth AND at < it.starts_at
            AND NOT it.is_suspended
        ELSE false END;
    IF is_so THEN
        PERFORM app.add_notification(new_id, it.person, of_kind, 'consultation', it.id, nth, at);
    END IF;
    RETURN app.wants_notice(it.person, of_kind, 'email');
END
$$;

-- Tells who waits which time is kept for them, as long as it is; whether they want a mail.
CREATE OR REPLACE FUNCTION app.notify_of_offer(new_id uuid, offer uuid, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it record;
BEGIN
    SELECT o.user_id, o.status = 'open' AND at < o.expires_at AS is_open INTO it
        FROM app.waitlist_offers o WHERE o.id = offer AND o.company_id = app.company_id();
    IF NOT FOUND THEN
        RETURN false;
    ELSIF it.is_open THEN
        PERFORM app.add_notification(new_id, it.user_id, 'waitlist_offered', 'waitlist_offer', offer, 0, at);
    END IF;
    RETURN app.wants_notice(it.user_id, 'waitlist_offered', 'email');
END
$$;

-- Tells somebody what touched the safety of their account.
CREATE OR REPLACE FUNCTION app.notify_of_account(new_id uuid, person uuid, of_kind text, at timestamptz)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT app.add_notification(new_id, u.id, of_kind, 'account', u.id, (extract(epoch FROM at) * 1000000)::bigint, at)
    FROM app.users u WHERE u.id = person
$$;

-- Whoever asked for a file finds in their list what became of it, and a practitioner that one of their calendars fails, with
-- the change itself: the mails about these are their modules' own.
CREATE OR REPLACE FUNCTION app.notify_of_export() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM app.add_notification(app.uuid_v7(), NEW.requested_by, 'export_' || NEW.status, 'export', NEW.id, 0,
                                 coalesce(NEW.finished_at, clock_timestamp()));
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION app.notify_of_calendar() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM app.add_notification(app.uuid_v7(), NEW.practitioner_id, 'calendar_failing', 'calendar', NEW.id,
                                 (extract(epoch FROM NEW.told_at) * 1000000)::bigint, NEW.told_at);
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS exports_told ON app.exports;
CREATE TRIGGER exports_told AFTER UPDATE OF status ON app.exports
    FOR EACH ROW WHEN (NEW.status IN ('ready', 'failed') AND NEW.status <> OLD.status)
    EXECUTE FUNCTION app.notify_of_export();
DROP TRIGGER IF EXISTS external_calendars_told ON app.external_calendars;
CREATE TRIGGER external_calendars_told AFTER UPDATE OF told_at ON app.external_calendars
    FOR EACH ROW WHEN (NEW.told_at IS NOT NULL AND NEW.told_at IS DISTINCT FROM OLD.told_at)
    EXECUTE FUNCTION app.notify_of_calendar();

-- Removes what is past its time. Whether there may be more.
CREATE OR REPLACE FUNCTION app.purge_notifications(at timestamptz, batch int)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    DELETE FROM app.notifications WHERE id IN (
        (SELECT n.id FROM app.notifications n WHERE n.read_at < at - app.kept_for('notification_read') LIMIT batch)
        UNION ALL
        (SELECT n.id FROM app.notifications n WHERE n.created_at < at - app.kept_for('notification') LIMIT batch));
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone >= batch;
END
$$;

-- The nodes hear whose list has changed: by the person's id, and nothing else.
CREATE OR REPLACE FUNCTION app.tell_notifications_changed() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM pg_notify('notifications_changed', NEW.user_id::text);
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS notifications_told ON app.notifications;
CREATE TRIGGER notifications_told AFTER INSERT OR UPDATE OF read_at ON app.notifications
    FOR EACH ROW EXECUTE FUNCTION app.tell_notifications_changed();

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.wants_notice(uuid, text, text)', 'app.add_notification(uuid, uuid, text, text, uuid, bigint, timestamptz)',
        'app.notify_of_consultation(uuid, uuid, text, text, bigint, timestamptz)',
        'app.notify_of_offer(uuid, uuid, timestamptz)', 'app.notify_of_account(uuid, uuid, text, timestamptz)',
        'app.purge_notifications(timestamptz, int)',
        'app.notify_of_export()', 'app.notify_of_calendar()', 'app.tell_notifications_changed()']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.add_notification(uuid, uuid, text, text, uuid, bigint, timestamptz) TO huntzen_kernel;
GRANT EXECUTE ON FUNCTION app.wants_notice(uuid, text, text) TO huntzen_kernel, huntzen_worker;
GRANT EXECUTE ON FUNCTION app.notify_of_consultation(uuid, uuid, text, text, bigint, timestamptz),
    app.notify_of_offer(uuid, uuid, timestamptz), app.notify_of_account(uuid, uuid, text, timestamptz),
    app.purge_notifications(timestamptz, int) TO huntzen_worker;
