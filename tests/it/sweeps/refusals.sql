-- What single statements must not do, beyond what the matrix tries. Each runs on fixture.sql's rows in a transaction
-- of the person it names, and must reach no row or be refused.

-- refused: employee makes a session of theirs begin
UPDATE app.consultations SET status = 'in_progress';
-- refused: employee cancels in the practitioner's name
UPDATE app.consultations SET status = 'cancelled', cancelled_at = now(), cancelled_by = 'practitioner' WHERE status = 'confirmed';
-- refused: employee says that a session began, which a practitioner is paid by
INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
VALUES (app.company_id(), fixture_id('alice with martin'), 'STARTED', now(), 'employee');
-- refused: employee speaks as the practitioner
INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
VALUES (app.company_id(), fixture_id('alice with martin'), 'CANCELLED', now(), 'practitioner');
-- refused: employee books for a colleague
INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from, busy_until, specialty)
VALUES (app.uuid_v7(), app.company_id(), fixture_id('bob'), fixture_id('martin'), 'chat', 'confirmed', '2026-10-01 09:00Z',
        '2026-10-01 10:00Z', '2026-10-01 09:00Z', '2026-10-01 10:00Z', 'sleep');
-- refused: employee books on another company's contract
INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from, busy_until, specialty)
VALUES (app.uuid_v7(), fixture_id('globex'), app.user_id(), fixture_id('martin'), 'chat', 'confirmed', '2026-10-01 09:00Z',
        '2026-10-01 10:00Z', '2026-10-01 09:00Z', '2026-10-01 10:00Z', 'sleep');
-- refused: employee writes a session that is over already
INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from, busy_until, specialty)
VALUES (app.uuid_v7(), app.company_id(), app.user_id(), fixture_id('martin'), 'chat', 'completed', '2026-10-01 09:00Z',
        '2026-10-01 10:00Z', '2026-10-01 09:00Z', '2026-10-01 10:00Z', 'sleep');
-- refused: employee stands in line for a colleague
INSERT INTO app.waitlist_entries (id, company_id, user_id, practitioner_id, joined_at)
VALUES (app.uuid_v7(), app.company_id(), fixture_id('bob'), fixture_id('martin'), now());
-- refused: employee stands in line twice
INSERT INTO app.waitlist_entries (id, company_id, user_id, practitioner_id, joined_at)
SELECT app.uuid_v7(), app.company_id(), app.user_id(), fixture_id('martin'), now() FROM generate_series(1, 2);
-- refused: employee waits for whom their company does not offer
INSERT INTO app.waitlist_entries (id, company_id, user_id, practitioner_id, joined_at)
VALUES (app.uuid_v7(), app.company_id(), app.user_id(), fixture_id('petit'), now());
-- refused: employee comes first
UPDATE app.waitlist_entries SET joined_at = '2000-01-01';
-- refused: employee counts who waits
SELECT place FROM app.waitlist_entries;
-- refused: employee says that they booked
UPDATE app.waitlist_entries SET status = 'ended', ended_at = now();
-- refused: employee keeps what is offered for longer
UPDATE app.waitlist_offers SET expires_at = 'infinity';
-- refused: employee makes themselves an offer
INSERT INTO app.waitlist_offers (id, company_id, entry_id, user_id, practitioner_id, hold_id, starts_at, ends_at, offered_at, expires_at)
SELECT app.uuid_v7(), company_id, entry_id, user_id, practitioner_id, hold_id, starts_at, ends_at, offered_at, expires_at FROM app.waitlist_offers;
-- refused: employee asks which times are kept
SELECT FROM app.waitlist_holds;
-- refused: employee passes on what is a colleague's
SELECT app.enqueue('events', 'waitlist.time_returned', ARRAY[jsonb_build_object('offer_id', md5('offer to ' || fixture_id('bob'))::uuid)],
                   NULL, NULL, 8);
