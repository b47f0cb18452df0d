-- Counters are published month by month, once, and never change afterwards. What is kept of a month is what may be shown of
-- it: what is withheld is not in these tables.

DROP FUNCTION IF EXISTS stats.company_usage(date, date, text);
DROP FUNCTION IF EXISTS stats.refresh(timestamptz);
DROP FUNCTION IF EXISTS stats.usage_basis();
DROP FUNCTION IF EXISTS stats.withhold(int, int, boolean, int, int[], int[], int[]);
DROP MATERIALIZED VIEW stats.company_usage_monthly;

ALTER TABLE app.usage_refreshes
    -- when they were counted before: a month is over by both times, or it is not over
    ADD COLUMN refreshed_before timestamptz NOT NULL DEFAULT now(),
    -- what began before is published, and not counted again
    ADD COLUMN counted_from     timestamptz NOT NULL DEFAULT '-infinity';

-- The hourly rates of practitioners: a session is paid by the one that was in force at its start.
CREATE TABLE app.practitioner_rates (
    practitioner_id   uuid NOT NULL REFERENCES app.practitioners,
    since             timestamptz NOT NULL,
    hourly_rate_cents int NOT NULL CHECK (hourly_rate_cents BETWEEN 0 AND 1000000),
    currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    PRIMARY KEY (practitioner_id, since)
);
ALTER TABLE app.practitioners NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.practitioner_rates NO FORCE ROW LEVEL SECURITY;
INSERT INTO app.practitioner_rates (practitioner_id, since, hourly_rate_cents, currency)
    SELECT id, '-infinity', hourly_rate_cents, currency FROM app.practitioners;
ALTER TABLE app.practitioner_rates FORCE ROW LEVEL SECURITY;
ALTER TABLE app.practitioners FORCE ROW LEVEL SECURITY;

-- Which departments are counted by themselves, and which together: those with fewer active employees than the reporting
-- threshold and ten more, with the people of none; where these are still fewer, the smallest other department joins them. Of
-- fewer it would be known from the words alone how many came. This rests on the directory alone, which HR keeps.
CREATE MATERIALIZED VIEW stats.department_groups AS
    WITH departments AS (
        SELECT d.company_id, d.id::text AS department, d.name AS label FROM app.departments d
        UNION ALL
        SELECT k.id, '', NULL FROM app.companies k
    ), staff AS (
        SELECT e.company_id, coalesce(e.department_id::text, '') AS department, count(*)::int AS eligible
        FROM app.employees e WHERE e.status = 'active' GROUP BY 1, 2
    ), sized AS (
        SELECT company_id, department, d.label, coalesce(s.eligible, 0) AS eligible,
               coalesce(c.reporting_threshold, 11) + 10 AS enough,
               department <> '' AND coalesce(s.eligible, 0) >= coalesce(c.reporting_threshold, 11) + 10 AS is_large
        FROM departments d
        LEFT JOIN staff s USING (company_id, department)
        LEFT JOIN app.company_settings c USING (company_id)
    ), ranked AS (
        SELECT s.*, coalesce(sum(eligible) FILTER (WHERE NOT is_large) OVER (PARTITION BY company_id), 0) AS pooled,
               row_number() OVER (PARTITION BY company_id, is_large ORDER BY eligible, department) AS nth
        FROM sized s
    )
    SELECT company_id, department, label, eligible,
           CASE WHEN is_large AND (nth > 1 OR pooled = 0 OR pooled >= enough) THEN department ELSE 'others' END AS group_key
    FROM ranked;
CREATE UNIQUE INDEX department_groups_key ON stats.department_groups (company_id, department);
ALTER MATERIALIZED VIEW stats.department_groups OWNER TO huntzen_stats;

