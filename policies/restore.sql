-- After a backup was restored: what was taken away since it was made is not to be valid again. Sessions that were ended would
-- be, and mailed links that were used: all of either go. Invitations stay; whoever has accepted one since accepts it again.
CREATE OR REPLACE FUNCTION app.close_restored(taken timestamptz, at timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.user_sessions s SET revoked_at = at WHERE s.revoked_at IS NULL;
    DELETE FROM app.one_time_tokens t WHERE t.purpose <> 'invitation';
    PERFORM app.audit('backup.restored', 'installation', NULL, NULL, NULL, NULL, 'success',
                      jsonb_build_object('of', to_char(taken AT TIME ZONE 'UTC', 'YYYY-MM-DD"t"HH24.MI.SS"z"')), NULL, NULL);
END
$$;
ALTER FUNCTION app.close_restored(timestamptz, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.close_restored(timestamptz, timestamptz) FROM PUBLIC;
