-- Booked sessions and the facts about them.
CREATE TABLE app.consultations (
    id              uuid PRIMARY KEY,
    company_id      uuid NOT NULL REFERENCES app.companies,
    -- the employee's account
    user_id         uuid NOT NULL,
    practitioner_id uuid NOT NULL REFERENCES app.practitioners,
    mode            text NOT NULL CHECK (mode IN ('video', 'audio', 'chat')),
    status          text NOT NULL CHECK (status IN
        ('pending', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show')),
    starts_at       timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL,
    -- the time with the practitioner's buffers of the day of booking
    busy_from       timestamptz NOT NULL,
    busy_until      timestamptz NOT NULL,
    -- what the counters count it under: as they were on the day of booking
    specialty       text NOT NULL,
    department_id   uuid,
    started_at      timestamptz,
    ended_at        timestamptz,
    duration_minutes int,
    cancelled_at    timestamptz,
    cancelled_by    text CHECK (cancelled_by IN ('employee', 'practitioner', 'platform')),
    -- grows with each change that calendars must hear of (RFC 5545, 3.8.7.4)
    ics_sequence    int NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (company_id, id),
    CONSTRAINT consultations_user_fkey FOREIGN KEY (company_id, user_id) REFERENCES app.users (company_id, id),
    CONSTRAINT consultations_department_fkey FOREIGN KEY (company_id, department_id)
        REFERENCES app.departments (company_id, id),
    CONSTRAINT consultations_order CHECK (ends_at > starts_at AND busy_from <= starts_at AND busy_until >= ends_at),
    CONSTRAINT consultations_length CHECK (ends_at - starts_at <= interval '8 hours'),
    CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL)),
    -- one practitioner, one session at a time, buffers included: two sessions are apart by the later one's
    -- buffer before plus the earlier one's buffer after
    CONSTRAINT consultations_practitioner_free EXCLUDE USING gist
        (practitioner_id WITH =, tstzrange(busy_from, busy_until) WITH &&)
        WHERE (status IN ('pending', 'confirmed', 'in_progress')),
    CONSTRAINT consultations_employee_free EXCLUDE USING gist
        (user_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
        WHERE (status IN ('pending', 'confirmed', 'in_progress'))
);
-- with the company, which the fence asks for as well: one index finds the rows in order
CREATE INDEX consultations_user ON app.consultations (user_id, company_id, starts_at DESC, id DESC);
CREATE INDEX consultations_practitioner ON app.consultations (practitioner_id, starts_at DESC, id DESC);
CREATE INDEX consultations_company ON app.consultations (company_id, starts_at DESC, id DESC);
CREATE TRIGGER consultations_touch BEFORE UPDATE ON app.consultations
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

CREATE FUNCTION app.check_consultation_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status IN ('pending', 'confirmed') THEN
            RETURN NEW;
        END IF;
    ELSIF NEW.status = OLD.status OR (OLD.status, NEW.status) IN (
        ('pending', 'confirmed'), ('pending', 'cancelled'),
        ('confirmed', 'in_progress'), ('confirmed', 'cancelled'), ('confirmed', 'no_show'),
        ('in_progress', 'completed')
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a consultation cannot become %', NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'consultations_state_machine';
END
$$;
CREATE TRIGGER consultations_state_machine BEFORE INSERT OR UPDATE OF status ON app.consultations
    FOR EACH ROW EXECUTE FUNCTION app.check_consultation_state();

CREATE TABLE app.consultation_events (
    id              uuid PRIMARY KEY DEFAULT app.uuid_v7(),
    company_id      uuid NOT NULL,
    consultation_id uuid NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('BOOKED', 'CONFIRMED', 'CANCELLED', 'STARTED', 'ENDED', 'NO_SHOW')),
    at              timestamptz NOT NULL,
    -- who said so; the schedule ends what nobody ended
    actor_role      text NOT NULL CHECK (actor_role IN ('employee', 'practitioner', 'platform', 'auto')),
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT consultation_events_consultation_fkey FOREIGN KEY (company_id, consultation_id)
        REFERENCES app.consultations (company_id, id),
    -- each of these happens once
    CONSTRAINT consultation_events_once UNIQUE (consultation_id, kind)
);
CREATE INDEX consultation_events_company ON app.consultation_events (company_id, at);
CREATE TRIGGER consultation_events_append_only BEFORE UPDATE OR DELETE ON app.consultation_events
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER consultation_events_no_truncate BEFORE TRUNCATE ON app.consultation_events
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
