-- What the matrix of routes needs beside ../fixture.sql, whose rows it asks for as well.
-- Run by the superuser after it. A new route with ids in its path, query or body needs a row of fixture.ids;
-- one whose example in the document does not suit the rows here, a row of fixture.bodies.
SET search_path = app, fixture, public, pg_temp;

-- people who may no longer do what they could: the test suspends, removes and lets go of them through the API
INSERT INTO companies (id, name, contract_starts_on, contract_ends_on, sessions_per_employee, seats, network)
VALUES (id('initech'), 'Initech', '2026-01-01', '2027-01-01', 6, 100, 'restricted'),
       (id('umbrella'), 'Umbrella', '2026-01-01', '2027-01-01', 6, 100, 'restricted');
INSERT INTO company_settings (company_id) VALUES (id('initech')), (id('umbrella'));
INSERT INTO departments (id, company_id, name)
VALUES (id('initech sales'), id('initech'), 'Sales'), (id('umbrella sales'), id('umbrella'), 'Sales');
INSERT INTO employees (id, company_id, email, first_name, last_name, department_id)
SELECT id(name || ' entry'), id(company), name || '@' || company || '.test', name, company, id(company || ' sales')
FROM (VALUES ('frank', 'acme'), ('gina', 'acme'), ('peter', 'initech'), ('milton', 'initech'),
             ('jill', 'umbrella')) AS person (name, company);
INSERT INTO users (id, email, password_hash, role, display_name, status, company_id, employee_id, created_at)
SELECT id(name), replace(name, ' ', '-') || '@people.test', 'x', role, name, 'active', id(company),
       CASE role WHEN 'employee' THEN id(name || ' entry') END, timestamptz '2026-06-01'
FROM (VALUES ('frank', 'employee', 'acme'), ('gina', 'employee', 'acme'), ('acme hr 3', 'hr', 'acme'),
             ('peter', 'employee', 'initech'), ('milton', 'employee', 'initech'), ('initech hr', 'hr', 'initech'),
             ('initech hr 2', 'hr', 'initech'), ('initech admin', 'company_admin', 'initech'),
             ('initech admin 2', 'company_admin', 'initech'), ('jill', 'employee', 'umbrella'),
             ('umbrella hr', 'hr', 'umbrella'), ('umbrella admin', 'company_admin', 'umbrella')) AS person (name, role, company);
INSERT INTO user_sessions (id, user_id, created_at, last_used_at, expires_at)
SELECT id(display_name || ' session'), u.id, '2026-06-01', '2026-06-01', '2027-06-01' FROM users u ON CONFLICT DO NOTHING;
INSERT INTO two_factor (user_id, secret, enabled_at, pending_secret, pending_at, created_at)
SELECT u.id, sha256(u.id::text::bytea) || '\x00', '2026-06-01', sha256(u.id::text::bytea) || '\x01', '2026-06-01', '2026-06-01'
FROM users u ON CONFLICT DO NOTHING;
INSERT INTO refresh_tokens (id, session_id, hash, created_at)
SELECT id('token ' || s.id), s.id, sha256(s.id::text::bytea), '2026-06-01' FROM user_sessions s ON CONFLICT DO NOTHING;
INSERT INTO company_networks (company_id, practitioner_id) VALUES (id('initech'), id('martin')), (id('umbrella'), id('martin'));
INSERT INTO consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from, busy_until,
                           specialty, department_id)
SELECT id(person || ' with martin'), id(company), id(person), id('martin'), 'video', 'confirmed',
       day + hour, day + hour + '1 hour', day + hour, day + hour + '1 hour', 'psychology', id(company || ' sales')
FROM (VALUES ('frank', 'acme', interval '9 hours'), ('peter', 'initech', '10 hours'), ('milton', 'initech', '11 hours'))
     AS it (person, company, hour), (VALUES (timestamptz '2026-09-08 00:00Z')) AS d (day);
-- one that may still be cancelled, and one that goes on
INSERT INTO consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from, busy_until, specialty)
SELECT id('alice with martin later'), id('acme'), id('alice'), id('martin'), 'chat', 'confirmed', at, at + '1 hour', at, at + '1 hour',
       'psychology' FROM (VALUES (timestamptz '2026-09-21 08:00Z')) AS it (at);
