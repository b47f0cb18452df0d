-- Files: whoever brought them; attachments that were sent: the two people of the conversation, and nobody else. Employees
-- and practitioners list what came with messages; every download asks app.readable_file, which knows all purposes.
GRANT SELECT (id, company_id, owner_id, purpose, state, media_type, size_bytes, sealed_name, conversation_id, user_id,
              practitioner_id, message_seq, place, created_at, expires_at) ON app.files
    TO huntzen_employee, huntzen_practitioner;
CREATE POLICY fence ON app.files AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.files FOR SELECT TO huntzen_employee, huntzen_practitioner
    USING (owner_id = (SELECT app.user_id()));
CREATE POLICY received ON app.files FOR SELECT TO huntzen_employee
    USING (user_id = (SELECT app.user_id()) AND message_seq IS NOT NULL);
CREATE POLICY received_by_practitioner ON app.files FOR SELECT TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()) AND message_seq IS NOT NULL);

-- Written by the functions below alone.
GRANT SELECT, INSERT, DELETE ON app.files TO huntzen_kernel;
GRANT UPDATE (state, media_type, size_bytes, digest, sealed_key, sealed_name, message_seq, place, ready_at, expires_at,
              deleted_at) ON app.files TO huntzen_kernel;
CREATE POLICY kernel ON app.files TO huntzen_kernel USING (true) WITH CHECK (true);
GRANT UPDATE (avatar_id) ON app.users, app.practitioners TO huntzen_kernel;
GRANT UPDATE (logo_id) ON app.companies TO huntzen_kernel;
GRANT UPDATE (attachments) ON app.messages TO huntzen_kernel;
CREATE POLICY kernel_avatar ON app.practitioners FOR UPDATE TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel_logo ON app.companies FOR UPDATE TO huntzen_kernel USING (true) WITH CHECK (true);
GRANT SELECT (avatar_id) ON app.users
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT SELECT (avatar_id) ON app.practitioners TO huntzen_employee, huntzen_hr, huntzen_company_admin;

-- Who brings files for what.
CREATE OR REPLACE FUNCTION app.may_bring(wanted text)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(CASE wanted
        WHEN 'avatar' THEN app.connected_role() IN ('employee', 'practitioner', 'hr', 'company_admin', 'platform_admin')
        WHEN 'logo' THEN app.connected_role() = 'company_admin'
        WHEN 'article_image' THEN app.connected_role() IN ('practitioner', 'platform_admin')
        WHEN 'attachment' THEN app.connected_role() IN ('employee', 'practitioner')
        WHEN 'document' THEN app.connected_role() = 'employee' END, false)
$$;

-- Notes a file of the caller's that is about to come, and keeps room for it: what a person has and what is on its way is
-- never more than they may have, however many they send at once, and wherever: what was sent counts as long as its message is
-- kept. In one conversation they send 500 files at most. False: the conversation is not theirs.
CREATE OR REPLACE FUNCTION app.open_upload(file uuid, wanted text, conversation uuid, object text, reserved bigint,
                                           at timestamptz, until timestamptz, quota bigint, most_files int, most_at_once int)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    talk app.conversations;
    has  record;
    here bigint;
