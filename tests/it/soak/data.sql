-- 50 companies of four employees, an HR and an admin, and ten practitioners who serve five companies each. Ids and texts
-- tell whose they are: whose.rs reads them. Run by the superuser on an empty database.
CREATE SCHEMA soak;
-- kind: 1 company, 2 account, 3 entry of the directory, 4 department, 5 consultation, 6 export; practitioners are of 'ffff'
CREATE FUNCTION soak.id(kind int, company int, person int, n int DEFAULT 0) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT format('5eed%s-%s-7%s-8000-%s', lpad(to_hex(kind), 4, '0'), lpad(to_hex(company), 4, '0'),
                  lpad(to_hex(person), 3, '0'), lpad(to_hex(n), 12, '0'))::uuid
$$;
-- kind: o of the company, d of the directory, c of the account and its care
CREATE FUNCTION soak.text(kind text, company int, person int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format('zq%s%s%s', lpad(company::text, 3, '0'), kind, lpad(person::text, 2, '0'))
$$;
CREATE TABLE soak.people AS
SELECT company, person, CASE person WHEN 90 THEN 'hr' WHEN 91 THEN 'company_admin' ELSE 'employee' END AS role
FROM generate_series(0, 49) company, unnest(ARRAY[1, 2, 3, 4, 90, 91]) person;

INSERT INTO app.companies (id, name, contract_starts_on, contract_ends_on, sessions_per_employee, seats)
SELECT soak.id(1, c, 0), soak.text('o', c, 0), current_date - 100, current_date + 265, 1000, 1000000 FROM generate_series(0, 49) c;
INSERT INTO app.company_settings (company_id) SELECT id FROM app.companies;
INSERT INTO app.departments (id, company_id, name)
SELECT soak.id(4, c, 0), soak.id(1, c, 0), 'Sales ' || soak.text('o', c, 0) FROM generate_series(0, 49) c;
INSERT INTO app.employees (id, company_id, email, first_name, last_name, staff_number, site, department_id)
SELECT soak.id(3, company, person), soak.id(1, company, 0), soak.text('d', company, person) || '@soak.test',
       'Ana ' || soak.text('d', company, person), soak.text('d', company, person), soak.text('d', company, person),
       soak.text('o', company, 0), soak.id(4, company, 0)
FROM soak.people WHERE role = 'employee';
INSERT INTO app.users (id, email, password_hash, role, display_name, locale, status, company_id, employee_id)
SELECT soak.id(2, company, person), soak.text('c', company, person) || '@home.test', 'x', role, soak.text('c', company, person), 'en',
       'active', soak.id(1, company, 0), CASE role WHEN 'employee' THEN soak.id(3, company, person) END
FROM soak.people
UNION ALL
SELECT soak.id(2, 65535, p), 'practitioner' || p || '@soak.test', 'x', 'practitioner', 'Dr ' || p, 'en', 'active', NULL, NULL
FROM generate_series(0, 9) p
UNION ALL
SELECT soak.id(2, 65535, 99), 'staff@soak.test', 'x', 'platform_admin', 'Staff', 'en', 'active', NULL, NULL;

INSERT INTO app.practitioners (id, display_name, languages, modes, time_zone, session_lengths, min_notice_minutes, hourly_rate_cents,
                               status, verified_at, verified_checks)
SELECT soak.id(2, 65535, p), 'Dr ' || p, '{en}', '{video,chat}', 'UTC', '{30}', 0, 9000, 'active', now(), '{identity}' FROM generate_series(0, 9) p;
INSERT INTO app.practitioner_specialties (practitioner_id, specialty) SELECT id, 'sleep' FROM app.practitioners;
INSERT INTO app.availability_rules (id, practitioner_id, weekday, starts_minute, ends_minute)
SELECT gen_random_uuid(), id, day, 0, 1440 FROM app.practitioners, generate_series(1, 7) day;
-- three sessions each, of which one is over
INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from, busy_until,
                               specialty, department_id)
SELECT soak.id(5, company, person, n), soak.id(1, company, 0), soak.id(2, company, person), soak.id(2, 65535, company / 5), 'video',
       'confirmed', at, at + interval '30 minutes', at, at + interval '30 minutes', 'sleep', soak.id(4, company, 0)
FROM soak.people, generate_series(0, 2) n,
     LATERAL (SELECT date_trunc('day', now()) + (n - 1) * interval '2 days'
                     + ((company % 5) * 4 + person - 1) * interval '30 minutes' AS at) it
WHERE role = 'employee';
UPDATE app.consultations SET status = 'in_progress' WHERE ends_at < now();
UPDATE app.consultations SET status = 'completed' WHERE status = 'in_progress';
INSERT INTO app.exports (id, company_id, requested_by, kind, params, created_at)
SELECT soak.id(6, company, person), soak.id(1, company, 0), soak.id(2, company, person), 'usage',
       '{"from": "2026-01", "to": "2026-06", "by": null, "delimiter": "comma", "bom": true, "locale": "en"}', now()
FROM soak.people WHERE role <> 'employee';
INSERT INTO app.audit_logs (id, actor_id, actor_role, company_id, action, object_type, object_id, outcome)
SELECT app.uuid_v7(), soak.id(2, company, person), role, soak.id(1, company, 0), 'consultation.booked', 'consultation',
       soak.id(5, company, person), 'success' FROM soak.people WHERE role = 'employee';
SELECT stats.refresh(now(), true);
SELECT stats.publish(1000);
