-- Waiting for a practitioner's time: who waits, which time is kept for them, and to whom it was offered.

CREATE TABLE app.waitlist_entries (
    id               uuid PRIMARY KEY,
    company_id       uuid NOT NULL REFERENCES app.companies,
    -- the employee's account
    user_id          uuid NOT NULL,
    practitioner_id  uuid NOT NULL REFERENCES app.practitioners,
    -- who comes first; ids made in one millisecond are in no order
    place            bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    status           text NOT NULL DEFAULT 'waiting',
    -- wishes; empty: any
    modes            text[],
    duration_minutes int,
    -- 1 is Monday, by the employee's own clock
    weekdays         smallint[],
    -- sessions that begin later are of no use
    until            timestamptz,
    joined_at        timestamptz NOT NULL,
    ended_at         timestamptz,
    -- the session that it came to
    consultation_id  uuid,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (company_id, id),
    CONSTRAINT waitlist_entries_user_fkey FOREIGN KEY (company_id, user_id) REFERENCES app.users (company_id, id),
    CONSTRAINT waitlist_entries_consultation_fkey FOREIGN KEY (company_id, consultation_id)
        REFERENCES app.consultations (company_id, id),
    CONSTRAINT waitlist_entries_status CHECK (status IN ('waiting', 'booked', 'left', 'lapsed', 'ended')),
    CONSTRAINT waitlist_entries_ended CHECK ((status = 'waiting') = (ended_at IS NULL)),
    CONSTRAINT waitlist_entries_booked CHECK ((status = 'booked') = (consultation_id IS NOT NULL)),
    CONSTRAINT waitlist_entries_modes CHECK (modes <@ '{video,audio,chat}' AND cardinality(modes) > 0),
    CONSTRAINT waitlist_entries_duration CHECK (duration_minutes BETWEEN 5 AND 480),
    CONSTRAINT waitlist_entries_weekdays CHECK (weekdays <@ '{1,2,3,4,5,6,7}' AND cardinality(weekdays) BETWEEN 1 AND 7)
);
-- a person stands in a practitioner's line once
CREATE UNIQUE INDEX waitlist_entries_once ON app.waitlist_entries (user_id, practitioner_id) WHERE status = 'waiting';
CREATE INDEX waitlist_entries_line ON app.waitlist_entries (practitioner_id, place) WHERE status = 'waiting';
CREATE INDEX waitlist_entries_waiting ON app.waitlist_entries (company_id, user_id) WHERE status = 'waiting';
CREATE INDEX waitlist_entries_consultation ON app.waitlist_entries (consultation_id) WHERE consultation_id IS NOT NULL;
CREATE INDEX waitlist_entries_over ON app.waitlist_entries (ended_at) WHERE ended_at IS NOT NULL;
CREATE TRIGGER waitlist_entries_touch BEFORE UPDATE ON app.waitlist_entries
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

-- Time of a practitioner that became free and is kept for those who wait. It says nothing of them.
CREATE TABLE app.waitlist_holds (
    id              uuid PRIMARY KEY DEFAULT app.uuid_v7(),
    practitioner_id uuid NOT NULL REFERENCES app.practitioners,
    -- what became free, buffers included …
    freed_from      timestamptz NOT NULL,
    freed_until     timestamptz NOT NULL,
    -- … and what is kept: more, where a session was offered that needs free time beside it
    busy_from       timestamptz NOT NULL,
    busy_until      timestamptz NOT NULL,
    -- who gave it back is not offered it
    had_by          uuid,
    status          text NOT NULL DEFAULT 'held',
    ended_at        timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT waitlist_holds_status CHECK (status IN ('held', 'taken', 'released')),
    CONSTRAINT waitlist_holds_ended CHECK ((status = 'held') = (ended_at IS NULL)),
    CONSTRAINT waitlist_holds_order
        CHECK (freed_from < freed_until AND busy_from <= freed_from AND busy_until >= freed_until),
    -- bounds what a range of beginnings could miss
    CONSTRAINT waitlist_holds_length CHECK (busy_until - busy_from <= interval '24 hours'),
    CONSTRAINT waitlist_holds_apart EXCLUDE USING gist
        (practitioner_id WITH =, tstzrange(busy_from, busy_until) WITH &&) WHERE (status = 'held')
);
CREATE INDEX waitlist_holds_busy ON app.waitlist_holds (practitioner_id, busy_from) WHERE status = 'held';
CREATE INDEX waitlist_holds_over ON app.waitlist_holds (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE app.waitlist_offers (
    id              uuid PRIMARY KEY,
    company_id      uuid NOT NULL,
    entry_id        uuid NOT NULL,
    user_id         uuid NOT NULL,
    practitioner_id uuid NOT NULL REFERENCES app.practitioners,
    hold_id         uuid NOT NULL REFERENCES app.waitlist_holds,
    starts_at       timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL,
    offered_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    status          text NOT NULL DEFAULT 'open',
    ended_at        timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT waitlist_offers_entry_fkey FOREIGN KEY (company_id, entry_id)
        REFERENCES app.waitlist_entries (company_id, id),
    CONSTRAINT waitlist_offers_user_fkey FOREIGN KEY (company_id, user_id) REFERENCES app.users (company_id, id),
    CONSTRAINT waitlist_offers_status CHECK (status IN ('open', 'taken', 'declined', 'lapsed', 'withdrawn')),
    CONSTRAINT waitlist_offers_ended CHECK ((status = 'open') = (ended_at IS NULL)),
    CONSTRAINT waitlist_offers_order CHECK (starts_at < ends_at AND offered_at < expires_at AND expires_at <= starts_at),
    -- nobody is offered one time twice
    CONSTRAINT waitlist_offers_once UNIQUE (hold_id, entry_id),
    -- and nobody two at one time
    CONSTRAINT waitlist_offers_person_free EXCLUDE USING gist
        (user_id WITH =, tstzrange(starts_at, ends_at) WITH &&) WHERE (status = 'open')
);
-- one after the other: a time is offered to one person, and a person is offered one time of a practitioner
CREATE UNIQUE INDEX waitlist_offers_one_of_hold ON app.waitlist_offers (hold_id) WHERE status = 'open';
CREATE UNIQUE INDEX waitlist_offers_one_of_entry ON app.waitlist_offers (entry_id) WHERE status = 'open';
CREATE INDEX waitlist_offers_expiring ON app.waitlist_offers (expires_at) WHERE status = 'open';
CREATE INDEX waitlist_offers_entry ON app.waitlist_offers (entry_id);
CREATE INDEX waitlist_offers_over ON app.waitlist_offers (ended_at) WHERE ended_at IS NOT NULL;

-- What is over stays over. But who was booked in vain, because the practitioner did not confirm, waits on.
CREATE FUNCTION app.check_waitlist_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status = OLD.status OR OLD.status = TG_ARGV[0] OR (OLD.status, NEW.status) = ('booked', TG_ARGV[0]) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'what is % cannot become %', OLD.status, NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'waitlist_state_machine';
END
$$;
CREATE TRIGGER waitlist_entries_state_machine BEFORE UPDATE OF status ON app.waitlist_entries
    FOR EACH ROW EXECUTE FUNCTION app.check_waitlist_state('waiting');
CREATE TRIGGER waitlist_holds_state_machine BEFORE UPDATE OF status ON app.waitlist_holds
    FOR EACH ROW EXECUTE FUNCTION app.check_waitlist_state('held');
CREATE TRIGGER waitlist_offers_state_machine BEFORE UPDATE OF status ON app.waitlist_offers
    FOR EACH ROW EXECUTE FUNCTION app.check_waitlist_state('open');
