-- Usage counters and payroll. Nobody reads the views. What may be shown of a month is decided here, once, when the month is
-- published (stats.publish), and kept in tables that never change; row security says who reads which of them.
GRANT USAGE ON SCHEMA stats TO huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker;
REVOKE ALL ON stats.company_usage_monthly, stats.practitioner_activity_monthly, stats.department_groups FROM PUBLIC,
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker, huntzen_auth,
    huntzen_kernel;
REVOKE ALL ON TYPE stats.counted FROM PUBLIC;
GRANT USAGE ON TYPE stats.counted TO huntzen_stats;

GRANT SELECT, UPDATE (refreshed_at, refreshed_before, counted_from) ON app.usage_refreshes TO huntzen_stats;
CREATE POLICY stats ON app.usage_refreshes TO huntzen_stats USING (true) WITH CHECK (true);

-- Counts anew; answers go on meanwhile. `everything`: also what began before the last published month, which matters only
-- where history is brought in.
-- The planner does not know how little is left to count: without the setting it reads all of history.
CREATE OR REPLACE FUNCTION stats.refresh(at timestamptz, everything boolean)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = stats, pg_temp SET enable_seqscan = off AS $$
BEGIN
    -- one at a time; what is counted is at least as new as the time that is noted. Counts that follow at once, as where a job is
    -- tried again, are one: a clock that jumped is not believed for saying it twice in a minute
    UPDATE app.usage_refreshes r SET
        refreshed_before = CASE WHEN refresh.at >= r.refreshed_at + interval '50 minutes' THEN r.refreshed_at
                                ELSE r.refreshed_before END,
        refreshed_at = refresh.at,
        counted_from = CASE WHEN everything THEN '-infinity' ELSE r.counted_from END;
    REFRESH MATERIALIZED VIEW CONCURRENTLY stats.department_groups;
    REFRESH MATERIALIZED VIEW CONCURRENTLY stats.company_usage_monthly;
    REFRESH MATERIALIZED VIEW CONCURRENTLY stats.practitioner_activity_monthly;
END
$$;

-- The disclosure engine: `withhold` judges one dimension of a month, `protect` a whole month.

-- Whether a number rests on enough people to be shown. Nor is it where nearly everybody of the group is among them: that
-- would tell it of each.
CREATE OR REPLACE FUNCTION stats.is_safe(k int, step int, eligible int, minutes int, people int)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT people >= k AND minutes >= k AND people <= eligible - step
$$;

-- What must not be shown of one month in one dimension.
--
-- The first `small` cells must not be shown by themselves; `people` ascends in them and in the others, `sessions` and `minutes`
-- go with it. `disjoint`: departments, nobody is counted in two of them; they may have nobody, every other cell has at least one
-- person. `eligible`: of how many people each cell is, of whom `step` did not come where it is shown or `derivable`. Shown numbers
-- of people are rounded down to a multiple of `step`.
-- The answer has one word for each cell: 'small_group', 'derivable', or NULL for shown. No answer (NULL): nothing
-- of the month may be shown, its total included.
--
-- With the small cells the smallest of the others is withheld, so that the sum of what is withheld, which anybody can compute
-- from the total, rests on at least k people; and the next ones, until the bounds that a reader can compute from what is
-- shown (at least one session for a person, at least k people in the cells beside, people of the cells at least those of the
-- total) leave each withheld number of sessions a range of at least `step`, and let each small cell be of few people: else it
-- would be known that nearly all of it came. Where all cells are
-- withheld and that is not so, the whole month is withheld, as if few people were in it; of departments nothing is told then
-- but one word for all of them.
--
-- Whoever keeps the directory chooses who is in which department: of one that is made of a single person who might come, and of
-- others who will not, that nobody came says as much as that few did. So these two are one word.
CREATE OR REPLACE FUNCTION stats.withhold(k int, step int, disjoint boolean, total_people int, small int, sessions int[],
                                          minutes int[], people int[], eligible int[])
RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = stats, pg_temp AS $$
DECLARE
    cells       int := cardinality(people);
    hidden      int := least(small + 1, cells);
    somebody    int := CASE WHEN disjoint THEN 0 ELSE 1 END;              -- people of a small cell, at least
    beside      int;                                                      -- withheld cells that are not small
    pooled      int;
    pooled_time int;
    total       int := total_people - total_people % step;                -- as shown
    shown_most  int;                                                      -- people of all shown cells, at most
    shown_least int;
    shown_above int;                                                      -- the same, none as few as the cells beside
    cap         int;                                                      -- people of a cell beside, at most
    others_least int;                                                     -- people beside one small cell
    others_most int;
    lowest      int;
    most_people int;
    most_sessions int;
    caps        int[];                                                    -- people of each cell beside, at most
    all_caps    int;
    are_wide    boolean;                                                  -- the cells beside leave a range as well
BEGIN
    IF small = 0 THEN
        RETURN array_fill(NULL::text, ARRAY[cells]);
    END IF;
    WHILE hidden <= cells LOOP
        beside := hidden - small;
        others_least := (small - 1) * somebody + beside * k;
        SELECT sum(s), sum(m) INTO pooled, pooled_time
            FROM unnest(withhold.sessions[1:hidden], withhold.minutes[1:hidden]) AS p (s, m);
        SELECT coalesce(sum(least(s, p - p % step + step - 1, e - step)), 0), coalesce(sum(greatest(k, p - p % step)), 0),
               coalesce(sum(greatest(k + 1, p - p % step)), 0),
               -- of two cells with the same number of people the first is withheld: a shown one may have to have more
               coalesce(min(least(s, p - p % step + step - 1)) - 1, pooled)
            INTO shown_most, shown_least, shown_above, cap
            FROM unnest(withhold.sessions[hidden + 1:], withhold.people[hidden + 1:], withhold.eligible[hidden + 1:])
                AS shown (s, p, e);
        caps := ARRAY(SELECT least(cap, e - step) FROM unnest(withhold.eligible[small + 1:hidden]) e);
        all_caps := (SELECT coalesce(sum(c), 0) FROM unnest(caps) c);
        others_most := (small - 1) * (k - 1) + all_caps;
        -- as many sessions as people, at least
        are_wide := coalesce((SELECT bool_and(
            pooled - greatest(small * somebody + (beside - 1) * k, total - shown_most - c)
            - greatest(k, total - shown_most - small * (k - 1) - (all_caps - c)) >= step) FROM unnest(caps) c), true);
        lowest := greatest(somebody, total - shown_most - others_most);
        most_people := least(k - 1, pooled - others_least);
        IF disjoint AND total + step - 1 - shown_least > others_least THEN
            most_people := least(most_people, total + step - 1 - shown_above - others_least);
        END IF;
        most_sessions := pooled - greatest(others_least, total - shown_most - (k - 1));
        IF hidden >= 2 AND pooled_time > 0 AND lowest < most_people AND most_sessions - lowest >= step AND are_wide THEN
            RETURN array_fill('small_group'::text, ARRAY[small]) || array_fill('derivable'::text, ARRAY[beside])
                   || array_fill(NULL::text, ARRAY[cells - hidden]);
        END IF;
        hidden := hidden + 1;
    END LOOP;
    RETURN CASE WHEN disjoint THEN array_fill('derivable'::text, ARRAY[cells]) END;
END
$$;