-- refused: employee books what is kept for somebody else
INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from, busy_until, specialty)
SELECT app.uuid_v7(), app.company_id(), app.user_id(), fixture_id('martin'), 'chat', 'confirmed', at, at + interval '8 hours', at,
       at + interval '8 hours', 'sleep' FROM (VALUES (timestamptz '2026-10-05 08:00Z')) AS it (at);
-- refused: practitioner asks who waits
SELECT FROM app.waitlist_entries;
-- refused: practitioner asks for whom a time is kept
SELECT had_by FROM app.waitlist_holds;
-- refused: hr asks who waits
SELECT FROM app.waitlist_entries;
-- refused: employee makes themselves an admin
UPDATE app.users SET role = 'company_admin';
-- refused: employee reads a password's hash
SELECT password_hash FROM app.users;
-- refused: employee reads what a practitioner earns
SELECT hourly_rate_cents FROM app.practitioners;
-- refused: employee opens a revoked session again
UPDATE app.user_sessions SET revoked_at = NULL;
-- refused: employee sees when an unknown practitioner's colleague booked
SELECT FROM app.consultations WHERE practitioner_id = fixture_id('petit');
-- refused: employee becomes another role
SET ROLE huntzen_kernel;
-- refused: employee turns row security off
SELECT set_config('row_security', 'off', true), count(*) FROM app.users HAVING count(*) > 1;
-- refused: employee empties the record
DELETE FROM app.audit_logs;
-- refused: employee enqueues past the function
INSERT INTO apalis.jobs (id, job_type, job) VALUES ('1', 'x', '');
-- refused: employee has another person's mail sent
SELECT app.enqueue('events', 'consultations.cancelled', ARRAY[jsonb_build_object('consultation_id', fixture_id('bob with martin'))],
                   NULL, NULL, 8);
-- refused: employee enqueues a mail without the event that it tells of
SELECT app.enqueue('mail', 'notifications.send_appointment_mail', ARRAY[jsonb_build_object('consultation_id',
                   fixture_id('alice with martin'), 'to', 'employee', 'kind', 'booked')], NULL, NULL, 8);
-- refused: employee enqueues an invitation
SELECT app.enqueue('mail', 'identity.invite_employee', ARRAY[jsonb_build_object('employee_id', fixture_id('erin entry'))],
                   NULL, NULL, 8);
-- refused: employee enqueues under the key of another kind
SELECT app.enqueue('events', 'consultations.booked', ARRAY[jsonb_build_object('consultation_id', fixture_id('alice with martin'))],
                   ARRAY['consultations.cancelled:x'], NULL, 8);
-- refused: employee enqueues a kind that nobody knows
SELECT app.enqueue('events', 'consultations.forged', ARRAY['{}'::jsonb], NULL, NULL, 8);
-- refused: employee enqueues into another queue
SELECT app.enqueue('mail', 'consultations.booked', ARRAY[jsonb_build_object('consultation_id', fixture_id('alice with martin'))],
                   NULL, NULL, 8);
