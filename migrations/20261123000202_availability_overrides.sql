-- Dated changes of the weekly hours, on the wall clock of the practitioner's zone. What is open on a day: the weekly
-- hours without what is closed, and the extra hours; of all that, nothing in time off.
CREATE TABLE app.availability_overrides (
    id              uuid PRIMARY KEY,
    practitioner_id uuid NOT NULL REFERENCES app.practitioners ON DELETE CASCADE,
    -- open: extra hours; closed: no weekly hours; time_off: nothing at all
    kind            text NOT NULL CHECK (kind IN ('open', 'closed', 'time_off')),
    starts_at       timestamp NOT NULL,
    -- not included
    ends_at         timestamp NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT availability_overrides_order CHECK (ends_at > starts_at),
    CONSTRAINT availability_overrides_length
        CHECK (ends_at - starts_at <= CASE kind WHEN 'open' THEN interval '1 day' ELSE interval '366 days' END),
    CONSTRAINT availability_overrides_minutes
        CHECK (date_trunc('minute', starts_at) = starts_at AND date_trunc('minute', ends_at) = ends_at),
    CONSTRAINT availability_overrides_overlap EXCLUDE USING gist
        (practitioner_id WITH =, kind WITH =, tsrange(starts_at, ends_at) WITH &&)
);
CREATE INDEX availability_overrides_practitioner ON app.availability_overrides (practitioner_id, starts_at, id);

-- What is not over yet is bounded, and with it what slots are computed from.
CREATE FUNCTION app.bound_overrides() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- one after the other, or two could both be the last one
    PERFORM FROM app.practitioners p WHERE p.id = NEW.practitioner_id FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM app.availability_overrides o
        WHERE o.practitioner_id = NEW.practitioner_id
          AND o.ends_at > (NEW.created_at AT TIME ZONE 'UTC') - interval '1 day') >= 500 THEN
        RAISE EXCEPTION 'a practitioner has at most 500 overrides that are not over'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'availability_overrides_count';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER availability_overrides_count BEFORE INSERT ON app.availability_overrides
    FOR EACH ROW EXECUTE FUNCTION app.bound_overrides();
