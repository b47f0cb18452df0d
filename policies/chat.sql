-- Chat: the two people of a consultation, and nobody else: no employer, no staff, no job.
GRANT SELECT ON app.conversations, app.messages, app.message_receipts TO huntzen_employee, huntzen_practitioner;
CREATE POLICY fence ON app.conversations AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.conversations FOR SELECT TO huntzen_employee USING (user_id = (SELECT app.user_id()));
CREATE POLICY assigned ON app.conversations FOR SELECT TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()));
CREATE POLICY fence ON app.messages AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.messages FOR SELECT TO huntzen_employee USING (user_id = (SELECT app.user_id()));
CREATE POLICY assigned ON app.messages FOR SELECT TO huntzen_practitioner USING (practitioner_id = (SELECT app.user_id()));
CREATE POLICY fence ON app.message_receipts AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.message_receipts FOR SELECT TO huntzen_employee USING (user_id = (SELECT app.user_id()));
CREATE POLICY assigned ON app.message_receipts FOR SELECT TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()));

-- Nobody writes but through the functions below: they look at who calls, keep the times, and number what changes. The row
-- of a conversation is its queue: whoever changes something in it holds that row until they commit, so that numbers become
-- visible in their order, and somebody who has seen one has seen all before it. Whoever committed a change announces it
-- (src/platform/realtime/wire.rs); a NOTIFY in each of these transactions would have them commit one after the other, with a
-- flush of the log each.
GRANT SELECT, INSERT, UPDATE (last_seq, last_rev, last_at) ON app.conversations TO huntzen_kernel;
GRANT SELECT, INSERT, UPDATE (rev, version, sealed, edited_at, deleted_at) ON app.messages TO huntzen_kernel;
GRANT SELECT, INSERT, UPDATE (delivered_seq, read_seq, rev, updated_at) ON app.message_receipts TO huntzen_kernel;
CREATE POLICY kernel ON app.conversations TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.messages TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.message_receipts TO huntzen_kernel USING (true) WITH CHECK (true);

-- Each consultation has its conversation from its booking on.
CREATE OR REPLACE FUNCTION app.open_conversations() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    INSERT INTO app.conversations (id, company_id, user_id, practitioner_id, last_at)
    SELECT b.id, b.company_id, b.user_id, b.practitioner_id, b.created_at FROM booked b;
    RETURN NULL;
END
$$;
ALTER FUNCTION app.open_conversations() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.open_conversations() FROM PUBLIC;
DROP TRIGGER IF EXISTS consultations_conversation ON app.consultations;
CREATE TRIGGER consultations_conversation AFTER INSERT ON app.consultations REFERENCING NEW TABLE AS booked
    FOR EACH STATEMENT EXECUTE FUNCTION app.open_conversations();

-- When a conversation closes for writing: some days after the end of the session, or when it is cancelled.
CREATE OR REPLACE FUNCTION app.chat_closes_at(cancelled_at timestamptz, ends_at timestamptz, ended_at timestamptz,
                                              open_days int)
RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(cancelled_at, greatest(ends_at, ended_at) + make_interval(days => open_days))
$$;

-- Locks a conversation of the caller's that is open. No row: it is not theirs.
CREATE OR REPLACE FUNCTION app.lock_conversation(wanted uuid)
RETURNS SETOF app.conversations LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT v.* FROM app.conversations v
    WHERE v.id = wanted
      AND CASE app.connected_role() WHEN 'employee' THEN v.user_id = app.user_id() AND v.company_id = app.company_id()
                                    WHEN 'practitioner' THEN v.practitioner_id = app.user_id() ELSE false END
    FOR NO KEY UPDATE
$$;
CREATE OR REPLACE FUNCTION app.require_open_conversation(wanted uuid, at timestamptz, open_days int)
RETURNS void LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM app.consultations c
                   WHERE c.id = wanted
                     AND at < app.chat_closes_at(c.cancelled_at, c.ends_at, c.ended_at, open_days)) THEN
        RAISE EXCEPTION 'the conversation is closed'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'conversations_open';
    END IF;
END
$$;

-- Sends a message of the caller's, sealed with a key of the conversation that was not destroyed meanwhile. The same client
-- id again is the message that is there, with `is_new` false.
CREATE OR REPLACE FUNCTION app.send_message(conversation uuid, message uuid, client uuid, contents bytea, at timestamptz,
                                            open_days int, sealed_with uuid)
