-- The queue and the log of mails. Nobody but the worker reads or writes the queue directly; everybody
-- enqueues through one function, which stamps the job with the ids of the transaction.
GRANT USAGE ON SCHEMA apalis TO huntzen_kernel, huntzen_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON apalis.jobs TO huntzen_kernel, huntzen_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON apalis.workers TO huntzen_worker;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA apalis FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA apalis TO huntzen_worker;
GRANT EXECUTE ON FUNCTION apalis.generate_ulid(), apalis.notify_new_jobs() TO huntzen_kernel;

-- Every kind of job, in which queue it waits, who may enqueue it, and what its payload must name: a thing of the
-- transaction's own (`<thing>_id`), so that a statement that somebody smuggled in makes no mail about another person.
-- Who is connected is the log-in role, which no statement changes; jobs enqueue further ones as 'system'. The owner's
-- connection ('operator') may enqueue anything.
CREATE OR REPLACE FUNCTION app.job_kinds()
RETURNS TABLE (kind text, queue text, enqueued_by text[], about text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    VALUES
        ('audit_trail.cut', 'maintenance', '{system}', NULL),
        ('audit_trail.mail_broken_chain', 'mail', '{system}'::text[], NULL),
        ('audit_trail.verify', 'maintenance', '{system}', NULL),
        ('calls.keep', 'maintenance', '{system}', NULL),
        ('companies.company_archived', 'events', '{platform_admin}', NULL),
        ('consultations.booked', 'events', '{employee}', 'consultation'),
        ('consultations.cancelled', 'events', '{employee,practitioner,system}', 'consultation'),
        ('consultations.confirmed', 'events', '{practitioner}', 'consultation'),
        ('consultations.expired', 'events', '{system}', NULL),
        ('consultations.keep_time', 'maintenance', '{system}', NULL),
        ('consultations.missed', 'events', '{employee,practitioner,system}', 'consultation'),
        ('consultations.reminder_due', 'events', '{system}', NULL),
        ('consultations.requested', 'events', '{employee}', 'consultation'),
        ('consultations.rescheduled', 'events', '{employee,practitioner}', 'consultation'),
        ('consultations.time_freed', 'events', '{employee,practitioner,system}', 'consultation'),
        ('content.publish_due', 'maintenance', '{system}', NULL),
        ('employees.employee_left', 'events', '{hr,company_admin}', 'employee'),
        ('exports.mail_failed', 'mail', '{system}', NULL),
        ('exports.mail_ready', 'mail', '{system}', NULL),
        ('exports.make', 'exports', '{practitioner,hr,company_admin,platform_admin}', 'export'),
        ('exports.sweep', 'maintenance', '{system}', NULL),
        ('identity.account_touched', 'events', '{visitor,employee,practitioner,hr,company_admin,platform_admin}', 'user'),
        ('files.collect', 'maintenance', '{system}', NULL),
        ('files.sweep_storage', 'maintenance', '{system}', NULL),
        ('identity.close_work_mailboxes', 'maintenance', '{system}', NULL),
        ('identity.employee_suspended', 'events', '{platform_admin}', 'user'),
        ('identity.forget_pending_addresses', 'maintenance', '{system}', NULL),
        ('identity.invite_employee', 'mail', '{hr,company_admin}', 'employee'),
        ('identity.invite_member', 'mail', '{company_admin,platform_admin}', 'member'),
        ('identity.invite_user', 'mail', '{platform_admin}', 'invited'),
        ('identity.mail_chosen_address', 'mail', '{visitor}', NULL),
        ('identity.mail_email_proof', 'mail', '{employee,practitioner,hr,company_admin,platform_admin}', 'token'),
        ('identity.mail_password_reset', 'mail', '{visitor}', NULL),
        ('identity.practitioner_suspended', 'events', '{platform_admin}', 'user'),
        ('identity.purge_sessions', 'maintenance', '{system}', NULL),
        ('identity.tell_email_changed', 'mail', '{visitor}', NULL),
        ('identity.tell_leaver', 'mail', '{hr,company_admin}', 'employee'),
        ('identity.tell_leaver_privately', 'mail', '{hr,company_admin}', 'employee'),
        ('identity.tell_of_correction', 'mail', '{hr,company_admin}', 'employee'),
        ('identity.tell_of_archiving', 'mail', '{system}', NULL),
        ('identity.tell_of_reuse', 'mail', '{visitor}', NULL),
        ('identity.tell_of_two_factor', 'mail', '{visitor,employee,practitioner,hr,company_admin,platform_admin}', 'user'),
        ('identity.tell_password_changed', 'mail', '{visitor,employee,practitioner,hr,company_admin,platform_admin}', 'user'),
        ('identity.tell_people_of_archiving', 'events', '{platform_admin,system}', NULL),
        ('identity.tell_people_of_return', 'events', '{platform_admin,system}', NULL),
        ('identity.tell_returner', 'mail', '{hr,company_admin,system}', 'employee'),
        ('identity.warn_of_email_change', 'mail', '{employee,practitioner,hr,company_admin,platform_admin}', 'token'),
        ('jobs.correct_heartbeats', 'maintenance', '{system}', NULL),
        ('jobs.purge', 'maintenance', '{system}', NULL),
        ('jobs.purge_answers', 'maintenance', '{system}', NULL),
        ('keys.count', 'maintenance', '{system}', NULL),
        ('notifications.purge', 'maintenance', '{system}', NULL),
        ('notifications.send_appointment_mail', 'mail', '{system}', NULL),
        ('notifications.send_message_mail', 'mail', '{system}', NULL),
        ('notifications.send_missed_call_mail', 'mail', '{system}', NULL),
        ('notifications.send_verdict_mail', 'mail', '{system}', NULL),
        ('notifications.send_waitlist_mail', 'mail', '{system}', NULL),
        ('notifications.tell_unread', 'events', '{system}', NULL),
        ('privacy.collect_copies', 'maintenance', '{system}', NULL),
        ('privacy.erase', 'events', '{system}', NULL),
        ('privacy.mail_copy', 'mail', '{system}', NULL),
        ('privacy.mail_erasure', 'mail', '{system,employee,practitioner,hr,company_admin,platform_admin}', 'privacy_request'),
        ('privacy.make_copy', 'exports', '{employee,practitioner,hr,company_admin,platform_admin}', 'privacy_request'),
        ('privacy.remove_expired', 'maintenance', '{system}', NULL),
        ('privacy.sweep_copies', 'maintenance', '{system}', NULL),
        ('privacy.sweep_erasures', 'maintenance', '{system}', NULL),
        ('practitioners.deactivated', 'events', '{platform_admin}', NULL),
        ('practitioners.read_calendar', 'feeds', '{practitioner,system}', 'calendar'),
        ('practitioners.read_calendars', 'maintenance', '{system}', NULL),
        ('practitioners.tell_calendar_fails', 'mail', '{system}', NULL),
        ('reviews.moderated', 'events', '{platform_admin}', NULL),
        ('usage.refresh', 'counting', '{system}', NULL),
        ('waitlist.keep', 'maintenance', '{system}', NULL),
        ('waitlist.offered', 'events', '{system}', NULL),
        ('waitlist.time_returned', 'events', '{employee,system}', 'waitlist_offer')
$$;

CREATE OR REPLACE FUNCTION app.enqueue(queue text, kind text, payloads jsonb[], keys text[], run_at timestamptz,
                                       max_attempts int)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    caller text := app.connected_role();
    its    text;
    others boolean;
BEGIN
    SELECT k.about INTO its FROM app.job_kinds() k
        WHERE k.kind = enqueue.kind AND k.queue = enqueue.queue AND (caller = ANY (k.enqueued_by) OR caller = 'operator');
    IF NOT FOUND OR EXISTS (SELECT FROM unnest(enqueue.keys) key WHERE NOT starts_with(key, enqueue.kind || ':')) THEN
        RAISE EXCEPTION 'no job % of queue % for %', enqueue.kind, enqueue.queue, caller
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'policies/jobs_mail.sql lists the kinds, and who may enqueue them';
    END IF;
    others := CASE
        WHEN caller IN ('system', 'operator', 'visitor') THEN false
        WHEN its = 'consultation' THEN EXISTS (
            SELECT FROM unnest(enqueue.payloads) p WHERE NOT EXISTS (
                SELECT FROM app.consultations c
                WHERE c.id = (p ->> 'consultation_id')::uuid AND c.company_id = app.company_id()
                  AND CASE caller WHEN 'employee' THEN c.user_id ELSE c.practitioner_id END = app.user_id()))
        WHEN its = 'employee' THEN EXISTS (
            SELECT FROM unnest(enqueue.payloads) p WHERE NOT EXISTS (
                SELECT FROM app.employees e WHERE e.company_id = app.company_id() AND e.id = (p ->> 'employee_id')::uuid))
        WHEN its = 'member' THEN EXISTS (
            SELECT FROM unnest(enqueue.payloads) p WHERE NOT EXISTS (
                SELECT FROM app.member_invitations m
                WHERE m.company_id = app.company_id() AND m.id = (p ->> 'invitation_id')::uuid))
        WHEN its = 'invited' THEN EXISTS (
            SELECT FROM unnest(enqueue.payloads) p WHERE NOT EXISTS (
                SELECT FROM app.users u
                WHERE u.id = (p ->> 'user_id')::uuid AND u.status = 'invited'
                  AND (caller <> 'company_admin' OR u.company_id = app.company_id())))
        WHEN its = 'calendar' THEN EXISTS (
            SELECT FROM unnest(enqueue.payloads) p WHERE NOT EXISTS (
                SELECT FROM app.external_calendars c
                WHERE c.id = (p ->> 'calendar_id')::uuid AND c.practitioner_id = app.user_id()))
        WHEN its = 'export' THEN EXISTS (
            SELECT FROM unnest(enqueue.payloads) p WHERE NOT EXISTS (
                SELECT FROM app.exports e
                WHERE e.id = (p ->> 'export_id')::uuid AND e.requested_by = app.user_id()
                  AND e.company_id IS NOT DISTINCT FROM app.company_id()))
        WHEN its = 'privacy_request' THEN EXISTS (
            SELECT FROM unnest(enqueue.payloads) p WHERE NOT EXISTS (
                SELECT FROM app.privacy_requests r
                WHERE r.id = (p ->> 'request_id')::uuid AND r.user_id = app.user_id()))
        WHEN its = 'waitlist_offer' THEN EXISTS (
            SELECT FROM unnest(enqueue.payloads) p WHERE NOT EXISTS (
                SELECT FROM app.waitlist_offers o
                WHERE o.id = (p ->> 'offer_id')::uuid AND o.user_id = app.user_id() AND o.company_id = app.company_id()))
        WHEN its = 'token' THEN EXISTS (
            SELECT FROM unnest(enqueue.payloads) p WHERE NOT EXISTS (
                SELECT FROM app.one_time_tokens t
                WHERE t.id = (p ->> 'token_id')::uuid AND t.user_id = app.user_id()))
        -- one's own account; staff act on others' as well
        WHEN its = 'user' THEN caller <> 'platform_admin' AND EXISTS (
            SELECT FROM unnest(enqueue.payloads) p
            WHERE (p ->> 'user_id')::uuid IS DISTINCT FROM app.user_id())
        ELSE false
    END;
    IF others THEN
        RAISE EXCEPTION 'a job % about somebody else', enqueue.kind USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- no conflict target: a key that is taken makes no second job, and fails no business transaction
    INSERT INTO apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, idempotency_key)
    SELECT apalis.generate_ulid(), enqueue.queue,
           convert_to(jsonb_build_object('kind', enqueue.kind, 'companyId', app.company_id(), 'userId', app.user_id(),
                                         'data', wanted.payload)::text, 'UTF8'),
           'Pending', 0, least(greatest(enqueue.max_attempts, 1), 1000), coalesce(enqueue.run_at, now()), 0, wanted.key
    FROM unnest(enqueue.payloads, enqueue.keys) AS wanted (payload, key)
    ON CONFLICT DO NOTHING;
