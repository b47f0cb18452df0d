-- Two companies, people of every role, and rows of everybody in every table: what the access matrix looks at.
-- Run by the superuser on an empty database. Ids are made of names: id('alice').
CREATE SCHEMA fixture;
CREATE FUNCTION fixture.id(name text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5(name)::uuid $$;
SET search_path = app, fixture, public, pg_temp;

INSERT INTO companies (id, name, siren, contract_starts_on, contract_ends_on, sessions_per_employee, seats, network)
VALUES (id('acme'), 'Acme', '732829320', '2026-01-01', '2027-01-01', 12, 100, 'restricted'),
       (id('globex'), 'Globex', '552100554', '2026-01-01', '2027-01-01', 6, 100, 'open');
INSERT INTO company_settings (company_id) VALUES (id('acme')), (id('globex'));

INSERT INTO departments (id, company_id, name)
VALUES (id('acme sales'), id('acme'), 'Sales'), (id('globex sales'), id('globex'), 'Sales');

INSERT INTO employees (id, company_id, email, first_name, last_name, department_id)
SELECT id(name || ' entry'), id(company), name || '@' || company || '.test', name, company, id(company || ' sales')
FROM (VALUES ('alice', 'acme'), ('bob', 'acme'), ('erin', 'acme'), ('carol', 'globex'), ('dave', 'globex'))
     AS person (name, company);

-- erin has not accepted her invitation: she has no account
INSERT INTO users (id, email, password_hash, role, display_name, status, company_id, employee_id, created_at)
SELECT id(name), name || '@people.test', 'x', role, name, 'active', id(company),
       CASE role WHEN 'employee' THEN id(name || ' entry') END, timestamptz '2026-06-01'
FROM (VALUES ('alice', 'employee', 'acme'), ('bob', 'employee', 'acme'), ('carol', 'employee', 'globex'),
             ('dave', 'employee', 'globex'), ('acme hr', 'hr', 'acme'), ('acme hr 2', 'hr', 'acme'),
             ('acme admin', 'company_admin', 'acme'), ('acme admin 2', 'company_admin', 'acme'),
             ('globex hr', 'hr', 'globex'), ('globex admin', 'company_admin', 'globex'))
     AS person (name, role, company)
UNION ALL
SELECT id(name), name || '@people.test', 'x', role, name, 'active', NULL, NULL, timestamptz '2026-06-01'
FROM (VALUES ('martin', 'practitioner'), ('durand', 'practitioner'), ('petit', 'practitioner'),
             ('staff', 'platform_admin'), ('staff 2', 'platform_admin')) AS person (name, role);

INSERT INTO user_sessions (id, user_id, created_at, last_used_at, expires_at)
SELECT id(display_name || ' session'), u.id, '2026-06-01', '2026-06-01', '2027-06-01' FROM users u;
INSERT INTO refresh_tokens (id, session_id, hash, created_at)
SELECT id('token ' || s.id), s.id, sha256(s.id::text::bytea), '2026-06-01' FROM user_sessions s;
INSERT INTO known_devices (id, user_id, hash, created_at, last_used_at, expires_at)
SELECT id('device ' || u.id), u.id, sha256(u.id::text::bytea), '2026-06-01', '2026-06-01', '2027-06-01' FROM users u;
INSERT INTO ended_sessions (session_id) VALUES (id('a session that is over'));
INSERT INTO signing_keys (id, secret, published_at, signs_from)
VALUES (id('signing key'), 'sealed', '2026-06-01', '2026-06-02');
INSERT INTO withdrawn_signing_keys (kid, withdrawn_at) VALUES ('leaked', '2026-06-01');
INSERT INTO master_keys (id, check_value, secrets, counted_at) VALUES ('m1', sha256('m1'), 3, '2026-06-01');
INSERT INTO throttles (key, failures, clear_at, failed_at) VALUES (sha256('somebody'), 1, '2026-06-01', '2026-06-01');
INSERT INTO one_time_tokens (id, purpose, hash, user_id, company_id, employee_id, created_at, expires_at)
VALUES (id('invitation of erin'), 'invitation', sha256('erin'), NULL, id('acme'), id('erin entry'), '2026-06-01', '2027-06-01'),
       (id('invitation of dave'), 'invitation', sha256('dave'), NULL, id('globex'), id('dave entry'), '2026-06-01', '2027-06-01'),
       (id('invitation of petit'), 'invitation', sha256('petit'), id('petit'), NULL, NULL, '2026-06-01', '2027-06-01');

INSERT INTO member_invitations (id, company_id, email, role, display_name, locale)
SELECT id('newcomer of ' || company), id(company), 'newcomer@' || company || '.test', 'hr', 'Newcomer', 'fr'
FROM (VALUES ('acme'), ('globex')) AS it (company);
INSERT INTO invitation_mails (id, scope, subject, address_hash, sent_at)
SELECT id('mail to ' || m.id), m.company_id, m.id, sha256(m.email::bytea), now() FROM member_invitations m;
-- everybody has a second factor, and one offered; alice is in the middle of a log-in
INSERT INTO two_factor (user_id, secret, enabled_at, pending_secret, pending_at, created_at)
SELECT u.id, sha256(u.id::text::bytea) || '\x00', '2026-06-01', sha256(u.id::text::bytea) || '\x01', '2026-06-01', '2026-06-01'
FROM users u;
INSERT INTO recovery_codes (id, user_id, hash, created_at)
SELECT id('recovery code of ' || u.id), u.id, sha256(u.id::text::bytea), '2026-06-01' FROM users u;
INSERT INTO one_time_tokens (id, purpose, hash, user_id, company_id, in_cookie, created_at, expires_at)
VALUES (id('log-in of alice'), 'login_ticket', sha256('log-in'), id('alice'), id('acme'), false, '2026-06-01', '2026-06-02');

-- acme offers martin alone; durand was there before; petit never was, and nobody of acme ever met them
INSERT INTO practitioners (id, display_name, languages, modes, time_zone, session_lengths, hourly_rate_cents, status,
                           verified_at, verified_checks, adeli)
SELECT id(name), name, '{fr}', '{video}', 'Europe/Paris', '{60}', 9000, 'active', '2026-06-01'::timestamptz, '{identity,adeli}'::text[], adeli
FROM (VALUES ('martin', '759300001'), ('durand', '759300002'), ('petit', '759300003')) AS p (name, adeli);
INSERT INTO practitioner_specialties (practitioner_id, specialty) SELECT p.id, 'psychology' FROM practitioners p;
INSERT INTO availability_rules (id, practitioner_id, weekday, starts_minute, ends_minute)
SELECT id(p.display_name || ' monday'), p.id, 1, 540, 1020 FROM practitioners p;
INSERT INTO availability_overrides (id, practitioner_id, kind, starts_at, ends_at)
SELECT id('time off of ' || p.display_name), p.id, 'time_off', '2026-12-24 00:00', '2027-01-04 00:00' FROM practitioners p;
INSERT INTO external_calendars (id, practitioner_id, place, label, url, host, next_read_at)
SELECT id('calendar of ' || p.display_name), p.id, 1, 'Elsewhere', 'sealed', 'calendar.test', '2027-01-01' FROM practitioners p;
INSERT INTO external_busy_times (practitioner_id, calendar_id, starts_at, ends_at)
SELECT c.practitioner_id, c.id, '2026-09-21 12:00Z', '2026-09-21 13:00Z' FROM external_calendars c;
INSERT INTO calendar_feeds (id, practitioner_id, place, label, hash)
SELECT id('feed of ' || p.display_name), p.id, 1, 'Telephone', sha256(('feed-of-' || p.display_name)::bytea) FROM practitioners p;
INSERT INTO company_networks (company_id, practitioner_id)
VALUES (id('acme'), id('martin')), (id('globex'), id('durand'));

-- booked while the network was open
UPDATE companies SET network = 'open' WHERE companies.id = id('acme');
INSERT INTO consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from, busy_until,
                           specialty, department_id)
