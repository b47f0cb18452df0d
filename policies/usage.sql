-- Usage counters and payroll. Nobody reads the views. What may be shown of a month is decided here, once, when the month is
-- published (stats.publish), and kept in tables that never change; row security says who reads which of them.
GRANT USAGE ON SCHEMA stats TO huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker;
REVOKE ALL ON stats.company_usage_monthly, stats.practitioner_activity_monthly FROM PUBLIC, huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker, huntzen_auth,
    huntzen_kernel;
REVOKE ALL ON TYPE stats.counted FROM PUBLIC;
GRANT USAGE ON TYPE stats.counted TO huntzen_stats;

GRANT SELECT, UPDATE (refreshed_at, refreshed_before, agreed_at, counted_from, restored_at) ON app.usage_refreshes TO huntzen_stats;
CREATE POLICY stats ON app.usage_refreshes TO huntzen_stats USING (true) WITH CHECK (true);
-- whose account is whose entry's, and since when: who counts needs no names
GRANT SELECT (id, company_id, employee_id, status, created_at) ON app.users TO huntzen_stats;
CREATE POLICY stats ON app.users FOR SELECT TO huntzen_stats USING (true);
GRANT SELECT (active_since, placed_since) ON app.employees TO huntzen_stats;

-- Since when an entry of the directory is active, and where it is. By the database's clock, and nobody may write it.
CREATE OR REPLACE FUNCTION app.note_place() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.active_since := NEW.created_at;
        NEW.placed_since := NEW.created_at;
        RETURN NEW;
    END IF;
    IF NEW.status <> OLD.status THEN
        NEW.active_since := clock_timestamp();
    END IF;
    IF NEW.department_id IS DISTINCT FROM OLD.department_id THEN
        NEW.placed_since := clock_timestamp();
    END IF;
    RETURN NEW;
END
$$;
ALTER FUNCTION app.note_place() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.note_place() FROM PUBLIC;
DROP TRIGGER IF EXISTS employees_first_place ON app.employees;
CREATE TRIGGER employees_first_place BEFORE INSERT ON app.employees FOR EACH ROW EXECUTE FUNCTION app.note_place();
DROP TRIGGER IF EXISTS employees_new_place ON app.employees;
CREATE TRIGGER employees_new_place BEFORE UPDATE OF department_id, status ON app.employees
    FOR EACH ROW EXECUTE FUNCTION app.note_place();

-- The database's clock: beside the program's, and not moved with it.
CREATE OR REPLACE FUNCTION stats.clock()
RETURNS timestamptz LANGUAGE sql VOLATILE SET search_path = stats, pg_temp AS $$ SELECT clock_timestamp() $$;

-- Counts anew; answers go on meanwhile, and so does who sets a threshold: the time is noted afterwards. `everything`: also what
-- began before the last published month, which matters only where history is brought in.
-- The planner does not know how little is left to count: without the setting it reads all of history.
CREATE OR REPLACE FUNCTION stats.refresh(at timestamptz, everything boolean)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = stats, pg_temp SET enable_seqscan = off AS $$
BEGIN
    -- one at a time
    PERFORM pg_advisory_xact_lock(hashtextextended('stats.refresh', 0));
    IF everything THEN
        UPDATE app.usage_refreshes SET counted_from = '-infinity';
    END IF;
    REFRESH MATERIALIZED VIEW CONCURRENTLY stats.company_usage_monthly;
    REFRESH MATERIALIZED VIEW CONCURRENTLY stats.practitioner_activity_monthly;
    -- What closes months: two readings, at least 50 minutes apart, at each of which the two clocks agreed. A count that is
    -- repeated at once, by a retry or by another node, moves nothing; a clock that came back takes what it said with it.
    UPDATE app.usage_refreshes r SET refreshed_at = refresh.at,
        refreshed_before = CASE WHEN NOT a.agree THEN r.refreshed_before
                                WHEN refresh.at >= r.agreed_at + interval '50 minutes' THEN r.agreed_at
                                ELSE least(r.refreshed_before, refresh.at) END,
        agreed_at = CASE WHEN a.agree AND (refresh.at >= r.agreed_at + interval '50 minutes' OR refresh.at < r.agreed_at)
                         THEN refresh.at ELSE r.agreed_at END
        FROM (SELECT stats.clock() BETWEEN refresh.at - interval '10 minutes' AND refresh.at + interval '1 hour' AS agree) a;
END
$$;

-- The disclosure engine: `is_safe` judges a number, `withhold` one dimension of a month, `protect` a whole month. What a reader
-- may know besides: who is in which department, that some of them do not come at all, how long sessions of each kind take, these
-- rules. See SECURITY.md.

