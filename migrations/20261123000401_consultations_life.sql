-- The whole life of a session: requests that wait for the practitioner, moving, no-shows by either side, presence.

-- whether bookings wait for the practitioner to confirm them
ALTER TABLE app.practitioners ADD COLUMN confirms_by_hand boolean NOT NULL DEFAULT false;

ALTER TABLE app.consultations
    -- until when a request waits to be confirmed
    ADD COLUMN expires_at        timestamptz,
    -- since when the present time is agreed: reminders that were due before stay away; empty: it never was
    ADD COLUMN agreed_at         timestamptz,
    -- who did not come; 'unknown' where nobody said so in time, and the server saw neither alone
    ADD COLUMN missed_by         text,
    -- the practitioner moved it: whoever cannot come then gives it back without cost
    ADD COLUMN free_to_cancel    boolean NOT NULL DEFAULT false,
    ADD COLUMN reschedules       int NOT NULL DEFAULT 0,
    -- how long the server saw both, and whether that, or who was seen at all, differs from what is claimed
    ADD COLUMN seen_minutes      int,
    ADD COLUMN times_differ      boolean NOT NULL DEFAULT false,
    -- the beginnings that reminders were enqueued for
    ADD COLUMN reminded_day_for  timestamptz,
    ADD COLUMN reminded_hour_for timestamptz;

-- the owner of the table is under its row security, too
ALTER TABLE app.consultations NO FORCE ROW LEVEL SECURITY;
UPDATE app.consultations SET agreed_at = created_at WHERE status <> 'pending';
UPDATE app.consultations SET missed_by = 'employee' WHERE status = 'no_show';
UPDATE app.consultations SET expires_at = starts_at WHERE status = 'pending';
ALTER TABLE app.consultations FORCE ROW LEVEL SECURITY;

ALTER TABLE app.consultations
    DROP CONSTRAINT consultations_cancelled_by_check,
    ADD CONSTRAINT consultations_cancelled_by CHECK (cancelled_by IN ('employee', 'practitioner', 'platform', 'auto')) NOT VALID,
    ADD CONSTRAINT consultations_waiting CHECK (status <> 'pending' OR expires_at IS NOT NULL AND agreed_at IS NULL) NOT VALID,
    ADD CONSTRAINT consultations_missed_by CHECK (missed_by IN ('employee', 'practitioner', 'unknown')) NOT VALID,
    ADD CONSTRAINT consultations_missed CHECK ((status = 'no_show') = (missed_by IS NOT NULL)) NOT VALID,
    -- a session is moved so often and no more, so that what is told of it stays short
    ADD CONSTRAINT consultations_reschedules CHECK (reschedules BETWEEN 0 AND 10) NOT VALID;
ALTER TABLE app.consultations VALIDATE CONSTRAINT consultations_cancelled_by;
ALTER TABLE app.consultations VALIDATE CONSTRAINT consultations_waiting;
ALTER TABLE app.consultations VALIDATE CONSTRAINT consultations_missed_by;
ALTER TABLE app.consultations VALIDATE CONSTRAINT consultations_missed;
ALTER TABLE app.consultations VALIDATE CONSTRAINT consultations_reschedules;

-- what the schedule looks for
CREATE INDEX consultations_expiring ON app.consultations (expires_at) WHERE status = 'pending';
CREATE INDEX consultations_open ON app.consultations (ends_at) WHERE status IN ('confirmed', 'in_progress');
CREATE INDEX consultations_to_remind ON app.consultations (starts_at) WHERE status = 'confirmed';

ALTER TABLE app.consultation_events
    -- of RESCHEDULED
    ADD COLUMN moved_from timestamptz,
    ADD COLUMN moved_to   timestamptz,
    DROP CONSTRAINT consultation_events_kind_check,
    DROP CONSTRAINT consultation_events_once,
    ADD CONSTRAINT consultation_events_kind CHECK (kind IN ('BOOKED', 'CONFIRMED', 'RESCHEDULED', 'CANCELLED', 'EXPIRED',
                                                            'STARTED', 'ENDED', 'NO_SHOW', 'JOINED', 'LEFT')) NOT VALID,
    ADD CONSTRAINT consultation_events_moved
        CHECK ((kind = 'RESCHEDULED') = (moved_from IS NOT NULL AND moved_to IS NOT NULL)) NOT VALID;
ALTER TABLE app.consultation_events VALIDATE CONSTRAINT consultation_events_kind;
ALTER TABLE app.consultation_events VALIDATE CONSTRAINT consultation_events_moved;
-- each of these happens once
CREATE UNIQUE INDEX consultation_events_once ON app.consultation_events (consultation_id, kind)
    WHERE kind NOT IN ('RESCHEDULED', 'JOINED', 'LEFT');
CREATE INDEX consultation_events_of ON app.consultation_events (consultation_id, at, id);

-- What somebody wrote about a session, sealed: health content, perhaps. Only the two people in it read it.
CREATE TABLE app.consultation_reasons (
    company_id      uuid NOT NULL,
    consultation_id uuid NOT NULL,
    about           text NOT NULL CHECK (about IN ('booking', 'cancelling')),
    sealed          bytea NOT NULL CHECK (length(sealed) <= 16384),
    written_by      text NOT NULL CHECK (written_by IN ('employee', 'practitioner')),
    written_at      timestamptz NOT NULL,
    PRIMARY KEY (company_id, consultation_id, about),
    CONSTRAINT consultation_reasons_consultation_fkey FOREIGN KEY (company_id, consultation_id)
        REFERENCES app.consultations (company_id, id)
);
-- but for moving what is sealed under another master key, which is the kernel's
CREATE TRIGGER consultation_reasons_append_only
    BEFORE UPDATE OF company_id, consultation_id, about, written_by, written_at ON app.consultation_reasons
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();

-- A reminder that was enqueued gives the session no new version.
DROP TRIGGER consultations_touch ON app.consultations;
CREATE TRIGGER consultations_touch BEFORE UPDATE OF
    status, mode, starts_at, ends_at, busy_from, busy_until, started_at, ended_at, duration_minutes, cancelled_at,
    cancelled_by, ics_sequence, counts, expires_at, agreed_at, missed_by, free_to_cancel, reschedules, seen_minutes, times_differ
    ON app.consultations FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