UPDATE consultations SET status = 'in_progress' WHERE consultations.id = id('milton with martin');
INSERT INTO consultation_events (company_id, consultation_id, kind, at, actor_role)
VALUES (id('initech'), id('milton with martin'), 'STARTED', '2026-09-07 08:00Z', 'practitioner');
-- one that was held, and that nobody has said anything of
INSERT INTO consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from, busy_until, specialty)
SELECT id('alice with martin held'), id('acme'), id('alice'), id('martin'), 'chat', 'confirmed', at, at + '1 hour', at, at + '1 hour',
       'psychology' FROM (VALUES (timestamptz '2026-08-03 08:00Z')) AS it (at);
UPDATE consultations SET status = 'in_progress' WHERE consultations.id = id('alice with martin held');
UPDATE consultations SET status = 'completed' WHERE consultations.id = id('alice with martin held');
-- one that is open and needs no video server, one that nobody said anything of yet
INSERT INTO consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from, busy_until, specialty)
SELECT id('alice with martin ' || name), id('acme'), id('alice'), id('martin'), 'chat', 'confirmed', at, at + '20 minutes', at,
       at + '20 minutes', 'psychology'
FROM (VALUES ('joins', timestamptz '2026-09-07 08:40Z'), ('early', '2026-09-07 07:00Z')) AS it (name, at);
-- a request
INSERT INTO consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from, busy_until, specialty, expires_at)
SELECT id('bob with martin later'), id('acme'), id('bob'), id('martin'), 'video', 'pending', at, at + '1 hour', at, at + '1 hour',
       'psychology', at FROM (VALUES (timestamptz '2026-09-21 10:00Z')) AS it (at);
INSERT INTO notifications (id, user_id, place, kind, object_type, object_id, created_at)
SELECT id('news for ' || u.id), u.id, 1, 'password_changed', 'account', u.id, '2026-06-01' FROM users u ON CONFLICT DO NOTHING;
INSERT INTO exports (id, company_id, requested_by, kind, params, created_at)
SELECT id('file for ' || u.id), u.company_id, u.id, 'usage', '{}', '2026-06-01'
FROM users u WHERE u.role IN ('hr', 'company_admin') ON CONFLICT DO NOTHING;
INSERT INTO consents (user_id, place, document, version, decision, decided_at)
SELECT u.id, 1, 'terms', '2026-01', 'accepted', '2026-06-01' FROM users u ON CONFLICT DO NOTHING;
SET session_replication_role = replica;
INSERT INTO privacy_requests (id, user_id, kind, status, created_at, finished_at, locale, object_key, sealed_key,
                              size_bytes, expires_at)
SELECT id('copy for ' || u.id), u.id, 'export', 'ready', '2026-06-01', '2026-06-01', 'fr', 'privacy/00/' || md5('copy for ' || u.id),
       decode(repeat('00', 78), 'hex'), 9, '2027-06-01' FROM users u ON CONFLICT DO NOTHING;
INSERT INTO privacy_requests (id, user_id, kind, status, created_at, due_at)
SELECT id('erasure of ' || u.id), u.id, 'erasure', 'waiting', '2026-09-01', '2027-06-01' FROM users u ON CONFLICT DO NOTHING;
RESET session_replication_role;
UPDATE exports SET params = '{"from": "2026-01", "to": "2026-06", "by": null, "delimiter": "semicolon", "bom": true, "locale": "fr"}';

-- pictures for articles
INSERT INTO files (id, owner_id, purpose, state, object_key, media_type, size_bytes, digest, created_at, ready_at)
SELECT id('picture by ' || u.id), u.id, 'article_image', 'ready', 'files/02/' || md5('picture by ' || u.id), 'image/png', 7,
       sha256('picture'), '2026-06-01', '2026-06-01'
FROM users u WHERE u.role IN ('practitioner', 'platform_admin');

-- keys that open: the first message and the first entry make one; those of notes are made by the test
TRUNCATE encryption_keys;
-- one note of each practitioner is final, and people who came later have journals as well
INSERT INTO journal_keys (company_id, user_id, key_id, by_passphrase, by_recovery_code, created_at, updated_at)
SELECT u.company_id, u.id, '01938f2e-7a10-7c3e-9b1d-2f4a6c8e0a71', decode(repeat('00', 120), 'hex'), decode(repeat('00', 120), 'hex'),
       '2026-09-01', '2026-09-01' FROM users u WHERE u.role = 'employee' ON CONFLICT DO NOTHING;