-- Whether a number rests on enough people to be shown. Nor is it where nearly everybody of the group is among them: that
-- would tell it of each.
CREATE OR REPLACE FUNCTION stats.is_safe(k int, step int, eligible int, people int)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT people >= k AND people <= eligible - step
$$;

-- Which cells of one dimension must not be shown, given in an order that everybody knows. All of them, or:
--
-- - none, where each is safe, or nobody's in a dimension that HR does not arrange. Of departments (`disjoint`: nobody is in two)
--   nobody is told by the same word as few: who decides who is in a department could make one of a single person who comes;
-- - those that are not safe, with the first of the others, whichever number that has: had it been chosen by its number, the
--   choice would tell of it. It must hide them: their sum, which anybody computes, is so large that each of the cells can have
--   any of `step` numbers; of departments it is so many people, and few enough to have come from that one alone. This looks at
--   nothing but the sum that is known anyhow.
CREATE OR REPLACE FUNCTION stats.withhold(k int, step int, disjoint boolean, sessions int[], people int[], eligible int[])
RETURNS boolean[] LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = stats, pg_temp AS $$
    WITH cell AS (
        SELECT n, c.sessions, c.people, c.eligible, stats.is_safe(k, step, c.eligible, c.people) AS is_safe
        FROM unnest(withhold.sessions, withhold.people, withhold.eligible) WITH ORDINALITY AS c (sessions, people, eligible, n)
    ), beside AS (
        SELECT n, b.eligible FROM cell b WHERE b.is_safe ORDER BY n LIMIT 1
    ), pool AS (
        SELECT sum(CASE WHEN disjoint THEN c.people ELSE c.sessions END) AS size FROM cell c WHERE NOT c.is_safe OR n = (SELECT b.n FROM beside b)
    )
    SELECT CASE
        WHEN (SELECT bool_and(c.is_safe OR c.people = 0 AND NOT disjoint) FROM cell c)
            THEN (SELECT array_agg(false ORDER BY n) FROM cell)
        WHEN (SELECT p.size >= k + step AND (NOT disjoint OR p.size <= b.eligible - step) FROM pool p, beside b)
            THEN (SELECT array_agg(NOT c.is_safe OR n = (SELECT b.n FROM beside b) ORDER BY n) FROM cell c)
        ELSE (SELECT array_agg(true ORDER BY n) FROM cell) END
$$;