SELECT id(person || ' with ' || practitioner), id(company), id(person), id(practitioner), 'video', 'confirmed',
       day + hour, day + hour + '1 hour', day + hour, day + hour + '1 hour', 'psychology', id(company || ' sales')
FROM (VALUES ('alice', 'acme', 'martin', interval '9 hours'), ('bob', 'acme', 'martin', '10 hours'),
             ('carol', 'globex', 'martin', '11 hours'), ('alice', 'acme', 'durand', '12 hours'),
             ('bob', 'acme', 'durand', '13 hours'), ('dave', 'globex', 'durand', '14 hours'))
     AS it (person, company, practitioner, hour), (VALUES (timestamptz '2026-09-07 00:00Z')) AS d (day);
INSERT INTO waitlist_entries (id, company_id, user_id, practitioner_id, joined_at)
SELECT id(person || ' waits'), id(company), id(person), id(practitioner), '2026-09-01'
FROM (VALUES ('alice', 'acme', 'durand'), ('bob', 'acme', 'petit'), ('carol', 'globex', 'martin'), ('dave', 'globex', 'martin'))
     AS it (person, company, practitioner);
UPDATE companies SET network = 'restricted' WHERE companies.id = id('acme');
-- one of each company is over, so that there is something to count
UPDATE consultations SET status = 'in_progress' WHERE id IN (id('alice with durand'), id('dave with durand'));
UPDATE consultations SET status = 'completed' WHERE status = 'in_progress';
-- by a time of its own: September and nothing later
SELECT stats.refresh('2026-10-10', true), stats.refresh('2026-10-10', true);
SELECT stats.publish(1000), stats.publish(1000);
INSERT INTO exports (id, company_id, requested_by, kind, params, created_at)
SELECT id('file for ' || u.id), coalesce(u.company_id, id('acme')), u.id, 'usage', '{}', '2026-06-01'
FROM users u WHERE u.role IN ('hr', 'company_admin', 'platform_admin');
INSERT INTO exports (id, requested_by, kind, params, created_at)
SELECT id('file for ' || u.id), u.id, 'practitioner_activity', '{}', '2026-06-01' FROM users u WHERE u.role = 'practitioner';

