-- Whom kept time is offered to, and how it is taken: functions of the kernel, because whoever passes time on sees the
-- people of no company, and whoever takes it no hold.

-- Kept time that nobody is asked about, of one practitioner or of all, the soonest first, after one of them.
CREATE OR REPLACE FUNCTION app.idle_holds(practitioner uuid, after_from timestamptz, after uuid, most int)
RETURNS TABLE (id uuid, busy_from timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT h.id, h.busy_from FROM app.waitlist_holds h
    WHERE h.status = 'held' AND (practitioner IS NULL OR h.practitioner_id = practitioner)
      AND (after IS NULL OR (h.busy_from, h.id) > (after_from, after))
      AND NOT EXISTS (SELECT FROM app.waitlist_offers o WHERE o.hold_id = h.id AND o.status = 'open')
    ORDER BY h.busy_from, h.id LIMIT most
$$;

-- The same of one, with the practitioner's time locked until the transaction ends. No row: it is over, or offered.
CREATE OR REPLACE FUNCTION app.lock_idle_hold(wanted uuid)
RETURNS TABLE (practitioner_id uuid, freed_from timestamptz, freed_until timestamptz, busy_from timestamptz,
               busy_until timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(h.practitioner_id::text, 2)) FROM app.waitlist_holds h WHERE h.id = wanted;
    RETURN QUERY
        SELECT h.practitioner_id, h.freed_from, h.freed_until, h.busy_from, h.busy_until FROM app.waitlist_holds h
        WHERE h.id = wanted AND h.status = 'held'
          AND NOT EXISTS (SELECT FROM app.waitlist_offers o WHERE o.hold_id = h.id AND o.status = 'open');
END
$$;

-- Who comes first of those who wait, want one of these sessions, did not decline that time before and could book it; and
-- which of the sessions, by its number. Whoever is being asked about another time of the practitioner's, or about one
-- elsewhere at that hour (`is_asked`), comes after all the others, and not if a time is kept for them already (`has_one`):
-- one for each, so that giving back many does not close a practitioner to everybody else. It is one statement, so that an
-- answer that is given meanwhile counts for both or for none. A company's booking rules hold as for a booking; the
-- sessions are those of one contract year or of two that follow each other, so who has none left for the first and for
-- the last of them has none.
CREATE OR REPLACE FUNCTION app.next_in_line(hold uuid, at timestamptz, starts timestamptz[], ends timestamptz[], has_one uuid[])
RETURNS TABLE (entry_id uuid, company_id uuid, nth bigint, is_asked boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT e.id, e.company_id, choice.nth, choice.is_asked
    FROM app.waitlist_holds h
    CROSS JOIN (SELECT min(s) AS first, max(s) AS last FROM unnest(starts) AS s) AS span
    JOIN app.waitlist_entries e ON e.practitioner_id = h.practitioner_id AND e.status = 'waiting'
    JOIN app.practitioners p ON p.id = h.practitioner_id
    JOIN app.users u ON u.id = e.user_id AND u.status = 'active'
    CROSS JOIN LATERAL (
        -- OFFSET 0: whether they could book it is asked of one session after the other, until one is found
        SELECT wanted.nth, wanted.is_asked
        FROM (
            SELECT s.starts_at, s.ends_at, s.nth, asked.is_asked
            FROM unnest(starts, ends) WITH ORDINALITY AS s (starts_at, ends_at, nth)
            CROSS JOIN LATERAL (
                SELECT EXISTS (SELECT FROM app.waitlist_offers o WHERE o.user_id = e.user_id AND o.status = 'open'
                                 AND (o.entry_id = e.id
                                      OR tstzrange(o.starts_at, o.ends_at) && tstzrange(s.starts_at, s.ends_at))) AS is_asked
            ) AS asked
            WHERE (e.duration_minutes IS NULL OR s.ends_at - s.starts_at = make_interval(mins => e.duration_minutes))
              AND (e.weekdays IS NULL OR extract(isodow FROM s.starts_at AT TIME ZONE u.time_zone)::smallint = ANY (e.weekdays))
              AND (e.until IS NULL OR s.starts_at <= e.until)
              AND NOT EXISTS (SELECT FROM app.waitlist_offers o WHERE o.entry_id = e.id AND o.status = 'declined'
                                AND tstzrange(o.starts_at, o.ends_at) && tstzrange(s.starts_at, s.ends_at))
              AND NOT (asked.is_asked AND e.id = ANY (has_one))
            ORDER BY asked.is_asked, s.nth OFFSET 0
        ) AS wanted
        WHERE app.could_book(e.company_id, e.user_id, e.practitioner_id, wanted.starts_at, wanted.ends_at, at)
        LIMIT 1
    ) AS choice
    WHERE h.id = hold AND e.user_id IS DISTINCT FROM h.had_by AND (e.modes IS NULL OR e.modes && p.modes)
      AND NOT EXISTS (SELECT FROM app.waitlist_offers o WHERE o.entry_id = e.id AND o.hold_id = h.id)
      AND (app.has_session_left(e.company_id, e.user_id, span.first)
           OR app.has_session_left(e.company_id, e.user_id, span.last))
    ORDER BY choice.is_asked, e.place LIMIT 1
$$;

-- Offers it to them, unless they have left or can book it no more. The transaction holds the practitioner's lock, and is
-- in their company.
CREATE OR REPLACE FUNCTION app.offer_hold(hold uuid, entry uuid, offer uuid, at timestamptz, starts timestamptz,
                                          ends timestamptz, busy tstzrange, expires timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it app.waitlist_entries;
BEGIN
    SELECT * INTO it FROM app.waitlist_entries e
        WHERE e.id = entry AND e.company_id = app.company_id() AND e.status = 'waiting' FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM FROM app.companies c WHERE c.id = it.company_id FOR SHARE;
    PERFORM FROM app.users u JOIN app.employees e ON e.company_id = u.company_id AND e.id = u.employee_id
        WHERE u.id = it.user_id FOR NO KEY UPDATE OF e;
    PERFORM FROM app.practitioners p WHERE p.id = it.practitioner_id FOR SHARE;
    IF NOT app.could_book(it.company_id, it.user_id, it.practitioner_id, starts, ends, at)
       OR EXISTS (SELECT FROM app.waitlist_offers o WHERE o.user_id = it.user_id AND o.status = 'open'
                    AND tstzrange(o.starts_at, o.ends_at) && tstzrange(starts, ends)) THEN
        RETURN false;
    END IF;
    UPDATE app.waitlist_holds h
        SET busy_from = least(h.freed_from, lower(busy)), busy_until = greatest(h.freed_until, upper(busy))
        WHERE h.id = hold AND h.practitioner_id = it.practitioner_id AND h.status = 'held';
    INSERT INTO app.waitlist_offers (id, company_id, entry_id, user_id, practitioner_id, hold_id, starts_at, ends_at,
                                     offered_at, expires_at)
    SELECT offer, it.company_id, it.id, it.user_id, h.practitioner_id, h.id, starts, ends, at, expires
    FROM app.waitlist_holds h WHERE h.id = hold AND h.practitioner_id = it.practitioner_id AND h.status = 'held';
    RETURN FOUND;
END
$$;

-- Nobody wants it: everybody can have it. Unless it was offered meanwhile.
CREATE OR REPLACE FUNCTION app.release_hold(wanted uuid, at timestamptz)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    UPDATE app.waitlist_holds h SET status = 'released', ended_at = at
    WHERE h.id = wanted AND h.status = 'held'
      AND NOT EXISTS (SELECT FROM app.waitlist_offers o WHERE o.hold_id = h.id AND o.status = 'open')
$$;

-- Everything that is offered, the first to expire first, and whether it is over: its time, or the person's right to it.
CREATE OR REPLACE FUNCTION app.open_offers(at timestamptz, most int)
RETURNS TABLE (id uuid, company_id uuid, practitioner_id uuid, starts_at timestamptz, ends_at timestamptz,
               busy_from timestamptz, busy_until timestamptz, is_over boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT o.id, o.company_id, o.practitioner_id, o.starts_at, o.ends_at, h.busy_from, h.busy_until,
           o.expires_at <= at
               OR NOT app.could_book(o.company_id, o.user_id, o.practitioner_id, o.starts_at, o.ends_at, at)
    FROM app.waitlist_offers o JOIN app.waitlist_holds h ON h.id = o.hold_id
    WHERE o.status = 'open' ORDER BY o.expires_at LIMIT most
$$;

-- Ends an offer of the transaction's company whose time is over ('lapsed'), or that cannot be taken any more
-- ('withdrawn'): for the person's reasons, or because the practitioner is not there then. NULL: it stands, or is over.
CREATE OR REPLACE FUNCTION app.end_offer(wanted uuid, at timestamptz, is_gone boolean)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it      app.waitlist_offers;
    becomes text;
BEGIN
    SELECT * INTO it FROM app.waitlist_offers o
        WHERE o.id = wanted AND o.company_id = app.company_id() AND o.status = 'open' FOR NO KEY UPDATE;
    becomes := CASE
        WHEN it.expires_at <= at THEN 'lapsed'
        WHEN is_gone
             OR NOT app.could_book(it.company_id, it.user_id, it.practitioner_id, it.starts_at, it.ends_at, at) THEN 'withdrawn'
    END;
    IF it.id IS NOT NULL AND becomes IS NOT NULL THEN
        UPDATE app.waitlist_offers o SET status = becomes, ended_at = at WHERE o.id = wanted;
        RETURN becomes;
    END IF;
    RETURN NULL;
END
$$;

-- What was kept beside a freed time for the sake of an offer is free again when the offer ends.
CREATE OR REPLACE FUNCTION app.narrow_hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.waitlist_holds h SET busy_from = h.freed_from, busy_until = h.freed_until
        WHERE h.id = NEW.hold_id AND h.status = 'held' AND (h.busy_from < h.freed_from OR h.busy_until > h.freed_until);
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS waitlist_offers_over ON app.waitlist_offers;
CREATE TRIGGER waitlist_offers_over AFTER UPDATE OF status ON app.waitlist_offers
    FOR EACH ROW WHEN (OLD.status = 'open' AND NEW.status IN ('declined', 'lapsed', 'withdrawn'))
    EXECUTE FUNCTION app.narrow_hold();

-- The calling employee books, or moves a session to, a time: what is kept of it for them is kept no more, and what they
-- leave of it goes to the next. The transaction holds the practitioner's lock.
CREATE OR REPLACE FUNCTION app.take_held_time(practitioner uuid, busy tstzrange, at timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it record;
BEGIN
    PERFORM FROM app.waitlist_entries e
        WHERE e.user_id = app.user_id() AND e.company_id = app.company_id() AND e.practitioner_id = practitioner
          AND e.status = 'waiting' FOR NO KEY UPDATE;
    FOR it IN
        SELECT o.id, h.id AS hold, h.freed_from, h.freed_until
        FROM app.waitlist_offers o JOIN app.waitlist_holds h ON h.id = o.hold_id
        WHERE o.user_id = app.user_id() AND o.company_id = app.company_id() AND o.practitioner_id = practitioner
          AND o.status = 'open' AND h.status = 'held' AND tstzrange(h.busy_from, h.busy_until) && busy
        FOR NO KEY UPDATE
    LOOP
        UPDATE app.waitlist_offers o SET status = 'taken', ended_at = at WHERE o.id = it.id;
        UPDATE app.waitlist_holds h SET status = 'taken', ended_at = at WHERE h.id = it.hold;
        PERFORM app.keep_for_waiting(practitioner,
            tstzmultirange(tstzrange(it.freed_from, it.freed_until)) - tstzmultirange(busy), app.user_id());
    END LOOP;
END
$$;

-- Who waits no more: their own term is over, or they let three offers in a row lapse, or they left the company, or it is archived, or the practitioner has left.
-- And what is over for a month is forgotten.
CREATE OR REPLACE FUNCTION app.tidy_waitlist(at timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.waitlist_entries w SET status = 'lapsed', ended_at = at
        WHERE w.status = 'waiting'
          AND (w.until <= at
               OR (SELECT count(*) FILTER (WHERE last.status = 'lapsed')
                   FROM (SELECT o.status FROM app.waitlist_offers o
                         WHERE o.entry_id = w.id AND o.status IN ('taken', 'declined', 'lapsed')
                         ORDER BY o.offered_at DESC LIMIT 3) AS last) = 3);
    UPDATE app.waitlist_entries w SET status = 'ended', ended_at = at
        FROM app.users u, app.companies c
        WHERE w.status = 'waiting' AND u.id = w.user_id AND c.id = w.company_id
          AND (c.status = 'archived' OR NOT EXISTS (
                  SELECT FROM app.employees e
                  WHERE e.company_id = w.company_id AND e.id = u.employee_id AND e.status = 'active')
               OR EXISTS (SELECT FROM app.practitioners p WHERE p.id = w.practitioner_id AND p.status = 'inactive'));
    -- what somebody declined or let lapse counts for as long as they wait
    DELETE FROM app.waitlist_offers o WHERE o.ended_at < at - app.kept_for('waitlist_place')
        AND NOT EXISTS (SELECT FROM app.waitlist_entries w WHERE w.id = o.entry_id AND w.status = 'waiting');
    DELETE FROM app.waitlist_holds h WHERE h.ended_at < at - app.kept_for('waitlist_place')
        AND NOT EXISTS (SELECT FROM app.waitlist_offers o WHERE o.hold_id = h.id);
    DELETE FROM app.waitlist_entries w WHERE w.ended_at < at - app.kept_for('waitlist_place')
        AND NOT EXISTS (SELECT FROM app.waitlist_offers o WHERE o.entry_id = w.id);
END
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.idle_holds(uuid, timestamptz, uuid, int)', 'app.lock_idle_hold(uuid)',
        'app.next_in_line(uuid, timestamptz, timestamptz[], timestamptz[], uuid[])',
        'app.offer_hold(uuid, uuid, uuid, timestamptz, timestamptz, timestamptz, tstzrange, timestamptz)',
        'app.narrow_hold()', 'app.release_hold(uuid, timestamptz)', 'app.open_offers(timestamptz, int)',
        'app.end_offer(uuid, timestamptz, boolean)', 'app.take_held_time(uuid, tstzrange, timestamptz)',
        'app.tidy_waitlist(timestamptz)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.take_held_time(uuid, tstzrange, timestamptz) TO huntzen_employee;
GRANT EXECUTE ON FUNCTION app.idle_holds(uuid, timestamptz, uuid, int), app.lock_idle_hold(uuid),
    app.next_in_line(uuid, timestamptz, timestamptz[], timestamptz[], uuid[]),
    app.offer_hold(uuid, uuid, uuid, timestamptz, timestamptz, timestamptz, tstzrange, timestamptz),
    app.release_hold(uuid, timestamptz), app.open_offers(timestamptz, int), app.end_offer(uuid, timestamptz, boolean),
    app.tidy_waitlist(timestamptz) TO huntzen_worker;
