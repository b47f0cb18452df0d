-- Counters that no arrangement of the directory turns into a question about one person, and a clock that is checked.
-- What is published stays as it is.

-- Since when an entry is active, and since when it is where it is: written by triggers (policies/usage.sql).
ALTER TABLE app.employees
    ADD COLUMN active_since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN placed_since timestamptz NOT NULL DEFAULT now();
-- of those that there are it is not known: not later than their last change
ALTER TABLE app.employees NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.employees DISABLE TRIGGER employees_touch;
UPDATE app.employees SET active_since = created_at, placed_since = greatest(created_at, updated_at);
ALTER TABLE app.employees ENABLE TRIGGER employees_touch;
ALTER TABLE app.employees FORCE ROW LEVEL SECURITY;

ALTER TABLE app.usage_refreshes
    -- the last time, by the program's clock, at which the database's clock said the same: at least 50 minutes after the time
    -- that `refreshed_before` has become
    ADD COLUMN agreed_at timestamptz NOT NULL DEFAULT now();

DROP FUNCTION IF EXISTS stats.publish(int);
DROP FUNCTION IF EXISTS stats.protect(int, int, int, stats.counted[]);
DROP FUNCTION IF EXISTS stats.withhold(int, int, boolean, int, int, int[], int[], int[], int[]);
DROP FUNCTION IF EXISTS stats.is_safe(int, int, int, int, int);
DROP FUNCTION IF EXISTS stats.grid(uuid, date);
DROP MATERIALIZED VIEW stats.company_usage_monthly;
DROP MATERIALIZED VIEW stats.department_groups;

-- What is not published yet: completed sessions by the month of the company's time zone in which they were to begin, by specialty
-- and mode, each of them, both and neither ('' is all), and by the department in which the person's entry has been since before
-- the month began; '' where it came, moved or left since. So everybody is in one department, and people of departments add up.
-- Read by stats.publish() alone.
CREATE MATERIALIZED VIEW stats.company_usage_monthly AS
    WITH sessions AS (
        SELECT c.company_id, m.month, c.specialty, c.mode, c.user_id, c.duration_minutes, e.department_id
        FROM app.consultations c
        JOIN app.companies k ON k.id = c.company_id
        CROSS JOIN LATERAL (SELECT date_trunc('month', c.starts_at AT TIME ZONE k.time_zone)) m (month)
        LEFT JOIN app.users u ON u.id = c.user_id
        LEFT JOIN app.employees e ON e.company_id = c.company_id AND e.id = u.employee_id AND e.status = 'active'
            AND greatest(e.active_since, e.placed_since) <= m.month AT TIME ZONE k.time_zone
        WHERE c.status = 'completed' AND c.starts_at >= (SELECT r.counted_from FROM app.usage_refreshes r)
    )
    SELECT company_id, month::date AS month, coalesce(department_id::text, '') AS department,
           coalesce(specialty, '') AS specialty, coalesce(mode, '') AS mode,
           count(*)::int AS sessions, coalesce(sum(duration_minutes), 0)::int AS minutes,
           count(DISTINCT user_id)::int AS people
    FROM sessions
    GROUP BY company_id, month, department_id, GROUPING SETS ((), (specialty), (mode), (specialty, mode));
CREATE UNIQUE INDEX company_usage_monthly_key
    ON stats.company_usage_monthly (company_id, month, department, specialty, mode);
ALTER MATERIALIZED VIEW stats.company_usage_monthly OWNER TO huntzen_stats;

-- In which order what is withheld beside others is chosen: known to everybody.
ALTER TYPE stats.counted ADD ATTRIBUTE place int;

-- Minutes are told of months in which nothing is withheld.
ALTER TABLE app.usage_cells DROP CONSTRAINT usage_cells_told;
ALTER TABLE app.usage_cells ADD CONSTRAINT usage_cells_told
    CHECK (num_nonnulls(sessions, people) = CASE WHEN withheld IS NULL THEN 2 ELSE 0 END
           AND (withheld IS NULL OR minutes IS NULL)) NOT VALID;
ALTER TABLE app.usage_cells NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.usage_cells VALIDATE CONSTRAINT usage_cells_told;
ALTER TABLE app.usage_cells FORCE ROW LEVEL SECURITY;
