-- The keys that sign access tokens: read before sign-in by every node, made by `huntzen keys rotate` as the owner.
GRANT SELECT, INSERT, DELETE ON app.signing_keys TO huntzen_kernel;
CREATE POLICY kernel ON app.signing_keys TO huntzen_kernel USING (true) WITH CHECK (true);

-- Whether it was published: not while the one before it waits to sign.
CREATE OR REPLACE FUNCTION app.publish_signing_key(key uuid, secret bytea, at timestamptz, signs_from timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    -- one at a time
    PERFORM pg_advisory_xact_lock(hashtextextended('huntzen signing keys', 0));
    IF EXISTS (SELECT FROM app.signing_keys k WHERE k.signs_from > at) THEN
        RETURN false;
    END IF;
    INSERT INTO app.signing_keys (id, secret, published_at, signs_from)
        VALUES (key, publish_signing_key.secret, at, publish_signing_key.signs_from);
    PERFORM app.audit('signing_key.published', 'signing_key', key, NULL, NULL, NULL, 'success', '{}', NULL, NULL);
    PERFORM pg_notify('signing_keys', '');
    RETURN true;
END
$$;
-- nobody but those who own the database
ALTER FUNCTION app.publish_signing_key(uuid, bytea, timestamptz, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.publish_signing_key(uuid, bytea, timestamptz, timestamptz) FROM PUBLIC;

CREATE OR REPLACE FUNCTION auth.signing_keys()
RETURNS TABLE (id uuid, secret bytea, signs_from timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT k.id, k.secret, k.signs_from FROM app.signing_keys k ORDER BY k.signs_from
$$;
ALTER FUNCTION auth.signing_keys() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION auth.signing_keys() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auth.signing_keys() TO huntzen_auth;

-- Keys whose successor has been signing for so long that no token of theirs lives. How many.
CREATE OR REPLACE FUNCTION app.purge_signing_keys(retired_before timestamptz)
RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH gone AS (
        DELETE FROM app.signing_keys k
        WHERE EXISTS (SELECT FROM app.signing_keys n WHERE n.signs_from > k.signs_from AND n.signs_from < retired_before)
        RETURNING 1)
    SELECT count(*) FROM gone
$$;
ALTER FUNCTION app.purge_signing_keys(timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.purge_signing_keys(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.purge_signing_keys(timestamptz) TO huntzen_worker;
