-- The keys that sign access tokens: read before sign-in by every node, made by `huntzen keys publish` as the owner.
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

-- Takes a key out of use at once, on every node: one of the database, or one of those that are `configured`. Where none
-- would be left to sign, `next` does, from now on. Says 'withdrawn', 'before' (it was already) or 'unknown'.
CREATE OR REPLACE FUNCTION app.withdraw_signing_key(named text, configured text[], at timestamptz, next uuid,
                                                    next_secret bytea, OUT outcome text, OUT replaced boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    gone uuid;
BEGIN
    replaced := false;
    PERFORM pg_advisory_xact_lock(hashtextextended('huntzen signing keys', 0));
    IF EXISTS (SELECT FROM app.withdrawn_signing_keys w WHERE w.kid = named) THEN
        outcome := 'before';
        RETURN;
    END IF;
    DELETE FROM app.signing_keys k WHERE k.id::text = named RETURNING k.id INTO gone;
    IF gone IS NULL AND named <> ALL (configured) THEN
        outcome := 'unknown';
        RETURN;
    END IF;
    INSERT INTO app.withdrawn_signing_keys (kid, withdrawn_at) VALUES (named, at);
    PERFORM app.audit('signing_key.withdrawn', 'signing_key', gone, NULL, NULL, NULL, 'success',
                      jsonb_build_object('kind', CASE WHEN gone IS NULL THEN 'configured' ELSE 'stored' END), NULL, NULL);
    IF NOT EXISTS (SELECT FROM app.signing_keys k WHERE k.signs_from <= at)
       AND NOT EXISTS (SELECT FROM unnest(configured) AS c (kid)
                       WHERE NOT EXISTS (SELECT FROM app.withdrawn_signing_keys w WHERE w.kid = c.kid)) THEN
        INSERT INTO app.signing_keys (id, secret, published_at, signs_from)
            VALUES (next, next_secret, at, at + interval '1 microsecond');
        PERFORM app.audit('signing_key.published', 'signing_key', next, NULL, NULL, NULL, 'success', '{}', NULL, NULL);
        replaced := true;
    END IF;
    PERFORM pg_notify('signing_keys', '');
    outcome := 'withdrawn';
END
$$;
-- nobody but those who own the database
ALTER FUNCTION app.withdraw_signing_key(text, text[], timestamptz, uuid, bytea) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.withdraw_signing_key(text, text[], timestamptz, uuid, bytea) FROM PUBLIC;
GRANT SELECT, INSERT ON app.withdrawn_signing_keys TO huntzen_kernel;
CREATE POLICY kernel ON app.withdrawn_signing_keys TO huntzen_kernel USING (true) WITH CHECK (true);

CREATE OR REPLACE FUNCTION auth.withdrawn_signing_keys()
RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT w.kid FROM app.withdrawn_signing_keys w
$$;
ALTER FUNCTION auth.withdrawn_signing_keys() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION auth.withdrawn_signing_keys() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auth.withdrawn_signing_keys() TO huntzen_auth;
