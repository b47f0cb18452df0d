-- What nodes hear, so that open pages follow: ids, never what changed. A notification is a reason to look; whoever looks
-- does so as themselves, under row security, and a forged one shows nobody anything. Triggers tell, so that no use case, job
-- or statement of an operator can forget it.

-- One of somebody's sessions: each of its two people, by their id and the session's.
CREATE OR REPLACE FUNCTION app.tell_consultation_changed() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM pg_notify('consultation_changed', NEW.user_id::text || ' ' || NEW.id::text);
    PERFORM pg_notify('consultation_changed', NEW.practitioner_id::text || ' ' || NEW.id::text);
    RETURN NULL;
END
$$;
ALTER FUNCTION app.tell_consultation_changed() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.tell_consultation_changed() FROM PUBLIC;
DROP TRIGGER IF EXISTS consultations_told ON app.consultations;
CREATE TRIGGER consultations_told AFTER INSERT ON app.consultations
    FOR EACH ROW EXECUTE FUNCTION app.tell_consultation_changed();
-- a reminder is no new version
DROP TRIGGER IF EXISTS consultations_changed_told ON app.consultations;
CREATE TRIGGER consultations_changed_told AFTER UPDATE ON app.consultations
    FOR EACH ROW WHEN (OLD.updated_at IS DISTINCT FROM NEW.updated_at) EXECUTE FUNCTION app.tell_consultation_changed();

-- It rings for somebody, or does no more: by their id. Whoever looks finds what rings.
CREATE OR REPLACE FUNCTION app.tell_call_rings() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' OR OLD.status = 'ringing' THEN
        PERFORM pg_notify('call_rings', CASE NEW.caller WHEN 'employee' THEN NEW.practitioner_id ELSE NEW.user_id END::text);
    END IF;
    RETURN NULL;
END
$$;
ALTER FUNCTION app.tell_call_rings() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.tell_call_rings() FROM PUBLIC;
DROP TRIGGER IF EXISTS call_sessions_rings_told ON app.call_sessions;
CREATE TRIGGER call_sessions_rings_told AFTER INSERT OR UPDATE OF status ON app.call_sessions
    FOR EACH ROW EXECUTE FUNCTION app.tell_call_rings();

-- Somebody has come to their session: the other one, by their id and the session's.
CREATE OR REPLACE FUNCTION app.tell_peer_joined() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM pg_notify('peer_joined', CASE NEW.actor_role WHEN 'employee' THEN c.practitioner_id ELSE c.user_id END::text
                                     || ' ' || NEW.consultation_id::text)
        FROM app.consultations c WHERE c.company_id = NEW.company_id AND c.id = NEW.consultation_id;
    RETURN NULL;
END
$$;
ALTER FUNCTION app.tell_peer_joined() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.tell_peer_joined() FROM PUBLIC;
DROP TRIGGER IF EXISTS consultation_events_joined_told ON app.consultation_events;
CREATE TRIGGER consultation_events_joined_told AFTER INSERT ON app.consultation_events
    FOR EACH ROW WHEN (NEW.kind = 'JOINED') EXECUTE FUNCTION app.tell_peer_joined();

-- A practitioner's free times: hours, dated changes, other calendars, sessions, kept times, terms, standing. By the
-- practitioner's id alone: what made it so is told nobody.
CREATE OR REPLACE FUNCTION app.tell_slots_changed() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('slots_changed', OLD.practitioner_id::text);
    ELSE
        PERFORM pg_notify('slots_changed', NEW.practitioner_id::text);
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION app.tell_slots_of_changed() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM pg_notify('slots_changed', NEW.id::text);
    RETURN NULL;
END
$$;
ALTER FUNCTION app.tell_slots_changed() OWNER TO huntzen_kernel;
ALTER FUNCTION app.tell_slots_of_changed() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.tell_slots_changed(), app.tell_slots_of_changed() FROM PUBLIC;

DROP TRIGGER IF EXISTS availability_rules_slots ON app.availability_rules;
CREATE TRIGGER availability_rules_slots AFTER INSERT OR UPDATE OR DELETE ON app.availability_rules
    FOR EACH ROW EXECUTE FUNCTION app.tell_slots_changed();
DROP TRIGGER IF EXISTS availability_overrides_slots ON app.availability_overrides;
CREATE TRIGGER availability_overrides_slots AFTER INSERT OR UPDATE OR DELETE ON app.availability_overrides
    FOR EACH ROW EXECUTE FUNCTION app.tell_slots_changed();
DROP TRIGGER IF EXISTS external_busy_times_slots ON app.external_busy_times;
CREATE TRIGGER external_busy_times_slots AFTER INSERT OR UPDATE OR DELETE ON app.external_busy_times
    FOR EACH ROW EXECUTE FUNCTION app.tell_slots_changed();
DROP TRIGGER IF EXISTS waitlist_holds_slots ON app.waitlist_holds;
CREATE TRIGGER waitlist_holds_slots AFTER INSERT OR UPDATE ON app.waitlist_holds
    FOR EACH ROW EXECUTE FUNCTION app.tell_slots_changed();
-- whoever is offered a kept time sees it as free
DROP TRIGGER IF EXISTS waitlist_offers_slots ON app.waitlist_offers;
CREATE TRIGGER waitlist_offers_slots AFTER INSERT OR UPDATE OF status ON app.waitlist_offers
    FOR EACH ROW EXECUTE FUNCTION app.tell_slots_changed();
DROP TRIGGER IF EXISTS consultations_slots ON app.consultations;
CREATE TRIGGER consultations_slots AFTER INSERT OR UPDATE OF status, busy_from, busy_until ON app.consultations
    FOR EACH ROW EXECUTE FUNCTION app.tell_slots_changed();
DROP TRIGGER IF EXISTS practitioners_slots ON app.practitioners;
CREATE TRIGGER practitioners_slots AFTER UPDATE ON app.practitioners
    FOR EACH ROW EXECUTE FUNCTION app.tell_slots_of_changed();
DROP TRIGGER IF EXISTS users_slots ON app.users;
CREATE TRIGGER users_slots AFTER UPDATE OF status ON app.users
    FOR EACH ROW WHEN (NEW.role = 'practitioner' AND NEW.status <> OLD.status) EXECUTE FUNCTION app.tell_slots_of_changed();