-- each is asked about a time of their own
INSERT INTO waitlist_holds (id, practitioner_id, freed_from, freed_until, busy_from, busy_until)
SELECT id('kept for ' || e.user_id), e.practitioner_id, at, at + '1 hour', at, at + '1 hour'
FROM waitlist_entries e, LATERAL (SELECT '2026-10-05 08:00Z'::timestamptz + e.place * interval '1 hour' AS at) it;
INSERT INTO waitlist_offers (id, company_id, entry_id, user_id, practitioner_id, hold_id, starts_at, ends_at, offered_at, expires_at)
SELECT id('offer to ' || e.user_id), e.company_id, e.id, e.user_id, e.practitioner_id, h.id, h.busy_from, h.busy_until,
       '2026-09-07 09:00Z', '2026-09-07 11:00Z'
FROM waitlist_entries e JOIN waitlist_holds h ON h.id = id('kept for ' || e.user_id);

INSERT INTO consultation_events (id, company_id, consultation_id, kind, at, actor_role)
SELECT id('booking of ' || c.id), c.company_id, c.id, 'BOOKED', '2026-09-01', 'employee' FROM consultations c;

-- what each pair wrote about it
INSERT INTO consultation_reasons (company_id, consultation_id, about, sealed, written_by, written_at)
SELECT c.company_id, c.id, 'booking', '\x00', 'employee', '2026-09-01' FROM consultations c;

-- the key of each pair's conversation
INSERT INTO encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
SELECT id('chat key of ' || c.id), c.company_id, 'chat', c.id, c.user_id, decode(repeat('00', 100), 'hex'), '2026-09-01'
FROM consultations c;

-- a word of each of them, and how far the other one has read
INSERT INTO messages (id, company_id, conversation_id, user_id, practitioner_id, sender_id, client_id, seq, rev, sealed, created_at)
SELECT id('message of ' || who.id || ' about ' || v.id), v.company_id, v.id, v.user_id, v.practitioner_id, who.id,
       id('client ' || who.id), who.n, who.n, decode(repeat('00', 120), 'hex'), '2026-09-07 09:00Z'
FROM conversations v, LATERAL (VALUES (v.user_id, 1), (v.practitioner_id, 2)) AS who (id, n);
INSERT INTO message_receipts (company_id, conversation_id, user_id, practitioner_id, reader_id, delivered_seq, read_seq, rev, updated_at)
SELECT v.company_id, v.id, v.user_id, v.practitioner_id, v.practitioner_id, 1, 1, 3, '2026-09-07 09:00Z' FROM conversations v;
-- what the practitioner wrote waits for the employee: unread_conversations is filled by triggers
UPDATE conversations SET last_seq = 2, last_rev = 3, last_at = '2026-09-07 09:00Z';

-- a call of each pair that is over, with its two sides
INSERT INTO call_sessions (id, company_id, consultation_id, user_id, practitioner_id, number, caller, rang_at, rings_until, closes_at)
SELECT id('call about ' || c.id), c.company_id, c.id, c.user_id, c.practitioner_id, 1, 'employee', c.starts_at,
       c.starts_at + interval '45 seconds', c.ends_at + interval '30 minutes'
FROM consultations c;
ALTER TABLE call_sessions DISABLE TRIGGER call_sessions_step;
UPDATE call_sessions SET status = 'ended', end_reason = 'missed', ended_at = rings_until;
ALTER TABLE call_sessions ENABLE TRIGGER call_sessions_step;
INSERT INTO call_parties (company_id, call_id, user_id, practitioner_id, side, person_id, is_live, device, seat, seen_at)
SELECT c.company_id, c.id, c.user_id, c.practitioner_id, who.side, who.id, false, id('device ' || who.id), id('seat ' || who.id), c.rang_at
FROM call_sessions c, LATERAL (VALUES ('employee', c.user_id), ('practitioner', c.practitioner_id)) AS who (side, id);
INSERT INTO call_signals (id, company_id, call_id, user_id, practitioner_id, addressee_id, number, kind, sealed, created_at)
SELECT id('signal to ' || p.person_id || ' in ' || p.call_id), p.company_id, p.call_id, p.user_id, p.practitioner_id, p.person_id,
       1, 'ice', '\x00', p.seen_at
