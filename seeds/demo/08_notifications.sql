-- What everybody was told in the last month, and what of it they have read: all that is older than two days.
INSERT INTO app.notifications (id, user_id, place, kind, object_type, object_id, occurrence, created_at, read_at)
    SELECT pg_temp.id(format('told %s of %s %s %s', it.user_id, it.kind, it.object_id, it.occurrence)), it.user_id,
           (extract(epoch FROM it.at) * 1000000)::bigint
               + row_number() OVER (PARTITION BY it.user_id, it.at ORDER BY it.kind, it.object_id) - 1,
           it.kind, it.object_type, it.object_id, it.occurrence, it.at,
           CASE WHEN it.at < now.at - interval '2 days' THEN least(it.at + interval '3 hours', now.at) END
    FROM (SELECT current_setting('seed.now')::timestamptz AS at) now
    JOIN LATERAL (
        SELECT who.id AS user_id, 'consultation' AS object_type, c.id AS object_id,
               CASE e.kind WHEN 'BOOKED' THEN CASE WHEN c.expires_at IS NULL THEN 'consultation_booked' ELSE 'consultation_requested' END
                           WHEN 'CONFIRMED' THEN 'consultation_confirmed' WHEN 'RESCHEDULED' THEN 'consultation_rescheduled'
                           WHEN 'CANCELLED' THEN 'consultation_cancelled' WHEN 'NO_SHOW' THEN 'consultation_missed' END AS kind,
               CASE e.kind WHEN 'RESCHEDULED' THEN c.ics_sequence ELSE 0 END::bigint AS occurrence, e.at
        FROM app.consultation_events e
        JOIN app.consultations c ON c.id = e.consultation_id
        JOIN LATERAL (VALUES (c.user_id), (c.practitioner_id)) AS who (id) ON true
        WHERE e.at > now.at - interval '30 days' AND e.at <= now.at
        UNION ALL
        SELECT who.id, 'consultation', c.id, 'reminder_day', floor(extract(epoch FROM c.starts_at))::bigint,
               c.starts_at - interval '24 hours'
        FROM app.consultations c JOIN LATERAL (VALUES (c.user_id), (c.practitioner_id)) AS who (id) ON true
        WHERE c.status = 'completed' AND c.starts_at > now.at - interval '30 days'
        UNION ALL
        SELECT o.user_id, 'waitlist_offer', o.id, 'waitlist_offered', 0, o.offered_at FROM app.waitlist_offers o
    ) it ON it.kind IS NOT NULL
    ORDER BY it.at;
