-- Of each kind of record one row that is over a duration of a hundred days (four hundred, where years count or one is the
-- least), and one that is not; both are younger than two durations.
CREATE FUNCTION fixture.ago(days int) RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT now() - make_interval(days => days) $$;
CREATE FUNCTION fixture.new_year() RETURNS timestamptz LANGUAGE sql STABLE AS
    $$ SELECT date_trunc('year', now() - interval '400 days', 'UTC') $$;
SET session_replication_role = replica;
DELETE FROM apalis.jobs;
-- of chains that are none
DELETE FROM app.audit_verifications;
DELETE FROM app.audit_cuts;

-- sessions of ninety-nine days ago; one of a hundred and twenty, so that its conversation was closed for a hundred and six
UPDATE app.consultations c SET status = 'completed', ends_at = it.at, starts_at = it.at - interval '1 hour', busy_until = it.at,
                               busy_from = it.at - interval '1 hour'
FROM (SELECT id, CASE WHEN id = fixture.id('alice with martin') THEN fixture.ago(120) ELSE fixture.ago(99) END
                 - row_number() OVER (ORDER BY id) * interval '1 minute' AS at FROM app.consultations) it
WHERE it.id = c.id;
-- two of the turn of a year that nobody keeps a note of
UPDATE app.consultations c SET ends_at = it.at, starts_at = it.at - interval '1 hour', busy_until = it.at, busy_from = it.at - interval '1 hour'
FROM (VALUES (fixture.id('dave with durand'), fixture.new_year() - interval '1 hour'),
             (fixture.id('alice with durand'), fixture.new_year() + interval '2 hours')) AS it (id, at)
WHERE it.id = c.id;
UPDATE app.consultation_events e SET at = c.starts_at FROM app.consultations c WHERE c.id = e.consultation_id;
DELETE FROM app.clinical_note_versions v USING app.clinical_notes n
WHERE n.id = v.note_id AND n.consultation_id IN (fixture.id('dave with durand'), fixture.id('alice with durand'));
DELETE FROM app.clinical_notes n WHERE n.consultation_id IN (fixture.id('dave with durand'), fixture.id('alice with durand'));
DELETE FROM app.files f WHERE f.conversation_id IN (fixture.id('dave with durand'), fixture.id('alice with durand'));

UPDATE app.call_sessions s SET ended_at = it.at, rang_at = it.at - interval '1 minute', rings_until = it.at - interval '15 seconds'
FROM (SELECT id, CASE WHEN consultation_id = fixture.id('alice with martin') THEN fixture.ago(101) ELSE fixture.ago(99) END AS at
      FROM app.call_sessions) it
WHERE it.id = s.id;
UPDATE app.call_signals SET created_at = fixture.ago(99);
UPDATE app.call_signals SET created_at = fixture.ago(101)
WHERE addressee_id = fixture.id('bob') AND call_id = fixture.id('call about ' || fixture.id('bob with martin'));

UPDATE app.reviews SET written_at = fixture.ago(99);
UPDATE app.reviews SET written_at = fixture.ago(101) WHERE consultation_id = fixture.id('alice with durand');
INSERT INTO app.reviews (id, company_id, consultation_id, user_id, practitioner_id, rating, sealed, written_at)
SELECT fixture.id('a young review'), r.company_id, c.id, c.user_id, c.practitioner_id, 3, r.sealed, fixture.ago(99)
FROM app.reviews r, app.consultations c WHERE r.consultation_id = fixture.id('alice with durand') AND c.id = fixture.id('bob with martin');

INSERT INTO app.payroll_months (month, published_at)
SELECT m, now() FROM (VALUES (fixture.new_year()::date - interval '1 month'), (fixture.new_year()::date)) AS it (m) ON CONFLICT DO NOTHING;
INSERT INTO app.payroll_lines (practitioner_id, month, currency, practitioner_name, open, completed, cancelled_by_employee,
                               cancelled_otherwise, missed_by_employee, missed_otherwise, minutes, amount, flagged, flagged_minutes, flagged_amount)