-- refused: employee reads the wrapped keys
SELECT FROM app.encryption_keys;
-- refused: employee takes the key of a colleague's conversation
SELECT FROM app.conversation_key(fixture_id('bob with martin'));
-- refused: employee destroys keys
SELECT app.destroy_keys(fixture_id('alice'), '{chat}', now());
-- refused: practitioner takes the key of a colleague's conversation
SELECT FROM app.conversation_key(fixture_id('bob with durand'));
-- refused: hr takes a key
SELECT FROM app.conversation_key(fixture_id('alice with martin'));
-- refused: platform takes a key
SELECT FROM app.conversation_key(fixture_id('alice with martin'));
-- refused: worker takes a key
SELECT FROM app.conversation_key(fixture_id('alice with martin'));
-- refused: employee reads a colleague's conversation
SELECT FROM app.messages WHERE conversation_id = fixture_id('bob with martin');
-- refused: employee writes into a colleague's conversation
SELECT FROM app.send_message(fixture_id('bob with martin'), gen_random_uuid(), gen_random_uuid(), decode(repeat('00', 120), 'hex'), '2026-09-07 09:05Z', 14, md5('chat key of ' || fixture_id('bob with martin'))::uuid);
-- refused: employee writes after the conversation is closed
SELECT FROM app.send_message(fixture_id('alice with martin'), gen_random_uuid(), gen_random_uuid(), decode(repeat('00', 120), 'hex'), '2026-10-07 09:05Z', 14, md5('chat key of ' || fixture_id('alice with martin'))::uuid);
-- refused: employee changes what the practitioner wrote
SELECT FROM (SELECT app.change_message(md5('message of ' || fixture_id('martin') || ' about ' || fixture_id('alice with martin'))::uuid, 1, NULL, '2026-09-07 09:05Z', 14)) it (rev) WHERE rev IS NOT NULL;
-- refused: employee changes what they wrote an hour ago
SELECT app.change_message(md5('message of ' || fixture_id('alice') || ' about ' || fixture_id('alice with martin'))::uuid, 1, NULL, '2026-09-07 10:05Z', 14);
-- refused: employee writes past the functions
INSERT INTO app.messages SELECT * FROM app.messages;
-- refused: employee says what a colleague has read
SELECT FROM app.note_receipt(fixture_id('bob with martin'), 1, true, '2026-09-07 09:05Z');
-- refused: employee says it among others
SELECT FROM app.note_receipts(ARRAY[fixture_id('bob')], ARRAY[app.company_id()], ARRAY[fixture_id('bob with martin')], '{1}', '{true}', '{2026-09-07 09:05Z}');
-- refused: employee says for themselves what a colleague has read
SELECT FROM app.note_receipts(ARRAY[app.user_id()], ARRAY[app.company_id()], ARRAY[fixture_id('bob with martin')], '{1}', '{true}', '{2026-09-07 09:05Z}');
-- refused: employee writes as a colleague among others
SELECT FROM app.send_messages(ARRAY[fixture_id('bob')], ARRAY[app.company_id()], ARRAY[fixture_id('bob with martin')], ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], ARRAY[decode(repeat('00', 120), 'hex')], '{2026-09-07 09:05Z}', '{14}', ARRAY[md5('chat key of ' || fixture_id('bob with martin'))::uuid]);
-- refused: employee writes into a colleague's conversation among others
SELECT FROM app.send_messages(ARRAY[app.user_id()], ARRAY[app.company_id()], ARRAY[fixture_id('bob with martin')], ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], ARRAY[decode(repeat('00', 120), 'hex')], '{2026-09-07 09:05Z}', '{14}', ARRAY[md5('chat key of ' || fixture_id('bob with martin'))::uuid]);
-- refused: practitioner writes as the employee
SELECT FROM app.send_messages(ARRAY[fixture_id('alice')], ARRAY[app.company_id()], ARRAY[fixture_id('alice with martin')], ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], ARRAY[decode(repeat('00', 120), 'hex')], '{2026-09-07 09:05Z}', '{14}', ARRAY[md5('chat key of ' || fixture_id('alice with martin'))::uuid]);
-- refused: hr writes a message
SELECT FROM app.send_messages('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}');
-- refused: employee locks a conversation
SELECT FROM app.lock_conversation(fixture_id('alice with martin'));
-- refused: employee writes a call past the functions
INSERT INTO app.call_sessions SELECT * FROM app.call_sessions;
-- refused: employee says that somebody else is in a call
UPDATE app.call_parties SET is_live = true;
-- refused: employee reads what a colleague's browser is told
SELECT FROM app.call_signals WHERE addressee_id = fixture_id('bob');
-- refused: employee reads what is for the other one
SELECT FROM app.call_signals WHERE addressee_id = fixture_id('martin');
-- refused: employee enters a colleague's call
SELECT FROM app.enter_call(fixture_id('bob with martin'), gen_random_uuid(), gen_random_uuid(), false, '2026-09-07 10:05Z') it (seen)
WHERE seen IS NOT NULL;
-- refused: employee ends a call by the clock
SELECT app.end_call_in_time(gen_random_uuid(), now());
-- refused: practitioner hangs up for a colleague
SELECT FROM app.hang_up_call(fixture_id('bob with durand'), gen_random_uuid(), false, '2026-09-07 13:05Z') it (outcome)
WHERE outcome IS NOT NULL;
-- refused: hr asks who calls whom
SELECT FROM app.call_sessions;
-- refused: platform asks who calls whom
SELECT FROM app.call_sessions;
-- refused: worker reads what is signalled
SELECT FROM app.call_signals;
-- refused: employee lists what the other one has not sent
SELECT FROM app.files WHERE id = md5('unsent of ' || md5('message of ' || fixture_id('martin') || ' about ' || fixture_id('alice with martin'))::uuid)::uuid;
-- refused: employee fetches what the other one has not sent
SELECT FROM app.readable_file(md5('unsent of ' || md5('message of ' || fixture_id('martin') || ' about ' || fixture_id('alice with martin'))::uuid)::uuid, '2026-09-07 09:05Z');
-- refused: employee fetches what a colleague was sent
SELECT FROM app.readable_file(md5('sent of ' || md5('message of ' || fixture_id('martin') || ' about ' || fixture_id('bob with martin'))::uuid)::uuid, '2026-09-07 09:05Z');
-- refused: employee fetches a colleague's picture
SELECT FROM app.readable_file(md5('avatar of ' || fixture_id('bob'))::uuid, '2026-09-07 09:05Z');
-- refused: employee fetches the picture of a practitioner whom their company does not offer
SELECT FROM app.readable_file(md5('avatar of ' || fixture_id('petit'))::uuid, '2026-09-07 09:05Z');
-- refused: employee deletes what the practitioner brought
SELECT FROM app.delete_file(md5('unsent of ' || md5('message of ' || fixture_id('martin') || ' about ' || fixture_id('alice with martin'))::uuid)::uuid, '2026-09-07 09:05Z');
-- refused: employee deletes what they sent without its message
SELECT FROM app.delete_file(md5('sent of ' || md5('message of ' || fixture_id('alice') || ' about ' || fixture_id('alice with martin'))::uuid)::uuid, '2026-09-07 09:05Z');
-- refused: employee sends what the practitioner brought
SELECT app.attach_files(md5('message of ' || fixture_id('alice') || ' about ' || fixture_id('alice with martin'))::uuid,
                        ARRAY[md5('unsent of ' || md5('message of ' || fixture_id('martin') || ' about ' || fixture_id('alice with martin'))::uuid)::uuid], '2026-09-07 09:05Z');