-- What is not published yet: completed sessions by the month of the company's time zone in which they were to begin, in total
-- and by specialty, mode and group of departments. Read by stats.publish() alone.
CREATE MATERIALIZED VIEW stats.company_usage_monthly AS
    SELECT c.company_id, date_trunc('month', c.starts_at AT TIME ZONE k.time_zone)::date AS month,
           CASE grouping(c.specialty, c.mode, g.group_key)
                WHEN 7 THEN 'total' WHEN 3 THEN 'specialty' WHEN 5 THEN 'mode' WHEN 6 THEN 'department'
                WHEN 1 THEN 'specialty,mode' ELSE 'specialty,department' END AS dimensions,
           coalesce(CASE WHEN grouping(c.specialty) = 0 THEN c.specialty
                         WHEN grouping(c.mode) = 0 THEN c.mode
                         WHEN grouping(g.group_key) = 0 THEN g.group_key END, '') AS row_key,
           coalesce(CASE grouping(c.specialty, c.mode, g.group_key)
                         WHEN 1 THEN c.mode WHEN 2 THEN g.group_key END, '') AS column_key,
           count(*)::int AS sessions,
           coalesce(sum(c.duration_minutes), 0)::int AS minutes,
           count(DISTINCT c.user_id)::int AS people
    FROM app.consultations c
    JOIN app.companies k ON k.id = c.company_id
    JOIN stats.department_groups g ON g.company_id = c.company_id AND g.department = coalesce(c.department_id::text, '')
    WHERE c.status = 'completed' AND c.starts_at >= (SELECT r.counted_from FROM app.usage_refreshes r)
    GROUP BY c.company_id, 2,
             GROUPING SETS ((), (c.specialty), (c.mode), (g.group_key), (c.specialty, c.mode), (c.specialty, g.group_key));
CREATE UNIQUE INDEX company_usage_monthly_key
    ON stats.company_usage_monthly (company_id, month, dimensions, row_key, column_key);
ALTER MATERIALIZED VIEW stats.company_usage_monthly OWNER TO huntzen_stats;

-- What practitioners did that is not published yet, by month of the platform's zone: a change of somebody's own zone must not
-- move a session from one payroll to another. Each session is paid for itself, rounded half up to the minor unit.
CREATE MATERIALIZED VIEW stats.practitioner_activity_monthly AS
    WITH sessions AS (
        SELECT c.practitioner_id, date_trunc('month', c.starts_at AT TIME ZONE 'Europe/Paris')::date AS month, r.currency,
               c.status, c.cancelled_by, c.missed_by, c.times_differ, coalesce(c.duration_minutes, 0) AS minutes,
               CASE WHEN c.status = 'completed'
                    THEN round(r.hourly_rate_cents * coalesce(c.duration_minutes, 0) / 60.0)::bigint ELSE 0 END AS amount
        FROM app.consultations c
        CROSS JOIN LATERAL (SELECT r.currency, r.hourly_rate_cents FROM app.practitioner_rates r
                            WHERE r.practitioner_id = c.practitioner_id AND r.since <= c.starts_at
                            ORDER BY r.since DESC LIMIT 1) r
        WHERE c.starts_at >= (SELECT u.counted_from FROM app.usage_refreshes u)
    )
    SELECT practitioner_id, month, currency,
           count(*) FILTER (WHERE status IN ('pending', 'confirmed', 'in_progress'))::int AS open,
           count(*) FILTER (WHERE status = 'completed')::int AS completed,
           count(*) FILTER (WHERE status = 'cancelled' AND cancelled_by = 'employee')::int AS cancelled_by_employee,
           count(*) FILTER (WHERE status = 'cancelled' AND cancelled_by IS DISTINCT FROM 'employee')::int AS cancelled_otherwise,
           count(*) FILTER (WHERE status = 'no_show' AND missed_by = 'employee')::int AS missed_by_employee,
           count(*) FILTER (WHERE status = 'no_show' AND missed_by <> 'employee')::int AS missed_otherwise,
           coalesce(sum(minutes) FILTER (WHERE status = 'completed'), 0)::int AS minutes,
           coalesce(sum(amount), 0)::bigint AS amount,
           count(*) FILTER (WHERE times_differ)::int AS flagged,
           coalesce(sum(minutes) FILTER (WHERE times_differ AND status = 'completed'), 0)::int AS flagged_minutes,
           coalesce(sum(amount) FILTER (WHERE times_differ), 0)::bigint AS flagged_amount
    FROM sessions GROUP BY practitioner_id, month, currency;
