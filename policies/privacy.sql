-- What people ask for of their data: their copy of it (policies/privacy_export.sql), and that it is erased. Each reads their
-- own requests; what becomes of them the functions below decide.
GRANT SELECT (id, user_id, kind, status, created_at, finished_at, due_at, reason, receipt, asked_by, locale, done_steps,
              all_steps, size_bytes, expires_at) ON app.privacy_requests TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
CREATE POLICY own ON app.privacy_requests FOR SELECT
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform
    USING (user_id = (SELECT app.user_id()));
GRANT SELECT, INSERT, DELETE ON app.privacy_requests TO huntzen_kernel;
GRANT UPDATE (status, finished_at, reason, receipt, done_steps, all_steps, object_key, sealed_key, size_bytes,
              expires_at) ON app.privacy_requests TO huntzen_kernel;
CREATE POLICY kernel ON app.privacy_requests TO huntzen_kernel USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON app.erasure_ledger TO huntzen_kernel;
CREATE POLICY kernel ON app.erasure_ledger TO huntzen_kernel USING (true) WITH CHECK (true);

-- What an erasure takes away.
GRANT UPDATE (employee_id, removed_at, erased_at, terms_version, terms_at) ON app.users TO huntzen_kernel;
GRANT DELETE ON app.journal_entries TO huntzen_kernel;
CREATE POLICY kernel_erase ON app.journal_entries FOR DELETE TO huntzen_kernel USING (true);
GRANT SELECT, DELETE ON app.journal_keys TO huntzen_kernel;
CREATE POLICY kernel ON app.journal_keys TO huntzen_kernel USING (true) WITH CHECK (true);
GRANT DELETE ON app.notification_preferences TO huntzen_kernel;
CREATE POLICY kernel_erase ON app.notification_preferences FOR DELETE TO huntzen_kernel USING (true);
GRANT DELETE ON app.consultation_reasons TO huntzen_kernel;
CREATE POLICY kernel_erase ON app.consultation_reasons FOR DELETE TO huntzen_kernel USING (true);
GRANT SELECT, DELETE, UPDATE (recipient_user_id) ON app.email_log TO huntzen_kernel;
CREATE POLICY kernel ON app.email_log TO huntzen_kernel USING (true) WITH CHECK (true);
GRANT DELETE ON app.external_calendars, app.calendar_feeds, app.articles TO huntzen_kernel;
CREATE POLICY kernel_erase ON app.articles FOR DELETE TO huntzen_kernel USING (status = 'draft' AND published_at IS NULL);
CREATE POLICY kernel_erase ON app.calendar_feeds FOR DELETE TO huntzen_kernel USING (true);
GRANT SELECT, DELETE ON app.availability_rules, app.availability_overrides TO huntzen_kernel;
CREATE POLICY kernel ON app.availability_rules TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.availability_overrides TO huntzen_kernel USING (true) WITH CHECK (true);
GRANT UPDATE (display_name, bio_fr, bio_en, languages, rpps, adeli, status, verified_at, verified_by, verified_checks)
    ON app.practitioners TO huntzen_kernel;

