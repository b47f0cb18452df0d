-- Forty of a company's hundred use the service: 24 consultations in the past year, one to come. In round r the
-- client k is the (k / practitioners)th of practitioner (k + 7r) % practitioners, so that nobody is taken twice.
-- Rows lie in the order of rounds, as in a table that grew with time.
CREATE TEMP TABLE load_days ON COMMIT DROP AS
    SELECT day::date, side, row_number() OVER (PARTITION BY side ORDER BY abs(day::date - pg_temp.today())) - 1 AS nth
    FROM generate_series(pg_temp.today() - 400, pg_temp.today() + 60, interval '1 day') day,
         LATERAL (SELECT CASE WHEN day::date < pg_temp.today() THEN 'past' ELSE 'coming' END AS side) it
    WHERE extract(isodow FROM day) < 6 AND day::date <> pg_temp.today();

INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
                               busy_until, specialty, department_id, started_at, ended_at, duration_minutes,
                               cancelled_at, cancelled_by, missed_by, counts, created_at)
    SELECT pg_temp.id('consultation', round * pg_temp.companies() * 40 + k.client), pg_temp.id('company', k.account / 100),
           pg_temp.id('account', k.account), pg_temp.id('practitioner', it.practitioner),
           (ARRAY['video', 'video', 'audio', 'chat'])[1 + (k.client + round) % 4], it.status, at.starts_at,
           at.starts_at + interval '50 minutes', at.starts_at, at.starts_at + interval '1 hour',
           (ARRAY['psychology', 'coaching', 'nutrition', 'sleep', 'physiotherapy', 'social_work'])[1 + it.practitioner % 6],
           pg_temp.id('department', k.account / 100 * 5 + k.account % 5),
           CASE it.status WHEN 'completed' THEN at.starts_at END,
           CASE it.status WHEN 'completed' THEN at.starts_at + interval '50 minutes' END,
           CASE it.status WHEN 'completed' THEN 50 END,
           CASE it.status WHEN 'cancelled' THEN at.starts_at - interval '2 days' END,
           CASE it.status WHEN 'cancelled' THEN 'employee' END, CASE it.status WHEN 'no_show' THEN 'employee' END, it.status <> 'cancelled', at.starts_at - interval '9 days'
    FROM (SELECT client, client / 40 * 100 + client % 40 AS account
          FROM generate_series(0, pg_temp.companies() * 40 - 1) client) k
    CROSS JOIN generate_series(0, 24) round
    CROSS JOIN LATERAL (
        SELECT (k.client + 7 * round) % pg_temp.practitioners() AS practitioner, k.client / pg_temp.practitioners() AS turn,
               CASE WHEN round = 24 THEN 'confirmed' WHEN (k.client * 31 + round * 17) % 100 < 88 THEN 'completed'
                    WHEN (k.client * 31 + round * 17) % 100 < 96 THEN 'cancelled' ELSE 'no_show' END AS status
    ) it
    -- 80 turns a round: ten days of eight hours in the past, twenty days of four hours to come
    JOIN load_days d ON (d.side, d.nth) = (CASE WHEN round < 24 THEN 'past' ELSE 'coming' END,
                                CASE WHEN round < 24 THEN round * 10 + it.turn / 8 ELSE it.turn / 4 END)
    CROSS JOIN LATERAL (
        SELECT (d.day + make_interval(hours => (ARRAY[9, 14, 11, 16, 10, 15, 12, 17])
                    [1 + CASE WHEN round < 24 THEN it.turn % 8 ELSE it.turn % 4 END])) AT TIME ZONE 'Europe/Paris' AS starts_at
    ) at
    ORDER BY 1;