RETURNS TABLE (message_id uuid, message_seq bigint, message_rev bigint, is_new boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    me      uuid := app.user_id();
    its     uuid := app.company_id();
    as_role text := app.connected_role();
    it      app.conversations;
BEGIN
    -- all at once where nothing is in the way; of two that send the same at the same moment one breaks a constraint
    RETURN QUERY
    WITH open AS (
        -- exact to a second: between two that are indexed lie changes of the row that no index sees
        UPDATE app.conversations v
        SET last_seq = v.last_seq + 1, last_rev = v.last_rev + 1,
            last_at = CASE WHEN at > v.last_at + interval '1 second' THEN at ELSE v.last_at END
        FROM app.consultations c
        WHERE v.id = conversation AND c.id = conversation
          AND CASE as_role WHEN 'employee' THEN v.user_id = me AND v.company_id = its
                           WHEN 'practitioner' THEN v.practitioner_id = me ELSE false END
          AND at < app.chat_closes_at(c.cancelled_at, c.ends_at, c.ended_at, open_days)
          AND EXISTS (SELECT FROM app.encryption_keys k
                      WHERE k.id = sealed_with AND k.company_id = v.company_id AND k.purpose = 'chat'
                        AND k.subject_id = conversation AND k.destroyed_at IS NULL)
          AND NOT EXISTS (SELECT FROM app.messages m
                          WHERE m.company_id = v.company_id AND m.conversation_id = conversation AND m.sender_id = me
                            AND m.client_id = client)
        RETURNING v.company_id, v.user_id, v.practitioner_id, v.last_seq, v.last_rev)
    INSERT INTO app.messages AS m (id, company_id, conversation_id, user_id, practitioner_id, sender_id, client_id, seq, rev,
                                   sealed, created_at)
    SELECT message, o.company_id, conversation, o.user_id, o.practitioner_id, me, client, o.last_seq, o.last_rev, contents, at
    FROM open o
    RETURNING m.id, m.seq, m.rev, true;
    IF FOUND THEN
        RETURN;
    END IF;
    -- what was in the way
    SELECT * INTO it FROM app.lock_conversation(conversation);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT m.id, m.seq, m.rev, false FROM app.messages m
        WHERE m.company_id = it.company_id AND m.conversation_id = it.id AND m.sender_id = me AND m.client_id = client;
    IF FOUND THEN
        RETURN;
    END IF;
    PERFORM app.require_open_conversation(it.id, at, open_days);
    IF NOT EXISTS (SELECT FROM app.encryption_keys k
                   WHERE k.id = sealed_with AND k.company_id = it.company_id AND k.purpose = 'chat'
                     AND k.subject_id = it.id AND k.destroyed_at IS NULL) THEN
        RAISE EXCEPTION 'the key of the conversation was destroyed'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'conversations_key';
    END IF;
    RAISE EXCEPTION 'it was in the way a moment ago' USING ERRCODE = 'serialization_failure';
END
$$;

-- Sends messages of several callers at once: those that nothing is in the way of, which are the rows that it answers. The
-- others are asked about one by one, by the function above. Callers and their companies are told as the settings tell them
-- otherwise; in somebody's scope it sends their own alone. `places` count from one. No conversation comes twice.
CREATE OR REPLACE FUNCTION app.send_messages(senders uuid[], companies uuid[], conversations uuid[], messages uuid[],
                                             clients uuid[], texts bytea[], times timestamptz[], open_days int[],
                                             sealed_with uuid[])
RETURNS TABLE (place bigint, message_id uuid, message_seq bigint, message_rev bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    me      uuid := app.user_id();
    as_role text := app.connected_role();
BEGIN
    PERFORM FROM unnest(senders, companies, conversations) AS l (sender, company, conversation)
        JOIN app.conversations v ON v.id = l.conversation
        WHERE (me IS NULL OR l.sender = me)
          AND CASE as_role WHEN 'employee' THEN v.user_id = l.sender AND v.company_id = l.company
                           WHEN 'practitioner' THEN v.practitioner_id = l.sender ELSE false END
        ORDER BY v.id FOR NO KEY UPDATE OF v;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- what others had sent until then is seen from here on
    RETURN QUERY
    WITH letters AS (
        SELECT * FROM unnest(senders, companies, conversations, messages, clients, texts, times, open_days, sealed_with)
            WITH ORDINALITY AS l (sender, company, conversation, message, client, contents, at, days, key, place)
        WHERE me IS NULL OR sender = me),
    open AS (
        UPDATE app.conversations v
        SET last_seq = v.last_seq + 1, last_rev = v.last_rev + 1,
            last_at = CASE WHEN l.at > v.last_at + interval '1 second' THEN l.at ELSE v.last_at END
        FROM letters l JOIN app.consultations c ON c.id = l.conversation
        WHERE v.id = l.conversation
          AND CASE as_role WHEN 'employee' THEN v.user_id = l.sender AND v.company_id = l.company
                           WHEN 'practitioner' THEN v.practitioner_id = l.sender ELSE false END
          AND l.at < app.chat_closes_at(c.cancelled_at, c.ends_at, c.ended_at, l.days)
          AND EXISTS (SELECT FROM app.encryption_keys k
                      WHERE k.id = l.key AND k.company_id = v.company_id AND k.purpose = 'chat'
                        AND k.subject_id = l.conversation AND k.destroyed_at IS NULL)
          AND NOT EXISTS (SELECT FROM app.messages m
                          WHERE m.company_id = v.company_id AND m.conversation_id = l.conversation AND m.sender_id = l.sender
                            AND m.client_id = l.client)
        RETURNING l.place, v.company_id, v.user_id, v.practitioner_id, v.last_seq, v.last_rev),
    sent AS (
        INSERT INTO app.messages AS m (id, company_id, conversation_id, user_id, practitioner_id, sender_id, client_id, seq, rev,
                                       sealed, created_at)
        SELECT l.message, o.company_id, l.conversation, o.user_id, o.practitioner_id, l.sender, l.client, o.last_seq,
               o.last_rev, l.contents, l.at
        FROM open o JOIN letters l USING (place))
    SELECT o.place, l.message, o.last_seq, o.last_rev FROM open o JOIN letters l USING (place);
END
$$;

-- Puts another text in the place of one of the caller's own messages, or none: a tombstone. Answers with its revision; NULL
-- where the message has another version than the caller knew.
CREATE OR REPLACE FUNCTION app.change_message(message uuid, known_version int, contents bytea, at timestamptz, open_days int)
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it      app.messages;
    new_rev bigint;
BEGIN
    PERFORM FROM app.lock_conversation((SELECT m.conversation_id FROM app.messages m WHERE m.id = message));
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT * INTO it FROM app.messages m
        WHERE m.id = message AND m.sender_id = app.user_id() AND m.version = known_version AND m.deleted_at IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF at > it.created_at + interval '15 minutes' THEN
        RAISE EXCEPTION 'too late to change it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'messages_changed_in_time';
    END IF;
    PERFORM app.require_open_conversation(it.conversation_id, at, open_days);
    UPDATE app.conversations v SET last_rev = v.last_rev + 1 WHERE v.id = it.conversation_id
        RETURNING v.last_rev INTO new_rev;
    UPDATE app.messages m
        SET rev = new_rev, version = m.version + 1, sealed = contents,
            edited_at = CASE WHEN contents IS NULL THEN m.edited_at ELSE at END,
            deleted_at = CASE WHEN contents IS NULL THEN at END
        WHERE m.id = message;
    RETURN new_rev;
END
$$;

-- Notes for several callers that they have, or have read, everything up to a message: how far each is now, and whether that is
-- news. Never goes back, and never beyond the last message. No row: the conversation is not theirs. Callers are told as in
-- `send_messages`.
CREATE OR REPLACE FUNCTION app.note_receipts(readers uuid[], companies uuid[], conversations uuid[], up_to bigint[],
                                             are_read boolean[], times timestamptz[])
RETURNS TABLE (place bigint, delivered bigint, read bigint, revision bigint, is_news boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    me      uuid := app.user_id();
    as_role text := app.connected_role();
BEGIN
    PERFORM FROM unnest(readers, companies, conversations) AS l (reader, company, conversation)
        JOIN app.conversations v ON v.id = l.conversation
        WHERE (me IS NULL OR l.reader = me)
          AND CASE as_role WHEN 'employee' THEN v.user_id = l.reader AND v.company_id = l.company
                           WHEN 'practitioner' THEN v.practitioner_id = l.reader ELSE false END
        ORDER BY v.id FOR NO KEY UPDATE OF v;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- what others had noted until then is seen from here on
    RETURN QUERY
    WITH known AS (
        SELECT l.*, v.company_id, v.user_id, v.practitioner_id, coalesce(r.delivered_seq, 0) AS had,
               coalesce(r.read_seq, 0) AS had_read, coalesce(r.rev, 0) AS rev, least(l.up_to, v.last_seq) AS up_to_last
        FROM unnest(readers, companies, conversations, up_to, are_read, times)
            WITH ORDINALITY AS l (reader, company, conversation, up_to, is_read, at, place)
        JOIN app.conversations v ON v.id = l.conversation
        LEFT JOIN app.message_receipts r
            ON r.company_id = v.company_id AND r.conversation_id = v.id AND r.reader_id = l.reader
        WHERE (me IS NULL OR l.reader = me)
          AND CASE as_role WHEN 'employee' THEN v.user_id = l.reader AND v.company_id = l.company
                           WHEN 'practitioner' THEN v.practitioner_id = l.reader ELSE false END),
    reached AS (
        SELECT k.*, greatest(k.had_read, CASE WHEN k.is_read THEN k.up_to_last ELSE 0 END) AS has_read,
               greatest(k.had, k.up_to_last) AS has
        FROM known k),
    news AS (
        UPDATE app.conversations v SET last_rev = v.last_rev + 1 FROM reached n
        WHERE v.id = n.conversation AND (n.has, n.has_read) <> (n.had, n.had_read)
        RETURNING n.place, v.last_rev),
    noted AS (
        INSERT INTO app.message_receipts AS r (company_id, conversation_id, user_id, practitioner_id, reader_id,
                                               delivered_seq, read_seq, rev, updated_at)
        SELECT n.company_id, n.conversation, n.user_id, n.practitioner_id, n.reader, n.has, n.has_read, w.last_rev, n.at
        FROM news w JOIN reached n USING (place)
        ON CONFLICT (company_id, conversation_id, reader_id) DO UPDATE
        SET delivered_seq = excluded.delivered_seq, read_seq = excluded.read_seq, rev = excluded.rev,
            updated_at = excluded.updated_at)
    SELECT n.place, n.has, n.has_read, coalesce(w.last_rev, n.rev), w.place IS NOT NULL FROM reached n
    LEFT JOIN news w USING (place);
END
$$;
-- The same of one, the caller.
CREATE OR REPLACE FUNCTION app.note_receipt(conversation uuid, up_to bigint, is_read boolean, at timestamptz)
RETURNS TABLE (delivered bigint, read bigint, revision bigint, is_news boolean)
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = app, pg_temp AS $$
    SELECT n.delivered, n.read, n.revision, n.is_news
    FROM app.note_receipts(ARRAY[app.user_id()], ARRAY[app.company_id()], ARRAY[conversation], ARRAY[up_to], ARRAY[is_read],
                           ARRAY[at]) n
$$;

-- Whoever looks at a conversation hears that it closes earlier or later than they were told.
CREATE OR REPLACE FUNCTION app.tell_conversation_closes() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM pg_notify('chat_changed', NEW.id::text);
    RETURN NULL;
END
$$;
ALTER FUNCTION app.tell_conversation_closes() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.tell_conversation_closes() FROM PUBLIC;
DROP TRIGGER IF EXISTS consultations_conversation_closes ON app.consultations;
CREATE TRIGGER consultations_conversation_closes AFTER UPDATE OF cancelled_at, ends_at, ended_at ON app.consultations
    FOR EACH ROW EXECUTE FUNCTION app.tell_conversation_closes();

-- Which of the conversations that are looked at have changed since: what was not announced, because a node died after its
-- commit, is found by it. Numbers alone, and nothing of the people.
CREATE OR REPLACE FUNCTION auth.conversations_beyond(looked_at uuid[], known bigint[])
RETURNS TABLE (id uuid, rev bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT v.id, v.last_rev FROM unnest(looked_at, known) AS it (id, rev)
    JOIN app.conversations v ON v.id = it.id AND v.last_rev > it.rev
$$;
ALTER FUNCTION auth.conversations_beyond(uuid[], bigint[]) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION auth.conversations_beyond(uuid[], bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auth.conversations_beyond(uuid[], bigint[]) TO huntzen_auth;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.chat_closes_at(timestamptz, timestamptz, timestamptz, int)', 'app.lock_conversation(uuid)',
        'app.require_open_conversation(uuid, timestamptz, int)',
        'app.send_message(uuid, uuid, uuid, bytea, timestamptz, int, uuid)',
        'app.send_messages(uuid[], uuid[], uuid[], uuid[], uuid[], bytea[], timestamptz[], int[], uuid[])',
        'app.change_message(uuid, int, bytea, timestamptz, int)',
        'app.note_receipts(uuid[], uuid[], uuid[], bigint[], boolean[], timestamptz[])',
        'app.note_receipt(uuid, bigint, boolean, timestamptz)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.lock_conversation(uuid), app.require_open_conversation(uuid, timestamptz, int)
    TO huntzen_kernel;
GRANT EXECUTE ON FUNCTION app.chat_closes_at(timestamptz, timestamptz, timestamptz, int)
    TO huntzen_employee, huntzen_practitioner, huntzen_kernel;
GRANT EXECUTE ON FUNCTION
    app.send_message(uuid, uuid, uuid, bytea, timestamptz, int, uuid),
    app.send_messages(uuid[], uuid[], uuid[], uuid[], uuid[], bytea[], timestamptz[], int[], uuid[]),
    app.change_message(uuid, int, bytea, timestamptz, int),
    app.note_receipts(uuid[], uuid[], uuid[], bigint[], boolean[], timestamptz[]),
    app.note_receipt(uuid, bigint, boolean, timestamptz) TO huntzen_employee, huntzen_practitioner;