-- refused: employee brings a file to a colleague's conversation
SELECT FROM (SELECT app.open_upload(gen_random_uuid(), 'attachment', fixture_id('bob with martin'), 'files/00/' || md5('x'), 9,
                                    '2026-09-07 09:05Z', '2026-09-07 09:35Z', 1000000000, 100, 5)) it (is_theirs) WHERE is_theirs;
-- refused: employee brings the company's logo
SELECT app.open_upload(gen_random_uuid(), 'logo', NULL, 'files/00/' || md5('x'), 9, '2026-09-07 09:05Z', '2026-09-07 09:35Z',
                       1000000000, 100, 5);
-- refused: employee asks where files are kept
SELECT object_key FROM app.files;
-- refused: employee drops a file past the functions
SELECT app.drop_file(md5('avatar of ' || fixture_id('alice'))::uuid, now());
-- refused: employee writes a file past the functions
UPDATE app.files SET state = 'deleted', deleted_at = now();
-- refused: practitioner fetches what a colleague was sent
SELECT FROM app.readable_file(md5('sent of ' || md5('message of ' || fixture_id('bob') || ' about ' || fixture_id('bob with durand'))::uuid)::uuid, '2026-09-07 09:05Z');
-- refused: practitioner fetches the picture of somebody they never met
SELECT FROM app.readable_file(md5('avatar of ' || fixture_id('dave'))::uuid, '2026-09-07 09:05Z');
-- refused: hr fetches the picture of an employee
SELECT FROM app.readable_file(md5('avatar of ' || fixture_id('alice'))::uuid, '2026-09-07 09:05Z');
-- refused: hr fetches what an employee was sent
SELECT FROM app.readable_file(md5('sent of ' || md5('message of ' || fixture_id('martin') || ' about ' || fixture_id('alice with martin'))::uuid)::uuid, '2026-09-07 09:05Z');
-- refused: company_admin lists files
SELECT FROM app.files;
-- refused: platform fetches what an employee was sent
SELECT FROM app.readable_file(md5('sent of ' || md5('message of ' || fixture_id('martin') || ' about ' || fixture_id('alice with martin'))::uuid)::uuid, '2026-09-07 09:05Z');
-- refused: platform fetches the picture of an employee
SELECT FROM app.readable_file(md5('avatar of ' || fixture_id('alice'))::uuid, '2026-09-07 09:05Z');
-- refused: practitioner reads a colleague's conversation
SELECT FROM app.messages WHERE conversation_id = fixture_id('bob with durand');
-- refused: practitioner writes into a colleague's conversation
SELECT FROM app.send_message(fixture_id('bob with durand'), gen_random_uuid(), gen_random_uuid(), decode(repeat('00', 120), 'hex'), '2026-09-07 09:05Z', 14, md5('chat key of ' || fixture_id('bob with durand'))::uuid);
-- refused: hr reads messages
SELECT FROM app.messages;
-- refused: company_admin asks who talks with whom
SELECT FROM app.conversations;
-- refused: platform reads messages
SELECT FROM app.messages;
-- refused: platform asks who has read what
SELECT FROM app.message_receipts;
-- refused: worker reads messages
SELECT FROM app.messages;
-- refused: employee signs the record as HR
SELECT app.audit('employee.updated', 'employee', NULL, NULL, NULL, NULL, 'success', '{}', NULL, NULL)
FROM (SELECT set_config('app.user_id', fixture_id('acme hr')::text, true)) AS forged OFFSET 0;
-- refused: employee signs the record as nobody
SELECT app.audit('employee.updated', 'employee', NULL, NULL, NULL, NULL, 'success', '{}', NULL, NULL)
FROM (SELECT set_config('app.user_id', '', true)) AS forged OFFSET 0;
-- refused: employee writes into another company's record
SELECT app.audit('employee.updated', 'employee', NULL, NULL, NULL, fixture_id('globex'), 'success', '{}', NULL, NULL);
-- refused: employee moves to another company to write into its record
SELECT app.audit('employee.updated', 'employee', NULL, NULL, NULL, NULL, 'success', '{}', NULL, NULL)
FROM (SELECT set_config('app.company_id', fixture_id('globex')::text, true)) AS forged OFFSET 0;
-- refused: employee writes free text into the record
SELECT app.audit('consultation.booked', 'consultation', NULL, NULL, NULL, NULL, 'success', '{"reason": "I cannot sleep"}', NULL, NULL);
-- refused: employee writes what no entry holds into the record
SELECT app.audit('consultation.booked', 'consultation', NULL, NULL, NULL, NULL, 'success', '{"name": "alice"}', NULL, NULL);
-- refused: employee nests what no entry holds into the record
SELECT app.audit('consultation.booked', 'consultation', NULL, NULL, NULL, NULL, 'success', '{"reason": {"name": "alice"}}', NULL, NULL);
-- refused: employee writes without end into the record
SELECT app.audit('consultation.booked', 'consultation', NULL, NULL, NULL, NULL, 'success',
                 jsonb_build_object('fields', (SELECT jsonb_agg('field'::text) FROM generate_series(1, 200))), NULL, NULL);

