-- What is over its time goes: by the durations of app.retention_rules, which the privacy notice shows as well.
GRANT DELETE ON app.clinical_notes, app.clinical_note_versions, app.messages, app.message_receipts, app.exports TO huntzen_kernel;
CREATE POLICY kernel_remove ON app.exports FOR DELETE TO huntzen_kernel USING (true);

-- How long records of a kind are kept.
CREATE OR REPLACE FUNCTION app.kept_for(wanted text)
RETURNS interval LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT CASE WHEN r.years IS NULL THEN make_interval(days => r.days) ELSE make_interval(years => r.years) END
    FROM app.retention_rules r WHERE r.record = wanted AND r.profession = 'any'
$$;

-- Removes some of what is over its time; how many. What other jobs remove, as they always did, is not asked for here.
CREATE OR REPLACE FUNCTION app.remove_expired(wanted text, at timestamptz, batch int, open_days int)
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    before    timestamptz := at - app.kept_for(wanted);
    -- with their companies, by which the indexes of what belongs to them begin
    these     uuid[];
    companies uuid[];
    gone      bigint := 0;
BEGIN
    CASE wanted
    WHEN 'clinical_note' THEN
        -- each says itself until when; the database goes by its own clock as well
        SELECT coalesce(array_agg(n.id), '{}'), coalesce(array_agg(n.company_id), '{}') INTO these, companies
            FROM (SELECT n.id, n.company_id FROM app.clinical_notes n
                  WHERE n.retained_until < least(at, clock_timestamp()) ORDER BY n.retained_until LIMIT batch FOR UPDATE) n;
        UPDATE app.encryption_keys k SET wrapped = NULL, destroyed_at = at FROM unnest(companies, these) AS it (company, id)
            WHERE k.company_id = it.company AND k.purpose = 'note' AND k.subject_id = it.id AND k.destroyed_at IS NULL;
        DELETE FROM app.clinical_note_versions v USING unnest(companies, these) AS it (company, id)
            WHERE v.company_id = it.company AND v.note_id = it.id;
        DELETE FROM app.clinical_notes n WHERE n.id = ANY (these);
        gone := cardinality(these);
    WHEN 'message' THEN
        SELECT coalesce(array_agg(o.id), '{}'), coalesce(array_agg(o.company_id), '{}') INTO these, companies FROM (
            SELECT v.id, v.company_id FROM app.consultations c JOIN app.conversations v ON v.company_id = c.company_id AND v.id = c.id
            WHERE c.ends_at < before AND app.chat_closes_at(c.cancelled_at, c.ends_at, c.ended_at, open_days) < before
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
            WHERE c.ends_at < before LIMIT batch FOR UPDATE OF r));
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
        -- what was on its way when its account was erased: nothing opens it
        DELETE FROM app.journal_entries WHERE ctid = ANY (ARRAY(
            SELECT e.ctid FROM app.journal_entries e JOIN app.users u ON u.company_id = e.company_id AND u.id = e.user_id
            WHERE u.erased_at IS NOT NULL LIMIT batch));
        GET DIAGNOSTICS gone = ROW_COUNT;
    END CASE;
    RETURN gone;
END
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY['app.kept_for(text)', 'app.remove_expired(text, timestamptz, int, int)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.kept_for(text) TO huntzen_kernel, huntzen_worker;
GRANT EXECUTE ON FUNCTION app.remove_expired(text, timestamptz, int, int) TO huntzen_worker;
