-- Usage counters: nobody reads the view. The functions below answer for the company of the transaction and
-- withhold, inside the database, whatever rests on too few people.
GRANT USAGE ON SCHEMA stats TO huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker;
REVOKE ALL ON stats.company_usage_monthly FROM PUBLIC, huntzen_employee, huntzen_practitioner, huntzen_hr,
    huntzen_company_admin, huntzen_platform, huntzen_worker, huntzen_auth, huntzen_kernel;

GRANT SELECT, UPDATE (refreshed_at) ON app.usage_refreshes TO huntzen_stats;
CREATE POLICY stats ON app.usage_refreshes TO huntzen_stats USING (true) WITH CHECK (true);

-- Counts anew; answers go on meanwhile.
CREATE OR REPLACE FUNCTION stats.refresh(at timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = stats, pg_temp AS $$
BEGIN
    -- one at a time; what is counted is at least as new as the time that is noted
    PERFORM FROM app.usage_refreshes FOR UPDATE;
    REFRESH MATERIALIZED VIEW CONCURRENTLY stats.company_usage_monthly;
    UPDATE app.usage_refreshes SET refreshed_at = refresh.at;
END
$$;

-- What must not be shown of one month in one dimension.
--
-- `people` ascends; `sessions` and `minutes` go with it; every cell has at least one person. `disjoint`: nobody is
-- counted in two cells. Shown numbers of people are rounded down to a multiple of `step`.
-- The answer has one word for each cell: 'small_group', 'derivable', or NULL for shown. No answer (NULL): nothing
-- of the month may be shown, its total included.
--
-- Cells with fewer than k people are withheld, and then the smallest of the others, so that the sum of what is
-- withheld, which anybody can compute from the total, rests on at least k people. Where all cells are small they
-- are all withheld, and that sum is the total. Should the bounds that a reader can compute from what is shown
-- (at least one session for a person, at least k people in the cell beside, people of the cells at least those of
-- the total) still leave a single possible value, the whole month is withheld, as if few people were in it.
-- That last decision rests on shown values only, so that it tells nothing by itself.
CREATE OR REPLACE FUNCTION stats.withhold(k int, step int, disjoint boolean, total_people int, sessions int[],
                                          minutes int[], people int[])
RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = stats, pg_temp AS $$
DECLARE
    cells       int := cardinality(people);
    small       int := (SELECT count(*) FROM unnest(people) p WHERE p < k);
    hidden      int := least(small + 1, cells);
    beside      int := hidden - small;                                    -- 0 or 1 cells with k people or more
    pooled      int := (SELECT sum(s) FROM unnest(sessions[1:hidden]) s);
    pooled_time int := (SELECT sum(m) FROM unnest(minutes[1:hidden]) m);
    total       int := total_people - total_people % step;                -- as shown
    shown_most  int;                                                      -- people of all shown cells, at most
    shown_least int;
    shown_above int;                                                      -- the same, none as few as the cell beside
    cap         int;                                                      -- people of the cell beside, at most
    others_least int := small - 1 + beside * k;                           -- people beside one small cell
    others_most int;
    lowest      int;
    most_people int;
    most_sessions int;
BEGIN
    IF total_people < k THEN
        RETURN CASE WHEN total_people = 0 THEN ARRAY[]::text[] END;
    ELSIF small = 0 THEN
        RETURN array_fill(NULL::text, ARRAY[cells]);
    END IF;
    SELECT coalesce(sum(least(s, p - p % step + step - 1)), 0), coalesce(sum(greatest(k, p - p % step)), 0),
           coalesce(sum(greatest(k + 1, p - p % step)), 0),
           -- of two cells with the same number of people the first is withheld: a shown one may have to have more
           coalesce(min(least(s, p - p % step + step - 1)) - 1, pooled)
        INTO shown_most, shown_least, shown_above, cap
        FROM unnest(sessions[hidden + 1:], people[hidden + 1:]) AS shown (s, p);
    others_most := (small - 1) * (k - 1) + beside * cap;
    lowest := greatest(1, total - shown_most - others_most);
    most_people := least(k - 1, pooled - others_least);
    IF disjoint AND total + step - 1 - shown_least > others_least THEN
        most_people := least(most_people, total + step - 1 - shown_above - others_least);
    END IF;
    most_sessions := pooled - greatest(others_least, total - shown_most - (k - 1));
    IF hidden < 2 OR pooled_time = 0 OR lowest >= most_people OR lowest >= most_sessions THEN
        RETURN NULL;
    END IF;
    RETURN array_fill('small_group'::text, ARRAY[small]) || array_fill('derivable'::text, ARRAY[beside])
           || array_fill(NULL::text, ARRAY[cells - hidden]);
END
$$;

-- By which threshold months are judged: written by the trigger, read by the functions of this file.
GRANT SELECT, INSERT ON app.reporting_thresholds TO huntzen_stats;
GRANT UPDATE (threshold) ON app.reporting_thresholds TO huntzen_stats;
CREATE POLICY stats ON app.reporting_thresholds TO huntzen_stats USING (true) WITH CHECK (true);

-- A threshold counts for the months that begin to close after it was set: the month that runs, by whatever clock on
-- earth, when the counters were counted last, and later ones. So no month is ever judged by two of them.
CREATE OR REPLACE FUNCTION stats.note_threshold() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = stats, pg_temp AS $$
DECLARE
    since date := '2000-01-01';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- not while they are counted: what is published then keeps what it is published by
        SELECT date_trunc('month', (r.refreshed_at + interval '14 hours') AT TIME ZONE 'UTC')::date INTO since
            FROM app.usage_refreshes r FOR SHARE;
    END IF;
    INSERT INTO app.reporting_thresholds AS t (company_id, first_month, threshold)
        VALUES (NEW.company_id, since, NEW.reporting_threshold)
        ON CONFLICT (company_id, first_month) DO UPDATE SET threshold = excluded.threshold;
    RETURN NULL;
END
$$;

-- What the counters of the transaction's company rest on: when they were counted, and the threshold of months that are
-- yet to close. No row: there is no such company.
CREATE OR REPLACE FUNCTION stats.usage_basis()
RETURNS TABLE (as_of timestamptz, threshold int, closed_before date)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = stats, pg_temp AS $$
    SELECT r.refreshed_at, coalesce(s.reporting_threshold, 11),
           date_trunc('month', r.refreshed_at AT TIME ZONE k.time_zone)::date
    FROM app.companies k
    LEFT JOIN app.company_settings s ON s.company_id = k.id
    CROSS JOIN app.usage_refreshes r
    WHERE k.id = app.company_id()
$$;

-- The counters of the transaction's company: whole months that were over when they were counted, one row for each
-- value of the dimension, used or not, and one (is_total) for the month. Dimension 'total': only the latter.
CREATE OR REPLACE FUNCTION stats.company_usage(first_month date, last_month date, wanted text)
RETURNS TABLE (month date, threshold int, is_total boolean, key text, label text, sessions int, minutes int, people int,
               withheld text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = stats, pg_temp AS $$
    WITH basis AS MATERIALIZED (
        SELECT b.closed_before,
               (SELECT count(*) FROM app.employees e WHERE e.company_id = app.company_id() AND e.status = 'active') AS employed
        FROM stats.usage_basis() b
    ), months AS MATERIALIZED (
        SELECT m::date AS month,
               coalesce((SELECT t.threshold FROM app.reporting_thresholds t
                         WHERE t.company_id = app.company_id() AND t.first_month <= m::date
                         ORDER BY t.first_month DESC LIMIT 1), 11) AS k
        FROM basis,
            generate_series(first_month::timestamp, least(last_month, closed_before - interval '1 month'), '1 month') m
    ), cells AS MATERIALIZED (
        SELECT u.* FROM stats.company_usage_monthly u
        WHERE u.company_id = app.company_id() AND u.month BETWEEN first_month AND last_month
    ), decided AS MATERIALIZED (
        -- each dimension by itself; NULL: the month must be withheld
        SELECT t.month, d.dimension, d.keys,
               stats.withhold(m.k, 5, d.dimension = 'department', t.people, d.sessions, d.minutes, d.people) AS words
        FROM cells t
        JOIN months m USING (month)
        JOIN (SELECT c.month, c.dimension, array_agg(c.key ORDER BY c.people, c.key) AS keys,
                     array_agg(c.sessions ORDER BY c.people, c.key) AS sessions,
                     array_agg(c.minutes ORDER BY c.people, c.key) AS minutes,
                     array_agg(c.people ORDER BY c.people, c.key) AS people
              FROM cells c WHERE c.dimension <> 'total' GROUP BY c.month, c.dimension) d USING (month)
        WHERE t.dimension = 'total'
    ), hidden_months AS (
        -- all dimensions share the total: what one of them needs withheld, no other may show
        SELECT m.month FROM months m CROSS JOIN basis b
        WHERE b.employed < m.k OR EXISTS (SELECT FROM decided d WHERE d.month = m.month AND d.words IS NULL)
    ), verdicts AS (
        SELECT d.month, v.key, v.word FROM decided d, unnest(d.keys, d.words) AS v (key, word)
        WHERE d.dimension = wanted
    ), grid (key, label) AS (
        SELECT v, NULL FROM unnest(ARRAY['psychology', 'coaching', 'nutrition', 'sleep', 'physiotherapy', 'social_work']) v
            WHERE wanted = 'specialty'
        UNION ALL
        SELECT v, NULL FROM unnest(ARRAY['video', 'audio', 'chat']) v WHERE wanted = 'mode'
        UNION ALL
        SELECT d.id::text, d.name FROM app.departments d WHERE wanted = 'department' AND d.company_id = app.company_id()
        UNION ALL
        SELECT '', NULL WHERE wanted = 'department'
    ), answer AS (
        SELECT m.month, m.k, g.is_total, g.key, g.label,
               CASE WHEN h.month IS NOT NULL THEN 'small_group' ELSE v.word END AS word,
               coalesce(c.sessions, 0) AS sessions, coalesce(c.minutes, 0) AS minutes, coalesce(c.people, 0) AS people
        FROM months m
        CROSS JOIN (SELECT false AS is_total, key, label, wanted AS dimension FROM grid
                    UNION ALL SELECT true, '', NULL, 'total') g
        LEFT JOIN hidden_months h ON h.month = m.month
        LEFT JOIN verdicts v ON v.month = m.month AND v.key = g.key AND NOT g.is_total
        LEFT JOIN cells c ON c.month = m.month AND c.dimension = g.dimension AND c.key = g.key
    )
    SELECT a.month, a.k, a.is_total, a.key, a.label,
           CASE WHEN a.word IS NULL THEN a.sessions END, CASE WHEN a.word IS NULL THEN a.minutes END,
           CASE WHEN a.word IS NULL THEN a.people - a.people % 5 END, a.word
    FROM answer a
    ORDER BY a.month, a.is_total, a.label NULLS LAST, a.key
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOR it IN SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
              WHERE n.nspname = 'stats' LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_stats', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
DROP TRIGGER IF EXISTS company_settings_threshold ON app.company_settings;
CREATE TRIGGER company_settings_threshold AFTER INSERT ON app.company_settings
    FOR EACH ROW EXECUTE FUNCTION stats.note_threshold();
DROP TRIGGER IF EXISTS company_settings_new_threshold ON app.company_settings;
CREATE TRIGGER company_settings_new_threshold AFTER UPDATE OF reporting_threshold ON app.company_settings
    FOR EACH ROW WHEN (OLD.reporting_threshold <> NEW.reporting_threshold) EXECUTE FUNCTION stats.note_threshold();
GRANT EXECUTE ON FUNCTION stats.usage_basis(), stats.company_usage(date, date, text)
    TO huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker;
GRANT EXECUTE ON FUNCTION stats.refresh(timestamptz) TO huntzen_worker;

-- Files: whoever asked for one, within their company.
GRANT SELECT ON app.exports TO huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker;
GRANT INSERT (id, company_id, requested_by, kind, params, created_at) ON app.exports
    TO huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT UPDATE (status, file_key, row_count, finished_at, expires_at) ON app.exports TO huntzen_worker;
CREATE POLICY fence ON app.exports AS RESTRICTIVE TO huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.exports FOR SELECT TO huntzen_hr, huntzen_company_admin, huntzen_platform
    USING (requested_by = (SELECT app.user_id()));
CREATE POLICY own_insert ON app.exports FOR INSERT TO huntzen_hr, huntzen_company_admin, huntzen_platform
    WITH CHECK (requested_by = (SELECT app.user_id()));
CREATE POLICY of_job ON app.exports FOR SELECT TO huntzen_worker
    USING (company_id IS NOT DISTINCT FROM (SELECT app.company_id()) AND requested_by = (SELECT app.user_id()));
CREATE POLICY of_job_change ON app.exports FOR UPDATE TO huntzen_worker
    USING (company_id IS NOT DISTINCT FROM (SELECT app.company_id()) AND requested_by = (SELECT app.user_id()))
    WITH CHECK (company_id IS NOT DISTINCT FROM (SELECT app.company_id()) AND requested_by = (SELECT app.user_id()));

-- The files whose time is over, of all companies: first listed, and forgotten once they are gone.
CREATE OR REPLACE FUNCTION app.expired_exports(at timestamptz)
RETURNS TABLE (id uuid, file_key text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT e.id, e.file_key FROM app.exports e WHERE e.status = 'ready' AND e.expires_at <= expired_exports.at
    ORDER BY e.expires_at LIMIT 1000
$$;
CREATE OR REPLACE FUNCTION app.forget_exports(gone uuid[])
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    UPDATE app.exports SET status = 'expired', file_key = NULL WHERE id = ANY (gone) AND status = 'ready'
$$;
ALTER FUNCTION app.expired_exports(timestamptz) OWNER TO huntzen_kernel;
ALTER FUNCTION app.forget_exports(uuid[]) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.expired_exports(timestamptz), app.forget_exports(uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.expired_exports(timestamptz), app.forget_exports(uuid[]) TO huntzen_worker;
GRANT SELECT ON app.exports TO huntzen_kernel;
GRANT UPDATE (status, file_key) ON app.exports TO huntzen_kernel;
CREATE POLICY kernel ON app.exports TO huntzen_kernel USING (true) WITH CHECK (true);
