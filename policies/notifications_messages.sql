-- That somebody wrote: told the other one where they have not read it soon after, once until they have. Nobody but the
-- functions below reads which conversations wait.
GRANT SELECT, INSERT (company_id, conversation_id, user_id, practitioner_id, reader_id, since),
    UPDATE (noticed_at, mailed_at), DELETE ON app.unread_conversations TO huntzen_kernel;
CREATE POLICY kernel ON app.unread_conversations TO huntzen_kernel USING (true) WITH CHECK (true);

CREATE OR REPLACE FUNCTION app.note_unread_message() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    INSERT INTO app.unread_conversations (company_id, conversation_id, user_id, practitioner_id, reader_id, since)
        VALUES (NEW.company_id, NEW.conversation_id, NEW.user_id, NEW.practitioner_id,
                CASE NEW.sender_id WHEN NEW.user_id THEN NEW.practitioner_id ELSE NEW.user_id END, NEW.created_at)
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

-- Whether the other one's words wait for somebody.
CREATE OR REPLACE FUNCTION app.has_unread_message(company uuid, conversation uuid, reader uuid)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM app.messages m
        WHERE m.company_id = company AND m.conversation_id = conversation AND m.sender_id <> reader AND m.deleted_at IS NULL
          AND m.seq > coalesce((SELECT r.read_seq FROM app.message_receipts r
                                WHERE r.company_id = company AND r.conversation_id = conversation AND r.reader_id = reader), 0))
$$;

-- Whoever has read a conversation need not be told of it, and has read what they were told. The question is asked here, not
-- by the function above, which would be planned anew for each receipt.
CREATE OR REPLACE FUNCTION app.note_read_conversation() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    DELETE FROM app.unread_conversations u
        WHERE u.company_id = NEW.company_id AND u.conversation_id = NEW.conversation_id AND u.reader_id = NEW.reader_id
          AND NOT EXISTS (SELECT FROM app.messages m
                          WHERE m.company_id = NEW.company_id AND m.conversation_id = NEW.conversation_id
                            AND m.seq > NEW.read_seq AND m.sender_id <> NEW.reader_id AND m.deleted_at IS NULL);
    IF FOUND THEN
        UPDATE app.notifications n SET read_at = NEW.updated_at
            WHERE n.user_id = NEW.reader_id AND n.object_id = NEW.conversation_id AND n.kind = 'message_received'
              AND n.read_at IS NULL;
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS messages_unread ON app.messages;
CREATE TRIGGER messages_unread AFTER INSERT ON app.messages FOR EACH ROW EXECUTE FUNCTION app.note_unread_message();
DROP TRIGGER IF EXISTS message_receipts_read ON app.message_receipts;
CREATE TRIGGER message_receipts_read AFTER INSERT OR UPDATE OF read_seq ON app.message_receipts
    FOR EACH ROW WHEN (NEW.read_seq > 0) EXECUTE FUNCTION app.note_read_conversation();