FROM call_parties p;
-- something that each was told, and that none of them wants by mail
INSERT INTO notifications (id, user_id, place, kind, object_type, object_id, created_at)
SELECT id('news for ' || u.id), u.id, 1, 'password_changed', 'account', u.id, '2026-06-01' FROM users u;
INSERT INTO notification_preferences (user_id, kind, channel) SELECT u.id, 'reminder_hour', 'email' FROM users u;
-- a note about each session, and its key
INSERT INTO clinical_notes (id, company_id, consultation_id, practitioner_id, profession, format, created_at, written_at)
SELECT id('note of ' || c.id), c.company_id, c.id, c.practitioner_id, c.specialty, 'free', '2026-09-07 09:00Z', '2026-09-07 09:00Z'
FROM consultations c;
INSERT INTO encryption_keys (id, company_id, purpose, subject_id, keeper_id, wrapped, created_at)
SELECT id('note key of ' || n.id), n.company_id, 'note', n.id, n.practitioner_id, decode(repeat('00', 100), 'hex'), '2026-09-01'
FROM clinical_notes n;
INSERT INTO clinical_note_versions (company_id, note_id, practitioner_id, version, kind, format, sealed, created_at)
SELECT n.company_id, n.id, n.practitioner_id, 1, 'text', 'free', decode(repeat('00', 120), 'hex'), '2026-09-07 09:00Z'
FROM clinical_notes n;

-- what was said of the sessions that are over: one that waits, one that was published
INSERT INTO reviews (id, company_id, consultation_id, user_id, rating, sealed, written_at)
SELECT id('review of ' || c.id), c.company_id, c.id, c.user_id, 4, decode(repeat('00', 120), 'hex'), '2026-09-07 10:00Z'
FROM consultations c WHERE c.status = 'completed';
UPDATE reviews SET status = 'published', version = 2, moderated_at = '2026-09-07 11:00Z' WHERE user_id = id('dave');
INSERT INTO published_reviews (id, practitioner_id, rating, body)
SELECT r.id, r.practitioner_id, r.rating, 'Somebody was listened to' FROM reviews r WHERE r.status = 'published';

-- everybody's journal: two entries, one of them private, and the keys
INSERT INTO journal_keys (company_id, user_id, key_id, by_passphrase, by_recovery_code, created_at, updated_at)
SELECT u.company_id, u.id, '01938f2e-7a10-7c3e-9b1d-2f4a6c8e0a71', decode(repeat('00', 120), 'hex'), decode(repeat('00', 120), 'hex'),
       '2026-09-01', '2026-09-01' FROM users u WHERE u.role = 'employee';
INSERT INTO journal_entries (id, company_id, user_id, day, sealed, facts, created_at, updated_at)
SELECT id('entry of ' || u.id), u.company_id, u.id, '2026-09-01', decode(repeat('00', 120), 'hex'), decode(repeat('00', 120), 'hex'),
       '2026-09-01', '2026-09-01' FROM users u WHERE u.role = 'employee';
INSERT INTO journal_entries (id, company_id, user_id, day, sealed, private_key_id, created_at, updated_at)
SELECT id('private entry of ' || k.user_id), k.company_id, k.user_id, '2026-09-02', decode(repeat('00', 120), 'hex'), k.key_id,
       '2026-09-02', '2026-09-02' FROM journal_keys k;
INSERT INTO encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
SELECT id('journal key of ' || k.user_id), k.company_id, 'journal', k.user_id, k.user_id, decode(repeat('00', 100), 'hex'), '2026-09-01'
FROM journal_keys k;

-- a picture of everybody; what each sent the other, and what waits to be sent
INSERT INTO files (id, company_id, owner_id, purpose, state, object_key, media_type, size_bytes, digest, created_at, ready_at)
SELECT id('avatar of ' || u.id), u.company_id, u.id, 'avatar', 'ready', 'files/00/' || md5('avatar of ' || u.id), 'image/png', 7,
       sha256('picture'), '2026-06-01', '2026-06-01'
FROM users u;
INSERT INTO files (id, company_id, owner_id, purpose, state, object_key, media_type, size_bytes, digest, sealed_key, sealed_name,
                   conversation_id, user_id, practitioner_id, message_seq, place, created_at, ready_at, expires_at)
SELECT id(it.kind || ' of ' || m.id), m.company_id, m.sender_id, 'attachment', 'ready', 'files/01/' || md5(it.kind || m.id),
       'application/pdf', 9, sha256('document'), decode(repeat('00', 78), 'hex'), decode(repeat('00', 120), 'hex'),
       m.conversation_id, m.user_id, m.practitioner_id, CASE it.kind WHEN 'sent' THEN m.seq END,
       CASE it.kind WHEN 'sent' THEN 1 END, '2026-09-07 09:00Z', '2026-09-07 09:00Z',
       CASE it.kind WHEN 'unsent' THEN timestamptz '2027-06-01' END
FROM messages m, (VALUES ('sent'), ('unsent')) AS it (kind);
UPDATE messages SET attachments = 1;

-- what each agreed to; a copy of their data that waits to be fetched, and an erasure that waits for its time
INSERT INTO consents (user_id, place, document, version, decision, decided_at)
SELECT u.id, 1, 'terms', '2026-01', 'accepted', '2026-06-01' FROM users u;
SET session_replication_role = replica;
INSERT INTO privacy_requests (id, user_id, kind, status, created_at, finished_at, locale, object_key, sealed_key,
                              size_bytes, expires_at)
