-- Booked; one in five confirmed by hand; started and ended, or cancelled, or nobody came.
INSERT INTO app.consultation_events (id, company_id, consultation_id, kind, at, actor_role)
    SELECT pg_temp.id('event', right(c.id::text, 12)::bigint * 4 + it.nth), c.company_id, c.id, it.kind, it.at, it.actor_role
    FROM app.consultations c
    CROSS JOIN LATERAL (VALUES
        (0, 'BOOKED', c.created_at, 'employee', true),
        (3, 'CONFIRMED', c.created_at + interval '1 hour', 'practitioner', right(c.id::text, 12)::bigint % 5 = 0),
        (1, 'STARTED', c.started_at, 'practitioner', c.status = 'completed'),
        (2, 'ENDED', c.ended_at, 'practitioner', c.status = 'completed'),
        (1, 'CANCELLED', c.cancelled_at, 'employee', c.status = 'cancelled'),
        (1, 'NO_SHOW', c.starts_at, 'practitioner', c.status = 'no_show')
    ) AS it (nth, kind, at, actor_role, happened)
    WHERE it.happened AND c.id BETWEEN pg_temp.id('consultation', 0) AND pg_temp.id('consultation', 999999999999)
    ORDER BY 1;
