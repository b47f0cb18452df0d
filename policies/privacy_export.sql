-- A person's copy of their data. It is made by a job that reads as the person: by their own role where row security lets them
-- see what there is, and through app.own_data where they see it in no list, always about themselves alone.
GRANT SELECT ON app.departments TO huntzen_kernel;
CREATE POLICY kernel ON app.departments FOR SELECT TO huntzen_kernel USING (true);
GRANT SELECT (label, host, read_at, whole_read_at, next_read_at, read_zone, failures, failing_since, failed_at, failure_code, told_at,
              created_at, updated_at) ON app.external_calendars TO huntzen_kernel;

-- Asks for a copy; the one that is being made already, where there is one. 'too_many': three in a day are enough.
CREATE OR REPLACE FUNCTION app.ask_for_export(request uuid, language text, at timestamptz, OUT asked uuid, OUT outcome text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('privacy export ' || app.user_id(), 0));
    SELECT r.id INTO asked FROM app.privacy_requests r
        WHERE r.user_id = app.user_id() AND r.kind = 'export' AND r.finished_at IS NULL;
    IF FOUND THEN
        outcome := 'same';
    ELSIF (SELECT count(*) >= 3 FROM app.privacy_requests r
           WHERE r.user_id = app.user_id() AND r.kind = 'export' AND r.created_at > at - interval '1 day') THEN
        outcome := 'too_many';
    ELSE
        asked := request;
        outcome := 'new';
        INSERT INTO app.privacy_requests (id, user_id, kind, status, created_at, locale)
            VALUES (request, app.user_id(), 'export', 'pending', at, language);
    END IF;
END
$$;

