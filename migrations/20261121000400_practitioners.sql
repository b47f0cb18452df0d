-- Care professionals: subjects that cross companies and belong to none.
CREATE TABLE app.practitioners (
    -- the practitioner's account
    id                    uuid PRIMARY KEY REFERENCES app.users,
    display_name          text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 200),
    bio_fr                text NOT NULL DEFAULT '' CHECK (length(bio_fr) <= 5000),
    bio_en                text NOT NULL DEFAULT '' CHECK (length(bio_en) <= 5000),
    languages             text[] NOT NULL CHECK (cardinality(languages) BETWEEN 1 AND 20),
    modes                 text[] NOT NULL CHECK (cardinality(modes) >= 1 AND modes <@ ARRAY['video', 'audio', 'chat']),
    -- the French registers of health professionals
    rpps                  text CONSTRAINT practitioners_rpps_key UNIQUE CHECK (rpps ~ '^[0-9]{11}$'),
    adeli                 text CONSTRAINT practitioners_adeli_key UNIQUE CHECK (adeli ~ '^[0-9A-Z]{9}$'),
    time_zone             text NOT NULL,
    session_lengths       int[] NOT NULL CHECK (cardinality(session_lengths) BETWEEN 1 AND 8),
    buffer_before_minutes int NOT NULL DEFAULT 0 CHECK (buffer_before_minutes BETWEEN 0 AND 120),
    buffer_after_minutes  int NOT NULL DEFAULT 0 CHECK (buffer_after_minutes BETWEEN 0 AND 120),
    min_notice_minutes    int NOT NULL DEFAULT 120 CHECK (min_notice_minutes BETWEEN 0 AND 20160),
    horizon_days          int NOT NULL DEFAULT 60 CHECK (horizon_days BETWEEN 1 AND 365),
    hourly_rate_cents     int NOT NULL CHECK (hourly_rate_cents BETWEEN 0 AND 1000000),
    currency              text NOT NULL DEFAULT 'EUR' CHECK (currency ~ '^[A-Z]{3}$'),
    status                text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive')),
    created_at            timestamptz NOT NULL DEFAULT now(),
    updated_at            timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX practitioners_name ON app.practitioners (display_name, id);
CREATE TRIGGER practitioners_touch BEFORE UPDATE ON app.practitioners
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

CREATE TABLE app.practitioner_specialties (
    practitioner_id uuid NOT NULL REFERENCES app.practitioners ON DELETE CASCADE,
    specialty       text NOT NULL CHECK (specialty IN
        ('psychology', 'coaching', 'nutrition', 'sleep', 'physiotherapy', 'social_work')),
    -- the first one is what a consultation is counted under
    rank            smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (practitioner_id, specialty)
);
CREATE INDEX practitioner_specialties_specialty ON app.practitioner_specialties (specialty, practitioner_id);

CREATE TABLE app.company_networks (
    company_id      uuid NOT NULL REFERENCES app.companies ON DELETE CASCADE,
    practitioner_id uuid NOT NULL REFERENCES app.practitioners,
    PRIMARY KEY (company_id, practitioner_id)
);

-- Weekly hours in the practitioner's own zone, in minutes since local midnight.
CREATE TABLE app.availability_rules (
    id              uuid PRIMARY KEY,
    practitioner_id uuid NOT NULL REFERENCES app.practitioners ON DELETE CASCADE,
    -- ISO 8601: 1 is Monday
    weekday         smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),
    starts_minute   int NOT NULL CHECK (starts_minute BETWEEN 0 AND 1439),
    ends_minute     int NOT NULL CHECK (ends_minute BETWEEN 1 AND 1440),
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT availability_rules_order CHECK (ends_minute > starts_minute),
    CONSTRAINT availability_rules_overlap EXCLUDE USING gist
        (practitioner_id WITH =, weekday WITH =, int4range(starts_minute, ends_minute) WITH &&)
);