-- What the interface tells a person of this: which versions they agreed to, and when their account is to be erased.
CREATE OR REPLACE FUNCTION app.own_privacy()
RETURNS TABLE (agreed text[], erasure_due_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT ARRAY(SELECT l.document || ' ' || l.version
                 FROM (SELECT DISTINCT ON (c.document) c.document, c.version, c.decision FROM app.consents c
                       WHERE c.user_id = app.user_id() ORDER BY c.document, c.place DESC) l
                 WHERE l.decision = 'accepted'),
           (SELECT r.due_at FROM app.privacy_requests r
            WHERE r.user_id = app.user_id() AND r.kind = 'erasure' AND r.finished_at IS NULL)
$$;

-- Why an account cannot be erased now; NULL: it can. Who cares for people ends that first, and keeps the records that the
-- law has them keep; a company, and the platform, is never without its last admin.
CREATE OR REPLACE FUNCTION app.erasure_obstacle(person uuid, at timestamptz)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT CASE
        WHEN u.role = 'practitioner' AND EXISTS (
            SELECT FROM app.consultations c
            WHERE c.practitioner_id = u.id AND c.status IN ('pending', 'confirmed', 'in_progress')) THEN 'sessions_ahead'
        WHEN u.role = 'practitioner' AND EXISTS (
            SELECT FROM app.clinical_notes n
            -- by the rules of now as well: each night a note that is to be kept for longer is told so
            WHERE n.practitioner_id = u.id
              AND greatest(n.retained_until, n.written_at + app.note_kept_for(n.practitioner_id, n.profession)) > at) THEN 'records_kept'
        WHEN u.role = 'platform_admin' AND NOT EXISTS (
            SELECT FROM app.users o WHERE o.role = u.role AND o.status = 'active' AND o.id <> u.id) THEN 'last_admin'
        WHEN u.role = 'company_admin' AND NOT EXISTS (
            SELECT FROM app.users o
            WHERE o.role = u.role AND o.company_id = u.company_id AND o.status = 'active' AND o.id <> u.id)
            AND EXISTS (SELECT FROM app.companies c WHERE c.id = u.company_id AND c.status <> 'archived') THEN 'last_admin'
        END
    FROM app.users u WHERE u.id = person
$$;

-- What there is of somebody, in numbers: what their receipt is made of.
CREATE OR REPLACE FUNCTION app.erasure_facts(person uuid)
RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT jsonb_build_object(
        'journal_entries', (SELECT count(*) FROM app.journal_entries e WHERE e.user_id = u.id),
        'conversations', (SELECT count(*) FROM app.encryption_keys k
                          WHERE k.person_id = u.id AND k.purpose = 'chat' AND k.destroyed_at IS NULL),
        'files', (SELECT count(*) FROM app.files f WHERE f.state = 'ready' AND f.owner_id = u.id)
                 -- what came to them in their conversations
                 + (SELECT count(*) FROM app.conversations v
                    JOIN app.files f ON f.company_id = v.company_id AND f.conversation_id = v.id
                                    AND f.message_seq IS NOT NULL AND f.state = 'ready' AND f.owner_id <> u.id
                    WHERE u.role = 'employee' AND v.user_id = u.id),
        'notifications', (SELECT count(*) FROM app.notifications n WHERE n.user_id = u.id),
        'reasons', (SELECT count(*) FROM app.consultation_reasons r JOIN app.consultations c ON c.id = r.consultation_id
                    WHERE c.user_id = u.id AND c.company_id = r.company_id),
        'sessions_ahead', (SELECT count(*) FROM app.consultations c
                           WHERE c.user_id = u.id AND c.status IN ('pending', 'confirmed')),
        'waiting', (SELECT count(*) FROM app.waitlist_entries w WHERE w.user_id = u.id AND w.status = 'waiting'),
        'consultations', (SELECT count(*) FROM app.consultations c WHERE u.id IN (c.user_id, c.practitioner_id)),
        'consents', (SELECT count(*) FROM app.consents c WHERE c.user_id = u.id),
        'last_session', (SELECT max(c.ends_at) FROM app.consultations c WHERE u.id IN (c.user_id, c.practitioner_id)),
        -- that something was written, without a word of it
        'messages', (SELECT coalesce(sum(v.last_seq), 0) FROM app.conversations v WHERE u.id IN (v.user_id, v.practitioner_id)),
        'calls', (SELECT count(*) FROM app.call_sessions s WHERE u.id IN (s.user_id, s.practitioner_id)),
        'last_call', (SELECT max(coalesce(s.ended_at, s.closes_at)) FROM app.call_sessions s WHERE u.id IN (s.user_id, s.practitioner_id)),
        'mails', (SELECT count(*) FROM app.email_log l WHERE l.recipient_user_id = u.id),
        'exports', (SELECT count(*) FROM app.exports e WHERE e.requested_by = u.id),
        'reviews', (SELECT count(*) FROM app.reviews r WHERE r.user_id = u.id),
        'drafts', (SELECT count(*) FROM app.articles a WHERE a.author_id = u.id AND a.status = 'draft' AND a.published_at IS NULL),
        'articles', (SELECT count(*) FROM app.articles a WHERE a.author_id = u.id AND a.published_at IS NOT NULL),
        'keys', (SELECT count(*) FROM app.encryption_keys k
                 WHERE k.company_id IN (u.company_id, '00000000-0000-0000-0000-000000000000') AND k.person_id = u.id),
        'last_payroll', (SELECT max(l.month)::timestamp AT TIME ZONE 'UTC' FROM app.payroll_lines l WHERE l.practitioner_id = u.id),
        'directory_entry', u.employee_id IS NOT NULL,
        'left_at', (SELECT e.left_at FROM app.employees e WHERE e.company_id = u.company_id AND e.id = u.employee_id),
        'notes_until', (SELECT max(n.retained_until) FROM app.clinical_notes n
                        JOIN app.consultations c ON c.company_id = n.company_id AND c.id = n.consultation_id
                        WHERE c.user_id = u.id))
    FROM app.users u WHERE u.id = person
$$;

CREATE OR REPLACE FUNCTION app.own_erasure_facts()
RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT app.erasure_facts(app.user_id())
$$;

-- Asks that the caller's account be erased; the request that waits already, where there is one. `obstacle` says why not.
CREATE OR REPLACE FUNCTION app.ask_for_erasure(request uuid, at timestamptz, due timestamptz, OUT asked uuid, OUT obstacle text,
                                               OUT is_new boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM FROM app.users u WHERE u.id = app.user_id() AND u.status = 'active' FOR UPDATE;
    SELECT r.id INTO asked FROM app.privacy_requests r
        WHERE r.user_id = app.user_id() AND r.kind = 'erasure' AND r.finished_at IS NULL;
    is_new := asked IS NULL;
    IF NOT is_new THEN
        RETURN;
    END IF;
    obstacle := app.erasure_obstacle(app.user_id(), at);
    IF obstacle IS NULL THEN
        asked := request;
        INSERT INTO app.privacy_requests (id, user_id, kind, status, created_at, due_at)
            VALUES (request, app.user_id(), 'erasure', 'waiting', at, due);
    END IF;
END
$$;

-- Takes the request of the caller back: 'withdrawn', 'begun' where that is too late, NULL where there is none.
CREATE OR REPLACE FUNCTION app.withdraw_erasure(at timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    its app.privacy_requests;
BEGIN
    SELECT * INTO its FROM app.privacy_requests r
        WHERE r.user_id = app.user_id() AND r.kind = 'erasure' AND r.finished_at IS NULL FOR UPDATE;
    IF NOT FOUND OR its.status = 'begun' THEN
        RETURN its.status;
    END IF;
    UPDATE app.privacy_requests r SET status = 'withdrawn', finished_at = at WHERE r.id = its.id;
    RETURN 'withdrawn';
END
$$;

-- Erasures whose time has come; not in the middle of a session.
CREATE OR REPLACE FUNCTION app.due_erasures(at timestamptz, most int)
RETURNS TABLE (id uuid, user_id uuid, company_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT r.id, u.id, u.company_id FROM app.privacy_requests r JOIN app.users u ON u.id = r.user_id
    WHERE r.kind = 'erasure' AND r.finished_at IS NULL AND r.due_at <= at
      AND (r.status = 'begun' OR NOT EXISTS (
              SELECT FROM app.consultations c WHERE u.id IN (c.user_id, c.practitioner_id) AND c.status = 'in_progress'))
    ORDER BY r.due_at, r.id LIMIT most
$$;

-- From here on there is no way back: the account is closed, its sessions end, nothing new comes. 'begun', 'refused' with the
-- reason, or NULL: there is nothing (any more) to do.
CREATE OR REPLACE FUNCTION app.begin_erasure(request uuid, at timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    its     app.privacy_requests;
    account app.users;
    why     text;
BEGIN
    SELECT u.* INTO account FROM app.privacy_requests r JOIN app.users u ON u.id = r.user_id
        WHERE r.id = request AND r.user_id = app.user_id();
    -- two last admins cannot go at once
    IF account.role IN ('company_admin', 'platform_admin') THEN
        PERFORM FROM app.users u
            WHERE u.role = account.role AND u.company_id IS NOT DISTINCT FROM account.company_id ORDER BY u.id FOR UPDATE;
    END IF;
    PERFORM FROM app.users u WHERE u.id = account.id FOR UPDATE;
    SELECT * INTO its FROM app.privacy_requests r
        WHERE r.id = request AND r.user_id = app.user_id() AND r.kind = 'erasure' AND r.finished_at IS NULL
          AND r.due_at <= at FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF its.status = 'begun' THEN
        RETURN 'begun';
    END IF;
    why := app.erasure_obstacle(account.id, at);
    IF why IS NOT NULL THEN
        UPDATE app.privacy_requests r SET status = 'refused', reason = why, finished_at = at WHERE r.id = request;
        RETURN 'refused';
    END IF;
    UPDATE app.privacy_requests r SET status = 'begun', receipt = app.erasure_facts(account.id) WHERE r.id = request;
    UPDATE app.users u SET status = 'suspended', removed_at = at, work_mailbox_lost_at = coalesce(u.work_mailbox_lost_at, at)
        WHERE u.id = account.id;
    RETURN 'begun';
END
$$;

-- To whom the receipt goes: the person's own mailbox, as long as it is known.
CREATE OR REPLACE FUNCTION app.reader_of_receipt(request uuid)
RETURNS TABLE (id uuid, email text, display_name text, locale text, time_zone text, status text, reason text, due_at timestamptz,
               created_at timestamptz, facts jsonb, is_private boolean, asked_by text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT u.id, u.email, u.display_name, u.locale, u.time_zone, r.status, r.reason, r.due_at, r.created_at, r.receipt,
           u.private_address OR u.role <> 'employee', r.asked_by
    FROM app.privacy_requests r JOIN app.users u ON u.id = r.user_id
    WHERE r.id = request AND u.id = app.user_id() AND u.erased_at IS NULL
      AND (u.private_address OR u.work_mailbox_lost_at IS NULL OR u.work_mailbox_lost_at = u.removed_at)
$$;

-- Takes away everything of a person but what is kept on another ground: keys, texts, files, ways in, and the account's own
-- words. Doing it again changes nothing. The ids of the keys that went.
CREATE OR REPLACE FUNCTION app.erase_person(person uuid, at timestamptz)
RETURNS uuid[] LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    its  app.users;
    keys uuid[];
BEGIN
    SELECT * INTO its FROM app.users u WHERE u.id = person FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF its.erased_at IS NOT NULL THEN
        RETURN (SELECT l.key_ids FROM app.erasure_ledger l WHERE l.user_id = person);
    END IF;
    -- what it opens is gone with a key, in every copy
    WITH gone AS (
        UPDATE app.encryption_keys k SET wrapped = NULL, destroyed_at = at
            -- those of copies are of no company
            WHERE k.company_id IN (its.company_id, '00000000-0000-0000-0000-000000000000') AND k.person_id = person
              AND k.destroyed_at IS NULL
            RETURNING k.id
    ) SELECT coalesce(array_agg(gone.id ORDER BY gone.id), '{}') INTO keys FROM gone;
    DELETE FROM app.journal_entries e WHERE e.user_id = person;
    DELETE FROM app.journal_keys k WHERE k.user_id = person;
    UPDATE app.practitioners p SET avatar_id = NULL WHERE p.id = person;
    UPDATE app.users u SET avatar_id = NULL WHERE u.id = person;
    -- what an employee's conversations hold is about them, whoever brought it; what a practitioner sent stays in those
    UPDATE app.files f SET state = 'deleted', deleted_at = at, sealed_key = NULL, sealed_name = NULL
        WHERE f.state <> 'deleted'
          AND (f.owner_id = person AND f.purpose IN ('avatar', 'document')
               OR f.owner_id = person AND f.purpose = 'attachment' AND f.message_seq IS NULL
               OR f.user_id = person AND f.purpose = 'attachment');
    DELETE FROM app.consultation_reasons r USING app.consultations c
        WHERE c.user_id = person AND r.company_id = c.company_id AND r.consultation_id = c.id;
    UPDATE app.waitlist_entries w SET status = 'left', ended_at = at WHERE w.user_id = person AND w.status = 'waiting';
    DELETE FROM app.waitlist_offers o WHERE o.user_id = person;
    DELETE FROM app.waitlist_entries w WHERE w.user_id = person;
    DELETE FROM app.unread_conversations n WHERE n.reader_id = person;
    DELETE FROM app.call_signals s WHERE s.addressee_id = person;
    DELETE FROM app.notifications n WHERE n.user_id = person;
    DELETE FROM app.notification_preferences n WHERE n.user_id = person;
    DELETE FROM app.idempotency_keys k WHERE k.user_id = person;
    UPDATE app.email_log l SET recipient_user_id = NULL WHERE l.recipient_user_id = person;
    -- of modules that a database of an earlier version lacks
    IF to_regclass('app.reviews') IS NOT NULL THEN
        DELETE FROM app.reviews r WHERE r.user_id = person;
    END IF;
    IF to_regclass('app.news_reads') IS NOT NULL THEN
        DELETE FROM app.news_reads n WHERE n.user_id = person;
    END IF;
    -- what nobody but its author has read
    DELETE FROM app.articles a WHERE a.author_id = person AND a.status = 'draft' AND a.published_at IS NULL;
    DELETE FROM app.calendar_feeds f WHERE f.practitioner_id = person;
    DELETE FROM app.external_calendars c WHERE c.practitioner_id = person;
    DELETE FROM app.availability_rules r WHERE r.practitioner_id = person;
    DELETE FROM app.availability_overrides o WHERE o.practitioner_id = person;
    DELETE FROM app.one_time_tokens t WHERE t.user_id = person;
    DELETE FROM app.known_devices d WHERE d.user_id = person;
    DELETE FROM app.two_factor t WHERE t.user_id = person;
    DELETE FROM app.user_sessions s WHERE s.user_id = person;
    DELETE FROM app.account_uses a WHERE a.user_id = person;
    -- a copy that is being made, or that waits to be fetched
    UPDATE app.privacy_requests r
        SET status = 'stopped', finished_at = coalesce(r.finished_at, at), sealed_key = NULL
        WHERE r.user_id = person AND r.kind = 'export' AND r.status IN ('pending', 'running', 'ready');
    UPDATE app.practitioners p
        SET display_name = '–', bio_fr = '', bio_en = '', rpps = NULL, adeli = NULL, status = 'inactive', verified_at = NULL,
            verified_by = NULL, verified_checks = '{}'
        WHERE p.id = person;
    UPDATE app.users u
        SET status = 'suspended', removed_at = coalesce(u.removed_at, at), erased_at = at, password_hash = NULL,
            email = 'erased-' || u.id || '@erased.invalid', company_address = NULL, pending_email = NULL,
            pending_email_until = NULL, private_address = false, email_verified_at = NULL, employee_id = NULL,
            work_mailbox_lost_at = coalesce(u.work_mailbox_lost_at, at), time_zone = 'UTC',
            display_name = CASE u.locale WHEN 'en' THEN 'Deleted account' ELSE 'Compte supprimé' END
        WHERE u.id = person;
    INSERT INTO app.erasure_ledger (user_id, key_ids, erased_at) VALUES (person, keys, at) ON CONFLICT DO NOTHING;
    RETURN keys;
END
$$;

-- Carries out an erasure that has begun. False: there is nothing (any more) to do.
CREATE OR REPLACE FUNCTION app.carry_out_erasure(request uuid, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    person uuid;
BEGIN
    SELECT r.user_id INTO person FROM app.privacy_requests r
        WHERE r.id = request AND r.user_id = app.user_id() AND r.kind = 'erasure' AND r.status = 'begun' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM app.erase_person(person, at);
    UPDATE app.privacy_requests r SET status = 'done', finished_at = at WHERE r.id = request;
    RETURN true;
END
$$;

-- The ledger, for the operator to keep outside of the backups; and the replay of it after a restore. What was booked is
-- cancelled as of then, and nobody is told again. Whatever a line says, only keys that are destroyed with that person go: those
-- of notes are nobody's to destroy, and nobody is erased who still keeps notes for the law. What it did is noted, and how many
-- keys went.
CREATE OR REPLACE FUNCTION app.list_erasures(after bigint, most int)
RETURNS TABLE (place bigint, user_id uuid, key_ids uuid[], erased_at timestamptz, digest bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT l.place, l.user_id, l.key_ids, l.erased_at, l.digest FROM app.erasure_ledger l
    WHERE l.place > after ORDER BY l.place LIMIT most
$$;
CREATE OR REPLACE FUNCTION app.replay_erasure(person uuid, keys uuid[], at timestamptz, OUT outcome text, OUT destroyed bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    its   app.users;
    noted bigint;
BEGIN
    destroyed := 0;
    SELECT * INTO its FROM app.users u WHERE u.id = person FOR UPDATE;
    -- as of now at the latest, whatever time a line says
    IF its.erased_at IS NULL AND EXISTS (
        SELECT FROM app.clinical_notes n
        WHERE n.practitioner_id = person
          AND greatest(n.retained_until, n.written_at + app.note_kept_for(n.practitioner_id, n.profession)) > least(at, now())) THEN
        outcome := 'refused';
        PERFORM app.audit('erasure.replayed', 'user', person, 'user', person, its.company_id, 'refused',
                          jsonb_build_object('count', 0), NULL, NULL);
        RETURN;
    END IF;
    UPDATE app.encryption_keys k SET wrapped = NULL, destroyed_at = at
        WHERE k.id = ANY (keys) AND k.person_id = person AND k.purpose <> 'note' AND k.destroyed_at IS NULL;
    GET DIAGNOSTICS destroyed = ROW_COUNT;
    INSERT INTO app.erasure_ledger (user_id, key_ids, erased_at) VALUES (person, keys, at) ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS noted = ROW_COUNT;
    IF its.id IS NOT NULL AND its.erased_at IS NULL THEN
        UPDATE app.users u SET status = 'suspended', removed_at = at WHERE u.id = person;
        PERFORM set_config('app.company_id', coalesce(its.company_id::text, ''), true);
        PERFORM app.cancel_consultations_of_suspended(person, at);
        destroyed := destroyed + cardinality(app.erase_person(person, at));
        outcome := 'erased';
    ELSE
        outcome := CASE WHEN its.id IS NULL THEN 'unknown' WHEN destroyed > 0 THEN 'erased' ELSE 'unchanged' END;
    END IF;
    IF outcome = 'erased' OR destroyed + noted > 0 THEN
        PERFORM app.audit('erasure.replayed', 'user', person, 'user', person, its.company_id, 'success',
                          jsonb_build_object('count', destroyed), NULL, NULL);
    END IF;
END
$$;
-- That the ledger was replayed, also where it changed nothing: how many lines, and what came of them.
CREATE OR REPLACE FUNCTION app.note_replay(lines bigint, erased bigint, unchanged bigint, refused bigint)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT app.audit('erasure.ledger_replayed', 'installation', NULL, NULL, NULL, NULL, 'success',
                     jsonb_build_object('count', lines, 'removed', erased, 'unchanged', unchanged, 'rejected', refused), NULL, NULL)
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.own_privacy()', 'app.erasure_obstacle(uuid, timestamptz)', 'app.erasure_facts(uuid)',
        'app.own_erasure_facts()',
        'app.ask_for_erasure(uuid, timestamptz, timestamptz)', 'app.withdraw_erasure(timestamptz)',
        'app.due_erasures(timestamptz, int)', 'app.begin_erasure(uuid, timestamptz)', 'app.reader_of_receipt(uuid)',
        'app.erase_person(uuid, timestamptz)', 'app.carry_out_erasure(uuid, timestamptz)', 'app.list_erasures(bigint, int)',
        'app.replay_erasure(uuid, uuid[], timestamptz)', 'app.note_replay(bigint, bigint, bigint, bigint)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.erasure_obstacle(uuid, timestamptz), app.erasure_facts(uuid), app.erase_person(uuid, timestamptz),
    app.cancel_consultations_of_suspended(uuid, timestamptz),
    app.audit(text, text, uuid, text, uuid, uuid, text, jsonb, text, text) TO huntzen_kernel;
GRANT EXECUTE ON FUNCTION app.own_privacy(), app.own_erasure_facts(), app.ask_for_erasure(uuid, timestamptz, timestamptz), app.withdraw_erasure(timestamptz)
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT EXECUTE ON FUNCTION app.due_erasures(timestamptz, int), app.begin_erasure(uuid, timestamptz),
    app.reader_of_receipt(uuid), app.carry_out_erasure(uuid, timestamptz) TO huntzen_worker;
