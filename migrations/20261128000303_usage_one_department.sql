-- Whoever goes to another department in the middle of a month is counted in one of them, that of their first session: else the sum
-- of the departments would say that somebody is in two, and HR knows who.
DROP MATERIALIZED VIEW stats.company_usage_monthly;
-- What is not published yet: completed sessions by the month of the company's time zone in which they were to begin, in total
-- and by specialty, mode and group of departments. Read by stats.publish() alone.
CREATE MATERIALIZED VIEW stats.company_usage_monthly AS
    WITH held AS (
        SELECT c.company_id, date_trunc('month', c.starts_at AT TIME ZONE k.time_zone)::date AS month, c.user_id, c.specialty,
               c.mode, c.duration_minutes,
               first_value(g.group_key) OVER (
                   PARTITION BY c.company_id, date_trunc('month', c.starts_at AT TIME ZONE k.time_zone), c.user_id
                   ORDER BY c.starts_at, c.id) AS group_key
        FROM app.consultations c
        JOIN app.companies k ON k.id = c.company_id
        JOIN stats.department_groups g ON g.company_id = c.company_id AND g.department = coalesce(c.department_id::text, '')
        WHERE c.status = 'completed' AND c.starts_at >= (SELECT r.counted_from FROM app.usage_refreshes r)
    )
    SELECT company_id, month,
           CASE grouping(specialty, mode, group_key)
                WHEN 7 THEN 'total' WHEN 3 THEN 'specialty' WHEN 5 THEN 'mode' WHEN 6 THEN 'department'
                WHEN 1 THEN 'specialty,mode' ELSE 'specialty,department' END AS dimensions,
           coalesce(CASE WHEN grouping(specialty) = 0 THEN specialty
                         WHEN grouping(mode) = 0 THEN mode
                         WHEN grouping(group_key) = 0 THEN group_key END, '') AS row_key,
           coalesce(CASE grouping(specialty, mode, group_key) WHEN 1 THEN mode WHEN 2 THEN group_key END, '') AS column_key,
           count(*)::int AS sessions,
           coalesce(sum(duration_minutes), 0)::int AS minutes,
           count(DISTINCT user_id)::int AS people
    FROM held
    GROUP BY company_id, month,
             GROUPING SETS ((), (specialty), (mode), (group_key), (specialty, mode), (specialty, group_key));
CREATE UNIQUE INDEX company_usage_monthly_key
    ON stats.company_usage_monthly (company_id, month, dimensions, row_key, column_key);
ALTER MATERIALIZED VIEW stats.company_usage_monthly OWNER TO huntzen_stats;
