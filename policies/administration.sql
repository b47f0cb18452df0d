-- What the platform's staff do with accounts, and what only the operator of the installation does.

-- Suspends an account, ends its sessions and everything that waits for its owner. One platform admin at a time: two
-- cannot suspend each other, so that one who is active always remains.
CREATE OR REPLACE FUNCTION app.suspend_account(person uuid, at timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    its app.users;
BEGIN
    IF person = app.user_id() THEN
        RETURN 'own';
    END IF;
    PERFORM FROM app.users u WHERE u.role = 'platform_admin' ORDER BY u.id FOR UPDATE;
    SELECT * INTO its FROM app.users u WHERE u.id = person FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    END IF;
    IF its.status = 'suspended' THEN
        RETURN 'unchanged';
    END IF;
    -- also where the one who asks was suspended a moment ago
    IF its.role = 'platform_admin' AND its.status = 'active' AND NOT EXISTS (
           SELECT FROM app.users u WHERE u.role = 'platform_admin' AND u.status = 'active' AND u.id <> its.id) THEN
        RETURN 'last_admin';
    END IF;
    UPDATE app.users u SET status = 'suspended' WHERE u.id = its.id;
    PERFORM app.end_sessions_of(its.id, NULL, at);
    RETURN 'changed';
END
$$;

-- Gives an account back. One that nobody had accepted waits for its owner again.
CREATE OR REPLACE FUNCTION app.activate_account(person uuid)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    its app.users;
BEGIN
    SELECT * INTO its FROM app.users u WHERE u.id = person FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    END IF;
    -- whom their company has removed does not come back this way: a new invitation makes a new account
    IF its.removed_at IS NOT NULL THEN
        RETURN 'removed';
    END IF;
    IF its.status <> 'suspended' THEN
        RETURN 'unchanged';
    END IF;
    UPDATE app.users u SET status = CASE WHEN its.password_hash IS NULL THEN 'invited' ELSE 'active' END
        WHERE u.id = its.id;
    RETURN 'changed';
END
$$;

-- A platform admin who waits for their owner, and the invitation that its link opens. One who waits already gets
-- another link ('renewed'); the one before opens nothing any more. Nobody who runs the program may: the owner of the
-- database does, at the command line.
CREATE OR REPLACE FUNCTION app.create_platform_admin(person uuid, address text, name text, language text, token uuid,
                                                     token_hash bytea, at timestamptz, until timestamptz,
                                                     OUT outcome text, OUT account uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    INSERT INTO app.users (id, email, role, display_name, locale, status)
        VALUES (person, address, 'platform_admin', coalesce(name, split_part(address, '@', 1)), language, 'invited')
        ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING;
    account := person;
    outcome := 'created';
    IF NOT FOUND THEN
        SELECT u.id INTO account FROM app.users u
            WHERE u.email = address AND u.role = 'platform_admin' AND u.status = 'invited' FOR UPDATE;
        IF NOT FOUND THEN
            outcome := 'taken';
            RETURN;
        END IF;
        outcome := 'renewed';
        UPDATE app.users u SET display_name = name WHERE u.id = account AND name IS NOT NULL;
        DELETE FROM app.one_time_tokens t WHERE t.user_id = account AND t.purpose = 'invitation' AND t.used_at IS NULL;
    END IF;
    INSERT INTO app.one_time_tokens (id, purpose, hash, user_id, created_at, expires_at)
        VALUES (token, 'invitation', token_hash, account, at, until);
END
$$;

-- Takes a lost second factor away, ends the sessions of the account and the log-ins that wait for a code. NULL: there is
-- no such account, or it has none.
CREATE OR REPLACE FUNCTION app.reset_two_factor(address text, at timestamptz)
RETURNS TABLE (id uuid, company_id uuid) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    its app.users;
BEGIN
    SELECT * INTO its FROM app.users u WHERE u.email = address FOR UPDATE;
    DELETE FROM app.two_factor t WHERE t.user_id = its.id AND t.secret IS NOT NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM app.one_time_tokens t
        WHERE t.user_id = its.id AND t.purpose = 'login_ticket' AND t.used_at IS NULL;
    UPDATE app.user_sessions s SET revoked_at = at WHERE s.user_id = its.id AND s.revoked_at IS NULL;
    RETURN QUERY SELECT its.id, its.company_id;
END
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.suspend_account(uuid, timestamptz)', 'app.activate_account(uuid)',
        'app.create_platform_admin(uuid, text, text, text, uuid, bytea, timestamptz, timestamptz)',
        'app.reset_two_factor(text, timestamptz)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.suspend_account(uuid, timestamptz), app.activate_account(uuid) TO huntzen_platform;
