-- That somebody rang and nobody answered, or talked to somebody else: told once, shortly afterwards.
GRANT UPDATE (missed_told_at) ON app.call_sessions TO huntzen_kernel;

-- Whether a call was missed, and the two have not talked since. Who rings and thinks better of it within ten seconds was
-- not missed.
CREATE OR REPLACE FUNCTION app.is_missed(it app.call_sessions)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT (it.end_reason IN ('missed', 'busy') OR it.end_reason = 'cancelled' AND it.ended_at >= it.rang_at + interval '10 seconds')
       AND NOT EXISTS (SELECT FROM app.call_sessions l
                       WHERE l.company_id = it.company_id AND l.consultation_id = it.consultation_id AND l.number > it.number
                         AND l.accepted_at IS NOT NULL)
$$;

-- Calls of all companies of which it is not decided yet whether somebody is told that they missed them. What nobody decided
-- within an hour is no news.
CREATE OR REPLACE FUNCTION app.due_missed_calls(at timestamptz, most int)
RETURNS TABLE (company_id uuid, call_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT c.company_id, c.id FROM app.call_sessions c
    WHERE c.end_reason IN ('missed', 'cancelled', 'busy') AND c.missed_told_at IS NULL AND c.ended_at > at - interval '1 hour'
    ORDER BY c.ended_at LIMIT most
$$;

-- Tells whoever missed a call of the transaction's company. Answers who that is where a mail is to be sent.
CREATE OR REPLACE FUNCTION app.notify_of_missed_call(new_id uuid, call uuid, at timestamptz)
RETURNS TABLE (consultation_id uuid, reader_id uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it     app.call_sessions;
    missed uuid;
BEGIN
    UPDATE app.call_sessions c SET missed_told_at = at
        WHERE c.id = call AND c.company_id = app.company_id() AND c.end_reason IN ('missed', 'cancelled', 'busy')
          AND c.missed_told_at IS NULL
        RETURNING * INTO it;
    IF NOT FOUND OR NOT app.is_missed(it) THEN
        RETURN;
    END IF;
    missed := CASE it.caller WHEN 'employee' THEN it.practitioner_id ELSE it.user_id END;
    PERFORM app.add_notification(new_id, missed, 'call_missed', 'consultation', it.consultation_id, it.number, at);
    IF app.wants_notice(missed, 'call_missed', 'email') THEN
        RETURN QUERY SELECT it.consultation_id, missed;
    END IF;
END
$$;

-- Whether a mail about a call of the transaction's company still has something to tell: they have not talked, and may.
CREATE OR REPLACE FUNCTION app.is_call_missed(call uuid, at timestamptz)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT EXISTS (SELECT FROM app.call_sessions c JOIN app.consultations s ON s.id = c.consultation_id
                   WHERE c.id = call AND c.company_id = app.company_id() AND c.closes_at > at
                     AND s.status IN ('confirmed', 'in_progress') AND app.is_missed(c))
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.is_missed(app.call_sessions)', 'app.due_missed_calls(timestamptz, int)',
        'app.notify_of_missed_call(uuid, uuid, timestamptz)', 'app.is_call_missed(uuid, timestamptz)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.is_missed(app.call_sessions) TO huntzen_kernel;
GRANT EXECUTE ON FUNCTION app.due_missed_calls(timestamptz, int), app.notify_of_missed_call(uuid, uuid, timestamptz),
    app.is_call_missed(uuid, timestamptz) TO huntzen_worker;
