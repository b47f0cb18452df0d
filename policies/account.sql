-- The person's own account: forgotten and changed passwords, changes of address, leaving. Tokens are written by the
-- kernel's functions; whoever changes an account locks its row first, then its tokens, then its sessions.
GRANT INSERT ON app.one_time_tokens TO huntzen_kernel;
GRANT UPDATE (used_at, expires_at) ON app.one_time_tokens TO huntzen_kernel;
GRANT UPDATE (email, password_hash, email_verified_at, private_address, pending_email, pending_email_until,
              work_mailbox_lost_at) ON app.users
    TO huntzen_kernel;

-- Whether the mailbox behind an account's address is the person's. That of somebody who left is the employer's, and so
-- is every mailbox that the person has not proved to be another one. That they lost it stands on their account, where
-- nothing that the directory says later takes it back: neither another address nor their return.
CREATE OR REPLACE FUNCTION app.has_own_mailbox(person uuid)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT EXISTS (SELECT FROM app.users u
                   WHERE u.id = person AND (u.private_address OR u.work_mailbox_lost_at IS NULL))
$$;

-- Whether mail about an account may go to its address.
CREATE OR REPLACE FUNCTION app.may_be_mailed(person uuid)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT EXISTS (SELECT FROM app.users u WHERE u.id = person AND u.status = 'active' AND app.has_own_mailbox(u.id))
$$;

-- Who leaves loses the mailbox at work.
CREATE OR REPLACE FUNCTION app.lose_work_mailbox() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.users u SET work_mailbox_lost_at = NEW.left_at
        WHERE u.company_id = NEW.company_id AND u.employee_id = NEW.id AND u.work_mailbox_lost_at IS NULL;
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS employees_lose_work_mailbox ON app.employees;
CREATE TRIGGER employees_lose_work_mailbox AFTER UPDATE OF status ON app.employees
    FOR EACH ROW WHEN (NEW.status = 'left' AND OLD.status <> 'left') EXECUTE FUNCTION app.lose_work_mailbox();

-- Nobody notes any more who leaves a company that is archived: some time after that, all its people count as gone.
CREATE OR REPLACE FUNCTION app.close_work_mailboxes(at timestamptz, archived_before timestamptz)
RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH closed AS (
        UPDATE app.users u SET work_mailbox_lost_at = at FROM app.companies c
        WHERE c.status = 'archived' AND c.archived_at <= archived_before AND u.company_id = c.id AND u.role = 'employee'
          AND u.work_mailbox_lost_at IS NULL
        RETURNING 1
    )
    SELECT count(*) FROM closed
$$;

-- Whether a person can have the mailbox at work back by proving it: they are employed there.
CREATE OR REPLACE FUNCTION app.is_employed(person uuid)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT EXISTS (SELECT FROM app.users u
                   JOIN app.employees e ON e.company_id = u.company_id AND e.id = u.employee_id AND e.status = 'active'
                   JOIN app.companies c ON c.id = u.company_id AND c.status <> 'archived'
                   WHERE u.id = person)
$$;

-- Whether a mailbox is the employer's, as far as can be told: the very address of the directory, or another one under
-- the same domain, one above it or one below it, unless everybody may have one there.
CREATE OR REPLACE FUNCTION app.is_work_address(address text, entry text)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT address = entry
        OR (split_part(address, '@', 2) = split_part(entry, '@', 2)
            OR starts_with(reverse(split_part(address, '@', 2)), reverse('.' || split_part(entry, '@', 2)))
            OR starts_with(reverse(split_part(entry, '@', 2)), reverse('.' || split_part(address, '@', 2))))
           AND NOT ARRAY[split_part(address, '@', 2), split_part(entry, '@', 2)] && ARRAY[
               'gmail.com', 'googlemail.com', 'outlook.com', 'outlook.fr', 'hotmail.com', 'hotmail.fr', 'live.com', 'live.fr',
               'msn.com', 'yahoo.com', 'yahoo.fr', 'ymail.com', 'icloud.com', 'me.com', 'mac.com', 'aol.com', 'gmx.com',
               'gmx.fr', 'mail.com', 'proton.me', 'protonmail.com', 'pm.me', 'tutanota.com', 'tuta.com', 'zoho.com',
               'orange.fr', 'wanadoo.fr', 'free.fr', 'sfr.fr', 'neuf.fr', 'bbox.fr', 'laposte.net', 'numericable.fr',
               'mailo.com', 'mailo.fr', 'posteo.net', 'infomaniak.com', 'ik.me', 'bluewin.ch', 'skynet.be', 'telenet.be']