UPDATE clinical_notes n SET status = 'finalized', finalized_at = '2026-09-07 09:01Z'
WHERE n.consultation_id IN (id('alice with martin'), id('alice with durand'));
INSERT INTO journal_entries (id, company_id, user_id, day, sealed, facts, created_at, updated_at)
SELECT id('entry of ' || u.id), u.company_id, u.id, '2026-09-01', decode(repeat('00', 120), 'hex'), decode(repeat('00', 120), 'hex'),
       '2026-09-01', '2026-09-01' FROM users u WHERE u.role = 'employee' ON CONFLICT DO NOTHING;

-- files that are there: the test writes them
UPDATE exports SET status = 'ready', file_key = 'exports/' || replace(exports.id::text, '-', '') || '.csv', row_count = 1,
                   finished_at = '2026-06-01', expires_at = '2027-06-01';

-- a password that is asked for is compared with a real hash, which none fits; the callers get one that theirs fits
UPDATE users SET password_hash = '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$' || repeat('A', 43);

-- links that were mailed to everybody, and a log-in of each that waits for its code. A token is named after its account.
UPDATE users SET pending_email = 'new-' || users.id || '@people.test', pending_email_until = '2026-09-08';
INSERT INTO one_time_tokens (id, purpose, hash, user_id, company_id, address, in_cookie, created_at, expires_at)
SELECT id(it.purpose || u.id), it.purpose, sha256((it.purpose || ' ' || u.id)::bytea), u.id, u.company_id,
       CASE it.purpose WHEN 'email_verification' THEN u.pending_email WHEN 'email_change' THEN u.email END,
       CASE it.purpose WHEN 'login_ticket' THEN false END, timestamptz '2026-09-07', timestamptz '2026-09-08'
FROM users u, (VALUES ('password_reset'), ('email_verification'), ('email_change'), ('login_ticket')) AS it (purpose);

