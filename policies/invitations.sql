-- Invitations: who may ask for them, how often, and what accepting one makes.
GRANT SELECT, INSERT, DELETE ON app.member_invitations TO huntzen_company_admin, huntzen_platform;
GRANT UPDATE (role, display_name, locale) ON app.member_invitations TO huntzen_company_admin, huntzen_platform;
CREATE POLICY fence ON app.member_invitations AS RESTRICTIVE TO huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.member_invitations TO huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY all_rows ON app.member_invitations TO huntzen_platform USING (true) WITH CHECK (true);
GRANT SELECT ON app.member_invitations TO huntzen_worker;
CREATE POLICY of_job ON app.member_invitations FOR SELECT TO huntzen_worker USING (company_id = (SELECT app.company_id()));
GRANT SELECT, DELETE ON app.member_invitations TO huntzen_kernel;
-- to lock them
GRANT UPDATE (locale) ON app.member_invitations TO huntzen_kernel;
CREATE POLICY kernel ON app.member_invitations TO huntzen_kernel USING (true) WITH CHECK (true);

-- invitations are minted by the job that mails them
GRANT SELECT (member_invitation_id), INSERT (member_invitation_id) ON app.one_time_tokens TO huntzen_worker;

-- Notes invitations that are about to be sent, at most `most` in 24 hours for one subject and for one address of the
-- company, and to `most_addresses` of a company. Answers with those that are one too many, and since when they would not
-- be; with no subject where all of them are too many for the company, and then none is noted.
CREATE OR REPLACE FUNCTION app.note_invitations(subjects uuid[], addresses text[], at timestamptz, most int,
                                                most_addresses int)
