-- Asks for an erasure anew, with all of its time, and has its person told.
CREATE OR REPLACE FUNCTION app.ask_anew(request uuid, person uuid, wait interval, asker text, at timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    company uuid := (SELECT u.company_id FROM app.users u WHERE u.id = person);
    -- what the transaction is in the name of; put back at the end
    mine    text[] := ARRAY[current_setting('app.company_id', true), current_setting('app.user_id', true)];
BEGIN
    INSERT INTO app.privacy_requests (id, user_id, kind, status, created_at, due_at, asked_by)
        VALUES (request, person, 'erasure', 'waiting', at, at + wait, asker);
    PERFORM app.audit('erasure.asked', 'privacy_request', request, 'user', person, company, 'success', '{}', NULL, NULL);
    -- the job is theirs
    PERFORM set_config('app.company_id', coalesce(company::text, ''), true), set_config('app.user_id', person::text, true);
    PERFORM app.enqueue('mail', 'privacy.mail_erasure',
                        ARRAY[jsonb_build_object('request_id', request, 'what',
                                                 CASE asker WHEN 'platform' THEN 'unused' ELSE 'asked' END)],
                        ARRAY['privacy.mail_erasure:' || request || ':restored'], NULL, 150);
    PERFORM set_config('app.company_id', coalesce(mine[1], ''), true), set_config('app.user_id', coalesce(mine[2], ''), true);
END
$$;

-- After a backup was restored: what was taken away since it was made is not to be valid again. Sessions that were ended would
-- be, and mailed links that were used: all of either go. Invitations stay; whoever has accepted one since accepts it again. An
-- erasure that waited may have been taken back since, or its person have come back: it is asked for anew, with all of its time,
-- and they are told. What had begun, or whoever the ledger names, is not touched.
CREATE OR REPLACE FUNCTION app.close_restored(taken timestamptz, at timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    its record;
BEGIN
    -- nobody took anything back: nobody is told that they did
    PERFORM set_config('app.restores', 'on', true);
    FOR its IN SELECT r.id, r.user_id, u.company_id, r.asked_by, r.due_at - r.created_at AS wait
               FROM app.privacy_requests r JOIN app.users u ON u.id = r.user_id
               WHERE r.kind = 'erasure' AND r.status = 'waiting' AND u.erased_at IS NULL ORDER BY r.id FOR UPDATE OF r LOOP
        UPDATE app.privacy_requests r SET status = 'withdrawn', finished_at = at WHERE r.id = its.id;
        PERFORM app.audit('erasure.withdrawn', 'privacy_request', its.id, 'user', its.user_id, its.company_id, 'success',
                          '{"status": "withdrawn"}', NULL, NULL);
        PERFORM app.ask_anew(gen_random_uuid(), its.user_id, its.wait, its.asked_by, at);
    END LOOP;
    PERFORM set_config('app.restores', '', true);
    UPDATE app.user_sessions s SET revoked_at = at WHERE s.revoked_at IS NULL;
    DELETE FROM app.one_time_tokens t WHERE t.purpose <> 'invitation';
    PERFORM app.audit('backup.restored', 'installation', NULL, NULL, NULL, NULL, 'success',
                      jsonb_build_object('of', to_char(taken AT TIME ZONE 'UTC', 'YYYY-MM-DD"t"HH24.MI.SS"z"')), NULL, NULL);
END
$$;

-- Whether an erasure that somebody asked for after the backup is forgotten by it: no request of theirs is open, or ended since. The
-- platform's, of an account that nobody used, is not theirs: a log-in ends it. One that has begun is carried out, whoever asked.
CREATE OR REPLACE FUNCTION app.is_forgotten(request uuid, person uuid, asked timestamptz)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT EXISTS (SELECT FROM app.users u WHERE u.id = person AND u.erased_at IS NULL)
       AND NOT EXISTS (SELECT FROM app.privacy_requests r
                       WHERE r.id = request
                          OR r.user_id = person AND r.kind = 'erasure'
                         AND (r.asked_by = 'person' AND (r.finished_at IS NULL OR r.finished_at > asked) OR r.status = 'begun'))
$$;
-- Asks for it anew, in the place of the platform's where that waits. The time to take it back is what everybody has
-- (privacy::erasure::WAIT), whatever a line says. False: it is not forgotten, or the account came after the backup as well.
CREATE OR REPLACE FUNCTION app.ask_for_forgotten(request uuid, person uuid, asked timestamptz, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    platforms uuid;
BEGIN
    IF NOT app.is_forgotten(request, person, asked) THEN
        RETURN false;
    END IF;
    -- nobody is told that they took anything back
    PERFORM set_config('app.restores', 'on', true);
    UPDATE app.privacy_requests r SET status = 'withdrawn', finished_at = at
        WHERE r.user_id = person AND r.kind = 'erasure' AND r.status = 'waiting' AND r.asked_by = 'platform'
        RETURNING r.id INTO platforms;
    PERFORM set_config('app.restores', '', true);
    IF platforms IS NOT NULL THEN
        PERFORM app.audit('erasure.withdrawn', 'privacy_request', platforms, 'user', person,
                          (SELECT u.company_id FROM app.users u WHERE u.id = person), 'success',
                          '{"status": "withdrawn"}', NULL, NULL);
    END IF;
    PERFORM app.ask_anew(request, person, interval '7 days', 'person', at);
    RETURN true;
END
$$;

-- for those who own the database
DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.ask_anew(uuid, uuid, interval, text, timestamptz)', 'app.close_restored(timestamptz, timestamptz)',
        'app.is_forgotten(uuid, uuid, timestamptz)',
        'app.ask_for_forgotten(uuid, uuid, timestamptz, timestamptz)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
