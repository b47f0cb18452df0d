-- Client companies, and the accounts of the people who log in.
CREATE TABLE app.companies (
    id                    uuid PRIMARY KEY,
    name                  text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    -- the French business register's number; checked by Luhn in the program
    siren                 text CONSTRAINT companies_siren_key UNIQUE CHECK (siren ~ '^[0-9]{9}$'),
    locale                text NOT NULL DEFAULT 'fr' CHECK (locale IN ('fr', 'en')),
    time_zone             text NOT NULL DEFAULT 'Europe/Paris',
    status                text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'archived')),
    contract_starts_on    date NOT NULL,
    contract_ends_on      date NOT NULL,
    sessions_per_employee int NOT NULL CHECK (sessions_per_employee BETWEEN 0 AND 1000),
    seats                 int NOT NULL CHECK (seats BETWEEN 1 AND 1000000),
    -- open: every active practitioner; restricted: those of company_networks
    network               text NOT NULL DEFAULT 'open' CHECK (network IN ('open', 'restricted')),
    created_at            timestamptz NOT NULL DEFAULT now(),
    updated_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT companies_contract_order CHECK (contract_ends_on > contract_starts_on)
);
CREATE INDEX companies_name ON app.companies (name, id);
CREATE TRIGGER companies_touch BEFORE UPDATE ON app.companies
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

CREATE TABLE app.company_settings (
    company_id                uuid PRIMARY KEY REFERENCES app.companies ON DELETE CASCADE,
    cancellation_window_hours int NOT NULL DEFAULT 24 CHECK (cancellation_window_hours BETWEEN 0 AND 336),
    booking_horizon_days      int NOT NULL DEFAULT 60 CHECK (booking_horizon_days BETWEEN 1 AND 365),
    -- counters that rest on fewer people are withheld; the platform's own minimum is 10
    reporting_threshold       int NOT NULL DEFAULT 11 CHECK (reporting_threshold BETWEEN 10 AND 1000),
    updated_at                timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TRIGGER company_settings_touch BEFORE UPDATE ON app.company_settings
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

-- The directory, kept by HR. It never says whether a person has an account.
CREATE TABLE app.departments (
    id         uuid PRIMARY KEY,
    company_id uuid NOT NULL REFERENCES app.companies,
    name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (company_id, id)
);
CREATE UNIQUE INDEX departments_company_name ON app.departments (company_id, lower(name));

CREATE TABLE app.employees (
    id            uuid PRIMARY KEY,
    company_id    uuid NOT NULL REFERENCES app.companies,
    email         text NOT NULL CHECK (email = lower(email) AND length(email) <= 254),
    first_name    text NOT NULL CHECK (length(first_name) BETWEEN 1 AND 100),
    last_name     text NOT NULL CHECK (length(last_name) BETWEEN 1 AND 100),
    staff_number  text CHECK (length(staff_number) BETWEEN 1 AND 60),
    department_id uuid,
    site          text CHECK (length(site) BETWEEN 1 AND 120),
    locale        text NOT NULL DEFAULT 'fr' CHECK (locale IN ('fr', 'en')),
    status        text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'left')),
    left_at       timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (company_id, id),
    CONSTRAINT employees_email_key UNIQUE (company_id, email),
    CONSTRAINT employees_department_fkey FOREIGN KEY (company_id, department_id) REFERENCES app.departments (company_id, id),
    CHECK ((status = 'left') = (left_at IS NOT NULL))
);
CREATE UNIQUE INDEX employees_staff_number_key ON app.employees (company_id, staff_number) WHERE staff_number IS NOT NULL;
CREATE INDEX employees_name ON app.employees (company_id, last_name, first_name, id);
CREATE INDEX employees_department ON app.employees (company_id, department_id);
CREATE TRIGGER employees_touch BEFORE UPDATE ON app.employees
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

-- Accounts: the person's own. An employee's account knows its directory entry, never the other way round.
CREATE TABLE app.users (
    id            uuid PRIMARY KEY,
    email         text NOT NULL CONSTRAINT users_email_key UNIQUE CHECK (email = lower(email) AND length(email) <= 254),
    password_hash text,
    role          text NOT NULL CHECK (role IN ('employee', 'practitioner', 'hr', 'company_admin', 'platform_admin')),
    display_name  text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 200),
    locale        text NOT NULL DEFAULT 'fr' CHECK (locale IN ('fr', 'en')),
    time_zone     text NOT NULL DEFAULT 'Europe/Paris',
    status        text NOT NULL CHECK (status IN ('invited', 'active', 'suspended')),
    company_id    uuid REFERENCES app.companies,
    employee_id   uuid,
    -- the terms that the person agreed to
    terms_version text,
    terms_at      timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (company_id, id),
    CONSTRAINT users_employee_key UNIQUE (company_id, employee_id),
    CONSTRAINT users_employee_fkey FOREIGN KEY (company_id, employee_id) REFERENCES app.employees (company_id, id),
    CHECK ((role IN ('employee', 'hr', 'company_admin')) = (company_id IS NOT NULL)),
    CHECK ((role = 'employee') = (employee_id IS NOT NULL)),
    CHECK (status = 'invited' OR password_hash IS NOT NULL)
);
CREATE TRIGGER users_touch BEFORE UPDATE ON app.users
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

CREATE TABLE app.user_sessions (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES app.users ON DELETE CASCADE,
    device       text CHECK (length(device) <= 200),
    ip           inet,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz
);
CREATE INDEX user_sessions_user ON app.user_sessions (user_id, last_used_at DESC);
CREATE INDEX user_sessions_revoked ON app.user_sessions (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE app.refresh_tokens (
    id         uuid PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES app.user_sessions ON DELETE CASCADE,
    -- SHA-256 of what the client holds
    hash       bytea NOT NULL CONSTRAINT refresh_tokens_hash_key UNIQUE CHECK (length(hash) = 32),
    parent_id  uuid REFERENCES app.refresh_tokens ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX refresh_tokens_session ON app.refresh_tokens (session_id);
CREATE INDEX refresh_tokens_parent ON app.refresh_tokens (parent_id);

CREATE TABLE app.one_time_tokens (
    id          uuid PRIMARY KEY,
    purpose     text NOT NULL CHECK (purpose IN ('invitation')),
    hash        bytea NOT NULL CONSTRAINT one_time_tokens_hash_key UNIQUE CHECK (length(hash) = 32),
    -- one of both: an account that waits for its owner, or a directory entry that may get an account
    user_id     uuid REFERENCES app.users ON DELETE CASCADE,
    company_id  uuid REFERENCES app.companies,
    employee_id uuid,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,
    CONSTRAINT one_time_tokens_employee_fkey FOREIGN KEY (company_id, employee_id)
        REFERENCES app.employees (company_id, id) ON DELETE CASCADE,
    CHECK ((user_id IS NULL) <> (employee_id IS NULL))
);
CREATE INDEX one_time_tokens_user ON app.one_time_tokens (user_id);
CREATE INDEX one_time_tokens_employee ON app.one_time_tokens (company_id, employee_id);
