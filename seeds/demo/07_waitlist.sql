-- Who waits: Bob and Dave, and Alice, for whom a time of her coach is kept.
INSERT INTO app.waitlist_entries (id, company_id, user_id, practitioner_id, weekdays, joined_at)
    SELECT pg_temp.id('waits ' || it.email), u.company_id, u.id, p.id, it.weekdays,
           pg_temp.today() - interval '1 day' * it.days + interval '9 hours'
    FROM (VALUES ('alice@acme.test', 'coach.durand@huntzen.test', NULL::smallint[], 4),
                 ('bob@acme.test', 'amelie.roux@huntzen.test', '{1,3,5}', 3),
                 ('dave@globex.test', 'coach.durand@huntzen.test', NULL, 2)) AS it (email, practitioner, weekdays, days)
    JOIN demo_employees e ON e.email = it.email
    JOIN app.users u ON u.employee_id = e.id
    JOIN demo_practitioners p ON p.email = it.practitioner
    ORDER BY it.days DESC;

INSERT INTO app.waitlist_holds (id, practitioner_id, freed_from, freed_until, busy_from, busy_until)
    SELECT pg_temp.id('kept for Alice'), o.practitioner_id, o.starts_at, o.starts_at + interval '55 minutes', o.starts_at,
           o.starts_at + interval '55 minutes'
    FROM demo_openings o
    JOIN app.waitlist_entries e ON e.id = pg_temp.id('waits alice@acme.test') AND e.practitioner_id = o.practitioner_id
    WHERE o.period = 'coming' AND NOT EXISTS (
        SELECT FROM app.consultations c
        WHERE (c.practitioner_id = o.practitioner_id OR c.user_id = e.user_id)
          AND c.status IN ('pending', 'confirmed', 'in_progress')
          AND tstzrange(c.busy_from, c.busy_until) && tstzrange(o.starts_at, o.starts_at + interval '55 minutes'))
    ORDER BY o.starts_at LIMIT 1;
INSERT INTO app.waitlist_offers (id, company_id, entry_id, user_id, practitioner_id, hold_id, starts_at, ends_at, offered_at,
                                 expires_at)
    SELECT pg_temp.id('offer to Alice'), e.company_id, e.id, e.user_id, h.practitioner_id, h.id, h.busy_from,
           h.busy_from + interval '45 minutes', known.at, known.at + interval '2 hours'
    FROM app.waitlist_holds h
    JOIN app.waitlist_entries e ON e.id = pg_temp.id('waits alice@acme.test')
    CROSS JOIN (SELECT date_trunc('minute', current_setting('seed.now')::timestamptz) AS at) known
    WHERE h.id = pg_temp.id('kept for Alice');
