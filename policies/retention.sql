-- What is over its time goes: by the durations of app.retention_rules, which the privacy notice shows as well.
GRANT DELETE ON app.clinical_notes, app.clinical_note_versions, app.messages, app.message_receipts, app.exports,
    app.consultations, app.consultation_events, app.conversations, app.call_sessions, app.call_parties, app.encryption_keys,
    app.payroll_lines, app.payroll_sessions, app.practitioner_rates TO huntzen_kernel;
GRANT SELECT ON app.payroll_lines TO huntzen_kernel;
GRANT UPDATE (before_key_id, before_version, before_passphrase, before_recovery_code, replaced_at) ON app.journal_keys
    TO huntzen_kernel;
CREATE POLICY kernel_remove ON app.exports FOR DELETE TO huntzen_kernel USING (true);
CREATE POLICY kernel_remove ON app.consultations FOR DELETE TO huntzen_kernel
    USING (status IN ('completed', 'cancelled', 'no_show'));
CREATE POLICY kernel_remove ON app.consultation_events FOR DELETE TO huntzen_kernel USING (true);
CREATE POLICY kernel_remove ON app.payroll_sessions FOR DELETE TO huntzen_kernel USING (true);
CREATE POLICY kernel_remove ON app.payroll_lines TO huntzen_kernel USING (true) WITH CHECK (false);
-- an entry of the directory is emptied, whether somebody had an account or not: its absence would tell
GRANT UPDATE (email, first_name, last_name, staff_number, department_id, site, forgotten_at) ON app.employees TO huntzen_kernel;
CREATE POLICY kernel_forget ON app.employees FOR UPDATE TO huntzen_kernel USING (status = 'left') WITH CHECK (forgotten_at IS NOT NULL);

-- How long records of a kind are kept.
CREATE OR REPLACE FUNCTION app.kept_for(wanted text)
RETURNS interval LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT make_interval(years => coalesce(r.years, 0), days => coalesce(r.days, 0), mins => coalesce(r.minutes, 0))
    FROM app.retention_rules r WHERE r.record = wanted AND r.profession = 'any'
$$;

-- Removes calls that are over, with their two sides and what was signalled.
CREATE OR REPLACE FUNCTION app.remove_calls(calls uuid[])
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    DELETE FROM app.call_signals g USING app.call_sessions s
        WHERE s.id = ANY (calls) AND g.company_id = s.company_id AND g.call_id = s.id;
    DELETE FROM app.call_parties p USING app.call_sessions s
        WHERE s.id = ANY (calls) AND p.company_id = s.company_id AND p.call_id = s.id;
    DELETE FROM app.call_sessions s WHERE s.id = ANY (calls);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;

-- Removes some of what is over its time; how many. What other jobs remove, as they always did, is not asked for here.
CREATE OR REPLACE FUNCTION app.remove_expired(wanted text, at timestamptz, batch int, open_days int)
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    -- for what nobody gets back the database goes by its own clock as well
    before    timestamptz := CASE WHEN wanted IN ('consultation', 'payroll', 'destroyed_key', 'journal_wrap_before') THEN least(at, clock_timestamp())
                                  ELSE at END - app.kept_for(wanted);
    -- of what is kept from the end of its year on
    year      timestamptz := date_trunc('year', before, 'UTC');
    -- with their companies, by which the indexes of what belongs to them begin
    these     uuid[];
    companies uuid[];
    gone      bigint := 0;
    more      bigint;