-- What may be shown of one month of one company: its cells with a reason for each that must not be, its numbers otherwise.
-- `cells` is the whole grid, unused values included. `eligible`: the company's active employees.
--
-- Total, specialties, modes and departments are judged by `withhold`. A table of specialties by something is shown in whole
-- rows: those whose own total is shown and whose every cell is zero, or safe and in a column that is shown. What is left of a column when the shown rows are
-- taken away can be computed by anybody: as long as one such rest must not be known, the row with the fewest people is
-- withheld as well. So the cells that are withheld form a full rectangle of which exactly the sums of rows and columns are
-- known, each of them zero or resting on k people: a cell can be anything from 0 or row + column - rest to the lesser of row
-- and column (Fréchet's bounds are exact for such a table), and two such tables that share their rows say no more together
-- than each by itself (they are decomposable: Dobra and Fienberg, 2000). What follows all the same, such as a zero in a
-- column of which nothing is left, is shown.
-- Modes are not crossed with departments, nor all three: three tables in a ring have no such bounds.
--
-- Minutes are told only where nothing is withheld beside them: everybody knows how long sessions are, which differ by specialty,
-- so that minutes are a second equation for what is withheld, and with the first one solve it.
CREATE OR REPLACE FUNCTION stats.protect(k int, step int, eligible int, cells stats.counted[])
RETURNS TABLE (dimensions text, row_key text, column_key text, sessions int, minutes int, people int, withheld text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = stats, pg_temp AS $$
    WITH given AS MATERIALIZED (
        SELECT c.dimensions, c.row_key, c.column_key, c.sessions, c.minutes, c.people,
               coalesce(c.eligible, protect.eligible) AS eligible,
               stats.is_safe(k, step, coalesce(c.eligible, protect.eligible), c.minutes, c.people) AS is_safe
        FROM unnest(cells) c
    ), single AS MATERIALIZED (
        SELECT d.keys, d.dimensions,
               stats.withhold(k, step, d.dimensions = 'department', t.people, d.small, d.sessions, d.minutes, d.people,
                              d.eligible) AS words
        FROM given t
        JOIN (SELECT g.dimensions, (count(*) FILTER (WHERE NOT g.is_safe))::int AS small,
                     array_agg(g.row_key ORDER BY g.is_safe, g.people, g.row_key) AS keys,
                     array_agg(g.sessions ORDER BY g.is_safe, g.people, g.row_key) AS sessions,
                     array_agg(g.minutes ORDER BY g.is_safe, g.people, g.row_key) AS minutes,
                     array_agg(g.people ORDER BY g.is_safe, g.people, g.row_key) AS people,
                     array_agg(g.eligible ORDER BY g.is_safe, g.people, g.row_key) AS eligible
              FROM given g WHERE g.dimensions IN ('specialty', 'mode') AND g.sessions > 0
                                        OR g.dimensions = 'department' AND g.sessions + g.eligible > 0
              GROUP BY g.dimensions) d ON t.dimensions = 'total' AND t.is_safe
    ), nothing AS MATERIALIZED (
        -- all tables share the total: what one of them needs withheld, no other may show
        SELECT protect.eligible < k
               -- nobody as few: of a company it is the same as of a department
               OR EXISTS (SELECT FROM given t WHERE t.dimensions = 'total' AND NOT t.is_safe)
               OR EXISTS (SELECT FROM single s WHERE s.words IS NULL) AS is_all
    ), words AS MATERIALIZED (
        SELECT s.dimensions, v.key, v.word FROM single s, unnest(s.keys, s.words) AS v (key, word)
    ), crossed AS MATERIALIZED (
        SELECT g.*, r.word AS row_word, c.word AS column_word,
               -- columns that are withheld are known together only
               CASE WHEN c.word IS NULL THEN g.column_key ELSE '*' END AS class,
               -- of a column that is withheld nothing but zeros is told: how many came in one of its cells would say why it
               -- is, few or nearly all of them; of a department not even these, nor by a word
               bool_and(CASE WHEN c.word IS NULL THEN g.is_safe OR g.sessions = 0
                             ELSE g.sessions = 0 AND x.columns <> 'department' END) OVER line AND r.word IS NULL AS is_whole,
               bool_or(NOT g.is_safe AND g.sessions > 0 OR c.word IS NOT NULL AND x.columns = 'department') OVER line AS has_small,
               sum(g.sessions) OVER line AS row_sessions
        FROM given g
        JOIN (VALUES ('specialty,mode', 'mode'), ('specialty,department', 'department')) x (dimensions, columns)
            ON x.dimensions = g.dimensions
        LEFT JOIN words r ON r.dimensions = 'specialty' AND r.key = g.row_key
        LEFT JOIN words c ON c.dimensions = x.columns AND c.key = g.column_key
        WINDOW line AS (PARTITION BY g.dimensions, g.row_key)
    ), placed AS MATERIALIZED (
        -- whole rows by their people, the most first; rows without a session are told in any case
        SELECT c.*, CASE WHEN c.row_sessions = 0 THEN 0
                         WHEN c.is_whole THEN dense_rank() OVER (PARTITION BY c.dimensions, c.is_whole AND c.row_sessions > 0
                                                                 ORDER BY w.people DESC, c.row_key) END AS place
        FROM crossed c JOIN given w ON w.dimensions = 'specialty' AND w.row_key = c.row_key
    ), tried AS (
        -- what is left of each column when the first n whole rows are shown
        SELECT p.dimensions, n, p.class,
               coalesce(sum(p.sessions) FILTER (WHERE p.place <= n), 0) AS told,
               coalesce(sum(p.sessions) FILTER (WHERE p.place IS NULL OR p.place > n), 0) AS rest,
               coalesce(bool_or(p.is_safe AND (p.place IS NULL OR p.place > n)), false) AS rests_on_many
        FROM placed p, generate_series(0, 6) n GROUP BY p.dimensions, n, p.class
    ), shown AS MATERIALIZED (
        SELECT t.dimensions, max(t.n) AS n
        FROM (SELECT dimensions, n FROM tried GROUP BY dimensions, n
              HAVING bool_and(rest = 0 OR told = 0 OR rests_on_many)) t GROUP BY t.dimensions
    ), rests AS MATERIALIZED (
        SELECT t.*, sum(t.rest) OVER (PARTITION BY t.dimensions) AS whole_rest FROM tried t JOIN shown USING (dimensions, n)
    ), verdicts AS (
        SELECT p.dimensions, p.row_key, p.column_key,
               CASE WHEN p.place <= s.n THEN NULL
                    WHEN r.rest = 0
                         OR p.column_word IS NULL AND p.row_word IS NULL AND r.whole_rest IN (r.rest, p.row_sessions) THEN NULL
                    -- of a row one word, which does not tell its cells apart
                    WHEN p.has_small THEN 'small_group' ELSE 'derivable' END AS word
        FROM placed p JOIN shown s USING (dimensions) JOIN rests r USING (dimensions, class)
        UNION ALL
        SELECT w.dimensions, w.key, '', w.word FROM words w
    ), answer AS MATERIALIZED (
        SELECT g.*, CASE WHEN (SELECT is_all FROM nothing) THEN 'small_group' ELSE v.word END AS word
        FROM given g LEFT JOIN verdicts v USING (dimensions, row_key, column_key)
    ), whole AS (
        SELECT bool_and(a.word IS NULL) FILTER (WHERE a.dimensions IN ('specialty', 'mode')) AS is_total,
               bool_and(a.word IS NULL) FILTER (WHERE a.dimensions IN ('specialty', 'mode', 'specialty,mode')) AS is_by_mode,
               bool_and(a.word IS NULL) AS is_all
        FROM answer a
    )
    SELECT a.dimensions, a.row_key, a.column_key, CASE WHEN a.word IS NULL THEN a.sessions END,
           CASE WHEN a.word IS NULL AND (a.sessions = 0 OR CASE WHEN a.dimensions = 'total' THEN w.is_total
                                                                WHEN a.dimensions LIKE '%department' THEN w.is_all
                                                                ELSE w.is_by_mode END) THEN a.minutes END, CASE WHEN a.word IS NULL THEN a.people - a.people % step END, a.word
    FROM answer a CROSS JOIN whole w
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

-- Months: published once, three days after their end by the clock of the count and by that of the count before, so that a
-- clock that jumped publishes nothing. Until then whatever people can say of a session has been said.
GRANT SELECT, INSERT ON app.usage_months, app.usage_cells, app.payroll_months, app.payroll_lines TO huntzen_stats;
GRANT SELECT ON app.practitioner_rates TO huntzen_stats;
CREATE POLICY stats ON app.usage_months TO huntzen_stats USING (true) WITH CHECK (true);
CREATE POLICY stats ON app.usage_cells TO huntzen_stats USING (true) WITH CHECK (true);
CREATE POLICY stats ON app.payroll_months TO huntzen_stats USING (true) WITH CHECK (true);
CREATE POLICY stats ON app.payroll_lines TO huntzen_stats USING (true) WITH CHECK (true);
CREATE POLICY stats ON app.practitioner_rates FOR SELECT TO huntzen_stats USING (true);

-- Every cell that one month of a company has, used or not.
CREATE OR REPLACE FUNCTION stats.grid(company uuid, of_month date)
RETURNS SETOF stats.counted LANGUAGE sql STABLE SET search_path = stats, pg_temp AS $$
    WITH specialties (key) AS (
        SELECT unnest(ARRAY['psychology', 'coaching', 'nutrition', 'sleep', 'physiotherapy', 'social_work'])
    ), modes (key) AS (
        SELECT unnest(ARRAY['video', 'audio', 'chat'])
    ), groups (key, eligible) AS (
        SELECT g.group_key, sum(g.eligible)::int FROM stats.department_groups g WHERE g.company_id = company GROUP BY 1
    ), wanted (dimensions, row_key, column_key, eligible) AS (
        SELECT 'total', '', '', NULL::int
        UNION ALL SELECT 'specialty', s.key, '', NULL FROM specialties s
        UNION ALL SELECT 'mode', m.key, '', NULL FROM modes m
        UNION ALL SELECT 'department', g.key, '', g.eligible FROM groups g
        UNION ALL SELECT 'specialty,mode', s.key, m.key, NULL FROM specialties s, modes m
        UNION ALL SELECT 'specialty,department', s.key, g.key, g.eligible FROM specialties s, groups g
    )
    SELECT w.dimensions, w.row_key, w.column_key, coalesce(u.sessions, 0), coalesce(u.minutes, 0), coalesce(u.people, 0),
           w.eligible
    FROM wanted w
    LEFT JOIN stats.company_usage_monthly u ON u.company_id = company AND u.month = of_month AND u.dimensions = w.dimensions
        AND u.row_key = w.row_key AND u.column_key = w.column_key
$$;

-- Publishes some months that are over; how many of companies there were. Zero: all are published, payroll as well.
CREATE OR REPLACE FUNCTION stats.publish(batch int)
RETURNS int LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = stats, pg_temp AS $$
DECLARE
    counted   timestamptz;
    settled   timestamptz;
    it        record;
    published int := 0;
BEGIN
    -- not while they are counted
    SELECT r.refreshed_at, least(r.refreshed_at, r.refreshed_before) - interval '3 days' INTO counted, settled
        FROM app.usage_refreshes r FOR UPDATE;
    FOR it IN
        SELECT k.id AS company, m::date AS month,
               coalesce((SELECT t.threshold FROM app.reporting_thresholds t
                         WHERE t.company_id = k.id AND t.first_month <= m::date
                         ORDER BY t.first_month DESC LIMIT 1), 11) AS threshold,
               (SELECT sum(g.eligible)::int FROM stats.department_groups g WHERE g.company_id = k.id) AS eligible
        FROM app.companies k
        CROSS JOIN LATERAL (SELECT max(u.month) AS month FROM app.usage_months u WHERE u.company_id = k.id) done
        CROSS JOIN LATERAL (SELECT min(u.month) AS month FROM stats.company_usage_monthly u WHERE u.company_id = k.id) used
        CROSS JOIN LATERAL generate_series(
            coalesce((done.month + interval '1 month')::date,
                     least(date_trunc('month', k.created_at AT TIME ZONE k.time_zone)::date, used.month))::timestamp,
            date_trunc('month', settled AT TIME ZONE k.time_zone) - interval '1 month', interval '1 month') m
        -- who came since the groups were made waits for the next count
        WHERE EXISTS (SELECT FROM stats.department_groups g WHERE g.company_id = k.id)
        ORDER BY k.id, m LIMIT batch
    LOOP
        INSERT INTO app.usage_months (company_id, month, threshold, published_at)
            VALUES (it.company, it.month, it.threshold, counted);
        INSERT INTO app.usage_cells (company_id, month, dimensions, row_key, column_key, label, sessions, minutes, people,
                                     withheld)
            SELECT it.company, it.month, p.dimensions, p.row_key, p.column_key, g.label, p.sessions, p.minutes, p.people,
                   p.withheld
            FROM stats.protect(it.threshold, 5, it.eligible, ARRAY(SELECT c FROM stats.grid(it.company, it.month) c)) p
            LEFT JOIN stats.department_groups g ON g.company_id = it.company AND g.department <> ''
                AND g.department = CASE p.dimensions WHEN 'department' THEN p.row_key
                                                     WHEN 'specialty,department' THEN p.column_key END;
        published := published + 1;
    END LOOP;
    IF published > 0 THEN
        RETURN published;
    END IF;
    FOR it IN
        SELECT m::date AS month
        FROM generate_series(
            coalesce((SELECT max(p.month) + interval '1 month' FROM app.payroll_months p),
                     (SELECT min(a.month)::timestamp FROM stats.practitioner_activity_monthly a)),
            date_trunc('month', settled AT TIME ZONE 'Europe/Paris') - interval '1 month', interval '1 month') m
    LOOP
        INSERT INTO app.payroll_months (month, published_at) VALUES (it.month, counted);
        INSERT INTO app.payroll_lines (practitioner_id, month, currency, practitioner_name, open, completed,
                cancelled_by_employee, cancelled_otherwise, missed_by_employee, missed_otherwise, minutes, amount, flagged,
                flagged_minutes, flagged_amount)
            SELECT a.practitioner_id, a.month, a.currency, p.display_name, a.open, a.completed, a.cancelled_by_employee,
                   a.cancelled_otherwise, a.missed_by_employee, a.missed_otherwise, a.minutes, a.amount, a.flagged,
                   a.flagged_minutes, a.flagged_amount
            FROM stats.practitioner_activity_monthly a JOIN app.practitioners p ON p.id = a.practitioner_id
            WHERE a.month = it.month;
    END LOOP;
    -- from the first month on that is published nowhere yet, in whichever zone
    UPDATE app.usage_refreshes r SET counted_from = greatest(r.counted_from,
        date_trunc('month', (settled - interval '14 hours') AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '15 hours');
    RETURN 0;
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
GRANT SELECT ON app.payroll_months TO huntzen_platform;
GRANT SELECT ON app.payroll_lines TO huntzen_practitioner, huntzen_platform, huntzen_worker;
CREATE POLICY all_rows ON app.payroll_months FOR SELECT TO huntzen_platform USING (true);
CREATE POLICY own ON app.payroll_lines FOR SELECT TO huntzen_practitioner USING (practitioner_id = (SELECT app.user_id()));
CREATE POLICY all_rows ON app.payroll_lines FOR SELECT TO huntzen_platform, huntzen_worker USING (true);

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
GRANT EXECUTE ON FUNCTION stats.counted_at(), stats.running_activity(uuid, date, date) TO huntzen_practitioner, huntzen_platform;
GRANT EXECUTE ON FUNCTION stats.refresh(timestamptz, boolean), stats.publish(int) TO huntzen_worker;