-- refused: practitioner cancels in the employee's name
UPDATE app.consultations SET status = 'cancelled', cancelled_at = now(), cancelled_by = 'employee' WHERE status = 'confirmed';
-- refused: practitioner moves a session to another person
UPDATE app.consultations SET user_id = fixture_id('bob');
-- refused: practitioner writes the minutes that they are paid by
UPDATE app.consultations SET duration_minutes = 60;
-- refused: practitioner says what the employee says
INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
VALUES (fixture_id('acme'), fixture_id('alice with martin'), 'CANCELLED', now(), 'employee');
-- refused: practitioner says something of a colleague's session
INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
VALUES (fixture_id('acme'), fixture_id('bob with durand'), 'STARTED', now(), 'practitioner');
-- refused: practitioner raises their rate
UPDATE app.practitioners SET hourly_rate_cents = 20000;
-- refused: practitioner calls themselves otherwise than they were verified
UPDATE app.practitioners SET display_name = 'Professor';
-- refused: practitioner is found under a specialty that nobody has verified
INSERT INTO app.practitioner_specialties (practitioner_id, specialty) VALUES (app.user_id(), 'physiotherapy');
-- refused: practitioner is found no longer under what was verified
DELETE FROM app.practitioner_specialties;
-- refused: practitioner learns a client's address
SELECT email FROM app.users WHERE id = fixture_id('alice');
-- refused: practitioner learns the name of a colleague's client
SELECT FROM app.clients WHERE id = fixture_id('dave');
-- refused: practitioner reads a company's contract
SELECT seats FROM app.companies;
-- refused: practitioner writes into the record of a company without clients of theirs
SELECT app.audit('consultation.ended', 'consultation', NULL, NULL, NULL, NULL, 'success', '{}', NULL, NULL)
FROM (SELECT set_config('app.company_id', gen_random_uuid()::text, true)) AS forged OFFSET 0;
-- refused: practitioner has a colleague's client told
SELECT app.enqueue('events', 'consultations.cancelled', ARRAY[jsonb_build_object('consultation_id', fixture_id('dave with durand'))],
                   NULL, NULL, 8) FROM (SELECT set_config('app.company_id', fixture_id('globex')::text, true)) AS forged OFFSET 0;