-- What may be shown of one month of one company: its cells with a reason for each that must not be, its numbers otherwise.
-- `cells` is the whole grid, unused values included. `eligible`: of how many people they are.
--
-- A month whose total is not safe is withheld as a whole, one without any session too. Specialties, modes and departments are
-- judged by `withhold`; what is withheld of one of them is one number, its sum. A table of specialties by something has these
-- sums as its margins. What it may show of them are whole rows: of a specialty that is shown, where each number, the rest in
-- the withheld columns included, is safe. The other rows are one row more, of which anybody can compute each number: these
-- must be safe as well, and where specialties that are shown are among the rows in it, each number in it must be able to be any
-- of `step`, and of departments zero. A row that would be alone takes the first of the others with it. If that is not so, nothing
-- of the table is shown.
-- Then, and in what is left of it otherwise, a cell can be anything from 0 or row + column - all to the lesser of row and
-- column (Fréchet's bounds are exact for two margins), and two such tables that share their rows say no more together than
-- each by itself (they are decomposable: Dobra and Fienberg, 2000). What is not hidden by any margin is shown: the cells of
-- rows and columns that are zero, and of the only row or column there is.
-- Modes are not crossed with departments, nor all three: three tables in a ring have no such bounds.
--
-- Minutes and sessions together are two equations for what is withheld, for everybody knows how long sessions take: minutes are
-- told where nothing of the month is withheld. One word stands for all reasons.
CREATE OR REPLACE FUNCTION stats.protect(k int, step int, eligible int, cells stats.counted[])
RETURNS TABLE (dimensions text, row_key text, column_key text, sessions int, minutes int, people int, withheld text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = stats, pg_temp AS $$
    WITH given AS MATERIALIZED (
        SELECT c.dimensions, c.row_key, c.column_key, c.sessions, c.minutes, c.people, c.place,
               coalesce(c.eligible, protect.eligible) AS eligible,
               stats.is_safe(k, step, coalesce(c.eligible, protect.eligible), c.people) AS is_safe
        FROM unnest(cells) c
    ), margins AS MATERIALIZED (
        -- `class`: what is known of it is known of the class
        SELECT d.dimensions, v.key, v.is_hidden, CASE WHEN v.is_hidden THEN '*' ELSE v.key END AS class, v.place,
               NOT v.is_hidden AND v.sessions = 0 AS is_zero
        FROM (SELECT g.dimensions, array_agg(g.row_key ORDER BY g.place, g.row_key) AS keys,
                     array_agg(g.sessions ORDER BY g.place, g.row_key) AS sessions,
                     array_agg(g.place ORDER BY g.place, g.row_key) AS places,
                     stats.withhold(k, step, g.dimensions = 'department', array_agg(g.sessions ORDER BY g.place, g.row_key),
                                    array_agg(g.people ORDER BY g.place, g.row_key),
                                    array_agg(g.eligible ORDER BY g.place, g.row_key)) AS hidden
              FROM given g WHERE g.dimensions IN ('specialty', 'mode', 'department') GROUP BY g.dimensions) d,
             unnest(d.keys, d.sessions, d.places, d.hidden) AS v (key, sessions, place, is_hidden)
    ), crossed AS MATERIALIZED (
        SELECT g.dimensions, g.row_key, g.column_key, g.sessions, g.is_safe, r.class AS row_class, c.class AS column_class,
               r.place, r.is_zero OR c.is_zero AS is_zero
        FROM given g
        JOIN (VALUES ('specialty,mode', 'mode'), ('specialty,department', 'department')) x (dimensions, columns)
            ON x.dimensions = g.dimensions
        JOIN margins r ON r.dimensions = 'specialty' AND r.key = g.row_key
        JOIN margins c ON c.dimensions = x.columns AND c.key = g.column_key
    ), live AS MATERIALIZED (
        SELECT * FROM crossed WHERE NOT is_zero
    ), sizes AS MATERIALIZED (
        SELECT l.dimensions, count(DISTINCT l.row_class) AS rows, count(DISTINCT l.column_class) AS columns,
               -- with nothing withheld in its margins, a table of modes may tell zeros
               bool_and(l.is_safe OR l.sessions = 0 AND l.dimensions = 'specialty,mode')
                   AND bool_and(l.row_class <> '*' AND l.column_class <> '*') AS is_whole
        FROM live l GROUP BY l.dimensions
    ), lines AS MATERIALIZED (
        -- rows that could be shown, numbered in the order that everybody knows
        SELECT b.*, row_number() OVER (PARTITION BY b.dimensions, b.is_good ORDER BY b.place, b.row_class) AS nth,
               count(*) FILTER (WHERE NOT b.is_good) OVER (PARTITION BY b.dimensions) AS bad,
               bool_or(b.row_class = '*') OVER (PARTITION BY b.dimensions) AS is_pooled
        FROM (SELECT n.dimensions, n.row_class, min(n.place) AS place, n.row_class <> '*' AND bool_and(n.is_safe) AS is_good
              FROM (SELECT l.dimensions, l.row_class, l.column_class, min(l.place) AS place, bool_or(l.is_safe) AS is_safe
                    FROM live l GROUP BY l.dimensions, l.row_class, l.column_class) n
              GROUP BY n.dimensions, n.row_class) b
    ), rests AS MATERIALIZED (
        -- the rows that are not shown: the bad ones, and the first good one where there would be a single one
        SELECT l.dimensions, l.row_class, l.column_class, l.sessions, l.is_safe, i.bad
        FROM live l JOIN lines i USING (dimensions, row_class)
        WHERE NOT i.is_good OR i.bad = 1 AND NOT i.is_pooled AND i.nth = 1
    ), tight AS MATERIALIZED (
        -- tables in which these rows would tell something
        SELECT c.dimensions FROM (SELECT r.dimensions, bool_or(r.is_safe) AS is_safe FROM rests r
                                  GROUP BY r.dimensions, r.column_class) c
        GROUP BY c.dimensions HAVING NOT bool_and(c.is_safe)
        UNION
        SELECT a.dimensions FROM (SELECT r.dimensions, sum(r.sessions) AS sessions, count(DISTINCT r.row_class) AS rows
                                  FROM rests r GROUP BY r.dimensions) a
        JOIN (SELECT r.dimensions, sum(r.sessions) AS sessions FROM rests r GROUP BY r.dimensions, r.row_class) o
            USING (dimensions)
        JOIN (SELECT r.dimensions, sum(r.sessions) AS sessions FROM rests r GROUP BY r.dimensions, r.column_class) c
            USING (dimensions)
        WHERE a.rows > 1
          AND (CASE a.dimensions WHEN 'specialty,department' THEN o.sessions + c.sessions > a.sessions
                                 ELSE least(o.sessions, c.sessions, a.sessions - o.sessions, a.sessions - c.sessions) < step END)
    ), verdicts AS (
        SELECT c.dimensions, c.row_key, c.column_key,
               NOT (c.is_zero
                    OR c.row_class <> '*' AND c.column_class <> '*'
                       AND (s.is_whole OR s.rows = 1 OR s.columns = 1
                            OR NOT EXISTS (SELECT FROM tight t WHERE t.dimensions = c.dimensions)
                               AND NOT EXISTS (SELECT FROM rests r
                                               WHERE r.dimensions = c.dimensions AND r.row_class = c.row_class))) AS is_hidden
        FROM crossed c LEFT JOIN sizes s USING (dimensions)
        UNION ALL
        SELECT m.dimensions, m.key, '', m.is_hidden FROM margins m
    ), answer AS MATERIALIZED (
        SELECT g.*, coalesce(v.is_hidden, false)
                    OR NOT coalesce((SELECT t.is_safe FROM given t WHERE t.dimensions = 'total'), false) AS is_hidden
        FROM given g LEFT JOIN verdicts v USING (dimensions, row_key, column_key)
    )
    SELECT a.dimensions, a.row_key, a.column_key, CASE WHEN NOT a.is_hidden THEN a.sessions END,
           CASE WHEN NOT bool_or(a.is_hidden) OVER () THEN a.minutes END,
           CASE WHEN NOT a.is_hidden THEN a.people - a.people % step END, CASE WHEN a.is_hidden THEN 'small_group' END
    FROM answer a
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

-- What the counters of the transaction's company rest on, and what it bought. No row: there is no such company.
CREATE OR REPLACE FUNCTION stats.usage_basis()
RETURNS TABLE (as_of timestamptz, threshold int, contract_starts_on date, contract_ends_on date, seats int,
               sessions_per_employee int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = stats, pg_temp AS $$
    SELECT r.refreshed_at, coalesce(s.reporting_threshold, 11), k.contract_starts_on, k.contract_ends_on, k.seats,
           k.sessions_per_employee
    FROM app.companies k
    LEFT JOIN app.company_settings s ON s.company_id = k.id
    CROSS JOIN app.usage_refreshes r
    WHERE k.id = app.company_id()
$$;

-- Months: published once, three days after their end by two counts at which the program's clock and the database's said the
-- same, so that a clock that jumped publishes nothing. Until then whatever people can say of a session has been said.
GRANT SELECT, INSERT ON app.usage_months, app.usage_cells, app.payroll_months, app.payroll_lines, app.payroll_sessions
    TO huntzen_stats;
GRANT SELECT ON app.practitioner_rates TO huntzen_stats;
CREATE POLICY stats ON app.usage_months TO huntzen_stats USING (true) WITH CHECK (true);
CREATE POLICY stats ON app.usage_cells TO huntzen_stats USING (true) WITH CHECK (true);
CREATE POLICY stats ON app.payroll_months TO huntzen_stats USING (true) WITH CHECK (true);
CREATE POLICY stats ON app.payroll_lines TO huntzen_stats USING (true) WITH CHECK (true);
CREATE POLICY stats ON app.payroll_sessions TO huntzen_stats USING (true) WITH CHECK (true);
CREATE POLICY stats ON app.practitioner_rates FOR SELECT TO huntzen_stats USING (true);

-- Of how many people the numbers of a month are, by the group that their department is counted in: those whose entry has been
-- active, and where it is, since before the month began, and who had an account by then (`eligible`; invented entries come
-- nowhere). Departments with fewer such entries (`entries`) than the threshold and ten more are counted together, with
-- everybody else; where these are still fewer, the smallest other department joins them. That rests on the directory alone,
-- which HR keeps: nobody learns from it who has an account.
CREATE OR REPLACE FUNCTION stats.departments(company uuid, since timestamptz, k int)
RETURNS TABLE (department text, group_key text, entries int, eligible int)
LANGUAGE sql STABLE SET search_path = stats, pg_temp AS $$
    WITH staff AS (
        SELECT CASE WHEN e.placed_since <= since THEN e.department_id END AS department,
               EXISTS (SELECT FROM app.users u WHERE u.company_id = company AND u.employee_id = e.id AND u.status <> 'invited'
                                                 AND u.created_at <= since) AS can_come
        FROM app.employees e WHERE e.company_id = company AND e.status = 'active' AND e.active_since <= since
    ), sized AS (
        SELECT coalesce(s.department::text, '') AS department, count(*)::int AS entries,
               (count(*) FILTER (WHERE s.can_come))::int AS eligible,
               s.department IS NOT NULL AND count(*) >= k + 10 AS is_large
        FROM staff s GROUP BY s.department
    ), ranked AS (
        SELECT s.*, coalesce(sum(s.entries) FILTER (WHERE NOT s.is_large) OVER (), 0) AS pooled,
               row_number() OVER (PARTITION BY s.is_large ORDER BY s.entries, s.department) AS nth
        FROM sized s
    )
    SELECT r.department, CASE WHEN r.is_large AND (r.nth > 1 OR r.pooled >= k + 10) THEN r.department ELSE 'others' END,
           r.entries, r.eligible
    FROM ranked r
$$;

-- Every cell that one month of a company has, used or not.
CREATE OR REPLACE FUNCTION stats.grid(company uuid, of_month date, since timestamptz, k int)
RETURNS SETOF stats.counted LANGUAGE sql STABLE SET search_path = stats, pg_temp AS $$
    WITH specialties (key, place) AS (
        -- what is withheld beside others is the first one that could be shown
        SELECT * FROM unnest(ARRAY['social_work', 'physiotherapy', 'sleep', 'nutrition', 'coaching', 'psychology'])
            WITH ORDINALITY
    ), modes (key, place) AS (
        SELECT * FROM unnest(ARRAY['chat', 'audio', 'video']) WITH ORDINALITY
    ), departments AS MATERIALIZED (
        SELECT d.department, d.group_key, d.entries, d.eligible FROM stats.departments(company, since, k) d
    ), groups AS MATERIALIZED (
        SELECT g.key, coalesce(sum(d.eligible), 0)::int AS eligible,
               row_number() OVER (ORDER BY coalesce(sum(d.entries), 0), g.key) AS place
        FROM (SELECT 'others' UNION SELECT d.group_key FROM departments d) g (key)
        LEFT JOIN departments d ON d.group_key = g.key GROUP BY g.key
    ), counted AS MATERIALIZED (
        -- everybody is in one department
        SELECT coalesce(d.group_key, 'others') AS group_key, u.specialty, u.mode, u.sessions, u.minutes, u.people
        FROM stats.company_usage_monthly u LEFT JOIN departments d USING (department)
        WHERE u.company_id = company AND u.month = of_month
    ), wanted (dimensions, row_key, column_key, specialty, mode, group_key, eligible, place) AS (
        SELECT 'total', '', '', '', '', NULL, NULL::int, 0::bigint
        UNION ALL SELECT 'specialty', s.key, '', s.key, '', NULL, NULL, s.place FROM specialties s
        UNION ALL SELECT 'mode', m.key, '', '', m.key, NULL, NULL, m.place FROM modes m
        UNION ALL SELECT 'department', g.key, '', '', '', g.key, g.eligible, g.place FROM groups g
        UNION ALL SELECT 'specialty,mode', s.key, m.key, s.key, m.key, NULL, NULL, 0 FROM specialties s, modes m
        UNION ALL SELECT 'specialty,department', s.key, g.key, s.key, '', g.key, g.eligible, 0 FROM specialties s, groups g
    )
    SELECT w.dimensions, w.row_key, w.column_key, coalesce(sum(c.sessions), 0)::int, coalesce(sum(c.minutes), 0)::int,
           coalesce(sum(c.people), 0)::int, w.eligible, w.place::int
    FROM wanted w
    LEFT JOIN counted c ON c.specialty = w.specialty AND c.mode = w.mode AND (w.group_key IS NULL OR c.group_key = w.group_key)
    GROUP BY w.dimensions, w.row_key, w.column_key, w.eligible, w.place
$$;

-- The first so many months of companies that are over at some time, and not published; no number: all of them. In an order in
-- which no company is looked at before those before it are done, so that a small number costs little however many are left;
-- the planner does not know how few they are, and would compile the query for millions.
CREATE OR REPLACE FUNCTION stats.months_to_publish(settled timestamptz, batch int)
RETURNS TABLE (company uuid, month date, since timestamptz, threshold int)
LANGUAGE sql STABLE SET search_path = stats, pg_temp SET jit = off AS $$
    SELECT k.id, m::date, m AT TIME ZONE k.time_zone,
           coalesce((SELECT t.threshold FROM app.reporting_thresholds t
                     WHERE t.company_id = k.id AND t.first_month <= m::date
                     ORDER BY t.first_month DESC LIMIT 1), 11)
    FROM app.companies k
    CROSS JOIN LATERAL (SELECT max(u.month) AS month FROM app.usage_months u WHERE u.company_id = k.id) done
    CROSS JOIN LATERAL (SELECT min(u.month) AS month FROM stats.company_usage_monthly u WHERE u.company_id = k.id) used
    CROSS JOIN LATERAL generate_series(
        coalesce((done.month + interval '1 month')::date,
                 least(date_trunc('month', k.created_at AT TIME ZONE k.time_zone)::date, used.month))::timestamp,
        date_trunc('month', settled AT TIME ZONE k.time_zone) - interval '1 month', interval '1 month') m
    ORDER BY k.id, m LIMIT batch
$$;
-- The same of payroll, of all practitioners at once.
CREATE OR REPLACE FUNCTION stats.payroll_to_publish(settled timestamptz)
RETURNS SETOF date LANGUAGE sql STABLE SET search_path = stats, pg_temp AS $$
    SELECT m::date
    FROM generate_series(
        coalesce((SELECT max(p.month) + interval '1 month' FROM app.payroll_months p),
                 (SELECT min(a.month)::timestamp FROM stats.practitioner_activity_monthly a)),
        date_trunc('month', settled AT TIME ZONE 'Europe/Paris') - interval '1 month', interval '1 month') m
$$;

-- Until when what was over may have been published by some time. An hour more, because clocks differ.
CREATE OR REPLACE FUNCTION stats.may_be_told(at timestamptz)
RETURNS timestamptz LANGUAGE sql STABLE SET search_path = stats, pg_temp AS $$ SELECT at - interval '3 days' + interval '1 hour' $$;

-- Publishes some months that are over; how many of companies there were. Zero: all are published, payroll as well.
CREATE OR REPLACE FUNCTION stats.publish(batch int)
RETURNS int LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = stats, pg_temp AS $$
DECLARE
    counted   timestamptz;
    settled   timestamptz;
    restored  timestamptz;
    it        record;
    published int := 0;
BEGIN
    -- not while the time is noted, and nothing that is yet to come by the database's own clock
    SELECT r.refreshed_at, least(r.refreshed_at, r.agreed_at, r.refreshed_before, stats.clock()) - interval '3 days', r.restored_at
        INTO counted, settled, restored FROM app.usage_refreshes r FOR UPDATE;
    FOR it IN
        SELECT m.company, m.month, m.since, m.threshold FROM stats.months_to_publish(settled, batch) m
    LOOP
        INSERT INTO app.usage_months (company_id, month, threshold, published_at)
            VALUES (it.company, it.month, it.threshold, counted);
        INSERT INTO app.usage_cells (company_id, month, dimensions, row_key, column_key, label, sessions, minutes, people,
                                     withheld)
            SELECT it.company, it.month, p.dimensions, p.row_key, p.column_key, d.name, p.sessions, p.minutes, p.people,
                   p.withheld
            FROM stats.protect(
                it.threshold, 5,
                (SELECT coalesce(sum(d.eligible), 0)::int FROM stats.departments(it.company, it.since, it.threshold) d),
                ARRAY(SELECT c FROM stats.grid(it.company, it.month, it.since, it.threshold) c)) p
            LEFT JOIN app.departments d ON d.company_id = it.company
                AND d.id::text = CASE p.dimensions WHEN 'department' THEN p.row_key
                                                   WHEN 'specialty,department' THEN p.column_key END;
        published := published + 1;
    END LOOP;
    IF published > 0 THEN
        RETURN published;
    END IF;
    FOR it IN
        SELECT m AS month FROM stats.payroll_to_publish(settled) m ORDER BY m
    LOOP
        INSERT INTO app.payroll_months (month, published_at, is_restored)
            VALUES (it.month, counted, it.month < date_trunc('month', stats.may_be_told(restored) AT TIME ZONE 'Europe/Paris'));
        INSERT INTO app.payroll_lines (practitioner_id, month, currency, practitioner_name, open, completed,
                cancelled_by_employee, cancelled_otherwise, missed_by_employee, missed_otherwise, minutes, amount, flagged,
                flagged_minutes, flagged_amount)
            SELECT a.practitioner_id, a.month, a.currency, p.display_name, a.open, a.completed, a.cancelled_by_employee,
                   a.cancelled_otherwise, a.missed_by_employee, a.missed_otherwise, a.minutes, a.amount, a.flagged,
                   a.flagged_minutes, a.flagged_amount
            FROM stats.practitioner_activity_monthly a JOIN app.practitioners p ON p.id = a.practitioner_id
            WHERE a.month = it.month;
        INSERT INTO app.payroll_sessions (practitioner_id, month, starts_at, consultation_id, ends_at, mode, specialty, status,
                duration_minutes, seen_minutes, times_differ, hourly_rate_cents, currency)
            SELECT c.practitioner_id, it.month, c.starts_at, c.id, c.ends_at, c.mode, c.specialty, c.status, c.duration_minutes,
                   c.seen_minutes, c.times_differ, r.hourly_rate_cents, r.currency
            FROM app.consultations c
            CROSS JOIN LATERAL (SELECT r.currency, r.hourly_rate_cents FROM app.practitioner_rates r
                                WHERE r.practitioner_id = c.practitioner_id AND r.since <= c.starts_at
                                ORDER BY r.since DESC LIMIT 1) r
            WHERE c.starts_at >= it.month::timestamp AT TIME ZONE 'Europe/Paris'
              AND c.starts_at < (it.month + interval '1 month') AT TIME ZONE 'Europe/Paris';
    END LOOP;
    -- from the first month on that is published nowhere yet, in whichever zone
    UPDATE app.usage_refreshes r SET counted_from = greatest(r.counted_from,
        date_trunc('month', (settled - interval '14 hours') AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '15 hours');
    RETURN 0;
END
$$;

-- The last month that was published of any company: for the operator to keep outside of the backups. Never an earlier one than it
-- was: of a database that was restored, every month that was over then counts, in the first zone in which it was, for companies
-- that came after the backup are not in it.
CREATE OR REPLACE FUNCTION stats.last_told()
RETURNS date LANGUAGE sql STABLE SECURITY DEFINER SET search_path = stats, pg_temp AS $$
    SELECT greatest(
        (SELECT max(m.month) FROM app.usage_months m),
        (SELECT (date_trunc('month', stats.may_be_told(r.restored_at) AT TIME ZONE 'Pacific/Kiritimati') - interval '1 month')::date
         FROM app.usage_refreshes r WHERE isfinite(r.restored_at)))
$$;

-- After a backup was restored: months that were over by now may have been told since it was made, and what was told of them is
-- lost. Counted again they would be other numbers (somebody was erased, sessions are missing), and the difference would be
-- somebody's. So they are withheld as a whole, for good: all of them, or those until the last that is known to be told, where the
-- release that made the backup published none. Payroll of them is published as of any month, for nobody can subtract it, and
-- marked: it may have been paid already. How many months of companies, and of payroll.
CREATE OR REPLACE FUNCTION stats.withhold_restored(at timestamptz, last_told date, OUT usage int, OUT payroll int)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = stats, pg_temp AS $$
DECLARE
    it record;
BEGIN
    usage := 0;
    FOR it IN SELECT m.* FROM stats.months_to_publish(stats.may_be_told(withhold_restored.at), NULL) m WHERE m.month <= last_told LOOP
        INSERT INTO app.usage_months (company_id, month, threshold, published_at)
            VALUES (it.company, it.month, it.threshold, withhold_restored.at);
        INSERT INTO app.usage_cells (company_id, month, dimensions, row_key, column_key, label, withheld)
            SELECT it.company, it.month, g.dimensions, g.row_key, g.column_key, d.name, 'small_group'
            FROM stats.grid(it.company, it.month, it.since, it.threshold) g
            LEFT JOIN app.departments d ON d.company_id = it.company
                AND d.id::text = CASE g.dimensions WHEN 'department' THEN g.row_key
                                                   WHEN 'specialty,department' THEN g.column_key END;
        usage := usage + 1;
    END LOOP;
    UPDATE app.usage_refreshes SET restored_at = withhold_restored.at;
    SELECT count(*) INTO payroll FROM stats.payroll_to_publish(stats.may_be_told(withhold_restored.at));
END
$$;

GRANT SELECT ON app.usage_months, app.usage_cells TO huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker;
CREATE POLICY fence ON app.usage_months AS RESTRICTIVE TO huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY fence ON app.usage_cells AS RESTRICTIVE TO huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY of_company ON app.usage_months FOR SELECT
    TO huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker USING (company_id = (SELECT app.company_id()));
CREATE POLICY of_company ON app.usage_cells FOR SELECT
    TO huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker USING (company_id = (SELECT app.company_id()));

-- Rates: noted with each change of the profile, by the database itself. Told their practitioner and staff.
GRANT SELECT ON app.practitioner_rates TO huntzen_practitioner, huntzen_platform;
CREATE POLICY own ON app.practitioner_rates FOR SELECT TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()));
CREATE POLICY all_rows ON app.practitioner_rates FOR SELECT TO huntzen_platform USING (true);
GRANT SELECT, INSERT ON app.practitioner_rates TO huntzen_kernel;
CREATE POLICY kernel ON app.practitioner_rates TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE OR REPLACE FUNCTION app.note_rate() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    -- of a new practitioner also what was before: nothing of theirs was paid by another one
    INSERT INTO app.practitioner_rates (practitioner_id, since, hourly_rate_cents, currency)
        VALUES (NEW.id, CASE TG_OP WHEN 'INSERT' THEN '-infinity' ELSE clock_timestamp() END, NEW.hourly_rate_cents, NEW.currency);
    RETURN NULL;
END
$$;
ALTER FUNCTION app.note_rate() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.note_rate() FROM PUBLIC;
DROP TRIGGER IF EXISTS practitioners_first_rate ON app.practitioners;
CREATE TRIGGER practitioners_first_rate AFTER INSERT ON app.practitioners FOR EACH ROW EXECUTE FUNCTION app.note_rate();
DROP TRIGGER IF EXISTS practitioners_new_rate ON app.practitioners;
CREATE TRIGGER practitioners_new_rate AFTER UPDATE OF hourly_rate_cents, currency ON app.practitioners
    FOR EACH ROW WHEN (OLD.hourly_rate_cents <> NEW.hourly_rate_cents OR OLD.currency <> NEW.currency)
    EXECUTE FUNCTION app.note_rate();

-- Payroll: one's own lines, and all of them for staff and the jobs that they ask for.
GRANT SELECT ON app.payroll_months TO huntzen_platform, huntzen_kernel;
GRANT SELECT ON app.payroll_lines TO huntzen_practitioner, huntzen_platform, huntzen_worker;
GRANT SELECT ON app.payroll_sessions TO huntzen_practitioner, huntzen_platform, huntzen_kernel;
CREATE POLICY all_rows ON app.payroll_months FOR SELECT TO huntzen_platform, huntzen_kernel USING (true);
CREATE POLICY own ON app.payroll_sessions FOR SELECT TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()));
CREATE POLICY all_rows ON app.payroll_sessions FOR SELECT TO huntzen_platform, huntzen_kernel USING (true);
CREATE POLICY own ON app.payroll_lines FOR SELECT TO huntzen_practitioner USING (practitioner_id = (SELECT app.user_id()));
CREATE POLICY all_rows ON app.payroll_lines FOR SELECT TO huntzen_platform, huntzen_worker USING (true);