-- A worker takes it up, again where one died: whose it is, and what that one may have left. No row: nobody waits for it.
CREATE OR REPLACE FUNCTION app.begin_export(request uuid, object text)
RETURNS TABLE (role text, company_id uuid, locale text, time_zone text, left_object text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    its app.privacy_requests;
BEGIN
    SELECT * INTO its FROM app.privacy_requests r
        WHERE r.id = request AND r.user_id = app.user_id() AND r.kind = 'export' AND r.status IN ('pending', 'running') FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    ELSIF NOT EXISTS (SELECT FROM app.users u WHERE u.id = its.user_id AND u.status = 'active') THEN
        UPDATE app.privacy_requests r SET status = 'stopped', finished_at = clock_timestamp() WHERE r.id = request;
        RETURN;
    END IF;
    UPDATE app.privacy_requests r SET status = 'running', object_key = object, done_steps = 0 WHERE r.id = request;
    RETURN QUERY SELECT u.role, u.company_id, its.locale, u.time_zone, its.object_key FROM app.users u WHERE u.id = its.user_id;
END
$$;

-- How far the worker is that writes this object. False: it is to stop.
CREATE OR REPLACE FUNCTION app.note_export(request uuid, object text, steps int, most int)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.privacy_requests r SET done_steps = steps, all_steps = greatest(most, steps)
        WHERE r.id = request AND r.user_id = app.user_id() AND r.status = 'running' AND r.object_key = object;
    RETURN FOUND;
END
$$;

CREATE OR REPLACE FUNCTION app.finish_export(request uuid, object text, bytes bigint, wrapped bytea, sealed bytea, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.privacy_requests r
        SET status = 'ready', finished_at = at, size_bytes = bytes, sealed_key = sealed,
            done_steps = r.all_steps,
            expires_at = at + app.kept_for('privacy_export_file')
        WHERE r.id = request AND r.user_id = app.user_id() AND r.status = 'running' AND r.object_key = object
          AND EXISTS (SELECT FROM app.users u WHERE u.id = r.user_id AND u.status = 'active');
    IF NOT FOUND THEN
        -- whoever was suspended while it was made would wait for it for good
        UPDATE app.privacy_requests r SET status = 'stopped', finished_at = at
            WHERE r.id = request AND r.user_id = app.user_id() AND r.status = 'running' AND r.object_key = object;
        RETURN false;
    END IF;
    -- with the keys of contents, so that a dump of everything else opens no copy; of no company
    INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
        VALUES (request, '00000000-0000-0000-0000-000000000000', 'copy', request, app.user_id(), wrapped, at);
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION app.fail_export(request uuid, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.privacy_requests r SET status = 'failed', finished_at = at
        WHERE r.id = request AND r.user_id = app.user_id() AND r.kind = 'export' AND r.status IN ('pending', 'running');
    RETURN FOUND;
END
$$;

-- Whom to tell what became of their copy.
CREATE OR REPLACE FUNCTION app.reader_of_export(request uuid, wanted text)
RETURNS TABLE (id uuid, email text, display_name text, locale text, time_zone text, expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT u.id, u.email, u.display_name, u.locale, u.time_zone, r.expires_at
    FROM app.privacy_requests r JOIN app.users u ON u.id = r.user_id
    WHERE r.id = request AND r.kind = 'export' AND r.status = wanted AND u.id = app.user_id() AND app.may_be_mailed(u.id)
$$;

-- The file of one's own copy, with what opens it.
CREATE OR REPLACE FUNCTION app.export_file(request uuid, at timestamptz)
RETURNS TABLE (object_key text, wrapped_key bytea, sealed_key bytea, size_bytes bigint, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT r.object_key, k.wrapped, r.sealed_key, r.size_bytes, r.created_at
    FROM app.privacy_requests r JOIN app.encryption_keys k ON k.id = r.id AND k.purpose = 'copy' AND k.wrapped IS NOT NULL
    WHERE r.id = request AND r.user_id = app.user_id() AND r.kind = 'export' AND r.status = 'ready' AND r.expires_at > at
$$;

-- Files that nobody is to fetch any more. Their keys go at once, their objects afterwards.
CREATE OR REPLACE FUNCTION app.exports_to_collect(at timestamptz, most int)
RETURNS TABLE (id uuid, object_key text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    WITH expired AS (
        UPDATE app.privacy_requests r SET status = 'expired', sealed_key = NULL
            WHERE r.kind = 'export' AND r.status = 'ready' AND r.expires_at <= at RETURNING r.id
    ) UPDATE app.encryption_keys k SET wrapped = NULL, destroyed_at = at FROM expired e
        WHERE k.id = e.id AND k.purpose = 'copy' AND k.destroyed_at IS NULL;
    RETURN QUERY SELECT r.id, r.object_key FROM app.privacy_requests r
        WHERE r.object_key IS NOT NULL AND r.status IN ('expired', 'failed', 'stopped') ORDER BY r.id LIMIT most;
END
$$;
CREATE OR REPLACE FUNCTION app.forget_exported(gone uuid[])
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    UPDATE app.privacy_requests r SET object_key = NULL
        WHERE r.id = ANY (gone) AND r.status IN ('expired', 'failed', 'stopped')
$$;
-- Of some objects of the storage, those that no request knows.
CREATE OR REPLACE FUNCTION app.unknown_exported(keys text[])
RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT k FROM unnest(keys) k WHERE NOT EXISTS (SELECT FROM app.privacy_requests r WHERE r.object_key = k)
$$;

-- What there is about the caller, by section: the rows as they are, without secrets, and without what is somebody else's.
CREATE OR REPLACE FUNCTION app.own_data(section text)
RETURNS SETOF jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    me app.users;
BEGIN
    SELECT * INTO me FROM app.users u WHERE u.id = app.user_id() AND u.role = app.connected_role();
    IF NOT FOUND THEN
        RETURN;
    END IF;
    CASE section
    WHEN 'account' THEN
        RETURN QUERY SELECT jsonb_build_object('id', me.id, 'email', me.email, 'capacity', me.role, 'display_name', me.display_name,
            'locale', me.locale, 'time_zone', me.time_zone, 'status', me.status,
            'company', (SELECT c.name FROM app.companies c WHERE c.id = me.company_id), 'company_address', me.company_address,
            'pending_email', me.pending_email, 'email_verified_at', me.email_verified_at, 'private_address', me.private_address,
            'work_mailbox_lost_at', me.work_mailbox_lost_at, 'activated_at', me.activated_at, 'created_at', me.created_at,
            'updated_at', me.updated_at, 'last_used_on', (SELECT a.used_on FROM app.account_uses a WHERE a.user_id = me.id),
            'pending_email_until', me.pending_email_until, 'terms_version', me.terms_version, 'terms_at', me.terms_at,
            'removed_at', me.removed_at,
            'private_journal_since', (SELECT k.created_at FROM app.journal_keys k WHERE k.user_id = me.id),
            'private_journal_changed_at', (SELECT k.updated_at FROM app.journal_keys k WHERE k.user_id = me.id));
    WHEN 'directory_entry' THEN
        RETURN QUERY SELECT jsonb_build_object('email', e.email, 'first_name', e.first_name, 'last_name', e.last_name,
                'staff_number', e.staff_number, 'department', d.name, 'site', e.site, 'locale', e.locale, 'status', e.status,
                'left_at', e.left_at, 'active_since', e.active_since, 'placed_since', e.placed_since, 'created_at', e.created_at,
                'updated_at', e.updated_at)
            FROM app.employees e LEFT JOIN app.departments d ON d.company_id = e.company_id AND d.id = e.department_id
            WHERE e.company_id = me.company_id AND e.id = me.employee_id;
    WHEN 'consents' THEN
        RETURN QUERY SELECT jsonb_build_object('document', c.document, 'version', c.version, 'decision', c.decision,
                'decided_at', c.decided_at, 'created_at', c.created_at)
            FROM app.consents c WHERE c.user_id = me.id ORDER BY c.place;
    WHEN 'sessions' THEN
        RETURN QUERY SELECT jsonb_build_object('id', s.id, 'device', s.device, 'ip', host(s.ip), 'created_at', s.created_at,
                'last_used_at', s.last_used_at, 'expires_at', s.expires_at, 'revoked_at', s.revoked_at)
            FROM app.user_sessions s WHERE s.user_id = me.id ORDER BY s.created_at, s.id;
    WHEN 'known_devices' THEN
        RETURN QUERY SELECT jsonb_build_object('created_at', d.created_at, 'last_used_at', d.last_used_at, 'expires_at', d.expires_at)
            FROM app.known_devices d WHERE d.user_id = me.id ORDER BY d.created_at, d.id;
    WHEN 'second_factor' THEN
        RETURN QUERY SELECT jsonb_build_object('enabled_at', t.enabled_at, 'created_at', t.created_at,
                'pending_at', t.pending_at, 'updated_at', t.updated_at,
                'recovery_codes_left', (SELECT count(*) FROM app.recovery_codes r WHERE r.user_id = me.id AND r.used_at IS NULL),
                'recovery_codes', (SELECT jsonb_agg(jsonb_build_object('created_at', r.created_at, 'used_at', r.used_at)
                                                    ORDER BY r.created_at, r.id)
                                   FROM app.recovery_codes r WHERE r.user_id = me.id))
            FROM app.two_factor t WHERE t.user_id = me.id;
    WHEN 'mailed_links' THEN
        RETURN QUERY SELECT jsonb_build_object('purpose', t.purpose, 'address', t.address, 'device', t.device,
                'attempts', t.attempts, 'created_at', t.created_at, 'expires_at', t.expires_at, 'used_at', t.used_at)
            FROM app.one_time_tokens t WHERE t.user_id = me.id ORDER BY t.created_at, t.id;
    WHEN 'practitioner' THEN
        RETURN QUERY SELECT jsonb_build_object('display_name', p.display_name, 'bio_fr', p.bio_fr, 'bio_en', p.bio_en,
                'specialties', (SELECT jsonb_agg(s.specialty ORDER BY s.rank, s.specialty) FROM app.practitioner_specialties s
                                WHERE s.practitioner_id = p.id),
                'languages', to_jsonb(p.languages), 'modes', to_jsonb(p.modes), 'rpps', p.rpps, 'adeli', p.adeli,
                'time_zone', p.time_zone, 'session_lengths', to_jsonb(p.session_lengths),
                'buffer_before_minutes', p.buffer_before_minutes, 'buffer_after_minutes', p.buffer_after_minutes,
                'min_notice_minutes', p.min_notice_minutes, 'horizon_days', p.horizon_days,
                'confirms_by_hand', p.confirms_by_hand, 'hourly_rate_cents', p.hourly_rate_cents, 'currency', p.currency,
                'status', p.status, 'verified_at', p.verified_at, 'verified_checks', to_jsonb(p.verified_checks),
                'created_at', p.created_at, 'updated_at', p.updated_at)
            FROM app.practitioners p WHERE p.id = me.id;
    WHEN 'availability' THEN
        RETURN QUERY SELECT jsonb_build_object('weekday', r.weekday, 'starts_minute', r.starts_minute, 'ends_minute', r.ends_minute,
                'created_at', r.created_at)
            FROM app.availability_rules r WHERE r.practitioner_id = me.id ORDER BY r.weekday, r.starts_minute;
        RETURN QUERY SELECT jsonb_build_object('kind', o.kind, 'starts_at', o.starts_at, 'ends_at', o.ends_at, 'created_at', o.created_at)
            FROM app.availability_overrides o WHERE o.practitioner_id = me.id ORDER BY o.starts_at, o.id;
    WHEN 'calendars' THEN
        RETURN QUERY SELECT jsonb_build_object('kind', 'read', 'label', c.label, 'host', c.host, 'read_at', c.read_at,
                'whole_read_at', c.whole_read_at, 'next_read_at', c.next_read_at, 'zone', c.read_zone, 'failures', c.failures,
                'failing_since', c.failing_since, 'failed_at', c.failed_at, 'failure', c.failure_code, 'told_at', c.told_at,
                'created_at', c.created_at, 'updated_at', c.updated_at)
            FROM app.external_calendars c WHERE c.practitioner_id = me.id ORDER BY c.created_at, c.id;
        RETURN QUERY SELECT jsonb_build_object('kind', 'busy', 'starts_at', b.starts_at, 'ends_at', b.ends_at)
            FROM app.external_busy_times b WHERE b.practitioner_id = me.id ORDER BY b.starts_at, b.ends_at;
        RETURN QUERY SELECT jsonb_build_object('kind', 'shown', 'label', f.label, 'created_at', f.created_at)
            FROM app.calendar_feeds f WHERE f.practitioner_id = me.id ORDER BY f.created_at, f.id;
    WHEN 'rates' THEN
        RETURN QUERY SELECT jsonb_build_object('since', r.since, 'hourly_rate_cents', r.hourly_rate_cents, 'currency', r.currency)
            FROM app.practitioner_rates r WHERE r.practitioner_id = me.id ORDER BY r.since;
    WHEN 'payroll' THEN
        RETURN QUERY SELECT jsonb_build_object('kind', 'month', 'name', l.practitioner_name) || to_jsonb(l)
                            - ARRAY['practitioner_id', 'practitioner_name']
            FROM app.payroll_lines l WHERE l.practitioner_id = me.id ORDER BY l.month, l.currency;
        RETURN QUERY SELECT jsonb_build_object('kind', 'session') || to_jsonb(s) - 'practitioner_id'
            FROM app.payroll_sessions s WHERE s.practitioner_id = me.id ORDER BY s.starts_at, s.consultation_id;
    WHEN 'articles' THEN
        RETURN QUERY SELECT jsonb_build_object('id', a.id, 'status', a.status, 'category', a.category, 'tags', to_jsonb(a.tags),
                'publish_at', a.publish_at, 'published_at', a.published_at, 'created_at', a.created_at, 'updated_at', a.updated_at,
                'texts', (SELECT jsonb_agg(jsonb_build_object('language', t.language, 'slug', t.slug, 'title', t.title,
                                                              'summary', t.summary, 'body', t.body, 'created_at', t.created_at,
                                                              'updated_at', t.updated_at) ORDER BY t.language)
                          FROM app.article_translations t WHERE t.article_id = a.id))
            FROM app.articles a WHERE a.author_id = me.id ORDER BY a.created_at, a.id;
    WHEN 'reviews_received' THEN
        -- as everybody reads them: without who wrote them, and when
        RETURN QUERY SELECT jsonb_build_object('rating', r.rating, 'body', r.body)
            FROM app.published_reviews r WHERE r.practitioner_id = me.id ORDER BY r.id;
    WHEN 'file_records' THEN
        RETURN QUERY SELECT jsonb_build_object('id', f.id, 'purpose', f.purpose, 'state', f.state, 'media_type', f.media_type,
                'size_bytes', f.size_bytes, 'consultation_id', f.conversation_id, 'message_number', f.message_seq, 'place', f.place, 'created_at', f.created_at, 'ready_at', f.ready_at,
                'expires_at', f.expires_at, 'deleted_at', f.deleted_at)
            FROM app.files f WHERE f.owner_id = me.id ORDER BY f.created_at, f.id;
    WHEN 'message_receipts' THEN
        RETURN QUERY SELECT jsonb_build_object('consultation_id', r.conversation_id, 'delivered_to', r.delivered_seq,
                'read_to', r.read_seq, 'updated_at', r.updated_at)
            FROM app.message_receipts r WHERE r.reader_id = me.id ORDER BY r.updated_at, r.conversation_id;
        RETURN QUERY SELECT jsonb_build_object('consultation_id', v.id, 'messages', v.last_seq, 'last_at', v.last_at)
            FROM app.conversations v WHERE me.id IN (v.user_id, v.practitioner_id) ORDER BY v.last_at, v.id;
        RETURN QUERY SELECT jsonb_build_object('consultation_id', n.conversation_id, 'unread_since', n.since,
                'noticed_at', n.noticed_at, 'mailed_at', n.mailed_at)
            FROM app.unread_conversations n WHERE n.reader_id = me.id ORDER BY n.since, n.conversation_id;
    WHEN 'consultations' THEN
        -- of a practitioner's sessions what is theirs, never whose care it is
        RETURN QUERY SELECT jsonb_build_object('id', c.id, 'status', c.status, 'mode', c.mode, 'specialty', c.specialty,
                'practitioner', CASE me.role WHEN 'employee' THEN p.display_name END,
                'company', k.name, 'starts_at', c.starts_at, 'ends_at', c.ends_at, 'started_at', c.started_at,
                'ended_at', c.ended_at, 'duration_minutes', c.duration_minutes, 'cancelled_at', c.cancelled_at,
                'cancelled_by', c.cancelled_by, 'missed_by', c.missed_by,
                'counts', CASE me.role WHEN 'employee' THEN c.counts END,
                'reschedules', c.reschedules, 'busy_from', c.busy_from, 'busy_until', c.busy_until, 'expires_at', c.expires_at,
                'agreed_at', c.agreed_at, 'seen_minutes', c.seen_minutes, 'times_differ', c.times_differ,
                'free_to_cancel', CASE me.role WHEN 'employee' THEN c.free_to_cancel END, 'calendar_version', c.ics_sequence,
                'reminded_day_for', c.reminded_day_for, 'reminded_hour_for', c.reminded_hour_for,
                'created_at', c.created_at, 'updated_at', c.updated_at)
            FROM app.consultations c JOIN app.practitioners p ON p.id = c.practitioner_id JOIN app.companies k ON k.id = c.company_id
            WHERE CASE me.role WHEN 'employee' THEN c.user_id = me.id ELSE c.practitioner_id = me.id END
            ORDER BY c.starts_at, c.id;
    WHEN 'consultation_events' THEN
        RETURN QUERY SELECT jsonb_build_object('consultation_id', e.consultation_id, 'kind', e.kind, 'at', e.at, 'by', e.actor_role,
                'moved_from', e.moved_from, 'moved_to', e.moved_to, 'created_at', e.created_at)
            FROM app.consultations c JOIN app.consultation_events e ON e.consultation_id = c.id AND e.company_id = c.company_id
            WHERE CASE me.role WHEN 'employee' THEN c.user_id = me.id ELSE c.practitioner_id = me.id END
            ORDER BY e.at, e.id;
    WHEN 'calls' THEN
        RETURN QUERY SELECT jsonb_build_object('consultation_id', s.consultation_id, 'caller', s.caller, 'rang_at', s.rang_at, 'rings_until', s.rings_until, 'closes_at', s.closes_at,
                'number', s.number, 'missed_told_at', s.missed_told_at,
                'accepted_at', s.accepted_at, 'ended_at', s.ended_at, 'end_reason', s.end_reason, 'ended_by', s.ended_by,
                -- what was known of the caller's own device
                'device', (SELECT jsonb_build_object('id', p.device, 'seen_at', p.seen_at, 'lost_at', p.lost_at,
                                                     'rung_at', p.rung_at, 'muted', p.is_muted, 'returns', p.returns)
                           FROM app.call_parties p
                           WHERE p.company_id = s.company_id AND p.call_id = s.id AND p.person_id = me.id))
            FROM app.call_sessions s WHERE CASE me.role WHEN 'employee' THEN s.user_id = me.id ELSE s.practitioner_id = me.id END
            ORDER BY s.rang_at, s.id;
    WHEN 'waitlist' THEN
        RETURN QUERY SELECT jsonb_build_object('practitioner', p.display_name, 'status', w.status, 'modes', to_jsonb(w.modes),
                'duration_minutes', w.duration_minutes, 'weekdays', to_jsonb(w.weekdays), 'until', w.until,
                'joined_at', w.joined_at, 'ended_at', w.ended_at, 'created_at', w.created_at, 'updated_at', w.updated_at,
                'offers', (SELECT jsonb_agg(jsonb_build_object('starts_at', o.starts_at, 'ends_at', o.ends_at, 'status', o.status,
                                                               'offered_at', o.offered_at, 'expires_at', o.expires_at,
                                                               'ended_at', o.ended_at, 'created_at', o.created_at) ORDER BY o.offered_at)
                           FROM app.waitlist_offers o WHERE o.entry_id = w.id))
            FROM app.waitlist_entries w JOIN app.practitioners p ON p.id = w.practitioner_id
            WHERE w.user_id = me.id ORDER BY w.joined_at, w.id;
    WHEN 'news_reads' THEN
        IF to_regclass('app.news_reads') IS NOT NULL THEN
            RETURN QUERY SELECT jsonb_build_object('id', n.news_id, 'read_at', n.read_at)
                FROM app.news_reads n WHERE n.user_id = me.id ORDER BY n.read_at, n.news_id;
        END IF;
    WHEN 'notifications' THEN
        RETURN QUERY SELECT jsonb_build_object('kind', n.kind, 'about', n.object_type, 'id', n.object_id, 'created_at', n.created_at,
                'read_at', n.read_at)
            FROM app.notifications n WHERE n.user_id = me.id ORDER BY n.place;
    WHEN 'notification_preferences' THEN
        RETURN QUERY SELECT jsonb_build_object('kind', n.kind, 'refused_by', n.channel, 'created_at', n.created_at)
            FROM app.notification_preferences n WHERE n.user_id = me.id ORDER BY n.kind, n.channel;
    WHEN 'mails' THEN
        RETURN QUERY SELECT jsonb_build_object('template', l.template, 'status', l.status, 'language', l.locale,
                'attempts', l.attempts, 'message_id', l.message_id, 'created_at', l.created_at, 'sent_at', l.sent_at)
            FROM app.email_log l WHERE l.recipient_user_id = me.id ORDER BY l.created_at, l.id;
    WHEN 'privacy_requests' THEN
        RETURN QUERY SELECT jsonb_build_object('kind', r.kind, 'status', r.status, 'created_at', r.created_at,
                'finished_at', r.finished_at, 'due_at', r.due_at, 'expires_at', r.expires_at, 'size_bytes', r.size_bytes,
                'language', r.locale, 'reason', r.reason, 'counted', r.receipt, 'asked_by', CASE r.kind WHEN 'erasure' THEN r.asked_by END)
            FROM app.privacy_requests r WHERE r.user_id = me.id ORDER BY r.created_at, r.id;
    WHEN 'usage_exports' THEN
        RETURN QUERY SELECT jsonb_build_object('kind', e.kind, 'status', e.status, 'asked_for', e.params, 'rows', e.row_count,
                'rows_written', e.rows_written, 'rows_expected', e.rows_expected, 'failure', e.failure, 'created_at', e.created_at,
                'finished_at', e.finished_at, 'expires_at', e.expires_at)
            FROM app.exports e WHERE e.requested_by = me.id ORDER BY e.created_at, e.id;
    WHEN 'own_actions' THEN
        RETURN QUERY SELECT jsonb_build_object('at', l.at, 'action', l.action, 'about', l.object_type, 'id', l.object_id,
                'outcome', l.outcome, 'details', l.details, 'ip', host(l.ip), 'request_id', l.request_id)
            FROM app.audit_logs l WHERE l.actor_id = me.id ORDER BY l.at, l.id;
    END CASE;
END
$$;

-- Whoever asked for a copy finds in their list what became of it, and when their account is to be erased.
CREATE OR REPLACE FUNCTION app.notify_of_privacy() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    -- what a restore takes back to ask for it anew its person did not take back
    IF NEW.status = 'withdrawn' AND current_setting('app.restores', true) = 'on' THEN
        RETURN NULL;
    END IF;
    PERFORM app.add_notification(
        app.uuid_v7(), NEW.user_id,
        CASE WHEN NEW.kind = 'export' THEN 'privacy_export_' || NEW.status
             WHEN NEW.status = 'waiting' THEN 'erasure_asked' ELSE 'erasure_' || NEW.status END,
        CASE NEW.kind WHEN 'export' THEN 'privacy_export' ELSE 'account' END,
        CASE NEW.kind WHEN 'export' THEN NEW.id ELSE NEW.user_id END,
        (extract(epoch FROM NEW.created_at) * 1000000)::bigint, coalesce(NEW.finished_at, NEW.created_at));
    RETURN NULL;
END
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.ask_for_export(uuid, text, timestamptz)', 'app.begin_export(uuid, text)', 'app.note_export(uuid, text, int, int)',
        'app.finish_export(uuid, text, bigint, bytea, bytea, timestamptz)', 'app.fail_export(uuid, timestamptz)',
        'app.reader_of_export(uuid, text)', 'app.export_file(uuid, timestamptz)', 'app.exports_to_collect(timestamptz, int)',
        'app.forget_exported(uuid[])', 'app.unknown_exported(text[])', 'app.own_data(text)', 'app.notify_of_privacy()']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
DROP TRIGGER IF EXISTS privacy_requests_asked ON app.privacy_requests;
CREATE TRIGGER privacy_requests_asked AFTER INSERT ON app.privacy_requests
    FOR EACH ROW WHEN (NEW.kind = 'erasure') EXECUTE FUNCTION app.notify_of_privacy();
DROP TRIGGER IF EXISTS privacy_requests_told ON app.privacy_requests;
CREATE TRIGGER privacy_requests_told AFTER UPDATE OF status ON app.privacy_requests
    FOR EACH ROW WHEN (NEW.status <> OLD.status AND NEW.status IN ('ready', 'failed', 'withdrawn', 'refused'))
    EXECUTE FUNCTION app.notify_of_privacy();
GRANT EXECUTE ON FUNCTION app.ask_for_export(uuid, text, timestamptz), app.export_file(uuid, timestamptz), app.own_data(text) TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT EXECUTE ON FUNCTION app.begin_export(uuid, text), app.note_export(uuid, text, int, int),
    app.finish_export(uuid, text, bigint, bytea, bytea, timestamptz), app.fail_export(uuid, timestamptz),
    app.reader_of_export(uuid, text), app.exports_to_collect(timestamptz, int), app.forget_exported(uuid[]),
    app.unknown_exported(text[]) TO huntzen_worker;
