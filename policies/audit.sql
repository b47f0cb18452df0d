-- The audit log and the idempotency keys: written through functions only.
-- Every action that the log knows: whether it reads (rather than changes) what it names, whether the employer of the
-- company that it concerns sees it, and whether the platform's staff do. What is not listed here is seen by nobody but
-- who did it. An employer never sees anything of care: neither log-ins nor activations nor sessions of employees.
-- docs/audit.md explains each; a test compares this list with the sources.
CREATE OR REPLACE FUNCTION app.audit_actions()
RETURNS TABLE (action text, object_type text, is_read boolean, employer boolean, staff boolean)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    VALUES
        ('article.archived', 'article', false, false, true),
        ('article.created', 'article', false, false, true),
        ('article.deleted', 'article', false, false, true),
        ('article.published', 'article', false, false, true),
        ('article.scheduled', 'article', false, false, true),
        ('article.unpublished', 'article', false, false, true),
        ('article.updated', 'article', false, false, true),
        ('audit_log.break_acknowledged', 'audit_log', false, false, true),
        ('audit_log.cut', 'audit_log', false, false, true),
        ('audit_log.read', 'audit_log', true, false, true),
        ('availability.override_added', 'availability_override', false, false, true),
        ('availability.override_removed', 'availability_override', false, false, true),
        ('availability.replaced', 'practitioner', false, false, true),
        ('backup.restored', 'installation', false, false, true),
        ('calendar.added', 'calendar', false, false, true),
        ('calendar.removed', 'calendar', false, false, true),
        ('call.ended', 'consultation', false, false, true),
        ('call.started', 'consultation', false, false, true),
        ('company.activated', 'company', false, true, true),
        ('company.archived', 'company', false, true, true),
        ('company.created', 'company', false, true, true),
        ('company.features_changed', 'company', false, true, true),
        ('company.network_changed', 'company', false, true, true),
        ('company.settings_changed', 'company_settings', false, true, true),
        ('company.suspended', 'company', false, true, true),
        ('company.updated', 'company', false, true, true),
        ('company.value_changed', 'company', false, true, true),
        -- the staff see what practitioners did, never what employees did: that would say whose a session is
        ('consultation.booked', 'consultation', false, false, true),
        ('consultation.cancelled', 'consultation', false, false, true),
        ('consultation.confirmed', 'consultation', false, false, true),
        ('consultation.ended', 'consultation', false, false, true),
        ('consultation.expired', 'consultation', false, false, true),
        ('consultation.joined', 'consultation', false, false, true),
        ('consultation.listed', 'consultation', true, false, true),
        ('consultation.missed', 'consultation', false, false, true),
        ('consultation.read', 'consultation', true, false, true),
        ('consultation.rescheduled', 'consultation', false, false, true),
        ('consultation.started', 'consultation', false, false, true),
        -- what somebody agrees to, and asks for of their own data, is nobody's but theirs
        ('consent.accepted', 'consent', false, false, false),
        ('consent.withdrawn', 'consent', false, false, false),
        ('conversation.read', 'consultation', true, false, false),
        ('department.listed', 'department', true, true, true),
        ('employee.created', 'employee', false, true, true),
        ('employee.deactivated', 'employee', false, true, true),
        ('employee.import_checked', 'employee', true, true, true),
        ('employee.imported', 'employee', false, true, true),
        ('employee.invited', 'employee', false, true, true),
        ('employee.listed', 'employee', true, true, true),
        ('employee.reactivated', 'employee', false, true, true),
        ('employee.read', 'employee', true, true, true),
        ('employee.updated', 'employee', false, true, true),
        ('erasure.asked', 'privacy_request', false, false, false),
        -- that an account is gone the staff see in the list of accounts
        ('erasure.carried_out', 'privacy_request', false, false, true),
        ('erasure.ledger_replayed', 'installation', false, false, true),
        ('erasure.refused', 'privacy_request', false, false, false),
        ('erasure.replayed', 'user', false, false, true),
        ('erasure.withdrawn', 'privacy_request', false, false, false),
        ('export.downloaded', 'export', true, true, true),
        ('export.requested', 'export', false, true, true),
        -- what somebody brings is nobody's but theirs, and whom they gave it
        ('file.added', 'file', false, false, false),
        ('file.deleted', 'file', false, false, false),
        ('file.read', 'file', true, false, false),
        ('invitation.address_asked', 'invitation', false, false, true),
        -- nobody's but theirs
        ('journal.keys_replaced', 'journal', false, false, false),
        ('job.discarded', 'job', false, false, true),
        ('job.retried', 'job', false, false, true),
        ('maintenance.begun', 'maintenance', false, false, true),
        ('maintenance.changed', 'maintenance', false, false, true),
        ('maintenance.ended', 'maintenance', false, false, true),
        ('master_key.forgotten', 'secret', false, false, true),
        ('member.invitation_withdrawn', 'member', false, true, true),
        ('member.invited', 'member', false, true, true),
        ('member.read_by_platform', 'member', true, true, true),
        ('member.removed', 'member', false, true, true),
        ('news.announced', 'news', false, false, true),
        ('news.deleted', 'news', false, false, true),
        ('news.updated', 'news', false, false, true),
        -- of the session that it is about: its person finds in their access log that it was opened
        ('note.amended', 'consultation', false, false, true),
        ('note.created', 'consultation', false, false, true),
        ('note.finalized', 'consultation', false, false, true),
        ('note.exported', 'consultation', true, false, true),
        ('note.listed', 'consultation', true, false, true),
        ('note.read', 'consultation', true, false, true),
        ('note.saved', 'consultation', false, false, true),
        ('notification_preferences.changed', 'user', false, false, false),
        ('practitioner.activity_read', 'practitioner', true, false, true),
        ('practitioner.created', 'practitioner', false, false, true),
        ('practitioner.deactivated', 'practitioner', false, false, true),
        ('practitioner.invited', 'practitioner', false, false, true),
        ('practitioner.read_by_platform', 'practitioner', true, false, true),
        ('practitioner.reactivated', 'practitioner', false, false, true),
        ('practitioner.updated', 'practitioner', false, false, true),
        ('practitioner.verified', 'practitioner', false, false, true),
        ('privacy_copy.asked', 'privacy_request', false, false, false),
        ('privacy_copy.fetched', 'privacy_request', true, false, false),
        ('recovery_code.used', 'user', false, false, true),
        ('recovery_codes.renewed', 'user', false, false, true),
        ('retention.applied', 'retention', false, false, true),
        -- what an employee writes of a session would say that they had one
        ('review.changed', 'consultation', false, false, true),
        ('review.deleted', 'consultation', false, false, true),
        ('review.listed', 'review', true, false, true),
        ('review.published', 'review', false, false, true),
        ('review.rejected', 'review', false, false, true),
        ('review.written', 'consultation', false, false, true),
        ('secrets.rewrapped', 'secret', false, false, true),
        ('secrets.rotation_begun', 'secret', false, false, true),
        ('session.all_closed', 'user', false, false, true),
        ('session.closed', 'session', false, false, true),
        ('session.opened', 'session', false, false, true),
        ('session.refused', 'user', false, false, true),
        ('session.reuse_detected', 'session', false, false, true),
        ('signing_key.published', 'signing_key', false, false, true),
        ('signing_key.withdrawn', 'signing_key', false, false, true),
        ('two_factor.disabled', 'user', false, false, true),
        ('two_factor.enabled', 'user', false, false, true),
        ('two_factor.offered', 'user', false, false, true),
        ('two_factor.refused', 'user', false, false, true),
        ('two_factor.replaced', 'user', false, false, true),
        ('two_factor.reset', 'user', false, false, true),
        ('usage.read', 'usage', true, true, true),
        ('user.activated', 'user', false, false, true),
        ('user.address_claimed', 'user', false, false, true),
        ('user.created_by_operator', 'user', false, false, true),
        ('user.email_change_asked', 'user', false, false, true),
        ('user.email_change_stopped', 'user', false, false, true),
        ('user.email_change_withdrawn', 'user', false, false, true),
        ('user.email_changed', 'user', false, false, true),
        ('user.invitation_accepted', 'user', false, false, true),
        ('user.invitation_refused', 'user', false, false, true),
        ('user.invited_by_operator', 'user', false, false, true),
        ('user.listed', 'user', true, false, true),
        ('user.password_changed', 'user', false, false, true),
        ('user.password_refused', 'user', false, false, true),
        ('user.password_reset', 'user', false, false, true),
        ('user.password_reset_asked', 'user', false, false, true),
        ('user.password_reset_mailed', 'user', false, false, true),
        ('user.profile_changed', 'user', false, false, true),
        ('user.suspended', 'user', false, false, true),
        -- who waits for whom is nobody's but theirs
        ('waitlist.declined', 'waitlist_offer', false, false, false),
        ('waitlist.joined', 'waitlist_entry', false, false, false),
        ('waitlist.lapsed', 'waitlist_offer', false, false, false),
        ('waitlist.left', 'waitlist_entry', false, false, false),
        ('waitlist.offered', 'waitlist_offer', false, false, false),
        ('waitlist.wishes_changed', 'waitlist_entry', false, false, false),
        ('waitlist.withdrawn', 'waitlist_offer', false, false, false)