BEGIN
    IF NOT app.may_bring(wanted) OR (wanted = 'attachment') <> (conversation IS NOT NULL) THEN
        RAISE EXCEPTION 'no % for %', wanted, app.connected_role() USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF wanted = 'attachment' THEN
        SELECT v.* INTO talk FROM app.conversations v, app.own_session(v.id) s WHERE v.id = conversation;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
    END IF;
    -- one at a time for each person, until this is committed
    PERFORM pg_advisory_xact_lock(hashtextextended('files ' || app.user_id(), 0));
    -- what comes after an erasure nobody would take away again
    PERFORM FROM app.users u WHERE u.id = app.user_id() AND u.erased_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the account was erased' USING ERRCODE = 'check_violation', CONSTRAINT = 'files_of_erased';
    END IF;
    SELECT coalesce(sum(f.size_bytes), 0) AS bytes, count(*) AS files,
           count(*) FILTER (WHERE f.state = 'uploading' AND f.expires_at > at) AS coming
        INTO has FROM app.files f WHERE f.owner_id = app.user_id() AND f.state <> 'deleted';
    SELECT count(*) INTO here FROM app.files f
        WHERE f.company_id = talk.company_id AND f.conversation_id = talk.id AND f.owner_id = app.user_id()
          AND f.state <> 'deleted';
    IF has.coming >= most_at_once THEN
        RAISE EXCEPTION 'too many at once' USING ERRCODE = 'check_violation', CONSTRAINT = 'files_at_once';
    ELSIF has.bytes + reserved > quota OR has.files >= most_files THEN
        RAISE EXCEPTION 'no room is left' USING ERRCODE = 'check_violation', CONSTRAINT = 'files_quota';
    ELSIF here >= least(most_files, 500) THEN
        RAISE EXCEPTION 'the conversation has enough' USING ERRCODE = 'check_violation', CONSTRAINT = 'files_of_conversation';
    END IF;
    INSERT INTO app.files (id, company_id, owner_id, purpose, object_key, size_bytes, conversation_id, user_id,
                           practitioner_id, created_at, expires_at)
        VALUES (file, coalesce(talk.company_id, app.company_id()), app.user_id(), wanted, object, reserved, talk.id,
                talk.user_id, talk.practitioner_id, at, until);
    RETURN true;
END
$$;

-- Takes a file that is there away from everybody, at once: the key of what was sealed goes now, the object afterwards.
CREATE OR REPLACE FUNCTION app.drop_file(file uuid, at timestamptz)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    UPDATE app.users u SET avatar_id = NULL FROM app.files f WHERE f.id = file AND u.id = f.owner_id AND u.avatar_id = file;
    UPDATE app.practitioners p SET avatar_id = NULL FROM app.files f
        WHERE f.id = file AND p.id = f.owner_id AND p.avatar_id = file;
    UPDATE app.companies c SET logo_id = NULL FROM app.files f WHERE f.id = file AND c.id = f.company_id AND c.logo_id = file;
    UPDATE app.articles a SET cover_id = NULL WHERE a.cover_id = file;
    UPDATE app.files f SET state = 'deleted', deleted_at = at, sealed_key = NULL, sealed_name = NULL
        WHERE f.id = file AND f.state <> 'deleted';
$$;

-- Whoever changes what is shown beside a name locks that first, and files afterwards.
CREATE OR REPLACE FUNCTION app.lock_where_shown(file uuid)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM FROM app.users u WHERE u.id = (SELECT f.owner_id FROM app.files f WHERE f.id = file AND f.purpose = 'avatar')
        FOR NO KEY UPDATE;
    PERFORM FROM app.companies c WHERE c.id = (SELECT f.company_id FROM app.files f WHERE f.id = file AND f.purpose = 'logo')
        FOR NO KEY UPDATE;
END
$$;

-- The object of an upload is in its place: the file is there. An avatar and a logo take the place of the one before.
-- False: it took too long, and was given up.
CREATE OR REPLACE FUNCTION app.finish_upload(file uuid, kind text, bytes bigint, hash bytea, wrapped bytea, name bytea,
                                             at timestamptz, until timestamptz, quota bigint)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it     app.files;
    before uuid;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('files ' || app.user_id(), 0));
    PERFORM app.lock_where_shown(file);
    SELECT * INTO it FROM app.files f
        WHERE f.id = file AND f.owner_id = app.user_id() AND f.state = 'uploading' AND f.expires_at > at FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    -- a picture that was written anew may be larger than it came
    ELSIF bytes > it.size_bytes
          AND bytes + (SELECT coalesce(sum(f.size_bytes), 0) FROM app.files f
                       WHERE f.owner_id = it.owner_id AND f.state <> 'deleted' AND f.id <> file) > quota THEN
        RAISE EXCEPTION 'no room is left' USING ERRCODE = 'check_violation', CONSTRAINT = 'files_quota';
    END IF;
    UPDATE app.files f SET state = 'ready', media_type = kind, size_bytes = bytes, digest = hash, sealed_key = wrapped,
                           sealed_name = name, ready_at = at, expires_at = until
        WHERE f.id = file;
    IF it.purpose = 'avatar' THEN
        SELECT u.avatar_id INTO before FROM app.users u WHERE u.id = it.owner_id;
        PERFORM app.drop_file(before, at);
        UPDATE app.users u SET avatar_id = file WHERE u.id = it.owner_id;
        UPDATE app.practitioners p SET avatar_id = file WHERE p.id = it.owner_id;
    ELSIF it.purpose = 'logo' THEN
        SELECT c.logo_id INTO before FROM app.companies c WHERE c.id = it.company_id;
        PERFORM app.drop_file(before, at);
        UPDATE app.companies c SET logo_id = file WHERE c.id = it.company_id;
    END IF;
    RETURN true;