-- Where ids come from, by the name of the operation, or of the collection before the parameter, or of the query's or
-- body's property. For each caller the matrix takes one of their own, one of their company, one of others.
CREATE TABLE fixture.ids (
    name      text PRIMARY KEY,
    -- NULL: an id of the client's own making, which refers to nothing
    relation  text,
    -- SQL over its row `t`, the caller `me` and the caller's company `its`
    key       text NOT NULL DEFAULT 't.id',
    condition text NOT NULL DEFAULT 'true',
    -- which one to take where there are several
    prefer    text NOT NULL DEFAULT 'true',
    -- where fixture.tables says it otherwise
    own       text,
    company   text,
    -- one that nobody has; a fresh id where nothing is said
    made_up   text
);
INSERT INTO fixture.ids (name, relation, condition, prefer, own, company) VALUES
    ('companies', 'app.companies', DEFAULT, $$t.id = fixture.id('acme')$$, NULL, NULL),
    ('activateCompany', 'app.companies', DEFAULT, $$t.status = 'suspended'$$, NULL, NULL),
    ('companyId', 'app.companies', DEFAULT, DEFAULT, NULL, NULL),
    ('actorId', 'app.users', DEFAULT, DEFAULT, NULL, NULL),
    ('subjectId', 'app.users', DEFAULT, DEFAULT, NULL, NULL),
    ('objectId', 'app.employees', DEFAULT, DEFAULT, NULL, NULL),
    ('members', 'app.users', $$t.role IN ('hr', 'company_admin')$$,
     $$t.status = 'active' AND t.id <> me AND t.company_id = coalesce(its, fixture.id('acme'))$$, NULL, NULL),
    ('employees', 'app.employees', DEFAULT, $$t.status = 'active' AND t.id <> fixture.id('erin entry')$$, NULL, NULL),
    ('reactivateEmployee', 'app.employees', DEFAULT, $$t.status = 'left'$$, NULL, NULL),
    ('inviteEmployee', 'app.employees', DEFAULT, $$t.id = fixture.id('erin entry')$$, NULL, NULL),
    -- martin serves acme and initech, nobody there ever met petit; admins choose among all
    ('practitioners', 'app.practitioners', $$t.id <> fixture.id('durand')$$, $$t.id = fixture.id('martin')$$, NULL,
     $$CASE WHEN t.id = fixture.id('martin') OR me IN (fixture.id('acme admin'), fixture.id('initech admin')) THEN its END$$),
    ('practitionerId', 'app.practitioners', $$t.id <> fixture.id('durand')$$, DEFAULT, NULL,
     $$CASE t.id WHEN fixture.id('martin') THEN its END$$),
    ('practitionerIds', 'app.practitioners', $$t.id <> fixture.id('durand')$$, $$t.id = fixture.id('martin')$$, NULL, 'its'),
    ('overrides', 'app.availability_overrides', DEFAULT, DEFAULT, NULL, NULL),
    ('consultations', 'app.consultations', DEFAULT, $$t.status = 'confirmed'$$, NULL, NULL),
    ('joinConsultation', 'app.consultations', DEFAULT, $$t.id = fixture.id('alice with martin joins')$$, NULL, NULL),
    ('startConsultation', 'app.consultations', DEFAULT, $$t.id = fixture.id('alice with martin')$$, NULL, NULL),
    ('cancelConsultation', 'app.consultations', DEFAULT, $$t.status = 'confirmed' AND t.starts_at > '2026-09-10'$$, NULL, NULL),
    ('confirmConsultation', 'app.consultations', DEFAULT, $$t.status = 'pending'$$, NULL, NULL),
    ('rescheduleConsultation', 'app.consultations', DEFAULT, $$t.id = fixture.id('alice with martin later')$$, NULL, NULL),
    ('reportNoShow', 'app.consultations', DEFAULT, $$t.id = fixture.id('alice with martin early')$$, NULL, NULL),
    ('endConsultation', 'app.consultations', DEFAULT, $$t.status = 'in_progress'$$, NULL, NULL),
    ('conversations', 'app.conversations', DEFAULT, $$t.id = fixture.id('alice with martin')$$, NULL, NULL),
    ('messages', 'app.messages', DEFAULT, $$t.sender_id = me AND t.conversation_id = fixture.id('alice with martin')$$, NULL, NULL),
    ('notifications', 'app.notifications', DEFAULT, DEFAULT, NULL, NULL),
    ('clientId', NULL, DEFAULT, DEFAULT, NULL, NULL),
    -- one that has begun
    ('createNote', 'app.consultations', DEFAULT, $$t.status IN ('in_progress', 'completed')$$, NULL, NULL),
    -- one that was held and has no review yet, and those that have one
    ('writeReview', 'app.consultations', $$t.status = 'completed'$$, $$t.id NOT IN (SELECT r.consultation_id FROM app.reviews r)$$, NULL, NULL),
    ('notes', 'app.clinical_notes', DEFAULT, $$t.status = 'draft'$$, NULL, NULL),
    ('addAddendum', 'app.clinical_notes', DEFAULT, $$t.status = 'finalized'$$, NULL, NULL),
    ('journal', 'app.journal_entries', DEFAULT, $$t.private_key_id IS NULL$$, NULL, NULL),
    -- the one that the wraps of the example name
    ('keyId', 'app.journal_keys', $$t.user_id = me$$, DEFAULT, NULL, NULL),
    -- avatars: of practitioners many see, of employees their practitioners
    ('files', 'app.files', $$t.purpose = 'avatar' AND (t.owner_id = me
                             OR t.owner_id IN (SELECT u.id FROM app.users u WHERE u.role IN ('hr', 'company_admin')))$$,
     DEFAULT, 't.owner_id = me', NULL),
    ('attachmentIds', 'app.files', $$t.purpose = 'attachment' AND t.message_seq IS NULL$$,
     $$t.conversation_id = fixture.id('alice with martin')$$, 't.owner_id = me', NULL),
    ('calendars', 'app.external_calendars', DEFAULT, DEFAULT, NULL, NULL),
    ('exports', 'app.exports', DEFAULT, DEFAULT, NULL, NULL),
    ('getCopy', 'app.privacy_requests', $$t.kind = 'export'$$, DEFAULT, NULL, NULL),
    ('downloadCopy', 'app.privacy_requests', $$t.kind = 'export'$$, DEFAULT, NULL, NULL),
    ('users', 'app.users', DEFAULT, $$t.status = 'active' AND t.role IN ('employee', 'practitioner')$$, NULL, NULL),
    ('sessions', 'app.user_sessions', 't.revoked_at IS NULL', DEFAULT, NULL, NULL);
-- whom somebody waits for
INSERT INTO fixture.ids (name, relation, key) VALUES
    ('getWaitlist', 'app.waitlist_entries', 't.practitioner_id'),
    ('leaveWaitlist', 'app.waitlist_entries', 't.practitioner_id'),
    ('declineWaitlistOffer', 'app.waitlist_offers', 't.practitioner_id');
