-- Twelve practitioners whom the platform has verified, eight on Paris time and four on Martinique time, open to both companies.
-- Their numbers pass the registers' checks and belong to nobody: no register has given out this range.
CREATE TEMP TABLE demo_practitioners ON COMMIT DROP AS
    SELECT pg_temp.account(email) AS id, *
    FROM (VALUES
        ('dr.martin@huntzen.test', 'Dr Claire Martin', 'psychology', '{sleep}'::text[], '99000000002', 'Europe/Paris',
         '{fr,en}'::text[], '{video,audio,chat}'::text[], '{50,30}'::int[], 9000, false,
         'Psychologue, thérapies brèves, stress au travail.', 'Psychologist: brief therapy, stress at work.'),
        ('coach.durand@huntzen.test', 'Julien Durand', 'coaching', '{}', NULL, 'Europe/Paris',
         '{fr,en}', '{video,audio,chat}', '{45,30}', 8000, false,
         'Coach certifié : prise de poste, équilibre, conflits.', 'Certified coach: new roles, balance, conflicts.'),
        ('amelie.roux@huntzen.test', 'Amélie Roux', 'psychology', '{}', '99000000010', 'Europe/Paris',
         '{fr}', '{video,audio}', '{50}', 8500, false,
         'Psychologue du travail.', 'Occupational psychologist.'),
        ('samuel.grant@huntzen.test', 'Samuel Grant', 'psychology', '{coaching}', '99000000028', 'Europe/Paris',
         '{en,fr}', '{video,audio,chat}', '{50}', 9000, true,
         'Psychologue clinicien, anxiété et deuil.', 'Clinical psychologist: anxiety and grief.'),
        ('yasmine.cherif@huntzen.test', 'Yasmine Chérif', 'psychology', '{}', '99000000036', 'America/Martinique',
         '{fr,en}', '{video,audio}', '{50,30}', 8200, false,
         'Psychologue, parentalité et épuisement.', 'Psychologist: parenthood and burnout.'),
        ('beatrice.lang@huntzen.test', 'Béatrice Lang', 'coaching', '{}', NULL, 'Europe/Paris',
         '{fr,de}', '{video,audio}', '{45}', 7800, true,
         'Coach, prise de parole et confiance.', 'Coach: public speaking and confidence.'),
        ('rodrigue.elie@huntzen.test', 'Rodrigue Élie', 'coaching', '{}', NULL, 'America/Martinique',
         '{fr,en}', '{video,chat}', '{45,30}', 7500, false,
         'Coach, organisation et télétravail.', 'Coach: organisation and remote work.'),
        ('marion.sauvage@huntzen.test', 'Marion Sauvage', 'nutrition', '{sleep}', NULL, 'Europe/Paris',
         '{fr}', '{video,audio}', '{40}', 6000, false,
         'Diététicienne, travail posté.', 'Dietitian: shift work.'),
        ('lorie.numa@huntzen.test', 'Lorie Numa', 'nutrition', '{}', NULL, 'America/Martinique',
         '{fr,en}', '{video}', '{40}', 6000, false,
         'Diététicienne-nutritionniste.', 'Dietitian and nutritionist.'),
        ('etienne.faure@huntzen.test', 'Dr Étienne Faure', 'sleep', '{}', '99000000044', 'Europe/Paris',
         '{fr,en}', '{video,audio}', '{30}', 9500, false,
         'Médecin du sommeil.', 'Sleep physician.'),
        ('paola.ricci@huntzen.test', 'Paola Ricci', 'physiotherapy', '{}', '99000000051', 'Europe/Paris',
         '{fr,it}', '{video}', '{30}', 5500, false,
         'Kinésithérapeute, dos et postures de bureau.', 'Physiotherapist: backs and desk postures.'),
        ('gaelle.monrose@huntzen.test', 'Gaëlle Monrose', 'social_work', '{}', NULL, 'America/Martinique',
         '{fr}', '{audio,chat,video}', '{45}', 5000, true,
         'Assistante sociale : logement, budget, proches aidants.', 'Social worker: housing, budget, carers.')
    ) AS it (email, display_name, specialty, more_specialties, rpps, time_zone, languages, modes, session_lengths,
             hourly_rate_cents, confirms_by_hand, bio_fr, bio_en);

INSERT INTO app.users (id, email, password_hash, role, display_name, locale, time_zone, status, terms_version, terms_at,
                       created_at)
    SELECT id, email, current_setting('seed.password_hash'), 'practitioner', display_name, languages[1], time_zone,
           'active', current_setting('seed.terms_version'), pg_temp.today() - interval '13 months',
           pg_temp.today() - interval '14 months'
    FROM demo_practitioners;

-- a session and its buffers fit in one hour, the rhythm in which 04_consultations.sql fills the hours
INSERT INTO app.practitioners (id, display_name, bio_fr, bio_en, languages, modes, rpps, time_zone, session_lengths,
                               buffer_after_minutes, hourly_rate_cents, confirms_by_hand, created_at, status, verified_at,
                               verified_checks)
    SELECT id, display_name, bio_fr, bio_en, languages, modes, rpps, time_zone, session_lengths, 10,
           hourly_rate_cents, confirms_by_hand, pg_temp.today() - interval '14 months', 'active',
           pg_temp.today() - interval '13 months',
           CASE WHEN rpps IS NULL THEN '{identity,diploma,insurance}' ELSE '{identity,rpps,insurance}' END::text[]
    FROM demo_practitioners;

