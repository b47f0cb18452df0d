-- After a backup was restored: what was taken away since it was made is not to be valid again. Sessions that were ended would
-- be, and mailed links that were used: all of either go. Invitations stay; whoever has accepted one since accepts it again. An
-- erasure that waited may have been taken back since, or its person have come back: it is asked for anew, with all of its time,
-- and they are told. What had begun, or whoever the ledger names, is not touched.
CREATE OR REPLACE FUNCTION app.close_restored(taken timestamptz, at timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    its   record;
    anew  uuid;
    -- what the transaction is in the name of; put back at the end
    mine  text[] := ARRAY[current_setting('app.company_id', true), current_setting('app.user_id', true)];
BEGIN
    FOR its IN SELECT r.id, r.user_id, u.company_id, r.asked_by, r.due_at - r.created_at AS wait
               FROM app.privacy_requests r JOIN app.users u ON u.id = r.user_id
               WHERE r.kind = 'erasure' AND r.status = 'waiting' AND u.erased_at IS NULL ORDER BY r.id FOR UPDATE OF r LOOP
        anew := gen_random_uuid();
        UPDATE app.privacy_requests r SET status = 'withdrawn', finished_at = at WHERE r.id = its.id;
        INSERT INTO app.privacy_requests (id, user_id, kind, status, created_at, due_at, asked_by)
            VALUES (anew, its.user_id, 'erasure', 'waiting', at, at + its.wait, its.asked_by);
        PERFORM app.audit('erasure.withdrawn', 'privacy_request', its.id, 'user', its.user_id, its.company_id, 'success',
                          '{"status": "withdrawn"}', NULL, NULL);
        PERFORM app.audit('erasure.asked', 'privacy_request', anew, 'user', its.user_id, its.company_id, 'success', '{}', NULL, NULL);
        -- the job is theirs
        PERFORM set_config('app.company_id', coalesce(its.company_id::text, ''), true),
                set_config('app.user_id', its.user_id::text, true);
        PERFORM app.enqueue('mail', 'privacy.mail_erasure',
                            ARRAY[jsonb_build_object('request_id', anew, 'what',
                                                     CASE its.asked_by WHEN 'platform' THEN 'unused' ELSE 'asked' END)],
                            ARRAY['privacy.mail_erasure:' || anew || ':restored'], NULL, 150);
        PERFORM set_config('app.company_id', coalesce(mine[1], ''), true), set_config('app.user_id', coalesce(mine[2], ''), true);
    END LOOP;
    UPDATE app.user_sessions s SET revoked_at = at WHERE s.revoked_at IS NULL;
    DELETE FROM app.one_time_tokens t WHERE t.purpose <> 'invitation';
    PERFORM app.audit('backup.restored', 'installation', NULL, NULL, NULL, NULL, 'success',
                      jsonb_build_object('of', to_char(taken AT TIME ZONE 'UTC', 'YYYY-MM-DD"t"HH24.MI.SS"z"')), NULL, NULL);
END
$$;
ALTER FUNCTION app.close_restored(timestamptz, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.close_restored(timestamptz, timestamptz) FROM PUBLIC;