END
$$;

-- Gives up an upload of the caller's. False: it is ready, or was given up before.
CREATE OR REPLACE FUNCTION app.give_up_upload(file uuid, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.files f SET state = 'deleted', deleted_at = at
        WHERE f.id = file AND f.owner_id = app.user_id() AND f.state = 'uploading';
    RETURN FOUND;
END
$$;

-- Whether the caller sees the avatar of somebody: of practitioners whoever may book or choose them, and staff; of others
-- the practitioners whose clients they are.
CREATE OR REPLACE FUNCTION app.sees_avatar_of(person uuid)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT person = app.user_id()
        OR CASE app.connected_role()
            WHEN 'practitioner' THEN EXISTS (
                SELECT FROM app.consultations c WHERE c.practitioner_id = app.user_id() AND c.user_id = person)
            WHEN 'platform_admin' THEN EXISTS (SELECT FROM app.practitioners p WHERE p.id = person)
            WHEN 'company_admin' THEN EXISTS (
                SELECT FROM app.practitioners p JOIN app.users u USING (id)
                WHERE p.id = person AND p.status = 'active' AND u.status <> 'suspended')
            WHEN 'system' THEN false
            ELSE EXISTS (
                SELECT FROM app.practitioners p JOIN app.users u USING (id)
                WHERE p.id = person AND p.status = 'active' AND u.status <> 'suspended'
                  AND ((SELECT c.network FROM app.companies c WHERE c.id = app.company_id()) = 'open'
                       OR EXISTS (SELECT FROM app.company_networks n
                                  WHERE n.company_id = app.company_id() AND n.practitioner_id = p.id)))
              OR (app.connected_role() = 'employee' AND EXISTS (
                      SELECT FROM app.consultations c
                      WHERE c.company_id = app.company_id() AND c.user_id = app.user_id() AND c.practitioner_id = person))
           END
$$;

-- Whether a picture is on an article that the caller may read.
CREATE OR REPLACE FUNCTION app.shows_cover(file uuid)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT EXISTS (SELECT FROM app.articles a WHERE a.cover_id = file
                     AND (a.status = 'published' AND app.has_feature('articles') OR a.author_id = app.user_id()))
$$;

-- A file that the caller may fetch, with the key that opens it where it is sealed. No row: there is none for them.
CREATE OR REPLACE FUNCTION app.readable_file(file uuid, at timestamptz)
RETURNS TABLE (id uuid, company_id uuid, owner_id uuid, purpose text, object_key text, media_type text, size_bytes bigint,
               sealed_key bytea, sealed_name bytea, conversation_id uuid, key_id uuid, key_wrapped bytea, key_person uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT f.id, f.company_id, f.owner_id, f.purpose, f.object_key, f.media_type, f.size_bytes, f.sealed_key, f.sealed_name,
           f.conversation_id, k.id, k.wrapped, k.person_id
    FROM app.files f
    LEFT JOIN app.encryption_keys k
        ON k.company_id = f.company_id AND k.purpose = CASE f.purpose WHEN 'attachment' THEN 'chat' WHEN 'document' THEN 'file' END
       AND k.subject_id = coalesce(f.conversation_id, f.owner_id)
    WHERE f.id = file AND f.state = 'ready' AND (f.expires_at IS NULL OR f.expires_at > at)
      AND CASE f.purpose
            WHEN 'attachment' THEN (f.owner_id = app.user_id() OR f.message_seq IS NOT NULL)
                                   AND EXISTS (SELECT FROM app.own_session(f.conversation_id))
            WHEN 'document' THEN f.owner_id = app.user_id()
            WHEN 'logo' THEN f.company_id = app.company_id()
                             AND app.connected_role() IN ('employee', 'hr', 'company_admin')
            WHEN 'article_image' THEN f.owner_id = app.user_id() OR app.connected_role() = 'platform_admin'
                                      OR app.shows_cover(f.id)
            WHEN 'avatar' THEN app.sees_avatar_of(f.owner_id) END
$$;

-- The key of the caller's own documents. No row: there is none yet.
CREATE OR REPLACE FUNCTION app.own_file_key()
RETURNS TABLE (id uuid, wrapped bytea) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT k.id, k.wrapped FROM app.encryption_keys k
    WHERE k.company_id = app.company_id() AND k.purpose = 'file' AND k.subject_id = app.user_id()
      AND app.may_bring('document')
$$;

-- Keeps the first one; of two that come at the same time the first one's stays. Of somebody who was erased, or is just being,
-- nothing new is kept: no row.
CREATE OR REPLACE FUNCTION app.keep_own_file_key(key_id uuid, key_wrapped bytea, at timestamptz)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
    SELECT key_id, app.company_id(), 'file', u.id, u.id, key_wrapped, at FROM app.users u
    WHERE u.id = app.user_id() AND u.erased_at IS NULL AND app.may_bring('document')
    FOR SHARE OF u
    ON CONFLICT ON CONSTRAINT encryption_keys_subject DO NOTHING
$$;

-- Deletes a file: one's own; the company's logo as its admin, an article's image as staff. What was sent is deleted with
-- its message. No row: there is none for the caller.
CREATE OR REPLACE FUNCTION app.delete_file(file uuid, at timestamptz)
RETURNS TABLE (file_purpose text, file_owner uuid) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it app.files;
BEGIN
    PERFORM app.lock_where_shown(file);
    SELECT * INTO it FROM app.files f
        WHERE f.id = file AND f.state = 'ready'
          AND (f.owner_id = app.user_id() AND app.may_bring(f.purpose)
               OR (f.purpose = 'logo' AND app.connected_role() = 'company_admin' AND f.company_id = app.company_id())
               OR (f.purpose = 'article_image' AND app.connected_role() = 'platform_admin'))
        FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    ELSIF it.message_seq IS NOT NULL THEN
        RAISE EXCEPTION 'it was sent' USING ERRCODE = 'check_violation', CONSTRAINT = 'files_not_sent';
    END IF;
    PERFORM app.drop_file(file, at);
    RETURN QUERY SELECT it.purpose, it.owner_id;
END
$$;

-- Sends files with a message that the caller is just sending: their own, of the same conversation, each once.
CREATE OR REPLACE FUNCTION app.attach_files(message uuid, wanted uuid[], at timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it       app.messages;
    attached int;
BEGIN
    SELECT * INTO it FROM app.messages m
        WHERE m.id = message AND m.sender_id = app.user_id() AND m.attachments = 0 AND m.deleted_at IS NULL;
    UPDATE app.files f SET message_seq = it.seq, place = w.place, expires_at = NULL
        FROM unnest(wanted) WITH ORDINALITY AS w (id, place)
        WHERE f.id = w.id AND f.company_id = it.company_id AND f.conversation_id = it.conversation_id
          AND f.owner_id = app.user_id() AND f.state = 'ready' AND f.message_seq IS NULL AND f.expires_at > at;
    GET DIAGNOSTICS attached = ROW_COUNT;
    IF attached <> cardinality(wanted) THEN
        RAISE EXCEPTION 'not all of them can be sent' USING ERRCODE = 'check_violation', CONSTRAINT = 'files_attachable';
    END IF;
    UPDATE app.messages m SET attachments = attached WHERE m.id = message;
END
$$;

-- What came with a message goes with it.
CREATE OR REPLACE FUNCTION app.drop_attachments() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.files f SET state = 'deleted', deleted_at = NEW.deleted_at, sealed_key = NULL, sealed_name = NULL
        WHERE f.company_id = NEW.company_id AND f.conversation_id = NEW.conversation_id AND f.message_seq = NEW.seq
          AND f.state <> 'deleted';
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS messages_drop_attachments ON app.messages;
CREATE TRIGGER messages_drop_attachments AFTER UPDATE OF deleted_at ON app.messages
    FOR EACH ROW WHEN (NEW.deleted_at IS NOT NULL AND NEW.attachments > 0) EXECUTE FUNCTION app.drop_attachments();

-- What is to be collected: given up, never sent, deleted, or sealed under a key that was destroyed.
CREATE OR REPLACE FUNCTION app.files_to_collect(at timestamptz, most int)
RETURNS TABLE (id uuid, object_key text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM app.drop_file(f.id, at) FROM app.files f
        WHERE f.state <> 'deleted' AND f.expires_at <= at;
    PERFORM app.drop_file(f.id, at) FROM app.encryption_keys k JOIN app.files f
        ON f.company_id = k.company_id AND f.conversation_id = k.subject_id AND f.message_seq IS NOT NULL
        WHERE k.purpose = 'chat' AND k.destroyed_at > at - interval '7 days' AND f.state = 'ready';
    PERFORM app.drop_file(f.id, at) FROM app.encryption_keys k JOIN app.files f
        ON f.company_id = k.company_id AND f.owner_id = k.subject_id AND f.purpose = 'document'
        WHERE k.purpose = 'file' AND k.destroyed_at > at - interval '7 days' AND f.state = 'ready';
    RETURN QUERY SELECT f.id, f.object_key FROM app.files f WHERE f.state = 'deleted' ORDER BY f.deleted_at LIMIT most;
END
$$;

-- Their objects are gone.
CREATE OR REPLACE FUNCTION app.forget_files(gone uuid[])
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    DELETE FROM app.files f WHERE f.id = ANY (gone) AND f.state = 'deleted'
$$;

-- Of some objects of the storage, those that no file knows.
CREATE OR REPLACE FUNCTION app.unknown_objects(keys text[])
RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT k FROM unnest(keys) k WHERE NOT EXISTS (SELECT FROM app.files f WHERE f.object_key = k)
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.may_bring(text)',
        'app.open_upload(uuid, text, uuid, text, bigint, timestamptz, timestamptz, bigint, int, int)',
        'app.drop_file(uuid, timestamptz)', 'app.lock_where_shown(uuid)',
        'app.finish_upload(uuid, text, bigint, bytea, bytea, bytea, timestamptz, timestamptz, bigint)',
        'app.give_up_upload(uuid, timestamptz)', 'app.sees_avatar_of(uuid)', 'app.shows_cover(uuid)', 'app.readable_file(uuid, timestamptz)',
        'app.own_file_key()',
        'app.keep_own_file_key(uuid, bytea, timestamptz)', 'app.delete_file(uuid, timestamptz)', 'app.attach_files(uuid, uuid[], timestamptz)', 'app.drop_attachments()',
        'app.files_to_collect(timestamptz, int)', 'app.forget_files(uuid[])',
        'app.unknown_objects(text[])']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.may_bring(text), app.drop_file(uuid, timestamptz), app.lock_where_shown(uuid),
    app.sees_avatar_of(uuid), app.shows_cover(uuid) TO huntzen_kernel;
GRANT EXECUTE ON FUNCTION
    app.open_upload(uuid, text, uuid, text, bigint, timestamptz, timestamptz, bigint, int, int),
    app.finish_upload(uuid, text, bigint, bytea, bytea, bytea, timestamptz, timestamptz, bigint),
    app.give_up_upload(uuid, timestamptz), app.readable_file(uuid, timestamptz), app.delete_file(uuid, timestamptz)
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT EXECUTE ON FUNCTION app.own_file_key(), app.keep_own_file_key(uuid, bytea, timestamptz) TO huntzen_employee;
GRANT EXECUTE ON FUNCTION app.attach_files(uuid, uuid[], timestamptz) TO huntzen_employee, huntzen_practitioner;
GRANT EXECUTE ON FUNCTION app.files_to_collect(timestamptz, int), app.forget_files(uuid[]), app.unknown_objects(text[])
    TO huntzen_worker;