BEGIN
    CASE wanted
    WHEN 'clinical_note' THEN
        -- each says itself until when, unless it is to be kept for longer by now; the database goes by its own clock as well
        WHILE app.lengthen_notes(least(at, clock_timestamp()), batch) > 0 LOOP
        END LOOP;
        -- and whatever was looked at for that: none goes whose time is not over by the rules of now
        SELECT coalesce(array_agg(n.id), '{}'), coalesce(array_agg(n.company_id), '{}') INTO these, companies
            FROM (SELECT n.id, n.company_id, n.written_at, n.practitioner_id, n.profession FROM app.clinical_notes n
                  WHERE n.retained_until < least(at, clock_timestamp()) ORDER BY n.retained_until LIMIT batch FOR UPDATE) n
            WHERE n.written_at + app.note_kept_for(n.practitioner_id, n.profession) < least(at, clock_timestamp());
        UPDATE app.encryption_keys k SET wrapped = NULL, destroyed_at = at FROM unnest(companies, these) AS it (company, id)
            WHERE k.company_id = it.company AND k.purpose = 'note' AND k.subject_id = it.id AND k.destroyed_at IS NULL;
        DELETE FROM app.clinical_note_versions v USING unnest(companies, these) AS it (company, id)
            WHERE v.company_id = it.company AND v.note_id = it.id;
        DELETE FROM app.clinical_notes n WHERE n.id = ANY (these);
        gone := cardinality(these);
    WHEN 'message' THEN
        SELECT coalesce(array_agg(o.id), '{}'), coalesce(array_agg(o.company_id), '{}') INTO these, companies FROM (
            SELECT v.id, v.company_id FROM app.consultations c JOIN app.conversations v ON v.company_id = c.company_id AND v.id = c.id
            WHERE c.ends_at < before AND c.status IN ('completed', 'cancelled', 'no_show')
              AND app.chat_closes_at(c.cancelled_at, c.ends_at, c.ended_at, open_days) < before
              AND EXISTS (SELECT FROM app.messages m WHERE m.company_id = v.company_id AND m.conversation_id = v.id)
              -- its files are just being collected: next time
              AND NOT EXISTS (SELECT FROM app.files f WHERE f.company_id = v.company_id AND f.conversation_id = v.id
                                AND f.state = 'deleted' AND f.message_seq IS NOT NULL)
            ORDER BY c.ends_at LIMIT greatest(batch / 50, 1)) o;
        UPDATE app.encryption_keys k SET wrapped = NULL, destroyed_at = at FROM unnest(companies, these) AS it (company, id)
            WHERE k.company_id = it.company AND k.purpose = 'chat' AND k.subject_id = it.id AND k.destroyed_at IS NULL;
        UPDATE app.files f SET state = 'deleted', deleted_at = at, sealed_key = NULL, sealed_name = NULL, message_seq = NULL,
                               place = NULL
            FROM unnest(companies, these) AS it (company, id)
            WHERE f.company_id = it.company AND f.conversation_id = it.id AND f.state <> 'deleted';
        DELETE FROM app.message_receipts r USING unnest(companies, these) AS it (company, id)
            WHERE r.company_id = it.company AND r.conversation_id = it.id;
        DELETE FROM app.unread_conversations n USING unnest(companies, these) AS it (company, id)
            WHERE n.company_id = it.company AND n.conversation_id = it.id;
        DELETE FROM app.messages m USING unnest(companies, these) AS it (company, id)
            WHERE m.company_id = it.company AND m.conversation_id = it.id;
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'consultation_reason' THEN
        DELETE FROM app.consultation_reasons WHERE ctid = ANY (ARRAY(
            SELECT r.ctid FROM app.consultation_reasons r
            JOIN app.consultations c ON c.company_id = r.company_id AND c.id = r.consultation_id
            WHERE c.ends_at < before AND c.status IN ('completed', 'cancelled', 'no_show') LIMIT batch FOR UPDATE OF r));
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'consultation' THEN
        -- with all that belongs to it; after the last note about it, and once the files of its conversation are collected
        SELECT coalesce(array_agg(o.id), '{}'), coalesce(array_agg(o.company_id), '{}') INTO these, companies FROM (
            SELECT c.id, c.company_id FROM app.consultations c
            WHERE c.ends_at < year AND c.status IN ('completed', 'cancelled', 'no_show')
              AND NOT EXISTS (SELECT FROM app.clinical_notes n WHERE n.consultation_id = c.id)
              AND NOT EXISTS (SELECT FROM app.files f WHERE f.company_id = c.company_id AND f.conversation_id = c.id)
            ORDER BY c.ends_at LIMIT batch FOR UPDATE SKIP LOCKED) o;
        UPDATE app.encryption_keys k SET wrapped = NULL, destroyed_at = at FROM unnest(companies, these) AS it (company, id)
            WHERE k.company_id = it.company AND k.purpose = 'chat' AND k.subject_id = it.id AND k.destroyed_at IS NULL;
        DELETE FROM app.reviews r USING unnest(companies, these) AS it (company, id)
            WHERE r.company_id = it.company AND r.consultation_id = it.id;
        DELETE FROM app.consultation_reasons r USING unnest(companies, these) AS it (company, id)
            WHERE r.company_id = it.company AND r.consultation_id = it.id;
        DELETE FROM app.waitlist_offers o USING app.waitlist_entries w WHERE o.entry_id = w.id AND w.consultation_id = ANY (these);
        DELETE FROM app.waitlist_entries w WHERE w.consultation_id = ANY (these);
        DELETE FROM app.message_receipts r USING unnest(companies, these) AS it (company, id)
            WHERE r.company_id = it.company AND r.conversation_id = it.id;
        DELETE FROM app.unread_conversations n USING unnest(companies, these) AS it (company, id)
            WHERE n.company_id = it.company AND n.conversation_id = it.id;
        DELETE FROM app.messages m USING unnest(companies, these) AS it (company, id)
            WHERE m.company_id = it.company AND m.conversation_id = it.id;
        PERFORM app.remove_calls(ARRAY(
            SELECT s.id FROM unnest(companies, these) AS it (company, id)
            JOIN app.call_sessions s ON s.company_id = it.company AND s.consultation_id = it.id));
        DELETE FROM app.conversations v USING unnest(companies, these) AS it (company, id)
            WHERE v.company_id = it.company AND v.id = it.id;
        DELETE FROM app.consultation_events e USING unnest(companies, these) AS it (company, id) WHERE e.consultation_id = it.id;
        DELETE FROM app.consultations c WHERE c.id = ANY (these);
        gone := cardinality(these);
    WHEN 'call' THEN
        gone := app.remove_calls(ARRAY(
            SELECT s.id FROM app.call_sessions s WHERE s.status = 'ended' AND s.ended_at < before ORDER BY s.ended_at LIMIT batch));
    WHEN 'review' THEN
        DELETE FROM app.reviews WHERE id IN (
            SELECT r.id FROM app.reviews r WHERE r.written_at < before ORDER BY r.written_at LIMIT batch);
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'payroll' THEN
        DELETE FROM app.payroll_sessions WHERE ctid = ANY (ARRAY(
            SELECT s.ctid FROM app.payroll_sessions s WHERE s.month < year::date LIMIT batch));
        GET DIAGNOSTICS gone = ROW_COUNT;
        IF gone = 0 THEN
            DELETE FROM app.payroll_lines l WHERE l.month < year::date;
            GET DIAGNOSTICS gone = ROW_COUNT;
            -- a rate is in force until the next one
            DELETE FROM app.practitioner_rates r WHERE EXISTS (
                SELECT FROM app.practitioner_rates n
                WHERE n.practitioner_id = r.practitioner_id AND n.since > r.since AND n.since < year);
        END IF;
    WHEN 'former_employee' THEN
        UPDATE app.employees SET email = 'left-' || id || '@left.invalid', first_name = '–', last_name = '–', staff_number = NULL,
                                 site = NULL, department_id = NULL, forgotten_at = at
            WHERE id IN (SELECT e.id FROM app.employees e
                         WHERE e.status = 'left' AND e.forgotten_at IS NULL AND e.left_at < before ORDER BY e.left_at LIMIT batch);
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'destroyed_key' THEN
        DELETE FROM app.encryption_keys WHERE id IN (
            SELECT k.id FROM app.encryption_keys k WHERE k.destroyed_at < before ORDER BY k.destroyed_at LIMIT batch);
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'journal_wrap_before' THEN
        UPDATE app.journal_keys SET before_key_id = NULL, before_version = NULL, before_passphrase = NULL,
                                    before_recovery_code = NULL, replaced_at = NULL
            WHERE ctid = ANY (ARRAY(SELECT k.ctid FROM app.journal_keys k WHERE k.replaced_at < before LIMIT batch FOR UPDATE));
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'mail_record' THEN
        DELETE FROM app.email_log WHERE id IN (SELECT l.id FROM app.email_log l WHERE l.created_at < before LIMIT batch);
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'invitation_count' THEN
        DELETE FROM app.invitation_mails WHERE id IN (SELECT m.id FROM app.invitation_mails m WHERE m.sent_at < before LIMIT batch);
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'member_invitation' THEN
        DELETE FROM app.member_invitations WHERE id IN (
            SELECT m.id FROM app.member_invitations m WHERE m.updated_at < before LIMIT batch);
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'past_override' THEN
        DELETE FROM app.availability_overrides WHERE id IN (
            SELECT o.id FROM app.availability_overrides o WHERE o.ends_at < before AT TIME ZONE 'UTC' LIMIT batch);
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'usage_export' THEN
        -- once its file is gone
        DELETE FROM app.exports WHERE id IN (
            SELECT e.id FROM app.exports e WHERE e.created_at < before AND e.file_key IS NULL LIMIT batch);
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'privacy_request' THEN
        DELETE FROM app.privacy_requests WHERE id IN (
            SELECT r.id FROM app.privacy_requests r WHERE r.finished_at < before AND r.object_key IS NULL LIMIT batch);
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'consent' THEN
        DELETE FROM app.consents WHERE ctid = ANY (ARRAY(
            SELECT c.ctid FROM app.consents c JOIN app.users u ON u.id = c.user_id WHERE u.erased_at < before LIMIT batch));
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'leftover' THEN
        -- what was on its way when its account was erased, and a key that an earlier release kept for it all the same
        DELETE FROM app.journal_entries WHERE ctid = ANY (ARRAY(
            SELECT e.ctid FROM app.journal_entries e JOIN app.users u ON u.company_id = e.company_id AND u.id = e.user_id
            WHERE u.erased_at IS NOT NULL LIMIT batch));
        GET DIAGNOSTICS gone = ROW_COUNT;
        DELETE FROM app.journal_keys WHERE ctid = ANY (ARRAY(
            SELECT k.ctid FROM app.journal_keys k JOIN app.users u ON u.company_id = k.company_id AND u.id = k.user_id
            WHERE u.erased_at IS NOT NULL LIMIT batch));
        GET DIAGNOSTICS more = ROW_COUNT;
        gone := gone + more;
        DELETE FROM app.reviews WHERE ctid = ANY (ARRAY(
            SELECT r.ctid FROM app.reviews r JOIN app.users u ON u.company_id = r.company_id AND u.id = r.user_id
            WHERE u.erased_at IS NOT NULL LIMIT batch));
        GET DIAGNOSTICS more = ROW_COUNT;
        gone := gone + more;
        -- what a body held that came after its headers had been let in
        DELETE FROM app.external_calendars WHERE id = ANY (ARRAY(
            SELECT i.id FROM app.external_calendars i JOIN app.users u ON u.id = i.practitioner_id
            WHERE u.erased_at IS NOT NULL LIMIT batch));
        GET DIAGNOSTICS more = ROW_COUNT;
        gone := gone + more;
        DELETE FROM app.calendar_feeds WHERE id = ANY (ARRAY(
            SELECT i.id FROM app.calendar_feeds i JOIN app.users u ON u.id = i.practitioner_id
            WHERE u.erased_at IS NOT NULL LIMIT batch));
        GET DIAGNOSTICS more = ROW_COUNT;
        gone := gone + more;
        DELETE FROM app.availability_rules WHERE id = ANY (ARRAY(
            SELECT i.id FROM app.availability_rules i JOIN app.users u ON u.id = i.practitioner_id
            WHERE u.erased_at IS NOT NULL LIMIT batch));
        GET DIAGNOSTICS more = ROW_COUNT;
        gone := gone + more;
        DELETE FROM app.availability_overrides WHERE id = ANY (ARRAY(
            SELECT i.id FROM app.availability_overrides i JOIN app.users u ON u.id = i.practitioner_id
            WHERE u.erased_at IS NOT NULL LIMIT batch));
        GET DIAGNOSTICS more = ROW_COUNT;
        gone := gone + more;
        DELETE FROM app.articles WHERE id = ANY (ARRAY(
            SELECT i.id FROM app.articles i JOIN app.users u ON u.id = i.author_id
            WHERE u.erased_at IS NOT NULL AND i.status = 'draft' AND i.published_at IS NULL LIMIT batch));
        GET DIAGNOSTICS more = ROW_COUNT;
        gone := gone + more;
        DELETE FROM app.notification_preferences WHERE ctid = ANY (ARRAY(
            SELECT n.ctid FROM app.notification_preferences n JOIN app.users u ON u.id = n.user_id
            WHERE u.erased_at IS NOT NULL LIMIT batch));
        GET DIAGNOSTICS more = ROW_COUNT;
        gone := gone + more;
        UPDATE app.practitioners SET display_name = '–', bio_fr = '', bio_en = '' WHERE id = ANY (ARRAY(
            SELECT p.id FROM app.practitioners p JOIN app.users u ON u.id = p.id
            WHERE u.erased_at IS NOT NULL AND (p.display_name, p.bio_fr, p.bio_en) <> ('–', '', '') LIMIT batch));
        GET DIAGNOSTICS more = ROW_COUNT;
        gone := gone + more;
        UPDATE app.encryption_keys SET wrapped = NULL, destroyed_at = at WHERE id = ANY (ARRAY(
            SELECT k.id FROM app.users u JOIN app.encryption_keys k
                ON k.company_id IN (u.company_id, '00000000-0000-0000-0000-000000000000') AND k.person_id = u.id
            WHERE u.erased_at IS NOT NULL AND k.purpose <> 'note' AND k.destroyed_at IS NULL LIMIT batch));
        GET DIAGNOSTICS more = ROW_COUNT;
        gone := gone + more;
    END CASE;
    RETURN gone;
