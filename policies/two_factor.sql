-- The second factor. Secrets and codes are read and changed through functions of the person's own transaction, also
-- before they are signed in: it carries their id once their password, or their ticket, has been seen.
-- Staff see which accounts have one.
GRANT SELECT (user_id, enabled_at) ON app.two_factor TO huntzen_platform;
CREATE POLICY all_rows ON app.two_factor FOR SELECT TO huntzen_platform USING (true);

GRANT UPDATE (status, activated_at) ON app.users TO huntzen_kernel;
GRANT SELECT, INSERT, DELETE ON app.two_factor, app.recovery_codes TO huntzen_kernel;
GRANT UPDATE (secret, enabled_at, last_step, pending_secret, pending_at, updated_at) ON app.two_factor TO huntzen_kernel;
GRANT UPDATE (used_at) ON app.recovery_codes TO huntzen_kernel;
GRANT INSERT, DELETE ON app.one_time_tokens TO huntzen_kernel;
GRANT UPDATE (used_at, attempts) ON app.one_time_tokens TO huntzen_kernel;
CREATE POLICY kernel ON app.two_factor TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.recovery_codes TO huntzen_kernel USING (true) WITH CHECK (true);

-- The moment is the one at which the person agreed to the terms, which is when they accepted their invitation.
CREATE OR REPLACE FUNCTION app.note_activation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.activated_at := coalesce(NEW.terms_at, NEW.created_at, clock_timestamp());
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION app.note_activation() FROM PUBLIC;
DROP TRIGGER IF EXISTS users_activated ON app.users;
CREATE TRIGGER users_activated BEFORE INSERT ON app.users
    FOR EACH ROW WHEN (NEW.status = 'active' AND NEW.activated_at IS NULL) EXECUTE FUNCTION app.note_activation();
DROP TRIGGER IF EXISTS users_accepted ON app.users;
CREATE TRIGGER users_accepted BEFORE UPDATE OF status ON app.users
    FOR EACH ROW WHEN (OLD.status = 'invited' AND NEW.status = 'active') EXECUTE FUNCTION app.note_activation();

-- A log-in that waits for its code ends with the password that it began with; whatever waits ends with a suspension.
CREATE OR REPLACE FUNCTION app.end_waiting_tokens()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    DELETE FROM app.one_time_tokens t
        WHERE t.user_id = NEW.id AND t.used_at IS NULL
          AND (t.purpose = 'login_ticket' OR NEW.status = 'suspended');
    RETURN NULL;
END
$$;
ALTER FUNCTION app.end_waiting_tokens() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.end_waiting_tokens() FROM PUBLIC;
DROP TRIGGER IF EXISTS users_end_waiting_tokens ON app.users;
CREATE TRIGGER users_end_waiting_tokens AFTER UPDATE OF password_hash, status ON app.users
    FOR EACH ROW WHEN (OLD.password_hash IS DISTINCT FROM NEW.password_hash OR OLD.status <> NEW.status)
    EXECUTE FUNCTION app.end_waiting_tokens();