-- Whether the sessions of a month are kept as they were when its payroll was published.
CREATE OR REPLACE FUNCTION stats.keeps_sessions(of_month date)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = stats, pg_temp AS $$
    SELECT EXISTS (SELECT FROM app.payroll_months p WHERE p.month = of_month AND p.has_sessions)
$$;
-- Whether a month of payroll may have been published, and paid, before the database was brought back from a backup without it.
CREATE OR REPLACE FUNCTION stats.is_restored(of_month date)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = stats, pg_temp AS $$
    SELECT EXISTS (SELECT FROM app.payroll_months p WHERE p.month = of_month AND p.is_restored)
$$;
-- When what is not published was counted.
CREATE OR REPLACE FUNCTION stats.counted_at()
RETURNS timestamptz LANGUAGE sql STABLE SECURITY DEFINER SET search_path = stats, pg_temp AS $$
    SELECT r.refreshed_at FROM app.usage_refreshes r
$$;
-- What a practitioner did in months that are not published yet, as far as it is counted.
CREATE OR REPLACE FUNCTION stats.running_activity(practitioner uuid, first_month date, last_month date)
RETURNS SETOF stats.practitioner_activity_monthly
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = stats, pg_temp AS $$
    SELECT a.* FROM stats.practitioner_activity_monthly a
    WHERE a.practitioner_id = practitioner AND a.month BETWEEN first_month AND last_month
      AND (practitioner = app.user_id() OR session_user = 'huntzen_platform')
      AND NOT EXISTS (SELECT FROM app.payroll_months p WHERE p.month = a.month)
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
GRANT EXECUTE ON FUNCTION stats.usage_basis() TO huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker;
GRANT EXECUTE ON FUNCTION stats.counted_at(), stats.running_activity(uuid, date, date), stats.keeps_sessions(date), stats.is_restored(date)
    TO huntzen_practitioner, huntzen_platform;
GRANT EXECUTE ON FUNCTION stats.refresh(timestamptz, boolean), stats.publish(int), stats.is_restored(date) TO huntzen_worker;
