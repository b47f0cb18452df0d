-- Announcements: the platform's for everybody and for one company, and each company's own.
INSERT INTO app.platform_news (id, audience, title_fr, body_fr, title_en, body_en, published_at, expires_at)
SELECT pg_temp.id('news ' || it.key), it.audience, it.title_fr, it.body_fr, it.title_en, it.body_en, it.at, it.until
FROM (SELECT current_setting('seed.now')::timestamptz AS now) now, LATERAL (VALUES
    ('reviews', 'everybody', now.now - interval '12 days', NULL::timestamptz,
     'Donnez votre avis après une séance',
     'Après chaque séance, vous pouvez donner **une à cinq étoiles et quelques mots**. Votre avis est relu, puis publié sans votre nom ni date.',
     'Say what you thought of a session',
     'After each session you can give **one to five stars and a few words**. Your review is read first, then shown without your name or a date.'),
    ('maintenance', 'everybody', now.now - interval '2 days', now.now + interval '5 days',
     'Une courte maintenance dimanche',
     'Dimanche de 6 h à 6 h 30, rien ne pourra être modifié. Les séances et la lecture ne sont pas concernées.',
     'A short maintenance on Sunday',
     'On Sunday from 6:00 to 6:30 nothing can be changed. Sessions and reading are not concerned.'),
    ('evening hours', 'chosen', now.now - interval '6 days', NULL,
     'Des créneaux le soir',
     'À la demande de plusieurs d’entre vous, quatre praticiens reçoivent désormais jusqu’à 21 h.',
     'Hours in the evening',
     'Several of you asked for it: four practitioners now hold sessions until 9 pm.')
) AS it (key, audience, at, until, title_fr, body_fr, title_en, body_en);
INSERT INTO app.platform_news_companies (company_id, news_id)
SELECT u.company_id, pg_temp.id('news evening hours') FROM app.users u WHERE u.email = 'admin@acme.test';

INSERT INTO app.news (id, company_id, title_fr, body_fr, title_en, body_en, published_at)
SELECT pg_temp.id('news ' || it.key), u.company_id, it.title_fr, it.body_fr, it.title_en, it.body_en, it.at
FROM (SELECT current_setting('seed.now')::timestamptz AS now) now, LATERAL (VALUES
    ('acme sessions', 'admin@acme.test', now.now - interval '20 days',
     'Vos séances de l’année', 'Chaque salarié dispose de ses séances jusqu’à la fin de l’année de contrat. Le solde est dans votre profil, et **vous seul** le voyez.',
     'Your sessions this year', 'Everybody has their sessions until the end of the contract year. The balance is in your profile, and **you alone** see it.'),
    ('acme room', 'admin@acme.test', now.now - interval '3 days',
     'Une salle au calme', 'La salle 204 peut être réservée sans motif, pour un appel ou une pause.',
     'A quiet room', 'Room 204 can be booked without a reason, for a call or a break.'),
    ('globex week', 'admin@globex.test', now.now - interval '5 days',
     'Semaine sans réunion', 'La semaine prochaine, les après-midis sont sans réunion.',
     'A week without meetings', 'Next week there are no meetings in the afternoon.')
) AS it (key, admin, at, title_fr, body_fr, title_en, body_en) JOIN app.users u ON u.email = it.admin;

-- Alice has read what is older than a week
INSERT INTO app.news_reads (user_id, news_id, read_at)
SELECT u.id, it.id, it.published_at + interval '1 day'
FROM app.users u, (SELECT n.id, n.company_id, n.published_at FROM app.news n
                   UNION ALL SELECT n.id, NULL, n.published_at FROM app.platform_news n WHERE n.audience = 'everybody') it
WHERE u.email = 'alice@acme.test' AND coalesce(it.company_id, u.company_id) = u.company_id
  AND it.published_at < current_setting('seed.now')::timestamptz - interval '7 days';
