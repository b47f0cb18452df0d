-- The terms stand with the accounts. The notice was read by most, some like news, and one of them changed their mind.
INSERT INTO app.consents (user_id, place, document, version, decision, decided_at)
    SELECT u.id, 2, 'privacy_notice', current_setting('seed.terms_version'), 'accepted', u.terms_at + interval '2 minutes'
    FROM app.users u WHERE u.terms_at IS NOT NULL AND u.email <> 'bob@acme.test';
INSERT INTO app.consents (user_id, place, document, version, decision, decided_at)
    SELECT u.id, 3, 'news', '2026-11', 'accepted', u.terms_at + interval '3 minutes'
    FROM app.users u WHERE u.terms_at IS NOT NULL AND (u.email = 'alice@acme.test' OR pg_temp.pick('news ' || u.email, 3) = 0)
      AND u.email <> 'bob@acme.test';
INSERT INTO app.consents (user_id, place, document, version, decision, decided_at)
    SELECT u.id, 4, 'news', '2026-11', 'withdrawn', u.terms_at + interval '40 days'
    FROM app.users u WHERE u.email = 'alice@acme.test';
