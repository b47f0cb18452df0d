-- Calendars that a practitioner keeps elsewhere: read on a schedule, for when they are busy.
CREATE TABLE app.external_calendars (
    id              uuid PRIMARY KEY,
    practitioner_id uuid NOT NULL REFERENCES app.practitioners ON DELETE CASCADE,
    -- bounds how many one practitioner has
    place           smallint NOT NULL CONSTRAINT external_calendars_most CHECK (place BETWEEN 1 AND 5),
    label           text NOT NULL CHECK (length(label) BETWEEN 1 AND 80),
    -- whoever has the address reads the calendar: sealed
    url             bytea NOT NULL CHECK (octet_length(url) <= 4000),
    -- of the address, what may be shown
    host            text NOT NULL CHECK (length(host) BETWEEN 1 AND 260),
    next_read_at    timestamptz NOT NULL,
    -- the last reading that succeeded: what the busy times are as of
    read_at         timestamptz,
    -- the last one that was not answered by "nothing new"
    whole_read_at   timestamptz,
    -- in which zone whole days and floating times were read
    read_zone       text,
    etag            text CHECK (length(etag) <= 500),
    last_modified   text CHECK (length(last_modified) <= 500),
    failures        int NOT NULL DEFAULT 0 CHECK (failures >= 0),
    failing_since   timestamptz,
    failed_at       timestamptz,
    failure_code    text CHECK (failure_code ~ '^[a-z_]{1,40}$'),
    -- when its practitioner was told of this row of failures
    told_at         timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT external_calendars_place_key UNIQUE (practitioner_id, place),
    -- for the busy times, which are of one calendar and its practitioner
    CONSTRAINT external_calendars_owner_key UNIQUE (practitioner_id, id),
    CHECK ((failures > 0) = (failing_since IS NOT NULL) AND (failures > 0) = (failure_code IS NOT NULL)
           AND (failures > 0) = (failed_at IS NOT NULL))
);
CREATE INDEX external_calendars_due ON app.external_calendars (next_read_at);
CREATE TRIGGER external_calendars_touch BEFORE UPDATE ON app.external_calendars
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

-- When a practitioner is busy, by a calendar of theirs; nothing of what they do.
CREATE TABLE app.external_busy_times (
    practitioner_id uuid NOT NULL,
    calendar_id     uuid NOT NULL,
    starts_at       timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL,
    PRIMARY KEY (calendar_id, starts_at),
    CONSTRAINT external_busy_times_calendar_fkey FOREIGN KEY (practitioner_id, calendar_id)
        REFERENCES app.external_calendars (practitioner_id, id) ON DELETE CASCADE,
    CONSTRAINT external_busy_times_order CHECK (ends_at > starts_at)
);
CREATE INDEX external_busy_times_practitioner ON app.external_busy_times (practitioner_id, ends_at, starts_at);

-- A practitioner's own consultations as a calendar, for whoever has the address: it can be taken back.
CREATE TABLE app.calendar_feeds (
    id              uuid PRIMARY KEY,
    practitioner_id uuid NOT NULL REFERENCES app.practitioners ON DELETE CASCADE,
    place           smallint NOT NULL CONSTRAINT calendar_feeds_most CHECK (place BETWEEN 1 AND 5),
    label           text NOT NULL CHECK (length(label) BETWEEN 1 AND 80),
    -- SHA-256 of the address' token
    hash            bytea NOT NULL CONSTRAINT calendar_feeds_hash_key UNIQUE CHECK (octet_length(hash) = 32),
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT calendar_feeds_place_key UNIQUE (practitioner_id, place)
);
