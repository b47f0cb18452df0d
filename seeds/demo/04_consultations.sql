-- A year of history, one session of each company that is going on, and some bookings from the third day on.
-- Wishes (who wants which specialty how often) meet openings (the practitioners' hours), each in an order that
-- looks random; then every consultation goes through its states, so that all constraints have seen it.
CREATE TEMP TABLE demo_wishes ON COMMIT DROP AS
    WITH share (domain, specialty, sessions, percent) AS (VALUES
        -- of the people with an account, in a month
        ('acme.test', 'psychology', 1, 95), ('acme.test', 'psychology', 2, 55), ('acme.test', 'coaching', 1, 85),
        ('acme.test', 'nutrition', 1, 25), ('acme.test', 'sleep', 1, 15), ('acme.test', 'physiotherapy', 1, 15),
        ('acme.test', 'social_work', 1, 5),
        ('globex.test', 'psychology', 1, 75), ('globex.test', 'coaching', 1, 35), ('globex.test', 'nutrition', 1, 15),
        ('globex.test', 'sleep', 1, 15), ('globex.test', 'social_work', 1, 15)
    ), clients AS (
        SELECT u.id AS user_id, e.company_id, e.department_id, e.domain, e.email
        FROM demo_employees e JOIN app.users u ON u.employee_id = e.id
        -- of the others one in five never comes: of a company all of whose people came no counter tells anything
        WHERE e.email IN ('alice@acme.test', 'bob@acme.test', 'carol@globex.test', 'dave@globex.test')
           OR pg_temp.pick('comes ' || e.email, 100) < 80
    ), periods AS (
        SELECT to_char(pg_temp.today() - make_interval(months => m), 'YYYY-MM') AS period, m FROM generate_series(0, 12) m
        UNION ALL
        SELECT 'coming', -1
    ), wishes AS (
        SELECT c.*, s.specialty, p.period, format('%s %s %s %s', c.email, p.m, s.specialty, s.sessions) AS key
        FROM clients c JOIN share s USING (domain) CROSS JOIN periods p
        WHERE CASE WHEN p.m >= 0 THEN pg_temp.pick(format('%s %s %s %s', c.email, p.m, s.specialty, s.sessions), 100) < s.percent
                   WHEN s.sessions > 1 THEN false
                   -- Alice and Carol have something to look forward to
                   WHEN s.specialty = 'psychology' AND c.email IN ('alice@acme.test', 'carol@globex.test') THEN true
                   ELSE pg_temp.pick(format('%s coming %s', c.email, s.specialty), 300) < s.percent END
    )
    SELECT w.*, p.id AS practitioner_id, p.modes, p.session_lengths[1] AS minutes, p.confirms_by_hand,
           row_number() OVER (PARTITION BY p.id, w.period ORDER BY md5(w.key)) AS turn
    FROM wishes w
    JOIN LATERAL (SELECT * FROM demo_practitioners p WHERE p.specialty = w.specialty
                  ORDER BY md5(w.key || p.email) LIMIT 1) p ON true;

CREATE TEMP TABLE demo_openings ON COMMIT DROP AS
    WITH openings AS (
        SELECT r.practitioner_id, p.email, (day + make_interval(mins => minute)) AT TIME ZONE p.time_zone AS starts_at
        FROM demo_practitioners p
        JOIN app.availability_rules r ON r.practitioner_id = p.id
        JOIN generate_series(pg_temp.today() - interval '1 year', pg_temp.today() + interval '30 days', '1 day') day
            ON extract(isodow FROM day) = r.weekday
        JOIN generate_series(r.starts_minute, r.ends_minute - p.session_lengths[1], 60) minute ON true
    ), dated AS (
        SELECT practitioner_id, starts_at, starts_at::date - pg_temp.today() AS day,
               md5(format('%s %s', email, starts_at - pg_temp.today())) AS shuffled,
               CASE WHEN starts_at::date < pg_temp.today() THEN to_char(starts_at, 'YYYY-MM') ELSE 'coming' END AS period
        FROM openings
        WHERE starts_at::date < pg_temp.today() OR starts_at::date > pg_temp.today() + 2
    )
    SELECT *, row_number() OVER (PARTITION BY practitioner_id, period ORDER BY shuffled) AS turn FROM dated;

CREATE TEMP TABLE demo_consultations ON COMMIT DROP AS
    WITH met AS (
        -- nobody has two on one day
        SELECT DISTINCT ON (w.user_id, o.day) w.*, o.starts_at, o.day, pg_temp.pick('fate ' || w.key, 100) AS fate
        FROM demo_wishes w JOIN demo_openings o USING (practitioner_id, period, turn)
        ORDER BY w.user_id, o.day, w.key
    ), fated AS (
        SELECT *, CASE WHEN period <> 'coming' AND fate < 84 THEN 'completed'
                       WHEN period <> 'coming' AND fate < 93 THEN 'cancelled'
                       WHEN period <> 'coming' THEN 'no_show'
                       WHEN confirms_by_hand THEN 'pending'
                       WHEN fate < 12 THEN 'cancelled'
                       ELSE 'confirmed' END AS status
        FROM met
    ), going_on AS (
        -- outside of the practitioner's hours perhaps, by agreement: there is one whenever the program is started
        SELECT w.*, date_bin('30 minutes', current_setting('seed.now')::timestamptz, 'epoch') AS starts_at, 0 AS day,
               0 AS fate, 'in_progress' AS status
        FROM (VALUES ('wei.zhang@acme.test', 'etienne.faure@huntzen.test'),
                     ('sylvie.montout@globex.test', 'lorie.numa@huntzen.test')) AS it (email, practitioner)
        JOIN LATERAL (
            SELECT u.id AS user_id, e.company_id, e.department_id, e.domain, e.email, p.specialty, 'today' AS period,
                   'going on ' || e.email AS key, p.id AS practitioner_id, p.modes, p.session_lengths[1] AS minutes,
                   p.confirms_by_hand, 1::bigint AS turn
            FROM demo_employees e JOIN app.users u ON u.employee_id = e.id
            JOIN demo_practitioners p ON p.email = it.practitioner
            WHERE e.email = it.email
        ) w ON true
    )
    SELECT pg_temp.id('consultation ' || key) AS id, *, starts_at + make_interval(mins => minutes) AS ends_at,
           CASE WHEN pg_temp.pick('mode ' || key, 100) >= 85 AND 'chat' = ANY (modes) THEN 'chat'
                WHEN pg_temp.pick('mode ' || key, 100) BETWEEN 60 AND 84 AND 'audio' = ANY (modes) THEN 'audio'
                ELSE 'video' END AS mode,
           -- a request waits for a day
           known_at - make_interval(hours => CASE status WHEN 'pending' THEN 1 + pg_temp.pick('booked ' || key, 9)
                                                         ELSE 60 + pg_temp.pick('booked ' || key, 240) END) AS booked_at,
           known_at - make_interval(hours => 1 + pg_temp.pick('cancelled ' || key, 40)) AS cancelled_at,
           starts_at + CASE status WHEN 'in_progress' THEN interval '0'
                                   ELSE make_interval(secs => pg_temp.pick('late ' || key, 240)) END AS started_at,
           starts_at + make_interval(mins => minutes, secs => pg_temp.pick('end ' || key, 420) - 240) AS ended_at
    FROM (SELECT *, date_trunc('minute', least(starts_at, current_setting('seed.now')::timestamptz)) AS known_at
          FROM (SELECT * FROM fated UNION ALL SELECT * FROM going_on) AS it) AS it;

INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
                               busy_until, specialty, department_id, expires_at, agreed_at, created_at)
    SELECT c.id, company_id, user_id, practitioner_id, mode, CASE WHEN c.confirms_by_hand THEN 'pending' ELSE 'confirmed' END,
           starts_at, ends_at, starts_at - make_interval(mins => p.buffer_before_minutes),
           ends_at + make_interval(mins => p.buffer_after_minutes), specialty, department_id,
           CASE WHEN c.confirms_by_hand THEN booked_at + interval '24 hours' END,
           CASE WHEN NOT c.confirms_by_hand THEN booked_at END, booked_at
    FROM demo_consultations c JOIN app.practitioners p ON p.id = c.practitioner_id
    ORDER BY booked_at;