-- refused: hr asks which employees have an account
SELECT FROM app.users WHERE role = 'employee';
-- refused: hr asks who was invited
SELECT count(*) FROM app.one_time_tokens;
-- refused: hr asks who will be a member
SELECT FROM app.member_invitations;
-- refused: hr asks who got invitations
SELECT FROM app.invitation_mails;
-- refused: hr counts sessions
SELECT count(*) FROM app.consultations;
-- refused: hr asks when a practitioner is busy
SELECT * FROM app.busy_times(ARRAY[fixture_id('martin')], '-infinity', 'infinity', NULL);
-- refused: hr reads the counters behind the threshold
SELECT * FROM stats.company_usage_monthly;
-- refused: hr asks what employees did
SELECT FROM app.audit_logs WHERE object_type NOT IN ('employee', 'department', 'company', 'company_settings', 'member', 'export')
    AND actor_id <> app.user_id();
-- refused: hr lowers the reporting threshold
UPDATE app.company_settings SET reporting_threshold = 10;
-- refused: hr moves an employee to another company
UPDATE app.employees SET company_id = fixture_id('globex');
-- refused: hr puts an employee into another company's department
UPDATE app.employees SET department_id = fixture_id('globex sales');
-- refused: hr reads what somebody else asked for
SELECT FROM app.exports WHERE requested_by <> app.user_id();
-- refused: hr invites somebody of another company
SELECT app.enqueue('mail', 'identity.invite_employee', ARRAY[jsonb_build_object('employee_id', fixture_id('dave entry'))],
                   NULL, NULL, 8);
