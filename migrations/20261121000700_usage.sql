-- Usage counters: what companies learn of the care that their people take, and the files made of it.

-- One row for each company and month with at least one completed session, in total and by each dimension.
-- The month is that of the company's time zone in which the session was to begin.
-- Read only through the functions of policies/usage.sql, which withhold what rests on too few people.
CREATE MATERIALIZED VIEW stats.company_usage_monthly AS
    SELECT c.company_id,
           date_trunc('month', c.starts_at AT TIME ZONE k.time_zone)::date AS month,
           CASE WHEN grouping(c.specialty) = 0 THEN 'specialty'
                WHEN grouping(c.mode) = 0 THEN 'mode'
                WHEN grouping(c.department_id) = 0 THEN 'department'
                ELSE 'total' END AS dimension,
           -- empty: the total, or no department
           coalesce(CASE WHEN grouping(c.specialty) = 0 THEN c.specialty
                         WHEN grouping(c.mode) = 0 THEN c.mode
                         WHEN grouping(c.department_id) = 0 THEN c.department_id::text END, '') AS key,
           count(*)::int AS sessions,
           coalesce(sum(c.duration_minutes), 0)::int AS minutes,
           count(DISTINCT c.user_id)::int AS people
    FROM app.consultations c
    JOIN app.companies k ON k.id = c.company_id
    WHERE c.status = 'completed'
    GROUP BY c.company_id, 2, GROUPING SETS ((), (c.specialty), (c.mode), (c.department_id));
CREATE UNIQUE INDEX company_usage_monthly_key ON stats.company_usage_monthly (company_id, month, dimension, key);
ALTER MATERIALIZED VIEW stats.company_usage_monthly OWNER TO huntzen_stats;

-- when the counters were last counted
CREATE TABLE app.usage_refreshes (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    refreshed_at timestamptz NOT NULL
);
INSERT INTO app.usage_refreshes (refreshed_at) VALUES (now());

CREATE TABLE app.exports (
    id           uuid PRIMARY KEY,
    -- the company that the file is about
    company_id   uuid REFERENCES app.companies,
    requested_by uuid NOT NULL REFERENCES app.users,
    kind         text NOT NULL CHECK (kind IN ('usage')),
    params       jsonb NOT NULL,
    status       text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'ready', 'failed', 'expired')),
    file_key     text,
    row_count    int,
    created_at   timestamptz NOT NULL,
    finished_at  timestamptz,
    expires_at   timestamptz,
    CONSTRAINT exports_file CHECK ((status = 'ready') = (file_key IS NOT NULL)),
    CONSTRAINT exports_ready CHECK (status <> 'ready' OR (row_count IS NOT NULL AND expires_at IS NOT NULL))
);
CREATE INDEX exports_requested_by ON app.exports (requested_by, id DESC);
CREATE INDEX exports_expires_at ON app.exports (expires_at) WHERE status = 'ready';
CREATE INDEX exports_company ON app.exports (company_id);