SELECT fixture.id('martin'), m, 'EUR', 'martin', 0, 1, 0, 0, 0, 0, 60, 9000, 0, 0, 0
FROM (VALUES (fixture.new_year()::date - interval '1 month'), (fixture.new_year()::date)) AS it (m);
INSERT INTO app.payroll_sessions (practitioner_id, month, starts_at, consultation_id, ends_at, mode, specialty, status, times_differ,
                                  hourly_rate_cents, currency)
SELECT l.practitioner_id, l.month, l.month, fixture.id('of ' || l.month), l.month + interval '1 hour', 'video', 'sleep', 'completed', false,
       9000, 'EUR'
FROM app.payroll_lines l WHERE l.practitioner_id = fixture.id('martin') AND l.month <= fixture.new_year()::date;
INSERT INTO app.practitioner_rates (practitioner_id, since, hourly_rate_cents, currency)
VALUES (fixture.id('martin'), fixture.new_year() - interval '2 months', 8000, 'EUR'),
       (fixture.id('martin'), fixture.new_year() - interval '1 month', 8500, 'EUR');

UPDATE app.employees SET status = 'left', left_at = fixture.ago(101) WHERE id = fixture.id('erin entry');
UPDATE app.employees SET status = 'left', left_at = fixture.ago(99) WHERE id = fixture.id('bob entry');
INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, created_at, destroyed_at)
VALUES (fixture.id('an old key'), fixture.id('acme'), 'journal', fixture.id('an old key'), fixture.id('alice'), fixture.ago(300), fixture.ago(101)),
       (fixture.id('a young key'), fixture.id('acme'), 'journal', fixture.id('a young key'), fixture.id('alice'), fixture.ago(300), fixture.ago(99));

UPDATE app.journal_keys k SET before_key_id = k.key_id, before_version = 1, before_passphrase = k.by_passphrase,
                              before_recovery_code = k.by_recovery_code, replaced_at = it.at
FROM (VALUES (fixture.id('alice'), fixture.ago(101)), (fixture.id('bob'), fixture.ago(99))) AS it (id, at) WHERE it.id = k.user_id;

DELETE FROM app.privacy_requests WHERE kind = 'erasure';
UPDATE app.account_uses SET used_on = current_date;
UPDATE app.account_uses SET used_on = (fixture.ago(102) AT TIME ZONE 'UTC')::date WHERE user_id = fixture.id('carol');
UPDATE app.account_uses SET used_on = (fixture.ago(99) AT TIME ZONE 'UTC')::date WHERE user_id = fixture.id('dave');

UPDATE app.notifications SET created_at = now();
UPDATE app.notifications SET read_at = fixture.ago(101) WHERE user_id = fixture.id('alice');
UPDATE app.notifications SET read_at = fixture.ago(99) WHERE user_id = fixture.id('bob');
UPDATE app.notifications SET created_at = fixture.ago(101) WHERE user_id = fixture.id('carol');
UPDATE app.notifications SET created_at = fixture.ago(99) WHERE user_id = fixture.id('dave');