-- Conversations of all companies in which it is time to tell somebody: ten seconds after the first message in the program,
-- ten minutes after it by mail.
CREATE OR REPLACE FUNCTION app.due_unread_conversations(at timestamptz, most int)
RETURNS TABLE (company_id uuid, conversation_id uuid, reader_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    (SELECT u.company_id, u.conversation_id, u.reader_id FROM app.unread_conversations u
     WHERE u.noticed_at IS NULL AND u.since <= at - interval '10 seconds' ORDER BY u.since LIMIT most)
    UNION
    (SELECT u.company_id, u.conversation_id, u.reader_id FROM app.unread_conversations u
     WHERE u.mailed_at IS NULL AND u.since <= at - interval '10 minutes' ORDER BY u.since LIMIT most)
$$;

-- Tells somebody of one in the transaction's company what is due. Answers since when it waits, where a mail is to be sent.
CREATE OR REPLACE FUNCTION app.notify_of_messages(new_id uuid, conversation uuid, reader uuid, at timestamptz)
RETURNS timestamptz LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it app.unread_conversations;
BEGIN
    SELECT * INTO it FROM app.unread_conversations u
        WHERE u.company_id = app.company_id() AND u.conversation_id = conversation AND u.reader_id = reader FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF NOT app.has_unread_message(it.company_id, it.conversation_id, it.reader_id) THEN
        -- it was taken back, and so is that it waits
        UPDATE app.notifications n SET read_at = at
            WHERE n.user_id = it.reader_id AND n.object_id = it.conversation_id AND n.kind = 'message_received'
              AND n.read_at IS NULL;
        DELETE FROM app.unread_conversations u
            WHERE u.company_id = it.company_id AND u.conversation_id = it.conversation_id AND u.reader_id = it.reader_id;
        RETURN NULL;
    END IF;
    IF it.noticed_at IS NULL AND it.since <= at - interval '10 seconds' THEN
        PERFORM app.add_notification(new_id, it.reader_id, 'message_received', 'conversation', it.conversation_id,
                                     (extract(epoch FROM it.since) * 1000000)::bigint, at);
        UPDATE app.unread_conversations u SET noticed_at = at
            WHERE u.company_id = it.company_id AND u.conversation_id = it.conversation_id AND u.reader_id = it.reader_id;
    END IF;
    IF it.mailed_at IS NULL AND it.since <= at - interval '10 minutes' THEN
        UPDATE app.unread_conversations u SET mailed_at = at
            WHERE u.company_id = it.company_id AND u.conversation_id = it.conversation_id AND u.reader_id = it.reader_id;
        IF app.wants_notice(it.reader_id, 'message_received', 'email') THEN
            RETURN it.since;
        END IF;
    END IF;
    RETURN NULL;
END
$$;

-- Whoever reads that somebody wrote to them knows it: they are told of the next message anew, and get no mail of this one.
-- Before the notifications are noted as read, in the order in which a conversation's reading takes the two. `one` of the
-- caller's, or all of them.
CREATE OR REPLACE FUNCTION app.forget_noticed_conversations(one uuid)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    DELETE FROM app.unread_conversations u
        USING app.notifications n JOIN app.conversations c ON c.id = n.object_id
        WHERE n.user_id = app.user_id() AND n.kind = 'message_received' AND n.read_at IS NULL
          AND (one IS NULL OR n.id = one)
          AND u.company_id = c.company_id AND u.conversation_id = c.id AND u.reader_id = n.user_id AND u.noticed_at IS NOT NULL
$$;

-- Whether a mail about a conversation of the transaction's company still has something to tell.
CREATE OR REPLACE FUNCTION app.waits_to_be_read(conversation uuid, reader uuid, waits_since timestamptz)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT EXISTS (SELECT FROM app.unread_conversations u
                   WHERE u.company_id = app.company_id() AND u.conversation_id = conversation AND u.reader_id = reader
                     AND u.since = waits_since)
       AND app.has_unread_message(app.company_id(), conversation, reader)
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.note_unread_message()', 'app.note_read_conversation()', 'app.has_unread_message(uuid, uuid, uuid)',
        'app.due_unread_conversations(timestamptz, int)', 'app.notify_of_messages(uuid, uuid, uuid, timestamptz)',
        'app.forget_noticed_conversations(uuid)', 'app.waits_to_be_read(uuid, uuid, timestamptz)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.has_unread_message(uuid, uuid, uuid) TO huntzen_kernel;
GRANT EXECUTE ON FUNCTION app.due_unread_conversations(timestamptz, int),
    app.notify_of_messages(uuid, uuid, uuid, timestamptz), app.waits_to_be_read(uuid, uuid, timestamptz) TO huntzen_worker;
GRANT EXECUTE ON FUNCTION app.forget_noticed_conversations(uuid)
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