SELECT id('copy for ' || u.id), u.id, 'export', 'ready', '2026-06-01', '2026-06-01', 'fr', 'privacy/00/' || md5('copy for ' || u.id),
       decode(repeat('00', 78), 'hex'), 9, '2027-06-01' FROM users u;
INSERT INTO privacy_requests (id, user_id, kind, status, created_at, due_at)
SELECT id('erasure of ' || u.id), u.id, 'erasure', 'waiting', '2026-09-01', '2027-06-01' FROM users u;
RESET session_replication_role;
INSERT INTO erasure_ledger (user_id, key_ids, erased_at) VALUES (id('somebody who is gone'), '{}', '2026-06-01');

INSERT INTO idempotency_keys (user_id, key, fingerprint) SELECT u.id, 'once', '\x00' FROM users u;
INSERT INTO email_log (id, key, template, company_id, recipient_user_id, status, attempts)
SELECT id('mail to ' || u.id), 'welcome ' || u.id, 'welcome', u.company_id, u.id, 'skipped', 1 FROM users u;

-- what each did themselves; what was done to the directory, and something that no employer may read
INSERT INTO audit_logs (id, actor_id, actor_role, company_id, action, object_type, outcome)
SELECT id('log-in of ' || u.id), u.id, u.role, u.company_id, 'session.opened', 'session', 'success' FROM users u
UNION ALL
SELECT id('hiring by ' || u.id), u.id, u.role, u.company_id, 'employee.created', 'employee', 'success' FROM users u WHERE u.role = 'hr'
UNION ALL
SELECT id('booking by ' || u.id), u.id, u.role, u.company_id, 'consultation.booked', 'consultation', 'success'
FROM users u WHERE u.role = 'employee';

INSERT INTO articles (id, status, category, publish_at, published_at, author_id)
VALUES (id('article'), 'published', 'sleep', NULL, '2026-06-01', NULL), (id('draft'), 'draft', 'sleep', NULL, NULL, id('martin')),
       (id('draft of durand'), 'draft', 'sleep', NULL, NULL, id('durand')),
       (id('scheduled article'), 'scheduled', 'sleep', '2027-06-01', NULL, NULL);
-- their names are kept by a trigger
INSERT INTO article_translations (article_id, language, slug, title, summary, body)
SELECT a.id, 'fr', 'article-' || a.status || CASE a.author_id WHEN id('durand') THEN '-of-durand' ELSE '' END, 'Titre', 'Résumé', 'Texte'
FROM articles a;

-- news of each company, and of the platform for everybody and for globex; everybody has read something
INSERT INTO news (id, company_id, title_fr, body_fr, published_at)
SELECT id('news of ' || c.name), c.id, 'Nouvelles de ' || c.name, 'Texte de ' || c.name, '2026-06-01' FROM companies c;
INSERT INTO platform_news (id, audience, title_fr, body_fr, published_at)
VALUES (id('news for everybody'), 'everybody', 'Nouvelles pour tous', 'Texte pour tous', '2026-06-01'),
       (id('news for globex'), 'chosen', 'Nouvelles choisies', 'Texte choisi', '2026-06-01');
INSERT INTO platform_news_companies (company_id, news_id) VALUES (id('globex'), id('news for globex'));
INSERT INTO news_reads (user_id, news_id, read_at) SELECT u.id, id('news that is gone'), '2026-06-01' FROM users u;

INSERT INTO feature_flags (company_id, feature, is_on) VALUES (id('acme'), 'articles', true), (id('globex'), 'audio', false);

INSERT INTO audit_acknowledgements (id, chain, at, decided_by, reason, findings)
SELECT id('break of ' || c.name), c.id, '2026-06-01', 'Somebody', 'An outage', '[{"fault": "removed", "sequence": 1}]'
FROM companies c WHERE c.id IN (id('acme'), id('globex'));
INSERT INTO audit_cuts (chain, sequence, cut_at) VALUES (id('acme'), 1, '2026-06-01'), (id('globex'), 1, '2026-06-01');
INSERT INTO audit_verifications (chain, verified_at, sequence, digest, findings)
VALUES (id('acme'), '2026-06-01', 1, sha256('acme'), 0), (id('globex'), '2026-06-01', 1, sha256('globex'), 0),
       ('00000000-0000-0000-0000-000000000000', '2026-06-01', 1, sha256('none'), 0);

