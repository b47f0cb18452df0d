-- Numbers make everything: seed.companies companies of 100 employees, and a practitioner for every two.
-- An identifier is a UUID version 7 whose last twelve digits are the number, in decimal, so that a
-- load generator that knows nothing but the number can name the row.
CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (CASE kind WHEN 'company' THEN '01941f29-7c01-7000-8000-' WHEN 'employee' THEN '01941f29-7c02-7000-8000-'
                      WHEN 'account' THEN '01941f29-7c03-7000-8000-' WHEN 'practitioner' THEN '01941f29-7c04-7000-8000-'
                      WHEN 'department' THEN '01941f29-7c05-7000-8000-' WHEN 'consultation' THEN '01941f29-7c06-7000-8000-'
                      WHEN 'event' THEN '01941f29-7c07-7000-8000-' WHEN 'hours' THEN '01941f29-7c08-7000-8000-'
            END || lpad(n::text, 12, '0'))::uuid
$$;
CREATE FUNCTION pg_temp.companies() RETURNS int LANGUAGE sql STABLE
    AS $$ SELECT current_setting('seed.companies')::int $$;
CREATE FUNCTION pg_temp.practitioners() RETURNS int LANGUAGE sql STABLE
    AS $$ SELECT (pg_temp.companies() + 1) / 2 $$;
CREATE FUNCTION pg_temp.today() RETURNS date LANGUAGE sql STABLE
    AS $$ SELECT (current_setting('seed.now')::timestamptz AT TIME ZONE 'UTC')::date $$;

-- the rows fit one another by the way they are counted: a million look-ups would only confirm it
SET LOCAL session_replication_role = replica;

INSERT INTO app.companies (id, name, contract_starts_on, contract_ends_on, sessions_per_employee, seats)
    SELECT pg_temp.id('company', n), 'Bench company ' || n, pg_temp.today() - 400, pg_temp.today() + 700, 100, 200
    FROM generate_series(0, pg_temp.companies() - 1) n;
INSERT INTO app.company_settings (company_id) SELECT id FROM app.companies WHERE name LIKE 'Bench company %';
INSERT INTO app.departments (id, company_id, name)
    SELECT pg_temp.id('department', n), pg_temp.id('company', n / 5), 'Department ' || n % 5
    FROM generate_series(0, pg_temp.companies() * 5 - 1) n;
INSERT INTO app.employees (id, company_id, email, first_name, last_name, department_id, active_since, placed_since)
    SELECT pg_temp.id('employee', n), pg_temp.id('company', n / 100), 'employee-' || n || '@bench.test', 'Employee',
           'Number ' || n, pg_temp.id('department', n / 100 * 5 + n % 5), pg_temp.today() - 800, pg_temp.today() - 800
    FROM generate_series(0, pg_temp.companies() * 100 - 1) n;
INSERT INTO app.users (id, email, password_hash, role, display_name, status, company_id, employee_id, terms_version,
                       terms_at, created_at)
    SELECT pg_temp.id('account', n), 'employee-' || n || '@bench.test', current_setting('seed.password_hash'), 'employee',
           'Employee ' || n, 'active', pg_temp.id('company', n / 100), pg_temp.id('employee', n),
           current_setting('seed.terms_version'), pg_temp.today(), pg_temp.today() - 800
    FROM generate_series(0, pg_temp.companies() * 100 - 1) n;

INSERT INTO app.users (id, email, password_hash, role, display_name, status, terms_version, terms_at)
    SELECT pg_temp.id('practitioner', n), 'practitioner-' || n || '@bench.test', current_setting('seed.password_hash'),
           'practitioner', 'Practitioner ' || n, 'active', current_setting('seed.terms_version'), pg_temp.today()
    FROM generate_series(0, pg_temp.practitioners() - 1) n;
INSERT INTO app.practitioners (id, display_name, languages, modes, time_zone, session_lengths, buffer_after_minutes,
                               hourly_rate_cents, status, verified_at, verified_checks, adeli)
    SELECT pg_temp.id('practitioner', n), 'Practitioner ' || n, '{fr,en}', '{video,audio,chat}', 'Europe/Paris', '{50}',
           10, 8000, 'active', pg_temp.today(), '{identity,adeli}', (990000000 + n)::text
    FROM generate_series(0, pg_temp.practitioners() - 1) n;
INSERT INTO app.practitioner_rates (practitioner_id, since, hourly_rate_cents, currency)
    SELECT pg_temp.id('practitioner', n), '-infinity', 8000, 'EUR' FROM generate_series(0, pg_temp.practitioners() - 1) n;
INSERT INTO app.practitioner_specialties (practitioner_id, specialty)
    SELECT pg_temp.id('practitioner', n),
           (ARRAY['psychology', 'coaching', 'nutrition', 'sleep', 'physiotherapy', 'social_work'])[1 + n % 6]
    FROM generate_series(0, pg_temp.practitioners() - 1) n;
-- 09:00 to 13:00 and 14:00 to 18:00, Monday to Friday
INSERT INTO app.availability_rules (id, practitioner_id, weekday, starts_minute, ends_minute)
    SELECT pg_temp.id('hours', n * 10 + weekday * 2 + half), pg_temp.id('practitioner', n), weekday, 540 + half * 300,
           780 + half * 300
    FROM generate_series(0, pg_temp.practitioners() - 1) n, generate_series(1, 5) weekday, generate_series(0, 1) half;
