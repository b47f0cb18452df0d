-- Calls between the two people of a consultation: who rang, and what became of it. Nothing of what is said.
CREATE TABLE app.call_sessions (
    id              uuid PRIMARY KEY,
    company_id      uuid NOT NULL,
    consultation_id uuid NOT NULL,
    user_id         uuid NOT NULL,
    practitioner_id uuid NOT NULL,
    -- the how-manieth of its consultation
    number          int NOT NULL,
    status          text NOT NULL DEFAULT 'ringing',
    caller          text NOT NULL CONSTRAINT call_sessions_caller CHECK (caller IN ('employee', 'practitioner')),
    rang_at         timestamptz NOT NULL,
    rings_until     timestamptz NOT NULL,
    -- when the consultation's rooms close
    closes_at       timestamptz NOT NULL,
    accepted_at     timestamptz,
    ended_at        timestamptz,
    end_reason      text,
    -- empty: nobody's doing
    ended_by        text CONSTRAINT call_sessions_ended_by CHECK (ended_by IN ('employee', 'practitioner')),
    CONSTRAINT call_sessions_consultation_fkey FOREIGN KEY (company_id, consultation_id)
        REFERENCES app.consultations (company_id, id),
    CONSTRAINT call_sessions_people UNIQUE (company_id, id, user_id, practitioner_id),
    CONSTRAINT call_sessions_number UNIQUE (company_id, consultation_id, number),
    -- so many and no more, so that what is told of a consultation stays short
    CONSTRAINT call_sessions_count CHECK (number BETWEEN 1 AND 50),
    CONSTRAINT call_sessions_status CHECK (status IN ('ringing', 'connected', 'ended')),
    CONSTRAINT call_sessions_rings CHECK (rings_until > rang_at AND rings_until <= rang_at + interval '2 minutes'),
    CONSTRAINT call_sessions_connected CHECK (status <> 'ringing' OR accepted_at IS NULL),
    CONSTRAINT call_sessions_accepted CHECK (status <> 'connected' OR accepted_at IS NOT NULL),
    CONSTRAINT call_sessions_ended CHECK ((status = 'ended') = (ended_at IS NOT NULL AND end_reason IS NOT NULL)),
    CONSTRAINT call_sessions_order CHECK (accepted_at >= rang_at AND ended_at >= coalesce(accepted_at, rang_at)),
    CONSTRAINT call_sessions_reason CHECK (
        end_reason IN ('declined', 'missed', 'cancelled') AND accepted_at IS NULL
        OR end_reason IN ('hung_up', 'lost', 'abandoned') AND accepted_at IS NOT NULL
        OR end_reason = 'closed')
);
-- one call at a time
CREATE UNIQUE INDEX call_sessions_live ON app.call_sessions (company_id, consultation_id) WHERE status <> 'ended';
-- what the schedule looks for
CREATE INDEX call_sessions_open ON app.call_sessions (rang_at) WHERE status <> 'ended';
CREATE TRIGGER call_sessions_fixed BEFORE UPDATE OF id, company_id, consultation_id, user_id, practitioner_id, number, caller,
    rang_at, rings_until, closes_at ON app.call_sessions FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
-- what is over stays as it was
CREATE TRIGGER call_sessions_final BEFORE UPDATE ON app.call_sessions
    FOR EACH ROW WHEN (OLD.status = 'ended') EXECUTE FUNCTION app.refuse_change();