-- refused: hr has somebody else's file made
SELECT app.enqueue('exports', 'exports.make', ARRAY[jsonb_build_object('export_id', md5('file for ' || fixture_id('acme admin'))::uuid)],
                   NULL, NULL, 8);
-- refused: hr sends the invitation of a member
SELECT app.enqueue('mail', 'identity.invite_member', ARRAY[jsonb_build_object('invitation_id', fixture_id('newcomer of acme'))],
                   NULL, NULL, 8);
-- refused: hr invites a member
SELECT app.enqueue('mail', 'identity.invite_user', ARRAY[jsonb_build_object('user_id', fixture_id('acme hr 2'))], NULL, NULL, 8);
-- refused: hr signs the record as the company's admin
SELECT app.audit('company.updated', 'company', NULL, NULL, NULL, NULL, 'success', '{}', NULL, NULL)
FROM (SELECT set_config('app.user_id', fixture_id('acme admin')::text, true)) AS forged OFFSET 0;

-- refused: company_admin reads what HR was told
SELECT FROM app.notifications WHERE user_id <> app.user_id();
-- refused: company_admin refuses a message about safety
INSERT INTO app.notification_preferences (user_id, kind, channel) VALUES (app.user_id(), 'session_ended', 'email');
-- refused: company_admin switches something off for somebody else
INSERT INTO app.notification_preferences (user_id, kind, channel) VALUES (fixture_id('acme hr'), 'reminder_day', 'email');
-- refused: company_admin makes up a notification
INSERT INTO app.notifications (id, user_id, place, kind, object_type, object_id, created_at)
VALUES (app.uuid_v7(), app.user_id(), 9, 'password_changed', 'account', app.user_id(), now());
-- refused: company_admin makes an account for an employee
INSERT INTO app.users (id, email, role, display_name, status, company_id)
VALUES (app.uuid_v7(), 'x@x.test', 'employee', 'X', 'invited', app.company_id());
-- refused: company_admin makes an account that needs no invitation
INSERT INTO app.users (id, email, role, display_name, status, company_id)
VALUES (app.uuid_v7(), 'x@x.test', 'hr', 'X', 'active', app.company_id());
-- refused: company_admin makes an account past the invitation
INSERT INTO app.users (id, email, role, display_name, status, company_id)
VALUES (app.uuid_v7(), 'x@x.test', 'hr', 'X', 'suspended', app.company_id());
-- refused: company_admin sends a pending invitation to another address
UPDATE app.member_invitations SET email = 'x@x.test';
-- refused: company_admin learns of a link
SELECT FROM app.one_time_tokens;
-- refused: company_admin reads with which address a member logs in
SELECT email FROM app.users WHERE role = 'hr';
-- refused: company_admin makes platform staff
INSERT INTO app.users (id, email, role, display_name, status) VALUES (app.uuid_v7(), 'x@x.test', 'platform_admin', 'X', 'invited');
-- refused: company_admin prolongs the contract
UPDATE app.companies SET contract_ends_on = '2099-01-01';
-- refused: company_admin changes the clock by which months are counted
UPDATE app.companies SET time_zone = 'Asia/Tokyo';
-- refused: company_admin changes by which threshold a month was judged
UPDATE app.reporting_thresholds SET threshold = 10;
-- refused: company_admin sets the threshold below the platform's
UPDATE app.company_settings SET reporting_threshold = 5;
-- refused: company_admin asks which employees have an account
SELECT FROM app.users WHERE role = 'employee';