$$;

-- What a person did with a link or with the right password ends every other way in that was open before.
CREATE OR REPLACE FUNCTION app.end_tokens_of(person uuid, at timestamptz)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    UPDATE app.one_time_tokens t SET expires_at = least(t.expires_at, at)
    WHERE t.user_id = person AND t.used_at IS NULL
      AND t.purpose IN ('password_reset', 'email_verification', 'email_change')
$$;

-- Somebody forgot a password. The job is the same for an address without an account; it finds nobody then. Whose account
-- it is goes into the audit log and nowhere else.
CREATE OR REPLACE FUNCTION auth.ask_for_password_reset(address text, queue text, kind text, max_attempts int, at timestamptz,
                                                       OUT person uuid, OUT company uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    SELECT u.id, u.company_id INTO person, company FROM app.users u WHERE u.email = address;
    -- the job works for the person's company
    PERFORM set_config('app.company_id', coalesce(company::text, ''), true);
    PERFORM app.enqueue(queue, kind,
                        ARRAY[jsonb_build_object('user_id', coalesce(person, gen_random_uuid()), 'asked_at', at)],
                        ARRAY[NULL]::text[], NULL, max_attempts);
    PERFORM set_config('app.company_id', '', true);
END
$$;

-- Makes the token of a password reset, and says to whom its link goes: to nobody who has no use for it, who may not
-- be mailed, or who got enough of them: five in the time for which one is good. Of those that were sent the last three
-- open something, so that whoever asks for links to others leaves them one that works at every moment. Doing it twice
-- changes nothing.
CREATE OR REPLACE FUNCTION app.open_password_reset(person uuid, token uuid, token_hash bytea, asked_at timestamptz,
                                                   until timestamptz)
RETURNS TABLE (email text, display_name text, locale text, time_zone text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    -- one at a time for each person; not on the row of the account, for the lock lasts while the mail is sent
    PERFORM pg_advisory_xact_lock(hashtextextended('password_reset ' || person, 0));
    IF NOT app.may_be_mailed(person)
       OR NOT EXISTS (SELECT FROM app.users u WHERE u.id = person AND u.company_id IS NOT DISTINCT FROM app.company_id())
       -- asked again meanwhile: that mail was sent first
       OR EXISTS (SELECT FROM app.one_time_tokens t
                  WHERE t.user_id = person AND t.purpose = 'password_reset' AND t.id <> token AND t.created_at > asked_at)
       OR (SELECT count(*) >= 5 FROM app.one_time_tokens t
           WHERE t.user_id = person AND t.purpose = 'password_reset' AND t.id <> token
             AND t.created_at > asked_at - (until - asked_at)) THEN
        RETURN;
    END IF;
    UPDATE app.one_time_tokens t SET expires_at = least(t.expires_at, asked_at)
        WHERE t.id IN (SELECT o.id FROM app.one_time_tokens o
                       WHERE o.user_id = person AND o.purpose = 'password_reset' AND o.used_at IS NULL AND o.id <> token
                       ORDER BY o.created_at DESC, o.id DESC OFFSET 2);
    INSERT INTO app.one_time_tokens (id, purpose, hash, user_id, company_id, created_at, expires_at)
        SELECT token, 'password_reset', token_hash, u.id, u.company_id, asked_at, until FROM app.users u WHERE u.id = person
        ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT u.email, u.display_name, u.locale, u.time_zone FROM app.users u WHERE u.id = person;
END
$$;

-- Whose account a mailed token is about, while it opens something; asked before it is used up. A link in a mailbox that
-- became the employer's since sets no password and stops no change.
CREATE OR REPLACE FUNCTION auth.owner_of_token(presented bytea, wanted text, at timestamptz)
RETURNS TABLE (user_id uuid, role text, company_id uuid, email text, display_name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT u.id, u.role, u.company_id, u.email, u.display_name
    FROM app.one_time_tokens t JOIN app.users u ON u.id = t.user_id
    WHERE t.hash = presented AND t.purpose = wanted AND t.used_at IS NULL AND t.expires_at > at AND u.status = 'active'
      AND (wanted NOT IN ('password_reset', 'email_change') OR app.may_be_mailed(u.id))
$$;

-- Sets the password, once for each token, and closes everything that was open. False: the token opens nothing.
CREATE OR REPLACE FUNCTION auth.reset_password(presented bytea, new_password_hash text, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    person uuid;
BEGIN
    SELECT t.user_id INTO person FROM app.one_time_tokens t WHERE t.hash = presented AND t.purpose = 'password_reset';
    PERFORM FROM app.users u WHERE u.id = person FOR NO KEY UPDATE;
    UPDATE app.one_time_tokens t SET used_at = at
        WHERE t.hash = presented AND t.purpose = 'password_reset' AND t.used_at IS NULL AND t.expires_at > at
          AND app.may_be_mailed(person);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM app.end_tokens_of(person, at);
    PERFORM app.end_sessions_of(person, NULL, at);
    -- whoever logged in from there may have been the reason for it
    DELETE FROM app.known_devices d WHERE d.user_id = person;
    UPDATE app.users u SET password_hash = new_password_hash, email_verified_at = at, pending_email = NULL,
                           pending_email_until = NULL
        WHERE u.id = person;
    RETURN true;
END
$$;

-- What a person's present password is checked against.
CREATE OR REPLACE FUNCTION auth.password_of(person uuid)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT u.password_hash FROM app.users u WHERE u.id = person AND u.status = 'active'
$$;

-- Sets the caller's password where it still is the one that was checked, and closes everything that was open: whoever
-- had the old one may sit in the very session that asks.
DROP FUNCTION IF EXISTS app.change_own_password(text, text, uuid, timestamptz);
CREATE OR REPLACE FUNCTION app.change_own_password(checked text, new_password_hash text, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    me uuid := app.user_id();
BEGIN
    UPDATE app.users u SET password_hash = new_password_hash, pending_email = NULL, pending_email_until = NULL
        WHERE u.id = me AND u.password_hash = checked AND u.status = 'active';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM app.end_tokens_of(me, at);
    PERFORM app.end_sessions_of(me, NULL, at);
    DELETE FROM app.known_devices d WHERE d.user_id = me;
    RETURN true;
END
$$;

-- What only the owner of an account may know of its address; staff read accounts for support, but not this.
CREATE OR REPLACE FUNCTION app.own_address()
RETURNS TABLE (email text, pending_email text, pending_email_until timestamptz, private_address boolean, mail_stopped boolean,
               is_employed boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT u.email, u.pending_email, u.pending_email_until, u.private_address, NOT app.has_own_mailbox(u.id), app.is_employed(u.id)
    FROM app.users u WHERE u.id = app.user_id()
$$;

-- The caller wants another address. Nothing here depends on whether somebody has it already. The old address gets a
-- token that stops the change, unless its mailbox is not the person's any more.
CREATE OR REPLACE FUNCTION app.ask_for_email_change(new_address text, proof uuid, proof_hash bytea, stop uuid,
                                                    stop_hash bytea, at timestamptz, until timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    me     app.users;
    hears  boolean;
BEGIN
    SELECT * INTO me FROM app.users u WHERE u.id = app.user_id() AND u.status = 'active' FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'unknown';
    END IF;
    IF (SELECT count(*) >= 5 FROM app.one_time_tokens t
        WHERE t.user_id = me.id AND t.purpose = 'email_verification' AND t.created_at > at - interval '1 hour') THEN
        RETURN 'too_many';
    END IF;
    hears := app.may_be_mailed(me.id);
    UPDATE app.one_time_tokens t SET expires_at = least(t.expires_at, at)
        WHERE t.user_id = me.id AND t.purpose IN ('email_verification', 'email_change') AND t.used_at IS NULL;
    INSERT INTO app.one_time_tokens (id, purpose, hash, user_id, company_id, address, created_at, expires_at)
        VALUES (proof, 'email_verification', proof_hash, me.id, me.company_id, new_address, at, until);
    IF hears THEN
        INSERT INTO app.one_time_tokens (id, purpose, hash, user_id, company_id, address, created_at, expires_at)
            VALUES (stop, 'email_change', stop_hash, me.id, me.company_id, me.email, at, until);
    END IF;
    UPDATE app.users u SET pending_email = new_address, pending_email_until = until WHERE u.id = me.id;
    RETURN CASE WHEN hears THEN 'asked' ELSE 'asked_quietly' END;
END
$$;

-- The caller keeps the address that they have.
CREATE OR REPLACE FUNCTION app.withdraw_email_change(at timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.users u SET pending_email = NULL, pending_email_until = NULL
        WHERE u.id = app.user_id() AND u.pending_email IS NOT NULL;
    UPDATE app.one_time_tokens t SET expires_at = least(t.expires_at, at)
        WHERE t.user_id = app.user_id() AND t.purpose IN ('email_verification', 'email_change') AND t.used_at IS NULL;
END
$$;

-- The letter that goes with a token of a change of address. To a new address it is the same whether or not somebody has
-- that already (`holder`), so that who reads the mailbox learns nothing from the letter; its link opens nothing then. No
-- row: there is nobody to tell any more.
CREATE OR REPLACE FUNCTION app.letter_of_email_change(token uuid, at timestamptz)
RETURNS TABLE (address text, holder uuid, hash bytea, expires_at timestamptz, user_id uuid, display_name text,
               locale text, time_zone text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT t.address, (SELECT h.id FROM app.users h WHERE h.email = t.address AND h.id <> t.user_id), t.hash, t.expires_at,
           u.id, u.display_name, u.locale, u.time_zone
    FROM app.one_time_tokens t JOIN app.users u ON u.id = t.user_id
    WHERE t.id = token AND t.purpose IN ('email_verification', 'email_change')
      AND t.used_at IS NULL AND t.expires_at > at AND t.company_id IS NOT DISTINCT FROM app.company_id()
      AND (t.purpose = 'email_verification' OR app.may_be_mailed(u.id))
$$;

-- The address that was a person's until a change, by the token that could have stopped it.
CREATE OR REPLACE FUNCTION app.former_address(token uuid)
RETURNS TABLE (address text, user_id uuid, display_name text, locale text, time_zone text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT t.address, u.id, u.display_name, u.locale, u.time_zone
    FROM app.one_time_tokens t JOIN app.users u ON u.id = t.user_id
    WHERE t.id = token AND t.purpose = 'email_change' AND t.company_id IS NOT DISTINCT FROM app.company_id()
$$;

-- Proves the new address, once. Not done: the token opens nothing, or somebody else has the address by now. `notice` is
-- the token whose address was the person's until now, if it is to be told.
CREATE OR REPLACE FUNCTION auth.verify_email(presented bytea, at timestamptz, OUT done boolean, OUT notice uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    person uuid;
    proof  app.one_time_tokens;
BEGIN
    done := false;
    SELECT t.user_id INTO person FROM app.one_time_tokens t WHERE t.hash = presented AND t.purpose = 'email_verification';
    PERFORM FROM app.users u WHERE u.id = person AND u.status = 'active' FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE app.one_time_tokens t SET used_at = at
        WHERE t.hash = presented AND t.purpose = 'email_verification' AND t.used_at IS NULL AND t.expires_at > at
        RETURNING * INTO proof;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- before the address changes: whether the old mailbox is the person's
    IF app.may_be_mailed(person) THEN
        SELECT t.id INTO notice FROM app.one_time_tokens t
            WHERE t.user_id = person AND t.purpose = 'email_change' AND t.used_at IS NULL AND t.expires_at > at;
    END IF;
    PERFORM app.end_tokens_of(person, at);
    UPDATE app.users u
        SET email = proof.address, email_verified_at = at, pending_email = NULL, pending_email_until = NULL,
            private_address = EXISTS (SELECT FROM app.employees e
                                      WHERE e.company_id = u.company_id AND e.id = u.employee_id
                                        AND NOT app.is_work_address(proof.address, e.email)),
            -- who is back has proved that the mailbox is theirs again
            work_mailbox_lost_at = CASE WHEN NOT app.is_employed(person) THEN u.work_mailbox_lost_at END
        WHERE u.id = person AND u.pending_email = proof.address;
    done := FOUND;
EXCEPTION WHEN unique_violation THEN
    -- somebody else was first; nothing of the above happened
    done := false;
    notice := NULL;
END
$$;

-- The old address says no. False: the token opens nothing.
CREATE OR REPLACE FUNCTION auth.stop_email_change(presented bytea, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    person uuid;
BEGIN
    SELECT t.user_id INTO person FROM app.one_time_tokens t WHERE t.hash = presented AND t.purpose = 'email_change';
    PERFORM FROM app.users u WHERE u.id = person FOR NO KEY UPDATE;
    UPDATE app.one_time_tokens t SET used_at = at
        WHERE t.hash = presented AND t.purpose = 'email_change' AND t.used_at IS NULL AND t.expires_at > at
          AND app.may_be_mailed(person);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM app.end_tokens_of(person, at);
    UPDATE app.users u SET pending_email = NULL, pending_email_until = NULL WHERE u.id = person;
    RETURN true;
END
$$;

-- A person of the directory and how to write to them there, whether or not they have an account: what is told to all who
-- leave, who are back, or whose company is archived. No row: it is not so any more.
CREATE OR REPLACE FUNCTION app.find_entry_to_tell(entry uuid, news text)
RETURNS TABLE (email text, display_name text, locale text, company_name text, time_zone text, archived_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT e.email, e.first_name || ' ' || e.last_name, e.locale, c.name, c.time_zone, c.archived_at
    FROM app.employees e JOIN app.companies c ON c.id = e.company_id
    WHERE e.id = entry AND e.company_id = app.company_id()
      AND CASE news
              WHEN 'left' THEN e.status = 'left'
              WHEN 'back' THEN e.status = 'active' AND c.status <> 'archived'
              WHEN 'archived' THEN e.status = 'active' AND c.status = 'archived'
              ELSE false
          END
$$;

-- Some of the people of the transaction's company, in the order of their ids: while it is archived, or since it is back.
CREATE OR REPLACE FUNCTION app.list_people_to_tell(news text, after uuid, most int)
RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT e.id FROM app.employees e JOIN app.companies c ON c.id = e.company_id
    WHERE c.id = app.company_id() AND (c.status = 'archived') = (news = 'archived') AND e.status = 'active' AND (after IS NULL OR e.id > after)
    ORDER BY e.id LIMIT most
$$;

-- The account of a person who left, where its mailbox is their own.
CREATE OR REPLACE FUNCTION app.find_private_leaver(entry uuid)
RETURNS TABLE (user_id uuid, email text, display_name text, locale text, company_name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT u.id, u.email, u.display_name, u.locale, c.name
    FROM app.employees e JOIN app.users u ON u.company_id = e.company_id AND u.employee_id = e.id
    JOIN app.companies c ON c.id = e.company_id
    WHERE e.id = entry AND e.company_id = app.company_id() AND e.status = 'left' AND u.status = 'active'
      AND u.private_address
$$;

-- How to tell a person of a change to their account; nobody who may not be mailed.
CREATE OR REPLACE FUNCTION app.find_person_to_tell(person uuid)
RETURNS TABLE (email text, display_name text, locale text, time_zone text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT u.email, u.display_name, u.locale, u.time_zone FROM app.users u
    WHERE u.id = person AND u.company_id IS NOT DISTINCT FROM app.company_id() AND app.may_be_mailed(u.id)
$$;

-- Addresses that nobody proved in time.
CREATE OR REPLACE FUNCTION app.forget_pending_addresses(at timestamptz)
RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH forgotten AS (
        UPDATE app.users u SET pending_email = NULL, pending_email_until = NULL WHERE u.pending_email_until <= at RETURNING 1
    )
    SELECT count(*) FROM forgotten
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.has_own_mailbox(uuid)', 'app.may_be_mailed(uuid)', 'app.lose_work_mailbox()',
        'app.close_work_mailboxes(timestamptz, timestamptz)', 'app.is_employed(uuid)',
        'app.find_entry_to_tell(uuid, text)', 'app.list_people_to_tell(text, uuid, int)',
        'app.is_work_address(text, text)', 'app.end_tokens_of(uuid, timestamptz)',
        'app.open_password_reset(uuid, uuid, bytea, timestamptz, timestamptz)',
        'app.change_own_password(text, text, timestamptz)',
        'app.ask_for_email_change(text, uuid, bytea, uuid, bytea, timestamptz, timestamptz)',
        'app.own_address()', 'app.withdraw_email_change(timestamptz)', 'app.former_address(uuid)', 'app.letter_of_email_change(uuid, timestamptz)', 'app.find_private_leaver(uuid)',
        'app.find_person_to_tell(uuid)', 'app.forget_pending_addresses(timestamptz)',
        'auth.ask_for_password_reset(text, text, text, int, timestamptz)', 'auth.owner_of_token(bytea, text, timestamptz)',
        'auth.reset_password(bytea, text, timestamptz)', 'auth.password_of(uuid)', 'auth.verify_email(bytea, timestamptz)',
        'auth.stop_email_change(bytea, timestamptz)'
    ]::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION
    auth.ask_for_password_reset(text, text, text, int, timestamptz), auth.owner_of_token(bytea, text, timestamptz),
    auth.reset_password(bytea, text, timestamptz), auth.password_of(uuid), auth.verify_email(bytea, timestamptz),
    auth.stop_email_change(bytea, timestamptz)
    TO huntzen_auth;
GRANT EXECUTE ON FUNCTION
    app.own_address(), app.change_own_password(text, text, timestamptz),
    app.ask_for_email_change(text, uuid, bytea, uuid, bytea, timestamptz, timestamptz), app.withdraw_email_change(timestamptz)
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT EXECUTE ON FUNCTION
    app.may_be_mailed(uuid), app.open_password_reset(uuid, uuid, bytea, timestamptz, timestamptz), app.letter_of_email_change(uuid, timestamptz),
    app.former_address(uuid), app.find_private_leaver(uuid), app.has_own_mailbox(uuid),
    app.find_entry_to_tell(uuid, text), app.list_people_to_tell(text, uuid, int),
    app.close_work_mailboxes(timestamptz, timestamptz), app.find_person_to_tell(uuid), app.forget_pending_addresses(timestamptz)
    TO huntzen_worker;