UPDATE app.consultations c SET status = 'confirmed', agreed_at = d.booked_at + interval '3 hours' FROM demo_consultations d
    WHERE c.id = d.id AND c.status = 'pending' AND d.status <> 'pending';
UPDATE app.consultations c
    SET status = 'cancelled', cancelled_at = d.cancelled_at, ics_sequence = 1,
        cancelled_by = CASE WHEN d.fate % 4 = 0 THEN 'practitioner' ELSE 'employee' END
    FROM demo_consultations d WHERE c.id = d.id AND d.status = 'cancelled';
UPDATE app.consultations c SET status = 'no_show', missed_by = 'employee' FROM demo_consultations d WHERE c.id = d.id AND d.status = 'no_show';
UPDATE app.consultations c SET status = 'in_progress' FROM demo_consultations d
    WHERE c.id = d.id AND d.status IN ('in_progress', 'completed');
UPDATE app.consultations c SET status = 'completed' FROM demo_consultations d WHERE c.id = d.id AND d.status = 'completed';

-- in the order in which they happened: the duration is computed when the end arrives
-- some were moved
UPDATE app.consultations c SET ics_sequence = 1, reschedules = 1 FROM demo_consultations d
    WHERE c.id = d.id AND d.status = 'confirmed' AND d.fate % 4 = 0;