RETURNS TABLE (subject uuid, free_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    own     uuid := coalesce(app.company_id(), '00000000-0000-0000-0000-000000000000');
    written bigint;
    fresh   bigint;
BEGIN
    -- counted without a race
    PERFORM pg_advisory_xact_lock(hashtextextended('invitations ' || own::text, 0));
    DELETE FROM app.invitation_mails m WHERE m.id IN (
        SELECT o.id FROM app.invitation_mails o WHERE o.sent_at <= at - interval '24 hours' FOR UPDATE SKIP LOCKED);
    IF app.company_id() IS NOT NULL THEN
        SELECT count(DISTINCT w.address) INTO fresh FROM unnest(addresses) AS w (address)
            WHERE NOT EXISTS (SELECT FROM app.invitation_mails m
                              WHERE m.scope = own AND m.address_hash = sha256(convert_to(w.address, 'UTF8'))
                                AND m.sent_at > at - interval '24 hours');
        IF fresh > 0 THEN
            SELECT count(DISTINCT m.address_hash) INTO written FROM app.invitation_mails m
                WHERE m.scope = own AND m.sent_at > at - interval '24 hours';
        END IF;
        IF fresh > 0 AND written + fresh > most_addresses THEN
            RETURN QUERY SELECT NULL::uuid, interval '24 hours' + coalesce((
                -- when as many as are too many will be a day old
                SELECT a.last_at FROM (SELECT max(m.sent_at) AS last_at FROM app.invitation_mails m
                                       WHERE m.scope = own GROUP BY m.address_hash) a
                ORDER BY a.last_at OFFSET greatest(least(written + fresh - most_addresses, written), 1) - 1 LIMIT 1), at);
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
        WITH wanted AS (
            SELECT w.subject, sha256(convert_to(w.address, 'UTF8')) AS address_hash
            FROM unnest(subjects, addresses) AS w (subject, address)
        ), counted AS (
            SELECT w.*, greatest(
                (SELECT m.sent_at FROM app.invitation_mails m WHERE m.scope = own AND m.subject = w.subject
                 ORDER BY m.sent_at DESC OFFSET most - 1 LIMIT 1),
                (SELECT m.sent_at FROM app.invitation_mails m WHERE m.scope = own AND m.address_hash = w.address_hash
                 ORDER BY m.sent_at DESC OFFSET most - 1 LIMIT 1)) AS full_since
            FROM wanted w
        ), noted AS (
            INSERT INTO app.invitation_mails (scope, subject, address_hash, sent_at)
            SELECT own, c.subject, c.address_hash, at FROM counted c WHERE c.full_since IS NULL
        )
        SELECT c.subject, c.full_since + interval '24 hours' FROM counted c WHERE c.full_since IS NOT NULL;
END
$$;
ALTER FUNCTION app.note_invitations(uuid[], text[], timestamptz, int, int) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.note_invitations(uuid[], text[], timestamptz, int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.note_invitations(uuid[], text[], timestamptz, int, int)
    TO huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT SELECT, INSERT, DELETE, UPDATE (sent_at) ON app.invitation_mails TO huntzen_kernel;
CREATE POLICY kernel ON app.invitation_mails TO huntzen_kernel USING (true) WITH CHECK (true);

-- Holds what an invitation is about (an account that waits, an entry, a pending member) until the transaction ends. Whoever
-- makes, uses or ends invitations does this first, and whoever changes what they are about has it already: everybody locks
-- in one order, and nobody sends a link while the address that it goes to is being corrected.
CREATE OR REPLACE FUNCTION app.lock_invitee(person uuid, company uuid, entry uuid, member uuid)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM FROM app.users u WHERE u.id = person FOR NO KEY UPDATE;
    PERFORM FROM app.employees e WHERE e.company_id = company AND e.id = entry FOR NO KEY UPDATE;
    PERFORM FROM app.member_invitations m WHERE m.company_id = company AND m.id = member FOR UPDATE;
END
$$;
ALTER FUNCTION app.lock_invitee(uuid, uuid, uuid, uuid) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.lock_invitee(uuid, uuid, uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.lock_invitee(uuid, uuid, uuid, uuid) TO huntzen_worker;

-- Whether the link of an invitation is to be mailed: it was neither ended nor used, and no later one waits to be. Until the
-- transaction ends no other invitation of the same person is mailed, so that the one that arrives last is the one that
-- works; nobody but those who mail them waits for this.
CREATE OR REPLACE FUNCTION app.is_invitation_to_send(token uuid)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    its app.one_time_tokens;
BEGIN
    SELECT * INTO its FROM app.one_time_tokens t
        WHERE t.id = token AND t.purpose = 'invitation' AND t.company_id IS NOT DISTINCT FROM app.company_id();
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(
        'sending invitation of ' || coalesce(its.user_id, its.employee_id, its.member_invitation_id)::text, 0));
    -- as it is now that the others are through
    RETURN EXISTS (SELECT FROM app.one_time_tokens t WHERE t.id = token AND t.used_at IS NULL)
       AND NOT EXISTS (SELECT FROM app.one_time_tokens t
                       WHERE t.purpose = 'invitation' AND t.used_at IS NULL AND t.address IS NULL
                         AND (t.created_at, t.id) > (its.created_at, its.id)
                         AND (t.user_id = its.user_id
                              OR t.company_id = its.company_id
                                 AND (t.employee_id = its.employee_id OR t.member_invitation_id = its.member_invitation_id)));
END
$$;
ALTER FUNCTION app.is_invitation_to_send(uuid) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.is_invitation_to_send(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.is_invitation_to_send(uuid) TO huntzen_worker;

-- Who was invited, where accepting can make an account. A link of somebody who has one is as unknown as any other.
CREATE OR REPLACE FUNCTION auth.find_invitee(presented bytea, at timestamptz)
RETURNS TABLE (email text, display_name text) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT coalesce(t.address, u.email, e.email, m.email),
           coalesce(u.display_name, e.first_name || ' ' || e.last_name, m.display_name)
    FROM app.one_time_tokens t
    LEFT JOIN app.users u ON u.id = t.user_id
    LEFT JOIN app.employees e ON e.company_id = t.company_id AND e.id = t.employee_id
    LEFT JOIN app.member_invitations m ON m.company_id = t.company_id AND m.id = t.member_invitation_id
    LEFT JOIN app.companies c ON c.id = t.company_id
    WHERE t.hash = presented AND t.purpose = 'invitation' AND t.used_at IS NULL AND t.expires_at > at
      AND (t.user_id IS NULL OR u.status = 'invited')
      AND (t.company_id IS NULL OR c.status <> 'archived')
      AND (t.member_invitation_id IS NULL OR m.id IS NOT NULL)
      AND (t.employee_id IS NULL
           OR e.status = 'active' AND NOT EXISTS (SELECT FROM app.users a
                                                  WHERE a.company_id = e.company_id AND a.employee_id = e.id))
$$;

-- Somebody who holds an invitation wants to log in with another address: a link goes there that accepts the same
-- invitation, and proves the mailbox. Nothing of it comes back to the company, whose own invitation stays as it is. Five
-- in an hour, for the addresses may be anybody's.
CREATE OR REPLACE FUNCTION auth.choose_invitation_address(presented bytea, token uuid, token_hash bytea, chosen text,
                                                          at timestamptz, until timestamptz)
RETURNS TABLE (outcome text, company_id uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    invitation app.one_time_tokens;
BEGIN
    -- an account that exists and waits for its owner has its address from who made it
    SELECT * INTO invitation FROM app.one_time_tokens t WHERE t.hash = presented AND t.user_id IS NULL;
    PERFORM app.lock_invitee(NULL, invitation.company_id, invitation.employee_id, invitation.member_invitation_id);
    IF NOT EXISTS (SELECT FROM auth.find_invitee(presented, at)) OR invitation.id IS NULL THEN
        RETURN QUERY SELECT 'invalid', NULL::uuid;
        RETURN;
    END IF;
    IF (SELECT count(*) >= 5 FROM app.one_time_tokens t
        WHERE t.purpose = 'invitation' AND t.address IS NOT NULL AND t.company_id = invitation.company_id
          AND (t.employee_id = invitation.employee_id OR t.member_invitation_id = invitation.member_invitation_id)
          AND t.created_at > at - interval '1 hour') THEN
        RETURN QUERY SELECT 'too_many', NULL::uuid;
        RETURN;
    END IF;
    -- the last one counts
    UPDATE app.one_time_tokens t SET expires_at = least(t.expires_at, at)
        WHERE t.purpose = 'invitation' AND t.address IS NOT NULL AND t.used_at IS NULL AND t.hash <> presented
          AND t.company_id = invitation.company_id
          AND (t.employee_id = invitation.employee_id OR t.member_invitation_id = invitation.member_invitation_id);
    INSERT INTO app.one_time_tokens (id, purpose, hash, company_id, employee_id, member_invitation_id, address, created_at,
                                     expires_at)
        VALUES (token, 'invitation', token_hash, invitation.company_id, invitation.employee_id,
                invitation.member_invitation_id, chosen, at, least(until, invitation.expires_at));
    RETURN QUERY SELECT 'sent', invitation.company_id;
END
$$;

-- Where the link of such a token goes, while it opens something.
CREATE OR REPLACE FUNCTION app.letter_of_chosen_address(token uuid, at timestamptz)
RETURNS TABLE (address text, hash bytea, expires_at timestamptz, employee_id uuid, member_invitation_id uuid, locale text,
               time_zone text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT t.address, t.hash, t.expires_at, t.employee_id, t.member_invitation_id, coalesce(e.locale, m.locale), c.time_zone
    FROM app.one_time_tokens t JOIN app.companies c ON c.id = t.company_id
    LEFT JOIN app.employees e ON e.company_id = t.company_id AND e.id = t.employee_id
    LEFT JOIN app.member_invitations m ON m.company_id = t.company_id AND m.id = t.member_invitation_id
    WHERE t.id = token AND t.company_id = app.company_id() AND t.address IS NOT NULL 
      AND EXISTS (SELECT FROM auth.find_invitee(t.hash, at))
$$;

-- A name of the directory as one of an account: entries that were written by earlier rules make an account as well.
CREATE OR REPLACE FUNCTION app.readable_name(name text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(nullif(btrim(left(btrim(regexp_replace(regexp_replace(name,
        '[\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+', ' ', 'g'),
        '[\u0001-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffd\U000e0000-\U000e007f]',
        '', 'g')), 200)), ''), '–')
$$;
ALTER FUNCTION app.readable_name(text) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.readable_name(text) FROM PUBLIC;

-- Turns an invitation into an account, once. Those of practitioners and of the platform's staff exist already and wait;
-- employees and members get theirs here, where it is first asked whether their address is free.
CREATE OR REPLACE FUNCTION auth.accept_invitation(presented bytea, new_user uuid, new_password_hash text,
                                                  new_display_name text, new_locale text, new_time_zone text,
                                                  new_terms_version text, at timestamptz)
RETURNS TABLE (outcome text, user_id uuid, role text, company_id uuid, email text, display_name text, locale text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    invitation app.one_time_tokens;
    entry      app.employees;
    member     app.member_invitations;
    made       boolean := false;
    account    uuid;
BEGIN
    SELECT * INTO invitation FROM app.one_time_tokens t WHERE t.hash = presented AND t.purpose = 'invitation';
    PERFORM app.lock_invitee(invitation.user_id, invitation.company_id, invitation.employee_id,
                             invitation.member_invitation_id);
    UPDATE app.one_time_tokens t SET used_at = at
        WHERE t.hash = presented AND t.purpose = 'invitation' AND t.used_at IS NULL AND t.expires_at > at
        RETURNING * INTO invitation;
    IF NOT FOUND OR EXISTS (SELECT FROM app.companies c WHERE c.id = invitation.company_id AND c.status = 'archived') THEN
        RETURN QUERY SELECT 'invalid', NULL::uuid, NULL, NULL::uuid, NULL, NULL, NULL;
        RETURN;
    END IF;
    IF invitation.user_id IS NOT NULL THEN
        account := invitation.user_id;
        UPDATE app.users u
            SET password_hash = new_password_hash, status = 'active', terms_version = new_terms_version, terms_at = at,
                email_verified_at = at,
                display_name = coalesce(new_display_name, u.display_name), locale = coalesce(new_locale, u.locale),
                time_zone = coalesce(new_time_zone, u.time_zone)
            WHERE u.id = account AND u.status = 'invited';
        made := FOUND;
    ELSIF invitation.member_invitation_id IS NOT NULL THEN
        account := new_user;
        DELETE FROM app.member_invitations m
            WHERE m.id = invitation.member_invitation_id AND m.company_id = invitation.company_id RETURNING * INTO member;
        made := FOUND AND NOT EXISTS (SELECT FROM app.users u
                                      WHERE u.company_id = member.company_id AND u.company_address = member.email);
        INSERT INTO app.users (id, email, company_address, password_hash, role, display_name, locale, time_zone, status,
                               company_id, terms_version, terms_at, email_verified_at)
            SELECT new_user, coalesce(invitation.address, member.email), member.email, new_password_hash, member.role,
                   coalesce(new_display_name, app.readable_name(member.display_name)), coalesce(new_locale, member.locale),
                   coalesce(new_time_zone, c.time_zone), 'active', member.company_id, new_terms_version, at, at
            FROM app.companies c WHERE made AND c.id = member.company_id
            ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING;
    ELSE
        account := new_user;
        SELECT * INTO entry FROM app.employees e
            WHERE e.id = invitation.employee_id AND e.company_id = invitation.company_id AND e.status = 'active';
        made := FOUND AND NOT EXISTS (SELECT FROM app.users u
                                      WHERE u.company_id = entry.company_id AND u.employee_id = entry.id);
        INSERT INTO app.users (id, email, password_hash, role, display_name, locale, time_zone, status, company_id,
                               employee_id, terms_version, terms_at, email_verified_at, private_address)
            SELECT new_user, coalesce(invitation.address, entry.email), new_password_hash, 'employee',
                   coalesce(new_display_name, app.readable_name(entry.first_name || ' ' || entry.last_name)),
                   coalesce(new_locale, entry.locale), coalesce(new_time_zone, c.time_zone), 'active', entry.company_id,
                   entry.id, new_terms_version, at, at, NOT app.is_work_address(coalesce(invitation.address, entry.email), entry.email)
            FROM app.companies c WHERE made AND c.id = entry.company_id
            ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING;
    END IF;
    IF NOT made THEN
        RETURN QUERY SELECT 'invalid', NULL::uuid, NULL, NULL::uuid, NULL, NULL, NULL;
    ELSIF NOT EXISTS (SELECT FROM app.users u WHERE u.id = account) THEN
        -- told to nobody but who got the invitation at that address; whose account it is goes into the audit log alone
        RETURN QUERY SELECT 'address_taken', u.id, NULL, u.company_id, NULL, NULL, NULL
            FROM app.users u WHERE u.email = coalesce(invitation.address, member.email, entry.email);
    ELSE
        RETURN QUERY SELECT 'accepted', u.id, u.role, u.company_id, u.email, u.display_name, u.locale
            FROM app.users u WHERE u.id = account;
    END IF;
END
$$;
ALTER FUNCTION auth.find_invitee(bytea, timestamptz) OWNER TO huntzen_kernel;
ALTER FUNCTION auth.choose_invitation_address(bytea, uuid, bytea, text, timestamptz, timestamptz) OWNER TO huntzen_kernel;
ALTER FUNCTION app.letter_of_chosen_address(uuid, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION auth.choose_invitation_address(bytea, uuid, bytea, text, timestamptz, timestamptz),
    app.letter_of_chosen_address(uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auth.choose_invitation_address(bytea, uuid, bytea, text, timestamptz, timestamptz) TO huntzen_auth;
GRANT EXECUTE ON FUNCTION app.letter_of_chosen_address(uuid, timestamptz) TO huntzen_worker;
ALTER FUNCTION auth.accept_invitation(bytea, uuid, text, text, text, text, text, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION auth.find_invitee(bytea, timestamptz),
    auth.accept_invitation(bytea, uuid, text, text, text, text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auth.find_invitee(bytea, timestamptz),
    auth.accept_invitation(bytea, uuid, text, text, text, text, text, timestamptz) TO huntzen_auth;