-- One row: what the caller has, and what the interface tells of it.
CREATE OR REPLACE FUNCTION app.own_two_factor()
RETURNS TABLE (secret bytea, pending_secret bytea, pending_at timestamptz, changed_at timestamptz, activated_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT t.secret, t.pending_secret, t.pending_at, t.updated_at, u.activated_at
    FROM app.users u LEFT JOIN app.two_factor t ON t.user_id = u.id WHERE u.id = app.user_id()
$$;

-- Keeps a secret that was offered, in place of one that was offered before.
CREATE OR REPLACE FUNCTION app.offer_totp(sealed bytea, at timestamptz)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    INSERT INTO app.two_factor AS t (user_id, pending_secret, pending_at, created_at)
        VALUES (app.user_id(), sealed, at, at)
    ON CONFLICT (user_id) DO UPDATE SET pending_secret = sealed, pending_at = at
$$;

-- Makes the offered secret the one that counts; once, while it is the one that is offered. The step of its first code
-- is taken. Says whether it is a first one or replaces another; NULL: the offer is gone.
CREATE OR REPLACE FUNCTION app.enable_totp(offered bytea, sealed bytea, step bigint, at timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    before app.two_factor;
BEGIN
    SELECT * INTO before FROM app.two_factor t
        WHERE t.user_id = app.user_id() AND t.pending_secret = offered FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE app.two_factor t
        SET secret = sealed, enabled_at = at, last_step = step, pending_secret = NULL, pending_at = NULL
        WHERE t.user_id = before.user_id;
    RETURN CASE WHEN before.secret IS NULL THEN 'enabled' ELSE 'replaced' END;
END
$$;

-- A step counts once, whatever it is shown for. `checked` is the secret that the code was compared with; `resealed` is
-- the same one under a newer master key.
CREATE OR REPLACE FUNCTION app.take_totp_step(step bigint, checked bytea, resealed bytea)
RETURNS boolean LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH taken AS (
        UPDATE app.two_factor t SET last_step = step, secret = coalesce(resealed, t.secret)
        WHERE t.user_id = app.user_id() AND t.secret = checked AND t.last_step < step RETURNING 1)
    SELECT EXISTS (SELECT FROM taken)
$$;

-- How many are left after this one was taken; NULL: it opens nothing.
CREATE OR REPLACE FUNCTION app.take_recovery_code(presented bytea, at timestamptz)
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    -- one at a time for each person, so that the count is right; and what is told of the account has changed
    UPDATE app.two_factor t SET updated_at = at WHERE t.user_id = app.user_id() AND t.secret IS NOT NULL;
    UPDATE app.recovery_codes c SET used_at = at
        WHERE c.user_id = app.user_id() AND c.hash = presented AND c.used_at IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT count(*) FROM app.recovery_codes c WHERE c.user_id = app.user_id() AND c.used_at IS NULL);
END
$$;

-- A new set; the old ones open nothing any more. False: there is nothing to recover.
CREATE OR REPLACE FUNCTION app.renew_recovery_codes(ids uuid[], hashes bytea[], at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM FROM app.two_factor t WHERE t.user_id = app.user_id() AND t.secret IS NOT NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM app.recovery_codes c WHERE c.user_id = app.user_id();
    INSERT INTO app.recovery_codes (id, user_id, hash, created_at)
        SELECT code.id, app.user_id(), code.hash, at FROM unnest(ids, hashes) AS code (id, hash);
    RETURN true;
END
$$;

-- Whether there was something to switch off. Recovery codes go with it.
CREATE OR REPLACE FUNCTION app.disable_totp()
RETURNS boolean LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH gone AS (DELETE FROM app.two_factor t WHERE t.user_id = app.user_id() RETURNING t.secret)
    SELECT EXISTS (SELECT FROM gone WHERE gone.secret IS NOT NULL)
$$;

-- The first half of a log-in: a ticket, where the account asks for a code. Once for each proof of the password.
CREATE OR REPLACE FUNCTION auth.open_login_ticket(ticket uuid, ticket_hash bytea, of_cookie boolean, of_device text,
                                                  at timestamptz, until timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    DELETE FROM app.one_time_tokens t
        WHERE t.user_id = app.user_id() AND t.purpose = 'login_ticket' AND (t.expires_at <= at OR t.used_at IS NOT NULL);
    INSERT INTO app.one_time_tokens (id, purpose, hash, user_id, company_id, in_cookie, device, created_at, expires_at)
        SELECT ticket, 'login_ticket', ticket_hash, u.id, u.company_id, of_cookie, of_device, at, until
        FROM app.users u JOIN app.two_factor t ON t.user_id = u.id
        WHERE u.id = app.user_id() AND u.status = 'active' AND t.secret IS NOT NULL
        FOR SHARE OF u;
    RETURN FOUND;
END
$$;

-- Whose log-in a ticket carries on, while it does. Each look is a try: there are five.
CREATE OR REPLACE FUNCTION auth.try_login_ticket(presented bytea, at timestamptz)
RETURNS TABLE (id uuid, in_cookie boolean, device text, user_id uuid, email text, role text, company_id uuid,
               display_name text, locale text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    UPDATE app.one_time_tokens t SET attempts = t.attempts + 1 FROM app.users u
    WHERE t.hash = presented AND t.purpose = 'login_ticket' AND t.used_at IS NULL AND t.expires_at > at AND t.attempts < 5
      AND u.id = t.user_id AND u.status = 'active'
    RETURNING t.id, t.in_cookie, t.device, u.id, u.email, u.role, u.company_id, u.display_name, u.locale
$$;

-- Uses it up. The account first, then its token: the order in which everybody locks.
CREATE OR REPLACE FUNCTION auth.use_login_ticket(ticket uuid, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM FROM app.users u WHERE u.id = app.user_id() AND u.status = 'active' FOR SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE app.one_time_tokens t SET used_at = at
        WHERE t.id = ticket AND t.user_id = app.user_id() AND t.purpose = 'login_ticket' AND t.used_at IS NULL
          AND t.expires_at > at;
    RETURN FOUND;
END
$$;

-- What decides whether a session may do everything: since when the account is in use, and whether it has a second factor.
CREATE OR REPLACE FUNCTION auth.two_factor_of(person uuid)
RETURNS TABLE (activated_at timestamptz, enabled boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT u.activated_at, EXISTS (SELECT FROM app.two_factor t WHERE t.user_id = u.id AND t.secret IS NOT NULL)
    FROM app.users u WHERE u.id = person
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.own_two_factor()', 'app.take_totp_step(bigint, bytea, bytea)', 'app.take_recovery_code(bytea, timestamptz)',
        'app.offer_totp(bytea, timestamptz)', 'app.enable_totp(bytea, bytea, bigint, timestamptz)',
        'app.renew_recovery_codes(uuid[], bytea[], timestamptz)', 'app.disable_totp()']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO huntzen_employee, huntzen_practitioner, huntzen_hr, '
                       'huntzen_company_admin, huntzen_platform', it);
    END LOOP;
    FOREACH it IN ARRAY ARRAY[
        'auth.open_login_ticket(uuid, bytea, boolean, text, timestamptz, timestamptz)',
        'auth.try_login_ticket(bytea, timestamptz)', 'auth.use_login_ticket(uuid, timestamptz)',
        'auth.two_factor_of(uuid)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO huntzen_auth', it);
    END LOOP;
END
$$;
-- what the second half of a log-in shows
GRANT EXECUTE ON FUNCTION app.own_two_factor(), app.take_totp_step(bigint, bytea, bytea),
    app.take_recovery_code(bytea, timestamptz) TO huntzen_auth;