CREATE UNIQUE INDEX practitioner_activity_monthly_key
    ON stats.practitioner_activity_monthly (practitioner_id, month, currency);
ALTER MATERIALIZED VIEW stats.practitioner_activity_monthly OWNER TO huntzen_stats;

-- One cell of a month before it is judged. Where `eligible` is empty, it is a cell of the whole company.
CREATE TYPE stats.counted AS (
    dimensions text, row_key text, column_key text, sessions int, minutes int, people int, eligible int
);

-- The months of each company that are published.
CREATE TABLE app.usage_months (
    company_id   uuid NOT NULL REFERENCES app.companies,
    month        date NOT NULL CHECK (extract(day FROM month) = 1),
    -- the fewest people that its shown numbers rest on
    threshold    int NOT NULL CHECK (threshold BETWEEN 10 AND 1000),
    published_at timestamptz NOT NULL,
    PRIMARY KEY (company_id, month)
);
-- What may be shown of them.
CREATE TABLE app.usage_cells (
    company_id uuid NOT NULL,
    month      date NOT NULL,
    dimensions text NOT NULL
        CHECK (dimensions IN ('total', 'specialty', 'mode', 'department', 'specialty,mode', 'specialty,department')),
    -- a specialty, a mode, the id of a department, or 'others'
    row_key    text NOT NULL,
    column_key text NOT NULL,
    -- the department's name when it was published
    label      text,
    sessions   int,
    minutes    int,
    people     int,
    withheld   text CHECK (withheld IN ('small_group', 'derivable')),
    PRIMARY KEY (company_id, month, dimensions, row_key, column_key),
    CONSTRAINT usage_cells_month_fkey FOREIGN KEY (company_id, month) REFERENCES app.usage_months (company_id, month),
    CONSTRAINT usage_cells_told CHECK (num_nonnulls(sessions, minutes, people) = CASE WHEN withheld IS NULL THEN 3 ELSE 0 END)
);
-- The same for payroll, of all practitioners at once.
CREATE TABLE app.payroll_months (
    month        date PRIMARY KEY CHECK (extract(day FROM month) = 1),
    published_at timestamptz NOT NULL
);
CREATE TABLE app.payroll_lines (
    practitioner_id       uuid NOT NULL REFERENCES app.practitioners,
    month                 date NOT NULL REFERENCES app.payroll_months,
    currency              text NOT NULL,
    -- as it was when the month was published
    practitioner_name     text NOT NULL,
    open                  int NOT NULL,
    completed             int NOT NULL,
    cancelled_by_employee int NOT NULL,
    cancelled_otherwise   int NOT NULL,
    missed_by_employee    int NOT NULL,
    missed_otherwise      int NOT NULL,
    minutes               int NOT NULL,
    -- minor units
    amount                bigint NOT NULL,
    flagged               int NOT NULL,
    flagged_minutes       int NOT NULL,
    flagged_amount        bigint NOT NULL,
    PRIMARY KEY (practitioner_id, month, currency)
);
CREATE INDEX payroll_lines_month ON app.payroll_lines (month, practitioner_id);

CREATE TRIGGER usage_months_for_good BEFORE UPDATE OR DELETE ON app.usage_months
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER usage_months_no_truncate BEFORE TRUNCATE ON app.usage_months
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER usage_cells_for_good BEFORE UPDATE OR DELETE ON app.usage_cells
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER usage_cells_no_truncate BEFORE TRUNCATE ON app.usage_cells
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER payroll_months_for_good BEFORE UPDATE OR DELETE ON app.payroll_months
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER payroll_months_no_truncate BEFORE TRUNCATE ON app.payroll_months
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER payroll_lines_for_good BEFORE UPDATE OR DELETE ON app.payroll_lines
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER payroll_lines_no_truncate BEFORE TRUNCATE ON app.payroll_lines
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER practitioner_rates_for_good BEFORE UPDATE OR DELETE ON app.practitioner_rates
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
