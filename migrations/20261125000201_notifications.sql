-- What people are told in the program. A row names a kind and a thing, and says nothing: its words are made when it is
-- shown, in the reader's language, from what the reader may see of the thing then.
CREATE TABLE app.notifications (
    id          uuid PRIMARY KEY,
    user_id     uuid NOT NULL REFERENCES app.users ON DELETE CASCADE,
    -- its place in the person's list: the microseconds of its time, or the number after the last one
    place       bigint NOT NULL,
    kind        text NOT NULL,
    object_type text NOT NULL,
    object_id   uuid NOT NULL,
    -- tells apart what happens to one thing several times
    occurrence  bigint NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL,
    read_at     timestamptz,
    CONSTRAINT notifications_kind CHECK (object_type = CASE
        WHEN kind IN ('consultation_requested', 'consultation_booked', 'consultation_confirmed', 'consultation_rescheduled',
                      'consultation_cancelled', 'consultation_expired', 'consultation_missed', 'reminder_day',
                      'reminder_hour') THEN 'consultation'
        WHEN kind = 'waitlist_offered' THEN 'waitlist_offer'
        WHEN kind = 'message_received' THEN 'conversation'
        WHEN kind IN ('password_changed', 'email_changed', 'two_factor_changed', 'session_ended') THEN 'account'
        ELSE '' END),
    -- one for each event, however often it is heard
    CONSTRAINT notifications_once UNIQUE (user_id, kind, object_id, occurrence),
    CONSTRAINT notifications_place UNIQUE (user_id, place)
);
-- at most one of a conversation waits to be read
CREATE UNIQUE INDEX notifications_one_of_conversation ON app.notifications (user_id, object_id)
    WHERE kind = 'message_received' AND read_at IS NULL;
CREATE INDEX notifications_unread ON app.notifications (user_id, place DESC) WHERE read_at IS NULL;
CREATE INDEX notifications_old ON app.notifications (created_at);
CREATE INDEX notifications_read ON app.notifications (read_at) WHERE read_at IS NOT NULL;
CREATE TRIGGER notifications_fixed BEFORE UPDATE OF id, user_id, place, kind, object_type, object_id, occurrence, created_at
    ON app.notifications FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
-- what was read stays so
CREATE TRIGGER notifications_final BEFORE UPDATE ON app.notifications
    FOR EACH ROW WHEN (OLD.read_at IS NOT NULL) EXECUTE FUNCTION app.refuse_change();

-- What somebody does not want to be told, and where: a row is a no. Whatever is not here is told.
CREATE TABLE app.notification_preferences (
    user_id    uuid NOT NULL REFERENCES app.users ON DELETE CASCADE,
    kind       text NOT NULL,
    channel    text NOT NULL CONSTRAINT notification_preferences_channel CHECK (channel IN ('in_app', 'email')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, kind, channel),
    -- what concerns one's safety, or takes a session away or to another time, is told everybody
    CONSTRAINT notification_preferences_service CHECK (kind NOT IN
        ('consultation_rescheduled', 'consultation_cancelled', 'consultation_expired', 'password_changed', 'email_changed',
         'two_factor_changed', 'session_ended')),
    CONSTRAINT notification_preferences_kind CHECK (kind IN
        ('consultation_requested', 'consultation_booked', 'consultation_confirmed', 'consultation_rescheduled',
         'consultation_cancelled', 'consultation_expired', 'consultation_missed', 'reminder_day', 'reminder_hour',
         'waitlist_offered', 'message_received', 'password_changed', 'email_changed', 'two_factor_changed',
         'session_ended'))
);