-- refused: platform asks whose a session is
SELECT user_id FROM app.consultations;
-- refused: platform asks the record who booked
SELECT FROM app.audit_logs WHERE actor_role = 'employee' AND object_type = 'consultation';
-- refused: platform asks to whom a mail went
SELECT recipient_user_id FROM app.email_log;
-- refused: platform changes somebody's account
UPDATE app.users SET display_name = 'X' WHERE id <> app.user_id();
-- refused: platform reads a password's hash
SELECT password_hash FROM app.users;
-- refused: platform makes an account for an employee
INSERT INTO app.users (id, email, role, display_name, status, company_id)
VALUES (app.uuid_v7(), 'x@x.test', 'employee', 'X', 'invited', fixture_id('acme'));
-- refused: platform reads the queue
SELECT count(*) FROM apalis.jobs;
-- refused: platform rewrites the record
UPDATE app.audit_logs SET outcome = 'success';
-- refused: platform signs the record as a company's admin
SELECT app.audit('company.updated', 'company', NULL, NULL, NULL, fixture_id('acme'), 'success', '{}', NULL, NULL)
FROM (SELECT set_config('app.user_id', fixture_id('acme admin')::text, true)) AS forged OFFSET 0;

-- refused: worker adds to somebody's list by hand
INSERT INTO app.notifications (id, user_id, place, kind, object_type, object_id, created_at)
VALUES (app.uuid_v7(), fixture_id('alice'), 9, 'password_changed', 'account', fixture_id('alice'), now());
-- refused: worker reads what people were told
SELECT FROM app.notifications;
-- refused: worker asks who has not read what
SELECT FROM app.unread_conversations;
-- refused: worker tells of another company's session
SELECT FROM app.notify_of_consultation(app.uuid_v7(), fixture_id('dave with durand'), 'employee', 'consultation_booked', 0, now()) it
WHERE it;
-- refused: worker reads another company's sessions
SELECT FROM app.consultations WHERE company_id = fixture_id('globex');
-- refused: worker reads a token's hash
SELECT hash FROM app.one_time_tokens;
-- refused: worker reads another company's mails
SELECT FROM app.email_log WHERE company_id = fixture_id('globex');

-- refused: auth reads a table
SELECT count(*) FROM app.users;
-- refused: practitioner changes what they noted
UPDATE app.clinical_note_versions SET sealed = decode(repeat('00', 120), 'hex');
-- refused: practitioner makes a final note a draft
UPDATE app.clinical_notes SET status = 'draft';
-- refused: practitioner removes a note
DELETE FROM app.clinical_notes;
-- refused: practitioner writes a version past the one that is known
INSERT INTO app.clinical_note_versions (company_id, note_id, practitioner_id, version, kind, format, sealed, created_at)
SELECT n.company_id, n.id, n.practitioner_id, 2, 'text', 'free', decode(repeat('00', 120), 'hex'), now() FROM app.clinical_notes n;
-- refused: practitioner keeps notes for a shorter time
UPDATE app.retention_rules SET years = 1;
-- refused: employee reads what was noted about them
SELECT id FROM app.clinical_notes;
-- refused: employee writes in a colleague's journal
INSERT INTO app.journal_entries (id, company_id, user_id, day, sealed, facts, created_at, updated_at)
VALUES (app.uuid_v7(), app.company_id(), fixture_id('bob'), '2026-09-01', decode(repeat('00', 120), 'hex'),
        decode(repeat('00', 120), 'hex'), now(), now());
-- refused: employee changes an entry whose version they do not know
UPDATE app.journal_entries SET day = '2026-09-03';
-- refused: employee gives an entry to a colleague
UPDATE app.journal_entries SET user_id = fixture_id('bob'), version = version + 1;
-- refused: employee exchanges the key that an entry needs
UPDATE app.journal_keys SET key_id = app.uuid_v7(), version = version + 1;
-- refused: employee seals an entry under no key
INSERT INTO app.journal_entries (id, company_id, user_id, day, sealed, private_key_id, created_at, updated_at)
VALUES (app.uuid_v7(), app.company_id(), app.user_id(), '2026-09-01', decode(repeat('00', 120), 'hex'), app.uuid_v7(), now(), now());
-- refused: platform reads a journal
SELECT id FROM app.journal_entries;
-- refused: hr reads a journal
SELECT id FROM app.journal_entries;