-- How the matrix sorts the rows of a table for a person `me`, and what it tries with them.
CREATE TABLE fixture.tables (
    name    text PRIMARY KEY,
    -- SQL over the row `t` and `me`: is it the person's own, and of which company it is
    own     text NOT NULL,
    company text NOT NULL DEFAULT 'NULL::uuid',
    -- SQL for jsonb: what a copy of the row has of its own, so that it could be inserted
    fresh   text NOT NULL DEFAULT 'jsonb_build_object(''id'', gen_random_uuid())',
    -- what UPDATE sets; where nothing is said, a granted column to itself
    change  text
);
INSERT INTO fixture.tables (name, own, company, fresh, change) VALUES
    ('app.companies', 'false', 't.id', $$jsonb_build_object('id', gen_random_uuid(), 'siren', NULL)$$, NULL),
    ('app.company_settings', 'false', 't.company_id', $$'{}'$$, NULL),
    ('app.reporting_thresholds', 'false', 't.company_id', $$'{"first_month": "2027-01-01"}'$$, NULL),
    ('app.company_networks', 'false', 't.company_id', $$jsonb_build_object('practitioner_id', fixture.id('petit'))$$, NULL),
    ('app.practitioner_specialties', 't.practitioner_id = me', 'NULL::uuid', $$'{"specialty": "sleep"}'$$, NULL),
    ('app.user_sessions', 't.user_id = me', '(SELECT u.company_id FROM app.users u WHERE u.id = t.user_id)', DEFAULT,
     'revoked_at = now()'),
    ('app.consultations', 'me IN (t.user_id, t.practitioner_id)', 't.company_id',
     $$jsonb_build_object('id', gen_random_uuid(), 'starts_at', t.starts_at + interval '7 days', 'ends_at', t.ends_at + interval '7 days',
                          'busy_from', t.busy_from + interval '7 days', 'busy_until', t.busy_until + interval '7 days')$$,
     $$status = 'cancelled', cancelled_at = now(),
       cancelled_by = CASE current_user WHEN 'huntzen_employee' THEN 'employee' ELSE 'practitioner' END$$),
    ('app.consultation_events',
     't.consultation_id IN (SELECT c.id FROM app.consultations c WHERE me IN (c.user_id, c.practitioner_id))', 't.company_id',
     $$jsonb_build_object('id', gen_random_uuid(), 'kind', 'CANCELLED', 'actor_role',
         CASE me WHEN fixture.id('martin') THEN 'practitioner' ELSE 'employee' END)$$, NULL),
    ('app.consultation_reasons',
     't.consultation_id IN (SELECT c.id FROM app.consultations c WHERE me IN (c.user_id, c.practitioner_id))', 't.company_id',
     $$jsonb_build_object('about', 'cancelling', 'written_by',
         CASE me WHEN fixture.id('martin') THEN 'practitioner' ELSE 'employee' END)$$, NULL),
    ('app.conversations', 'me IN (t.user_id, t.practitioner_id)', 't.company_id',
     $$jsonb_build_object('id', gen_random_uuid())$$, NULL),
    ('app.messages', 'me IN (t.user_id, t.practitioner_id)', 't.company_id',
     $$jsonb_build_object('id', gen_random_uuid(), 'client_id', gen_random_uuid(), 'seq', 10, 'rev', 10)$$, NULL),
    ('app.files', 't.owner_id = me OR (t.message_seq IS NOT NULL AND me IN (t.user_id, t.practitioner_id))', 't.company_id',
     $$jsonb_build_object('id', gen_random_uuid())$$, NULL),
    ('app.message_receipts', 'me IN (t.user_id, t.practitioner_id)', 't.company_id',
     $$jsonb_build_object('reader_id', me)$$, NULL),
    ('app.call_sessions', 'me IN (t.user_id, t.practitioner_id)', 't.company_id',
     $$jsonb_build_object('id', gen_random_uuid(), 'number', 2)$$, NULL),
    ('app.call_parties', 'me IN (t.user_id, t.practitioner_id)', 't.company_id', $$jsonb_build_object('is_live', true)$$, NULL),
    ('app.call_signals', 't.addressee_id = me', 't.company_id', $$jsonb_build_object('id', gen_random_uuid(), 'number', 2)$$, NULL),
    ('app.unread_conversations', 't.reader_id = me', 't.company_id', $$jsonb_build_object('reader_id', me)$$, NULL),
    ('app.clinical_notes', 't.practitioner_id = me', 't.company_id', DEFAULT, NULL),
    ('app.reviews', 't.user_id = me', 't.company_id', DEFAULT, 'version = t.version + 1, status = ''pending'', moderated_at = NULL'),
    -- everybody reads of whom they see; nobody's own
    ('app.published_reviews', 't.practitioner_id = me', 'NULL::uuid', DEFAULT, NULL),
    ('app.clinical_note_versions', 't.practitioner_id = me', 't.company_id', $$'{"version": 2}'$$, NULL),
    ('app.retention_rules', 'false', 'NULL::uuid', $$'{"record": "another"}'$$, NULL),
    ('app.journal_entries', 't.user_id = me', 't.company_id', DEFAULT, 'version = t.version + 1'),
    ('app.journal_keys', 't.user_id = me', 't.company_id', $$'{}'$$, 'version = t.version + 1'),
    ('app.encryption_keys', 't.person_id = me', 't.company_id',
     $$jsonb_build_object('id', gen_random_uuid(), 'subject_id', gen_random_uuid())$$, NULL),
    -- acme offers martin alone
    ('app.waitlist_entries', 't.user_id = me', 't.company_id',
     $$jsonb_build_object('id', gen_random_uuid(),
         'practitioner_id', CASE t.company_id WHEN fixture.id('acme') THEN fixture.id('martin') ELSE fixture.id('petit') END)$$, NULL),
    ('app.waitlist_holds', 't.practitioner_id = me', 'NULL::uuid', DEFAULT, NULL),
    ('app.waitlist_offers', 't.user_id = me', 't.company_id', DEFAULT, $$status = 'declined', ended_at = now()$$),
    ('app.users', 't.id = me', 't.company_id',
     $$jsonb_build_object('id', gen_random_uuid(), 'email', 'new@people.test', 'status', 'invited')$$, NULL),
    ('app.employees', 't.id = (SELECT u.employee_id FROM app.users u WHERE u.id = me)', 't.company_id',
     $$jsonb_build_object('id', gen_random_uuid(), 'email', 'new@acme.test')$$, NULL),
    ('app.departments', 'false', 't.company_id', $$jsonb_build_object('id', gen_random_uuid(), 'name', 'New')$$, NULL),
    ('app.two_factor', 't.user_id = me', '(SELECT u.company_id FROM app.users u WHERE u.id = t.user_id)', $$'{}'$$, NULL),
    ('app.recovery_codes', 't.user_id = me', '(SELECT u.company_id FROM app.users u WHERE u.id = t.user_id)', DEFAULT, NULL),
    ('app.refresh_tokens', 't.session_id IN (SELECT s.id FROM app.user_sessions s WHERE s.user_id = me)', 'NULL::uuid', DEFAULT, NULL),
    ('app.known_devices', 't.user_id = me', 'NULL::uuid',
     $$jsonb_build_object('id', gen_random_uuid(), 'hash', '\x' || repeat('00', 32))$$, NULL),
    ('app.ended_sessions', 'false', 'NULL::uuid', $$jsonb_build_object('session_id', gen_random_uuid())$$, NULL),
    ('app.signing_keys', 'false', 'NULL::uuid',
     $$jsonb_build_object('id', gen_random_uuid(), 'signs_from', t.signs_from + interval '1 day')$$, NULL),
    ('app.withdrawn_signing_keys', 'false', 'NULL::uuid', $$'{"kid": "another"}'$$, NULL),
    ('app.master_keys', 'false', 'NULL::uuid', $$'{"id": "another"}'$$, NULL),
    -- filled by a trigger of practitioners
    ('app.search_words', 'false', 'NULL::uuid', $$'{"word": "another"}'$$, NULL),
    ('app.throttles', 'false', 'NULL::uuid', $$jsonb_build_object('key', '\x' || repeat('00', 32))$$, NULL),
    ('app.one_time_tokens', 't.user_id = me', 't.company_id',
     $$jsonb_build_object('id', gen_random_uuid(), 'hash', '\x' || repeat('00', 32))$$, NULL),
    ('app.member_invitations', 'false', 't.company_id',
     $$jsonb_build_object('id', gen_random_uuid(), 'email', 'another@acme.test')$$, NULL),
    ('app.invitation_mails', 'false', 't.scope', DEFAULT, NULL),
    ('app.practitioners', 't.id = me', 'NULL::uuid', $$jsonb_build_object('id', fixture.id('staff'), 'rpps', NULL, 'adeli', NULL, 'verified_checks', ARRAY['identity'])$$, NULL),
    ('app.availability_rules', 't.practitioner_id = me', 'NULL::uuid',
     $$jsonb_build_object('id', gen_random_uuid(), 'weekday', 2)$$, NULL),
    ('app.availability_overrides', 't.practitioner_id = me', 'NULL::uuid',
     $$jsonb_build_object('id', gen_random_uuid(), 'kind', 'closed')$$, NULL),
    ('app.external_calendars', 't.practitioner_id = me', 'NULL::uuid',
     $$jsonb_build_object('id', gen_random_uuid(), 'place', 2)$$, NULL),
    ('app.external_busy_times', 't.practitioner_id = me', 'NULL::uuid',
     $$jsonb_build_object('starts_at', t.starts_at + interval '1 hour', 'ends_at', t.ends_at + interval '1 hour')$$, NULL),
    ('app.calendar_feeds', 't.practitioner_id = me', 'NULL::uuid',
     $$jsonb_build_object('id', gen_random_uuid(), 'place', 2, 'hash', '\x' || repeat('00', 32))$$, NULL),
    ('app.notifications', 't.user_id = me', '(SELECT u.company_id FROM app.users u WHERE u.id = t.user_id)',
     $$jsonb_build_object('id', gen_random_uuid(), 'place', 2, 'occurrence', 1)$$, 'read_at = now()'),
    ('app.notification_preferences', 't.user_id = me', '(SELECT u.company_id FROM app.users u WHERE u.id = t.user_id)',
     $$'{"kind": "reminder_day"}'$$, NULL),
    ('app.account_uses', 't.user_id = me', '(SELECT u.company_id FROM app.users u WHERE u.id = t.user_id)', $$'{}'$$, NULL),
    ('app.consents', 't.user_id = me', '(SELECT u.company_id FROM app.users u WHERE u.id = t.user_id)', $$'{"place": 2}'$$, NULL),
    ('app.privacy_requests', 't.user_id = me', '(SELECT u.company_id FROM app.users u WHERE u.id = t.user_id)', DEFAULT, NULL),
    ('app.erasure_ledger', 'false', 'NULL::uuid', $$jsonb_build_object('user_id', gen_random_uuid())$$, NULL),
    ('app.idempotency_keys', 't.user_id = me', 'NULL::uuid', $$'{"key": "twice"}'$$, NULL),
    ('app.email_log', 't.recipient_user_id = me', 't.company_id',
     $$jsonb_build_object('id', gen_random_uuid(), 'key', 'another')$$, NULL),
    ('app.audit_logs', 't.actor_id = me', 't.company_id', DEFAULT, NULL),
    ('app.audit_chain', 'false', 'nullif(t.chain, ''00000000-0000-0000-0000-000000000000'')',
     $$jsonb_build_object('sequence', 1000, 'entry_id', gen_random_uuid())$$, NULL),
    ('app.audit_heads', 'false', 'nullif(t.chain, ''00000000-0000-0000-0000-000000000000'')',
     $$jsonb_build_object('chain', gen_random_uuid())$$, NULL),
    ('app.audit_verifications', 'false', 'nullif(t.chain, ''00000000-0000-0000-0000-000000000000'')',
     $$jsonb_build_object('chain', gen_random_uuid())$$, NULL),
    ('app.audit_acknowledgements', 'false', 'nullif(t.chain, ''00000000-0000-0000-0000-000000000000'')', DEFAULT, NULL),
    ('app.audit_cuts', 'false', 'nullif(t.chain, ''00000000-0000-0000-0000-000000000000'')',
     $$jsonb_build_object('chain', gen_random_uuid())$$, NULL),
    ('app.exports', 't.requested_by = me', 't.company_id', DEFAULT, NULL),
    -- what is published is everybody's own
    ('app.articles', 't.status = ''published'' OR t.author_id = me', 'NULL::uuid',
     $$jsonb_build_object('id', gen_random_uuid(), 'author_id', me)$$, NULL),
    ('app.article_translations', 't.article_id IN (SELECT a.id FROM app.articles a WHERE a.status = ''published'' OR a.author_id = me)',
     'NULL::uuid', $$'{"language": "en"}'$$, NULL),
    ('app.article_slugs', 't.article_id IN (SELECT a.id FROM app.articles a WHERE a.status = ''published'' OR a.author_id = me)',
     'NULL::uuid', $$'{"slug": "another"}'$$, NULL),
    -- a company's are of all its people
    ('app.news', 't.company_id = (SELECT u.company_id FROM app.users u WHERE u.id = me)', 't.company_id', DEFAULT, NULL),
    ('app.platform_news', 't.audience = ''everybody'' OR t.id IN (SELECT c.news_id FROM app.platform_news_companies c
                           JOIN app.users u ON u.company_id = c.company_id WHERE u.id = me)', 'NULL::uuid', DEFAULT, NULL),
    ('app.platform_news_companies', 'false', 't.company_id', $$jsonb_build_object('news_id', fixture.id('news for everybody'))$$, NULL),
    ('app.news_reads', 't.user_id = me', '(SELECT u.company_id FROM app.users u WHERE u.id = t.user_id)',
     $$jsonb_build_object('news_id', fixture.id('news for everybody'))$$, NULL),
    ('app.feature_flags', 'false', 't.company_id', $$'{"feature": "chat"}'$$, NULL),
    ('app.maintenance', 'false', 'NULL::uuid', $$'{}'$$, NULL),
    ('app.clients', 'true', 'NULL::uuid', DEFAULT, NULL),
    ('app.usage_refreshes', 'false', 'NULL::uuid', $$'{}'$$, NULL),
    ('app.usage_months', 'false', 't.company_id', $$'{"month": "2020-01-01"}'$$, NULL),
    ('app.usage_cells', 'false', 't.company_id', $$'{"row_key": "another"}'$$, NULL),
    ('app.payroll_months', 'false', 'NULL::uuid', $$'{"month": "2020-01-01"}'$$, NULL),
    ('app.payroll_lines', 't.practitioner_id = me', 'NULL::uuid', $$'{"currency": "CHF"}'$$, NULL),
    ('app.payroll_sessions', 't.practitioner_id = me', 'NULL::uuid',
     $$jsonb_build_object('consultation_id', gen_random_uuid())$$, NULL),
    ('app.practitioner_rates', 't.practitioner_id = me', 'NULL::uuid', $$'{"since": "2020-01-01"}'$$, NULL),
    ('stats.practitioner_activity_monthly', 'false', 'NULL::uuid', DEFAULT, NULL),
    ('stats.company_usage_monthly', 'false', 't.company_id', DEFAULT, NULL);