-- by name; what is not published is others'
-- the address is all that it takes
INSERT INTO fixture.ids (name, relation, key, prefer, own) VALUES
    ('getCalendarFeed', 'app.calendar_feeds', $$'feed-of-' || (SELECT p.display_name FROM app.practitioners p WHERE p.id = t.practitioner_id) || '.ics'$$,
     DEFAULT, 'true');
-- that of somebody who has no sessions: whoever has the address reads the rest, which is what it is for
UPDATE fixture.ids SET condition = $$t.practitioner_id = fixture.id('petit')$$ WHERE name = 'getCalendarFeed';
INSERT INTO fixture.ids (name, relation, key) VALUES
    ('getArticle', 'app.articles', $$(SELECT min(s.slug) FROM app.article_slugs s WHERE s.article_id = t.id)$$);
INSERT INTO fixture.ids (name, relation, key)
SELECT name, 'app.reviews', 't.consultation_id' FROM unnest('{getOwnReview,changeReview,deleteReview}'::text[]) name;
-- both kinds; what is everybody's is nobody else's
CREATE VIEW fixture.all_news AS
    SELECT n.id, n.company_id, 'company' AS audience FROM app.news n
    UNION ALL SELECT n.id, NULL, n.audience FROM app.platform_news n;
INSERT INTO fixture.ids (name, relation, condition, own, company) VALUES
    ('news', 'fixture.all_news', $$its IS NULL OR t.audience <> 'everybody'$$,
     $$CASE WHEN its IS NULL THEN t.audience = 'everybody' OR t.company_id IS NULL AND me IN (fixture.id('staff'), fixture.id('staff 2'))
            ELSE t.company_id = its END$$, 't.company_id'),
    ('companyIds', 'app.companies', DEFAULT, NULL, NULL);
INSERT INTO fixture.ids (name, relation, made_up) VALUES ('jobs', 'apalis.jobs', '01KAP7V3T8M4Q2Z9X6C5B1N0HD');
INSERT INTO fixture.ids (name, relation, prefer) VALUES ('reviews', 'app.reviews', $$t.status = 'pending'$$);
INSERT INTO fixture.ids (name, relation, prefer, own) VALUES
    ('articles', 'app.articles', $$t.status = 'draft'$$, $$t.author_id = me$$),
    ('coverId', 'app.files', DEFAULT, 't.owner_id = me');
UPDATE fixture.ids SET condition = $$t.purpose = 'article_image'$$ WHERE name = 'coverId';
UPDATE fixture.ids SET key = 't.key_id' WHERE name = 'keyId';

-- What people know and hold, named `operation.property`: passwords, codes of their app (made when they are sent), tokens.
INSERT INTO fixture.ids (name, relation, key, prefer, made_up) VALUES
    ('login.email', 'app.users', 't.email', $$t.id = fixture.id('alice')$$, 'nobody@people.test');
INSERT INTO fixture.ids (name, relation, key, prefer, made_up)
SELECT name, 'app.users', $$'the quiet words of ' || t.display_name$$, $$t.id = fixture.id('alice')$$, 'the quiet words of nobody'
FROM unnest('{login.password,changePassword.currentPassword,setUpTotp.password,disableTotp.password,
              renewRecoveryCodes.password,askErasure.password,saveJournalKeys.password}'::text[]) name;
INSERT INTO fixture.ids (name, relation, key, prefer, made_up)
SELECT name, 'app.two_factor', $$'code of ' || t.user_id$$, $$t.user_id = fixture.id('alice')$$, '000000'
FROM unnest('{loginTotp.code,setUpTotp.code,enableTotp.code,disableTotp.code,renewRecoveryCodes.code,askErasure.code,saveJournalKeys.code}'::text[]) name;
INSERT INTO fixture.ids (name, relation, key, condition, prefer)
SELECT name, 'app.one_time_tokens', $$t.purpose || ' ' || t.user_id$$, format('t.purpose = %L AND t.id = fixture.id(t.purpose || t.user_id)', purpose),
       $$t.user_id = fixture.id('alice')$$
FROM (VALUES ('resetPassword.token', 'password_reset'), ('verifyEmail.token', 'email_verification'),
             ('stopEmailChange.token', 'email_change'), ('loginTotp.ticket', 'login_ticket')) AS it (name, purpose);