END
$$;

-- Accounts that nobody used for as long as the table says, and that may be erased: each is told first, and coming back is
-- enough to keep it.
GRANT SELECT, INSERT, UPDATE (used_on), DELETE ON app.account_uses TO huntzen_kernel;
CREATE POLICY kernel ON app.account_uses TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE OR REPLACE FUNCTION app.unused_accounts(at timestamptz, most int)
RETURNS TABLE (user_id uuid, company_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT u.id, u.company_id FROM app.account_uses a JOIN app.users u ON u.id = a.user_id
    WHERE a.used_on < ((at - app.kept_for('unused_account')) AT TIME ZONE 'UTC')::date AND u.erased_at IS NULL
      AND NOT EXISTS (SELECT FROM app.privacy_requests r WHERE r.user_id = u.id AND r.kind = 'erasure' AND r.finished_at IS NULL)
      AND app.erasure_obstacle(u.id, at) IS NULL
    ORDER BY a.used_on, u.id LIMIT most
$$;
-- Asks for the erasure of one of them, the transaction's person. False: they came back, or it was asked for.
CREATE OR REPLACE FUNCTION app.ask_for_unused(request uuid, at timestamptz, due timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM FROM app.users u WHERE u.id = app.user_id() FOR UPDATE;
    INSERT INTO app.privacy_requests (id, user_id, kind, status, created_at, due_at, asked_by)
        SELECT request, a.user_id, 'erasure', 'waiting', at, due, 'platform' FROM app.account_uses a
        JOIN app.users u ON u.id = a.user_id
        WHERE a.user_id = app.user_id() AND u.erased_at IS NULL
          AND a.used_on < ((at - app.kept_for('unused_account')) AT TIME ZONE 'UTC')::date
          AND NOT EXISTS (SELECT FROM app.privacy_requests r
                          WHERE r.user_id = a.user_id AND r.kind = 'erasure' AND r.finished_at IS NULL);
    RETURN FOUND;
END
$$;
-- The day on which an account was used last: kept with its sessions. Whoever comes back keeps their account.
CREATE OR REPLACE FUNCTION app.note_account() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    INSERT INTO app.account_uses (user_id, used_on) VALUES (NEW.id, (NEW.created_at AT TIME ZONE 'UTC')::date)
        ON CONFLICT (user_id) DO NOTHING;
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION app.note_account_use() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    today date := (NEW.last_used_at AT TIME ZONE 'UTC')::date;
    kept  uuid;
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.last_used_at AT TIME ZONE 'UTC')::date = today THEN
        RETURN NULL;
    END IF;
    INSERT INTO app.account_uses AS a (user_id, used_on) VALUES (NEW.user_id, today)
        ON CONFLICT (user_id) DO UPDATE SET used_on = excluded.used_on WHERE a.used_on < excluded.used_on;
    UPDATE app.privacy_requests r SET status = 'withdrawn', finished_at = NEW.last_used_at
        WHERE r.user_id = NEW.user_id AND r.kind = 'erasure' AND r.status = 'waiting' AND r.asked_by = 'platform'
          AND r.created_at <= NEW.last_used_at
        RETURNING r.id INTO kept;
    IF kept IS NOT NULL THEN
        PERFORM app.audit('erasure.withdrawn', 'privacy_request', kept, 'user', NEW.user_id,
                          (SELECT u.company_id FROM app.users u WHERE u.id = NEW.user_id), 'success',
                          '{"status": "withdrawn"}', NULL, NULL);
    END IF;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY['app.kept_for(text)', 'app.remove_calls(uuid[])',
                              'app.remove_expired(text, timestamptz, int, int)', 'app.unused_accounts(timestamptz, int)',
                              'app.ask_for_unused(uuid, timestamptz, timestamptz)', 'app.note_account()',
                              'app.note_account_use()']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.kept_for(text) TO huntzen_kernel, huntzen_worker,
    -- what they bring is told until when it is kept
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT EXECUTE ON FUNCTION app.remove_calls(uuid[]) TO huntzen_kernel;
GRANT EXECUTE ON FUNCTION app.remove_expired(text, timestamptz, int, int), app.unused_accounts(timestamptz, int),
    app.ask_for_unused(uuid, timestamptz, timestamptz) TO huntzen_worker;
DROP TRIGGER IF EXISTS users_noted ON app.users;
CREATE TRIGGER users_noted AFTER INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.note_account();
DROP TRIGGER IF EXISTS user_sessions_used ON app.user_sessions;
CREATE TRIGGER user_sessions_used AFTER INSERT OR UPDATE OF last_used_at ON app.user_sessions
    FOR EACH ROW EXECUTE FUNCTION app.note_account_use();