END
$$;
REVOKE ALL ON FUNCTION app.job_kinds() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.job_kinds() TO huntzen_kernel;
ALTER FUNCTION app.enqueue(text, text, jsonb[], text[], timestamptz, int) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.enqueue(text, text, jsonb[], text[], timestamptz, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.enqueue(text, text, jsonb[], text[], timestamptz, int) TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker,
    huntzen_auth;
-- functions of huntzen_kernel for people who are not signed in enqueue as well
GRANT EXECUTE ON FUNCTION app.enqueue(text, text, jsonb[], text[], timestamptz, int) TO huntzen_kernel;

-- Dead letters, for the platform's staff: which job, how often, why; never whose, nor its payload.
CREATE OR REPLACE FUNCTION app.dead_jobs(page_size int, before text)
RETURNS TABLE (id text, queue text, kind text, attempts int, code text, run_at timestamptz, died_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT j.id, j.job_type, coalesce(j.last_result ->> 'kind', 'unknown'), j.attempts,
           coalesce(j.last_result ->> 'code', 'unknown'), j.run_at, j.done_at
    FROM apalis.jobs j
    WHERE j.status = 'Killed' AND (dead_jobs.before IS NULL OR j.id < dead_jobs.before)
    ORDER BY j.id DESC
    LIMIT least(greatest(dead_jobs.page_size, 1), 1000)
$$;
-- What is taken into hands: a dead job, and one that a clock of the database that was ahead put off. No failure waits for longer
-- than an hour (`Queue::longest_backoff`), nothing is enqueued for later, and whatever was enqueued by that clock has not begun.
-- Gives a job its attempts back; false: there is no such one.
CREATE OR REPLACE FUNCTION app.retry_job(wanted text)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    queue text;
BEGIN
    UPDATE apalis.jobs j SET status = 'Pending', attempts = 0, run_at = now(), done_at = NULL, lock_by = NULL,
                             lock_at = NULL
        WHERE j.id = wanted
          AND (j.status = 'Killed' OR j.status IN ('Pending', 'Failed') AND j.run_at > now() + interval '2 hours')
        RETURNING j.job_type INTO queue;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM pg_notify('apalis::job::insert', json_build_object('job_type', queue, 'id', wanted)::text);
    RETURN true;
END
$$;
-- But for a file that somebody waits for: with its last attempt they are told that there is none.
CREATE OR REPLACE FUNCTION app.discard_job(wanted text)
RETURNS boolean LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH gone AS (
        DELETE FROM apalis.jobs j
        WHERE j.id = wanted
          AND (j.status = 'Killed' OR j.status IN ('Pending', 'Failed') AND j.run_at > now() + interval '2 hours'
                                      AND j.job_type <> 'exports')
        RETURNING 1)
    SELECT EXISTS (SELECT FROM gone)
$$;
ALTER FUNCTION app.dead_jobs(int, text) OWNER TO huntzen_kernel;
ALTER FUNCTION app.retry_job(text) OWNER TO huntzen_kernel;
ALTER FUNCTION app.discard_job(text) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.dead_jobs(int, text), app.retry_job(text), app.discard_job(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.dead_jobs(int, text), app.retry_job(text), app.discard_job(text) TO huntzen_platform;

GRANT SELECT, INSERT ON app.email_log TO huntzen_worker;
GRANT UPDATE (template, recipient_user_id, recipient_employee_id, locale, status, message_id, attempts, sent_at, job_id)
    ON app.email_log TO huntzen_worker;
-- never to whom, nor about which session: that a person got the mail of a booking says that they booked
GRANT SELECT (id, template, company_id, locale, status, message_id, attempts, created_at, sent_at, job_id) ON app.email_log
    TO huntzen_platform;
ALTER TABLE app.email_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.email_log FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS worker ON app.email_log;
CREATE POLICY worker ON app.email_log TO huntzen_worker
    USING (company_id IS NOT DISTINCT FROM (SELECT app.company_id()))
    WITH CHECK (company_id IS NOT DISTINCT FROM (SELECT app.company_id()));
DROP POLICY IF EXISTS platform ON app.email_log;
CREATE POLICY platform ON app.email_log FOR SELECT TO huntzen_platform USING (true);

-- A mail that was not taken waits with its job for another try; it has failed when its job is dead, or gone.
GRANT UPDATE (status, job_id) ON app.email_log TO huntzen_kernel;
CREATE OR REPLACE FUNCTION app.follow_mail_job() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        UPDATE app.email_log l SET status = 'failed', job_id = NULL WHERE l.job_id = OLD.id;
    ELSIF NEW.status = 'Killed' THEN
        UPDATE app.email_log l SET status = 'failed' WHERE l.job_id = NEW.id;
    ELSE
        UPDATE app.email_log l SET status = 'retrying' WHERE l.job_id = NEW.id;
    END IF;
    RETURN NULL;
END
$$;
ALTER FUNCTION app.follow_mail_job() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.follow_mail_job() FROM PUBLIC;
CREATE OR REPLACE TRIGGER jobs_mail_dies AFTER UPDATE OF status ON apalis.jobs FOR EACH ROW
    WHEN (NEW.job_type = 'mail' AND NEW.status <> OLD.status AND 'Killed' IN (NEW.status, OLD.status))
    EXECUTE FUNCTION app.follow_mail_job();
CREATE OR REPLACE TRIGGER jobs_mail_goes AFTER DELETE ON apalis.jobs FOR EACH ROW
    WHEN (OLD.job_type = 'mail' AND OLD.status <> 'Done') EXECUTE FUNCTION app.follow_mail_job();