INSERT INTO app.practitioner_specialties (practitioner_id, specialty, rank)
    SELECT id, specialty, 0 FROM demo_practitioners
    UNION ALL
    SELECT id, more, 1 FROM demo_practitioners, unnest(more_specialties) AS more;

-- One who has stated everything and waits for the platform: nobody else finds or books them.
INSERT INTO app.users (id, email, password_hash, role, display_name, locale, time_zone, status, terms_version, terms_at,
                       created_at)
    VALUES (pg_temp.account('nora.vidal@huntzen.test'), 'nora.vidal@huntzen.test', current_setting('seed.password_hash'),
            'practitioner', 'Nora Vidal', 'fr', 'Europe/Paris', 'active', current_setting('seed.terms_version'),
            pg_temp.today() - interval '2 days', pg_temp.today() - interval '3 days');
INSERT INTO app.practitioners (id, display_name, bio_fr, bio_en, languages, modes, rpps, time_zone, session_lengths,
                               hourly_rate_cents, created_at, status)
    VALUES (pg_temp.account('nora.vidal@huntzen.test'), 'Nora Vidal', 'Psychologue, troubles du sommeil.',
            'Psychologist: sleep disorders.', '{fr,es}', '{video,audio}', '99000000069', 'Europe/Paris', '{45}', 8000,
            pg_temp.today() - interval '3 days', 'unverified');
INSERT INTO app.practitioner_specialties (practitioner_id, specialty, rank)
    VALUES (pg_temp.account('nora.vidal@huntzen.test'), 'psychology', 0),
           (pg_temp.account('nora.vidal@huntzen.test'), 'sleep', 1);
INSERT INTO app.availability_rules (id, practitioner_id, weekday, starts_minute, ends_minute)
    SELECT pg_temp.id('hours nora.vidal ' || weekday), pg_temp.account('nora.vidal@huntzen.test'), weekday, 540, 780
    FROM generate_series(1, 4) weekday;

INSERT INTO app.availability_rules (id, practitioner_id, weekday, starts_minute, ends_minute)
    SELECT pg_temp.id(format('hours %s %s %s', it.email, weekday, it.opens)), p.id, weekday,
           extract(epoch FROM it.opens) / 60, extract(epoch FROM it.closes) / 60
    FROM (VALUES
        ('dr.martin@huntzen.test', '{1,2,3,4,5}'::int[], time '09:00', time '12:30'),
        ('dr.martin@huntzen.test', '{1,2,3,4,5}', '14:00', '18:00'),
        ('coach.durand@huntzen.test', '{1,2,3,4,5}', '08:30', '12:30'),
        ('coach.durand@huntzen.test', '{1,2,3,4,5}', '13:30', '17:30'),
        ('amelie.roux@huntzen.test', '{1,2,4,5}', '09:30', '13:00'),
        ('amelie.roux@huntzen.test', '{1,2,4}', '14:00', '19:00'),
        ('samuel.grant@huntzen.test', '{1,3,5}', '08:00', '13:00'),
        ('samuel.grant@huntzen.test', '{2,4}', '12:00', '20:00'),
        ('yasmine.cherif@huntzen.test', '{1,2,3,4,5}', '07:30', '13:30'),
        ('beatrice.lang@huntzen.test', '{1,2,3,4}', '10:00', '13:00'),
        ('beatrice.lang@huntzen.test', '{1,2,3,4}', '15:00', '19:30'),
        ('rodrigue.elie@huntzen.test', '{1,2,3,4,5}', '07:00', '14:00'),
        ('marion.sauvage@huntzen.test', '{2,4}', '09:00', '12:00'),
        ('marion.sauvage@huntzen.test', '{2,4,5}', '13:30', '18:30'),
        ('lorie.numa@huntzen.test', '{1,3,6}', '08:00', '12:00'),
        ('etienne.faure@huntzen.test', '{1,3}', '17:00', '20:30'),
        ('etienne.faure@huntzen.test', '{6}', '09:00', '12:00'),
        ('paola.ricci@huntzen.test', '{1,2,3,4,5}', '12:00', '14:30'),
        ('gaelle.monrose@huntzen.test', '{2,3,4}', '08:00', '12:30'),
        ('gaelle.monrose@huntzen.test', '{2,3}', '13:30', '16:00')
    ) AS it (email, weekdays, opens, closes)
    JOIN demo_practitioners p USING (email), unnest(it.weekdays) AS weekday;

-- after the sessions that are booked, but for an evening of the coming week
INSERT INTO app.availability_overrides (id, practitioner_id, kind, starts_at, ends_at)
    SELECT pg_temp.id(format('override %s %s', it.email, it.kind)), p.id, it.kind, monday + it.begins, monday + it.ends
    FROM (VALUES
        ('dr.martin@huntzen.test', 'open', interval '10 days 18:30', interval '10 days 20:30'),
        ('dr.martin@huntzen.test', 'closed', '42 days', '43 days'),
        ('dr.martin@huntzen.test', 'time_off', '45 days 12:00', '49 days'),
        ('coach.durand@huntzen.test', 'time_off', '42 days', '47 days')
    ) AS it (email, kind, begins, ends)
    JOIN demo_practitioners p ON p.email = it.email,
    (SELECT date_trunc('week', pg_temp.today()::timestamp)) AS week (monday);