$$;
REVOKE ALL ON FUNCTION app.audit_actions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.audit_actions() TO huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_kernel;

-- What an entry may say besides ids: these keys, with numbers, yes or no, and words of the program (states, names of
-- fields, ids, dates). Nothing that somebody typed fits. `platform::audit::Detail` is the same list.
CREATE OR REPLACE FUNCTION app.audit_details_are_plain(details jsonb)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT jsonb_typeof(details) = 'object' AND octet_length(details::text) <= 1000 AND NOT EXISTS (
        SELECT FROM jsonb_each(CASE jsonb_typeof(details) WHEN 'object' THEN details ELSE '{}' END) d (key, value)
        WHERE key NOT IN ('attempts', 'by', 'count', 'created', 'digest', 'fields', 'filters', 'format', 'from', 'kind', 'limit',
                          'method', 'mode', 'of', 'partial', 'purpose', 'reactivated', 'reason', 'rejected', 'removed', 'role',
                          'sessions', 'status', 'to', 'unchanged', 'updated')
           OR CASE jsonb_typeof(value)
                  WHEN 'number' THEN false
                  WHEN 'boolean' THEN false
                  WHEN 'string' THEN value #>> '{}' !~ '^[a-z0-9][a-z0-9_.-]{0,39}$'
                  WHEN 'array' THEN EXISTS (SELECT FROM jsonb_array_elements(value) word
                                            WHERE jsonb_typeof(word) <> 'string'
                                               OR word #>> '{}' !~ '^[a-z0-9][a-z0-9_.-]{0,39}$')
                  ELSE true
              END)
$$;

-- Who is connected, as the audit log says it: nothing that a statement could change.
CREATE OR REPLACE FUNCTION app.connected_role() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE session_user
               WHEN 'huntzen_employee' THEN 'employee'
               WHEN 'huntzen_practitioner' THEN 'practitioner'
               WHEN 'huntzen_hr' THEN 'hr'
               WHEN 'huntzen_company_admin' THEN 'company_admin'
               WHEN 'huntzen_platform' THEN 'platform_admin'
               WHEN 'huntzen_worker' THEN 'system'
               WHEN 'huntzen_auth' THEN 'visitor'
               -- on the command line, with the owner's connection
               ELSE 'operator'
           END
$$;
REVOKE ALL ON FUNCTION app.audit_details_are_plain(jsonb), app.connected_role() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.audit_details_are_plain(jsonb), app.connected_role() TO huntzen_kernel;

-- Writes an entry. Role and company come from the connection and its settings, not from what the program says: an
-- account must have the role that is connected, and belong to the company of the transaction. Before anybody is
-- signed in, the account that logs in is named, with the role and company that it has. Only the platform's staff,
-- jobs and those who are not signed in yet may name another company than the transaction's.
CREATE OR REPLACE FUNCTION app.audit(action text, object_type text, object_id uuid, subject_type text, subject_id uuid,
                                     company_id uuid, outcome text, details jsonb, ip text, request_id text)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    actor   uuid := app.user_id();
    role    text := app.connected_role();
    company uuid := app.company_id();
    account app.users;
    noted   text := coalesce(current_setting('app.audit_chains', true), '');
BEGIN
    SELECT * INTO account FROM app.users u WHERE u.id = actor;
    CASE
        WHEN role IN ('employee', 'hr', 'company_admin') THEN
            IF account.role IS DISTINCT FROM role OR account.company_id IS DISTINCT FROM company
               OR audit.company_id <> company THEN
                RAISE EXCEPTION 'an entry in another name' USING ERRCODE = 'insufficient_privilege';
            END IF;
        WHEN role = 'practitioner' THEN
            -- a client's company
            IF account.role IS DISTINCT FROM role OR audit.company_id <> company OR company IS NOT NULL AND NOT EXISTS (
                   SELECT FROM app.consultations c WHERE c.practitioner_id = actor AND c.company_id = company) THEN
                RAISE EXCEPTION 'an entry in another name' USING ERRCODE = 'insufficient_privilege';
            END IF;
        WHEN role = 'platform_admin' THEN
            IF account.role IS DISTINCT FROM role THEN
                RAISE EXCEPTION 'an entry in another name' USING ERRCODE = 'insufficient_privilege';
            END IF;
            company := coalesce(audit.company_id, company);
        WHEN role = 'visitor' THEN
            role := coalesce(account.role, role);
            company := CASE WHEN account.id IS NULL THEN coalesce(audit.company_id, company) ELSE account.company_id END;
        ELSE
            company := coalesce(audit.company_id, company);
    END CASE;
    -- which chains the transaction will lock when it commits: see app.link_audit_entry
    IF position(coalesce(company, '00000000-0000-0000-0000-000000000000')::text IN noted) = 0 THEN
        PERFORM set_config('app.audit_chains', concat_ws(',', nullif(noted, ''),
                           coalesce(company, '00000000-0000-0000-0000-000000000000')), true);
    END IF;
    INSERT INTO app.audit_logs (actor_id, actor_role, company_id, action, object_type, object_id, subject_type, subject_id,
                                outcome, details, ip, request_id)
    VALUES (actor, role, company, audit.action, audit.object_type, audit.object_id, audit.subject_type,
            audit.subject_id, audit.outcome, coalesce(audit.details, '{}'), audit.ip::inet, audit.request_id);
END
$$;
ALTER FUNCTION app.audit(text, text, uuid, text, uuid, uuid, text, jsonb, text, text) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.audit(text, text, uuid, text, uuid, uuid, text, jsonb, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.audit(text, text, uuid, text, uuid, uuid, text, jsonb, text, text) TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker, huntzen_auth;

GRANT INSERT ON app.audit_logs TO huntzen_kernel;
CREATE POLICY write ON app.audit_logs FOR INSERT TO huntzen_kernel WITH CHECK (true);
-- Everybody sees what they did themselves; an employer what was done to its directory; the platform's staff all but
-- what employees did with their consultations, which would say whose they are.
GRANT SELECT ON app.audit_logs TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
CREATE POLICY fence ON app.audit_logs AS RESTRICTIVE TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.audit_logs FOR SELECT TO huntzen_employee, huntzen_practitioner
    USING (actor_id = (SELECT app.user_id()));
-- Whatever jobs do because of HR, it learns nothing of that. The company is the fence's: said twice, PostgreSQL would
-- expect few rows, and sort them all instead of reading the newest from the index.
CREATE POLICY directory ON app.audit_logs FOR SELECT TO huntzen_hr, huntzen_company_admin
    USING (actor_role IN ('hr', 'company_admin', 'platform_admin', 'operator')
           AND (action = ANY (ARRAY(SELECT a.action FROM app.audit_actions() a WHERE a.employer))
                OR actor_id = (SELECT app.user_id()) AND object_type <> 'consultation'));
CREATE POLICY of_others ON app.audit_logs FOR SELECT TO huntzen_platform
    USING (action = ANY (ARRAY(SELECT a.action FROM app.audit_actions() a WHERE a.staff))
           AND (object_type <> 'consultation' OR actor_role IN ('practitioner', 'platform_admin')));

GRANT SELECT (id, display_name) ON app.practitioners TO huntzen_kernel;
CREATE POLICY kernel_names ON app.practitioners FOR SELECT TO huntzen_kernel USING (true);
-- What others did with the data of the person of the transaction, newest first: with their account, their entry of the
-- directory, their consultations; and the lists of people in which they were or may have been. An entry of the log
-- about a consultation names no employee, so that the staff who read the log learn nothing: whose it is stands in the
-- consultation.
CREATE OR REPLACE FUNCTION app.access_log(before_at timestamptz, before_id uuid, page_size bigint)
RETURNS TABLE (id uuid, at timestamptz, actor_role text, practitioner_id uuid, practitioner_name text, action text,
               object_type text, object_id uuid, is_read boolean, is_list boolean, outcome text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH me AS MATERIALIZED (
        SELECT u.id, u.company_id, u.employee_id, e.created_at AS listed_since
        FROM app.users u LEFT JOIN app.employees e ON e.company_id = u.company_id AND e.id = u.employee_id
        WHERE u.id = app.user_id() AND u.role = app.connected_role()
    ), page AS (
        SELECT coalesce(before_at, 'infinity') AS at, coalesce(before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff') AS id,
               least(greatest(page_size, 1), 101) AS size
    ), subjects AS (
        SELECT me.id FROM me UNION ALL SELECT me.employee_id FROM me WHERE me.employee_id IS NOT NULL
    ), found AS (
        SELECT l.*, false AS is_list
        FROM subjects s CROSS JOIN me CROSS JOIN page p
        CROSS JOIN LATERAL (SELECT * FROM app.audit_logs l
                            WHERE l.subject_id = s.id AND (l.at, l.id) < (p.at, p.id) AND l.actor_id IS DISTINCT FROM me.id
                            ORDER BY l.at DESC, l.id DESC LIMIT p.size) l
        UNION ALL
        SELECT l.*, false
        FROM me CROSS JOIN page p JOIN app.consultations c ON c.company_id = me.company_id AND c.user_id = me.id
        CROSS JOIN LATERAL (SELECT * FROM app.audit_logs l
                            WHERE l.object_id = c.id AND (l.at, l.id) < (p.at, p.id) AND l.object_type = 'consultation'
                              AND l.actor_id IS DISTINCT FROM me.id
                            ORDER BY l.at DESC, l.id DESC LIMIT p.size) l
        UNION ALL
        SELECT l.*, true
        FROM me CROSS JOIN page p
        CROSS JOIN LATERAL (SELECT * FROM app.audit_logs l
                            WHERE l.company_id = me.company_id AND l.object_type = 'employee' AND l.object_id IS NULL
                              AND l.at >= me.listed_since AND (l.at, l.id) < (p.at, p.id)
                              AND l.actor_id IS DISTINCT FROM me.id
                            ORDER BY l.at DESC, l.id DESC LIMIT p.size) l
    )
    SELECT f.id, f.at, f.actor_role, p.id, p.display_name, f.action, f.object_type, f.object_id,
           coalesce(a.is_read, false), f.is_list, f.outcome
    FROM found f
    LEFT JOIN app.practitioners p ON p.id = f.actor_id AND f.actor_role = 'practitioner'
    LEFT JOIN app.audit_actions() a ON a.action = f.action
    ORDER BY f.at DESC, f.id DESC LIMIT (SELECT size FROM page)
$$;
ALTER FUNCTION app.access_log(timestamptz, uuid, bigint) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.access_log(timestamptz, uuid, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.access_log(timestamptz, uuid, bigint) TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;

-- The hash chain: appended by the trigger alone, read by the worker that verifies it, in the scope of each company.
GRANT SELECT, INSERT ON app.audit_chain, app.audit_heads TO huntzen_kernel;
GRANT UPDATE (sequence, digest) ON app.audit_heads TO huntzen_kernel;
CREATE POLICY kernel ON app.audit_chain TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.audit_heads TO huntzen_kernel USING (true) WITH CHECK (true);
REVOKE ALL ON FUNCTION app.check_audit_head(), app.link_audit_entry(), app.audit_bytes(text[]),
    app.audit_entry_digest(app.audit_logs), app.audit_link_digest(uuid, bigint, bytea, uuid, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.check_audit_head(), app.audit_bytes(text[]), app.audit_entry_digest(app.audit_logs),
    app.audit_link_digest(uuid, bigint, bytea, uuid, bytea) TO huntzen_kernel;
GRANT SELECT ON app.audit_logs TO huntzen_kernel;
CREATE POLICY kernel ON app.audit_logs FOR SELECT TO huntzen_kernel USING (true);
GRANT SELECT ON app.audit_logs, app.audit_chain, app.audit_heads, app.audit_verifications TO huntzen_worker;
GRANT INSERT ON app.audit_verifications TO huntzen_worker;
GRANT UPDATE (verified_at, sequence, digest, findings, first) ON app.audit_verifications TO huntzen_worker;
CREATE POLICY of_job ON app.audit_logs FOR SELECT TO huntzen_worker
    USING (company_id IS NOT DISTINCT FROM (SELECT app.company_id()));
CREATE POLICY of_job ON app.audit_chain FOR SELECT TO huntzen_worker
    USING (chain = coalesce((SELECT app.company_id()), '00000000-0000-0000-0000-000000000000'));
CREATE POLICY of_job ON app.audit_heads FOR SELECT TO huntzen_worker
    USING (chain = coalesce((SELECT app.company_id()), '00000000-0000-0000-0000-000000000000'));
CREATE POLICY of_job ON app.audit_verifications TO huntzen_worker
    USING (chain = coalesce((SELECT app.company_id()), '00000000-0000-0000-0000-000000000000'))
    WITH CHECK (chain = coalesce((SELECT app.company_id()), '00000000-0000-0000-0000-000000000000'));
GRANT SELECT ON app.audit_verifications TO huntzen_platform;
CREATE POLICY all_rows ON app.audit_verifications FOR SELECT TO huntzen_platform USING (true);

-- Every chain that there is or should be: of each company, of each company that an entry names though there is none, and
-- of what was verified before.
CREATE OR REPLACE FUNCTION app.audit_chains()
RETURNS TABLE (chain uuid, sequence bigint, digest bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH RECURSIVE logged (id) AS (
        (SELECT l.company_id FROM app.audit_logs l WHERE l.company_id IS NOT NULL ORDER BY l.company_id LIMIT 1)
        UNION ALL
        SELECT (SELECT l.company_id FROM app.audit_logs l WHERE l.company_id > logged.id ORDER BY l.company_id LIMIT 1)
        FROM logged WHERE logged.id IS NOT NULL
    ), linked (id) AS (
        (SELECT c.chain FROM app.audit_chain c ORDER BY c.chain LIMIT 1)
        UNION ALL
        SELECT (SELECT c.chain FROM app.audit_chain c WHERE c.chain > linked.id ORDER BY c.chain LIMIT 1)
        FROM linked WHERE linked.id IS NOT NULL
    ), known (id) AS (
        SELECT logged.id FROM logged
        UNION SELECT linked.id FROM linked
        UNION SELECT h.chain FROM app.audit_heads h
        UNION SELECT v.chain FROM app.audit_verifications v
        UNION SELECT '00000000-0000-0000-0000-000000000000'
    )
    SELECT known.id, h.sequence, h.digest FROM known LEFT JOIN app.audit_heads h ON h.chain = known.id
    WHERE known.id IS NOT NULL ORDER BY known.id
$$;
ALTER FUNCTION app.audit_chains() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.audit_chains() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.audit_chains() TO huntzen_worker;
GRANT SELECT ON app.audit_verifications TO huntzen_kernel;
CREATE POLICY kernel ON app.audit_verifications FOR SELECT TO huntzen_kernel USING (true);

-- takes a key for the transaction, or finds what it gave before
CREATE OR REPLACE FUNCTION app.take_idempotency_key(wanted text, print bytea)
RETURNS TABLE (fresh boolean, fingerprint bytea, answer jsonb)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    me uuid := app.user_id();
BEGIN
    IF me IS NULL THEN
        RAISE EXCEPTION 'idempotency keys belong to a user' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM app.idempotency_keys k
        WHERE k.user_id = me AND k.key = wanted AND k.created_at < now() - interval '24 hours';
    INSERT INTO app.idempotency_keys AS k (user_id, key, fingerprint) VALUES (me, wanted, print)
        ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN QUERY SELECT true, print, NULL::jsonb;
    ELSE
        RETURN QUERY SELECT false, k.fingerprint, k.answer FROM app.idempotency_keys k
            WHERE k.user_id = me AND k.key = wanted;
    END IF;
END
$$;
CREATE OR REPLACE FUNCTION app.keep_idempotent_answer(taken text, given jsonb)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    UPDATE app.idempotency_keys SET answer = given WHERE user_id = app.user_id() AND key = taken
$$;
CREATE OR REPLACE FUNCTION app.purge_idempotency_keys()
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    DELETE FROM app.idempotency_keys WHERE created_at < now() - app.kept_for('repeated_answer');
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;
ALTER FUNCTION app.take_idempotency_key(text, bytea) OWNER TO huntzen_kernel;
ALTER FUNCTION app.keep_idempotent_answer(text, jsonb) OWNER TO huntzen_kernel;
ALTER FUNCTION app.purge_idempotency_keys() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.take_idempotency_key(text, bytea), app.keep_idempotent_answer(text, jsonb),
    app.purge_idempotency_keys() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.take_idempotency_key(text, bytea), app.keep_idempotent_answer(text, jsonb) TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT EXECUTE ON FUNCTION app.purge_idempotency_keys() TO huntzen_worker;
GRANT SELECT, INSERT, DELETE ON app.idempotency_keys TO huntzen_kernel;
GRANT UPDATE (answer) ON app.idempotency_keys TO huntzen_kernel;
CREATE POLICY kernel ON app.idempotency_keys TO huntzen_kernel USING (true) WITH CHECK (true);