-- The two sides of a call. The one who is rung has no device in it before they accept.
CREATE TABLE app.call_parties (
    company_id      uuid NOT NULL,
    call_id         uuid NOT NULL,
    user_id         uuid NOT NULL,
    practitioner_id uuid NOT NULL,
    side            text NOT NULL,
    person_id       uuid NOT NULL,
    -- ends with the call
    is_live         boolean NOT NULL DEFAULT true,
    -- named by the client: whoever comes back under it takes the same place
    device          uuid,
    -- the connection that the device is on
    seat            uuid,
    seen_at         timestamptz,
    lost_at         timestamptz,
    -- how often it came back, and whether the last time with the connection that it had
    returns         int NOT NULL DEFAULT 0,
    resumes         boolean NOT NULL DEFAULT false,
    is_muted        boolean NOT NULL DEFAULT false,
    -- what it has signalled so far
    signals         int NOT NULL DEFAULT 0,
    PRIMARY KEY (company_id, call_id, side),
    CONSTRAINT call_parties_call_fkey FOREIGN KEY (company_id, call_id, user_id, practitioner_id)
        REFERENCES app.call_sessions (company_id, id, user_id, practitioner_id),
    CONSTRAINT call_parties_side CHECK (side = 'employee' AND person_id = user_id
                                        OR side = 'practitioner' AND person_id = practitioner_id),
    CONSTRAINT call_parties_seated CHECK ((device IS NULL) = (seat IS NULL) AND (device IS NULL) = (seen_at IS NULL)),
    CONSTRAINT call_parties_signals CHECK (signals BETWEEN 0 AND 2000)
);
-- nobody is in two calls
CREATE UNIQUE INDEX call_parties_free ON app.call_parties (person_id) WHERE is_live;
CREATE TRIGGER call_parties_fixed BEFORE UPDATE OF company_id, call_id, user_id, practitioner_id, side, person_id
    ON app.call_parties FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER call_parties_final BEFORE UPDATE ON app.call_parties
    FOR EACH ROW WHEN (NOT OLD.is_live) EXECUTE FUNCTION app.refuse_change();

-- What the one says to the other's browser so that they find each other: sealed, because it names network addresses; gone
-- when it was taken, when the call ends, and after two minutes in any case.
CREATE TABLE app.call_signals (
    id              uuid PRIMARY KEY,
    company_id      uuid NOT NULL,
    call_id         uuid NOT NULL,
    user_id         uuid NOT NULL,
    practitioner_id uuid NOT NULL,
    addressee_id    uuid NOT NULL,
    -- in the order in which the other one said it
    number          int NOT NULL,
    kind            text NOT NULL CONSTRAINT call_signals_kind CHECK (kind IN ('offer', 'answer', 'ice')),
    sealed          bytea NOT NULL,
    created_at      timestamptz NOT NULL,
    CONSTRAINT call_signals_call_fkey FOREIGN KEY (company_id, call_id, user_id, practitioner_id)
        REFERENCES app.call_sessions (company_id, id, user_id, practitioner_id),
    CONSTRAINT call_signals_order UNIQUE (company_id, call_id, addressee_id, number),
    CONSTRAINT call_signals_addressee CHECK (addressee_id IN (user_id, practitioner_id)),
    CONSTRAINT call_signals_size CHECK (length(sealed) <= CASE kind WHEN 'ice' THEN 5120 ELSE 33792 END)
);
CREATE INDEX call_signals_old ON app.call_signals (created_at);
CREATE TRIGGER call_signals_fixed BEFORE UPDATE ON app.call_signals FOR EACH ROW EXECUTE FUNCTION app.refuse_change();

-- Calls are facts about their consultation, as often as they happen.
ALTER TABLE app.consultation_events
    DROP CONSTRAINT consultation_events_kind,
    ADD CONSTRAINT consultation_events_kind CHECK (kind IN (
        'BOOKED', 'CONFIRMED', 'RESCHEDULED', 'CANCELLED', 'EXPIRED', 'STARTED', 'ENDED', 'NO_SHOW', 'JOINED', 'LEFT',
        'CALL_STARTED', 'CALL_ENDED')) NOT VALID;
ALTER TABLE app.consultation_events VALIDATE CONSTRAINT consultation_events_kind;
DROP INDEX app.consultation_events_once;
CREATE UNIQUE INDEX consultation_events_once ON app.consultation_events (consultation_id, kind)
    WHERE kind NOT IN ('RESCHEDULED', 'JOINED', 'LEFT', 'CALL_STARTED', 'CALL_ENDED');