INSERT INTO fixture.ids (name, relation, key, condition, prefer) VALUES
    ('acceptInvitation.token', 'app.one_time_tokens', $$'erin'$$, $$t.id = fixture.id('invitation of erin')$$, DEFAULT),
    ('chooseInvitationAddress.token', 'app.one_time_tokens', $$'erin'$$, $$t.id = fixture.id('invitation of erin')$$, DEFAULT),
    ('refreshSession.refreshToken', 'app.refresh_tokens', 't.session_id::text',
     $$t.session_id IN (SELECT fixture.id(u.display_name || ' session') FROM app.users u)$$, $$t.session_id = fixture.id('alice session')$$);

-- What an operation is sent where the document's example does not suit these rows. Ids are put in afterwards.
CREATE TABLE fixture.bodies (
    operation text PRIMARY KEY,
    kind      text NOT NULL DEFAULT 'application/json',
    body      text NOT NULL
);
INSERT INTO fixture.bodies (operation, body) VALUES
    ('search', '{"q": "martin"}'),
    ('setMaintenance', '{"isOn": false, "retryAfterSeconds": 600}'),
    ('bookConsultation', '{"practitionerId": null, "startsAt": "2026-09-14T08:00:00Z", "durationMinutes": 60, "mode": "video"}'),
    ('verifyPractitioner', '{"checks": ["identity", "adeli"]}'),
    ('explainSlot', '{"at": "2026-09-14T08:00:00Z"}'),
    ('addOverride', '{"kind": "closed", "from": "2026-11-30", "to": "2026-11-30"}'),
    ('rescheduleConsultation', '{"startsAt": "2026-09-21T08:00:00Z", "durationMinutes": 60, "mode": "video"}'),
    ('createCompany', '{"name": "Hooli", "contract": {"startsOn": "2026-01-01", "endsOn": "2027-01-01", "sessionsPerEmployee": 6, "seats": 9}}'),
    -- the contract is for staff alone to change
    ('updateCompany', '{"name": "Renamed"}'),
    ('createEmployee', '{"email": "new@acme.test", "firstName": "Nina", "lastName": "Petit"}'),
    ('login', '{"email": null, "password": null}'),
    ('loginTotp', '{"ticket": null, "code": null}'),
    ('changePassword', '{"currentPassword": null, "newPassword": "seven other quiet words"}'),
    ('setUpTotp', '{"password": null, "code": null}'),
    ('disableTotp', '{"password": null, "code": null}'),
    ('renewRecoveryCodes', '{"password": null, "code": null}'),
    ('saveJournalKeys', '{"keyId": "01938f2e-7a10-7c3e-9b1d-2f4a6c8e0a71", "password": null, "code": null,
        "byPassphrase": "AQEAAQAAAAAAAwEAAAAAAAAAAAAAAAAAAAAAAZOPLnoQfD6bHS9KbI4KcQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
        "byRecoveryCode": "AQIAAAAAAAAAAAAAAAAAAAAAAZOPLnoQfD6bHS9KbI4KcQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="}'),
    ('askErasure', '{"password": null, "code": null}');
INSERT INTO fixture.bodies VALUES
    ('importEmployees', 'text/csv', E'email,first_name,last_name\nnew@acme.test,Nina,Petit\n');
-- a picture of four points, and a PDF
INSERT INTO fixture.bodies
SELECT it.operation, 'multipart/form-data; boundary=edge', 'base64:' || translate(encode(
    convert_to('--edge' || E'\r\n' || CASE it.operation WHEN 'createFile'
            THEN E'Content-Disposition: form-data; name="purpose"\r\n\r\navatar\r\n--edge\r\n' ELSE '' END
        || format(E'Content-Disposition: form-data; name="file"; filename="%s"\r\n\r\n', it.name), 'UTF8')
    || it.content || convert_to(E'\r\n--edge--\r\n', 'UTF8'), 'base64'), E'\n', '')
FROM (SELECT decode('iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGM4IRcFRAwQCgAkxgUBBHQ3qwAAAABJRU5ErkJggg==', 'base64') AS png,
             convert_to(E'%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n', 'UTF8') AS pdf) AS c,
    LATERAL (VALUES ('createFile', 'me.png', c.png), ('setAvatar', 'me.png', c.png), ('createAttachment', 'plan.pdf', c.pdf))
        AS it (operation, name, content);