INSERT INTO app.consultation_events (id, company_id, consultation_id, kind, at, actor_role, moved_from, moved_to)
    SELECT pg_temp.id(format('event %s %s', it.kind, d.id)), d.company_id, d.id, it.kind, it.at, it.actor_role,
           CASE it.kind WHEN 'RESCHEDULED' THEN d.starts_at - interval '1 day' END,
           CASE it.kind WHEN 'RESCHEDULED' THEN d.starts_at END
    FROM demo_consultations d
    JOIN LATERAL (VALUES
        ('BOOKED', d.booked_at, 'employee', true),
        ('CONFIRMED', d.booked_at + interval '3 hours', 'practitioner', d.confirms_by_hand AND d.status <> 'pending'),
        ('RESCHEDULED', d.booked_at + interval '5 hours', 'employee', d.status = 'confirmed' AND d.fate % 4 = 0),
        ('CANCELLED', d.cancelled_at, CASE WHEN d.fate % 4 = 0 THEN 'practitioner' ELSE 'employee' END, d.status = 'cancelled'),
        ('NO_SHOW', d.starts_at + interval '15 minutes', 'practitioner', d.status = 'no_show'),
        ('STARTED', d.started_at, 'practitioner', d.status IN ('in_progress', 'completed')),
        -- who was let in; now and then the server has not seen the employee
        ('JOINED', d.started_at - interval '40 seconds', 'practitioner', d.status IN ('in_progress', 'completed', 'no_show')),
        -- calls are facts as well
        ('CALL_STARTED', d.started_at + interval '5 seconds', 'practitioner',
         d.mode = 'audio' AND d.status = 'completed' AND d.fate % 25 <> 7),
        ('CALL_ENDED', d.ended_at - interval '10 seconds', 'employee',
         d.mode = 'audio' AND d.status = 'completed' AND d.fate % 25 <> 7),
        ('ENDED', d.ended_at, CASE WHEN d.fate % 20 = 0 THEN 'auto' ELSE 'practitioner' END, d.status = 'completed')
    ) AS it (kind, at, actor_role, happened) ON it.happened
    UNION ALL
    SELECT pg_temp.id('event JOINED employee ' || d.id), d.company_id, d.id, 'JOINED', d.started_at - interval '15 seconds',
           'employee', NULL, NULL
    FROM demo_consultations d WHERE d.status IN ('in_progress', 'completed') AND d.fate % 25 <> 7
    ORDER BY 5, 3;