UPDATE app.user_sessions SET expires_at = fixture.ago(101) WHERE user_id = fixture.id('alice');
UPDATE app.user_sessions SET expires_at = fixture.ago(99) WHERE user_id = fixture.id('bob');
UPDATE app.ended_sessions SET noted_at = fixture.ago(101);
INSERT INTO app.ended_sessions (session_id, noted_at) VALUES (fixture.id('ended of late'), fixture.ago(99));
UPDATE app.one_time_tokens SET expires_at = now();
UPDATE app.one_time_tokens SET expires_at = fixture.ago(101) WHERE id = fixture.id('invitation of erin');
UPDATE app.one_time_tokens SET expires_at = fixture.ago(99) WHERE id = fixture.id('invitation of dave');
UPDATE app.known_devices SET expires_at = fixture.ago(101) WHERE user_id = fixture.id('alice');
UPDATE app.known_devices SET expires_at = fixture.ago(99) WHERE user_id = fixture.id('bob');
UPDATE app.throttles SET failed_at = fixture.ago(101), clear_at = fixture.ago(101);
INSERT INTO app.throttles (key, failures, clear_at, failed_at) VALUES (sha256('of late'), 1, fixture.ago(99), fixture.ago(99));
UPDATE app.idempotency_keys SET created_at = fixture.ago(101) WHERE user_id = fixture.id('alice');
UPDATE app.idempotency_keys SET created_at = fixture.ago(99) WHERE user_id = fixture.id('bob');
UPDATE app.invitation_mails SET sent_at = CASE scope WHEN fixture.id('acme') THEN fixture.ago(101) ELSE fixture.ago(99) END;
UPDATE app.member_invitations SET updated_at = CASE company_id WHEN fixture.id('acme') THEN fixture.ago(101) ELSE fixture.ago(99) END;
INSERT INTO apalis.jobs (job, id, job_type, status, done_at)
VALUES ('{}', 'done long ago', 'maintenance', 'Done', fixture.ago(101)), ('{}', 'done of late', 'maintenance', 'Done', fixture.ago(99)),
       ('{}', 'dead long ago', 'maintenance', 'Killed', fixture.ago(101)), ('{}', 'dead of late', 'maintenance', 'Killed', fixture.ago(99));
UPDATE app.email_log SET created_at = fixture.ago(101) WHERE recipient_user_id = fixture.id('alice');
UPDATE app.email_log SET created_at = fixture.ago(99) WHERE recipient_user_id = fixture.id('bob');

UPDATE app.waitlist_offers o SET status = 'lapsed', ended_at = CASE o.user_id WHEN fixture.id('alice') THEN fixture.ago(101) ELSE fixture.ago(99) END;
UPDATE app.waitlist_holds h SET status = 'released', ended_at = o.ended_at FROM app.waitlist_offers o WHERE o.hold_id = h.id;
UPDATE app.waitlist_entries w SET status = 'left', ended_at = CASE w.user_id WHEN fixture.id('alice') THEN fixture.ago(101) ELSE fixture.ago(99) END;
UPDATE app.availability_overrides o SET starts_at = it.at - interval '1 day', ends_at = it.at
FROM (SELECT id, date_trunc('minute', (CASE practitioner_id WHEN fixture.id('martin') THEN fixture.ago(101) ELSE fixture.ago(99) END)
                                      AT TIME ZONE 'UTC') AS at FROM app.availability_overrides) it WHERE it.id = o.id;
UPDATE app.exports SET created_at = CASE requested_by WHEN fixture.id('acme hr') THEN fixture.ago(101) ELSE fixture.ago(99) END,
                       status = 'expired', file_key = NULL;
UPDATE app.privacy_requests SET status = 'expired', sealed_key = NULL, object_key = NULL,
                                finished_at = CASE user_id WHEN fixture.id('alice') THEN fixture.ago(101) ELSE fixture.ago(99) END;
UPDATE app.users u SET status = 'suspended', removed_at = it.at, erased_at = it.at, password_hash = NULL
FROM (VALUES (fixture.id('acme hr 2'), fixture.ago(101)), (fixture.id('globex hr'), fixture.ago(99))) AS it (id, at) WHERE it.id = u.id;
RESET session_replication_role;

-- of a company whose chain is whole
INSERT INTO app.companies (id, name, siren, contract_starts_on, contract_ends_on, sessions_per_employee, seats, network)
VALUES (fixture.id('whole'), 'Whole', NULL, '2026-01-01', '2027-01-01', 12, 100, 'open');
INSERT INTO app.audit_logs (id, at, actor_role, company_id, action, object_type, outcome)
SELECT encode(overlay(uuid_send(app.uuid_v7()) PLACING substring(int8send((extract(epoch FROM it.past) * 1000)::bigint) FROM 3)
                      FROM 1 FOR 6), 'hex')::uuid,
       it.past, 'hr', fixture.id('whole'), 'employee.updated', 'employee', 'success'
FROM (VALUES (fixture.ago(404)), (fixture.ago(396))) AS it (past);
