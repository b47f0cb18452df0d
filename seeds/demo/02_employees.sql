-- The directories: 30 people each. Some have an account, two of each company have left.
CREATE TEMP TABLE demo_employees ON COMMIT DROP AS
    SELECT pg_temp.id('employee ' || email) AS id, it.*, c.id AS company_id,
           pg_temp.id('department ' || domain || ' ' || department) AS department_id
    FROM (
        -- alice@, bob@, carol@ and dave@ log in by their first names alone
        SELECT *, translate(lower(CASE WHEN first_name IN ('Alice', 'Bob', 'Carol', 'Dave') THEN first_name
                                       ELSE first_name || '.' || last_name END),
                            'àâçéèêëîïôûü ''', 'aaceeeeiiouu--') || '@' || domain AS email
        FROM (VALUES
            ('acme.test', 'Alice', 'Morel', 'Engineering', 'Paris', 'en', 'account'),
            ('acme.test', 'Bob', 'Lambert', 'Engineering', 'Lyon', 'en', 'account'),
            ('acme.test', 'Élise', 'Garnier', 'Engineering', 'Paris', 'fr', 'account'),
            ('acme.test', 'Thomas', 'Whitfield', 'Engineering', 'Paris', 'en', 'account'),
            ('acme.test', 'Inès', 'Bouvier', 'Engineering', 'Lyon', 'fr', 'account'),
            ('acme.test', 'Marcus', 'Oakley', 'Engineering', 'Paris', 'en', 'account'),
            ('acme.test', 'Sofia', 'Almeida', 'Engineering', 'Lyon', 'en', 'account'),
            ('acme.test', 'Hugo', 'Perrin', 'Engineering', 'Paris', 'fr', 'account'),
            ('acme.test', 'Priya', 'Raman', 'Engineering', 'Paris', 'en', 'account'),
            ('acme.test', 'Léon', 'Chastel', 'Engineering', 'Lyon', 'fr', 'account'),
            ('acme.test', 'Greta', 'Lindqvist', 'Engineering', 'Paris', 'en', 'account'),
            ('acme.test', 'Yanis', 'Belkacem', 'Engineering', 'Paris', 'fr', 'account'),
            ('acme.test', 'Owen', 'Fairley', 'Engineering', 'Lyon', 'en', 'account'),
            ('acme.test', 'Maud', 'Rivière', 'Engineering', 'Paris', 'fr', 'account'),
            ('acme.test', 'Daniel', 'Kerr', 'Sales', 'Paris', 'en', 'account'),
            ('acme.test', 'Camille', 'Besson', 'Sales', 'Paris', 'fr', 'account'),
            ('acme.test', 'Ruth', 'Ashdown', 'Sales', 'Lyon', 'en', 'account'),
            ('acme.test', 'Karim', 'Haddad', 'Sales', 'Paris', 'fr', 'account'),
            ('acme.test', 'Nora', 'Eklund', 'Sales', 'Lyon', 'en', ''),
            ('acme.test', 'Paul', 'Mercier', 'Sales', 'Paris', 'fr', ''),
            ('acme.test', 'Tessa', 'Brookes', 'Operations', 'Lyon', 'en', 'account'),
            ('acme.test', 'Antoine', 'Jourdan', 'Operations', 'Lyon', 'fr', 'account'),
            ('acme.test', 'Wei', 'Zhang', 'Operations', 'Paris', 'en', 'account'),
            ('acme.test', 'Lucie', 'Fontanel', 'Operations', 'Lyon', 'fr', 'account'),
            ('acme.test', 'Peter', 'Holloway', 'Operations', 'Paris', 'en', ''),
            ('acme.test', 'Agathe', 'Roussel', 'Finance', 'Paris', 'fr', 'account'),
            ('acme.test', 'Edwin', 'Marsh', 'Finance', 'Paris', 'en', 'account'),
            ('acme.test', 'Zoé', 'Lacombe', 'Finance', 'Paris', 'fr', ''),
            ('acme.test', 'Ivan', 'Petrov', 'Operations', 'Lyon', 'en', 'left'),
            ('acme.test', 'Jeanne', 'Collin', 'Finance', 'Paris', 'fr', 'left'),
            ('globex.test', 'Carol', 'Vidal', 'Production', 'Toulouse', 'fr', 'account'),
            ('globex.test', 'Dave', 'Roche', 'Logistique', 'Toulouse', 'en', 'account'),
            ('globex.test', 'Maëlle', 'Kerguen', 'Production', 'Toulouse', 'fr', 'account'),
            ('globex.test', 'Rémi', 'Castaing', 'Production', 'Toulouse', 'fr', 'account'),
            ('globex.test', 'Aïcha', 'Benali', 'Production', 'Toulouse', 'fr', 'account'),
            ('globex.test', 'Loïc', 'Marchand', 'Production', 'Toulouse', 'fr', 'account'),
            ('globex.test', 'Sylvie', 'Montout', 'Production', 'Fort-de-France', 'fr', 'account'),
            ('globex.test', 'Joël', 'Sainte-Rose', 'Production', 'Fort-de-France', 'fr', 'account'),
            ('globex.test', 'Fanny', 'Delmas', 'Production', 'Toulouse', 'fr', ''),
            ('globex.test', 'Mathis', 'Laborde', 'Production', 'Toulouse', 'fr', ''),
            ('globex.test', 'Ornella', 'Rossi', 'Production', 'Toulouse', 'fr', ''),
            ('globex.test', 'Cyril', 'Désiré', 'Production', 'Fort-de-France', 'fr', ''),
            ('globex.test', 'Pauline', 'Esteve', 'Logistique', 'Toulouse', 'fr', 'account'),
            ('globex.test', 'Bastien', 'Caujolle', 'Logistique', 'Toulouse', 'fr', 'account'),
            ('globex.test', 'Myriam', 'Laventure', 'Logistique', 'Fort-de-France', 'fr', 'account'),
            ('globex.test', 'Steeve', 'Larcher', 'Logistique', 'Fort-de-France', 'fr', ''),
            ('globex.test', 'Denis', 'Pujol', 'Logistique', 'Toulouse', 'fr', ''),
            ('globex.test', 'Amandine', 'Fabre', 'Logistique', 'Toulouse', 'fr', ''),
            ('globex.test', 'Nicolas', 'Azéma', 'Commercial', 'Toulouse', 'fr', 'account'),
            ('globex.test', 'Laura', 'Sorbier', 'Commercial', 'Toulouse', 'fr', 'account'),
            ('globex.test', 'Victor', 'Nadal', 'Commercial', 'Toulouse', 'fr', ''),
            ('globex.test', 'Mélanie', 'Ozier', 'Commercial', 'Fort-de-France', 'fr', ''),
            ('globex.test', 'Arthur', 'Gleize', 'Commercial', 'Toulouse', 'fr', ''),
            ('globex.test', 'Estelle', 'Roumieu', 'Administration', 'Toulouse', 'fr', 'account'),
            ('globex.test', 'Franck', 'Belugou', 'Administration', 'Toulouse', 'fr', ''),
            ('globex.test', 'Corinne', 'Vayssière', 'Administration', 'Toulouse', 'fr', ''),
            ('globex.test', 'Teddy', 'Marlin', 'Administration', 'Fort-de-France', 'fr', ''),
            ('globex.test', 'Odile', 'Cazal', 'Administration', 'Toulouse', 'fr', ''),
            ('globex.test', 'Régis', 'Tournier', 'Production', 'Toulouse', 'fr', 'left'),
            ('globex.test', 'Lise', 'Baron', 'Commercial', 'Toulouse', 'fr', 'left')
        ) AS it (domain, first_name, last_name, department, site, locale, state)
    ) AS it
    JOIN demo_companies c USING (domain);

INSERT INTO app.departments (id, company_id, name, created_at)
    SELECT DISTINCT department_id, company_id, department, pg_temp.today() - interval '14 months' FROM demo_employees;

INSERT INTO app.employees (id, company_id, email, first_name, last_name, staff_number, department_id, site, locale,
                           status, left_at, created_at)
    SELECT id, company_id, email, first_name, last_name,
           'E' || lpad(row_number() OVER (PARTITION BY company_id ORDER BY email)::text, 4, '0'), department_id, site,
           locale, CASE state WHEN 'left' THEN 'left' ELSE 'active' END,
           CASE state WHEN 'left' THEN pg_temp.today() - interval '40 days' END, pg_temp.today() - interval '13 months'
    FROM demo_employees;

INSERT INTO app.users (id, email, password_hash, role, display_name, locale, time_zone, status, company_id, employee_id,
                       terms_version, terms_at, created_at)
    SELECT pg_temp.account(email), email, current_setting('seed.password_hash'), 'employee',
           first_name || ' ' || last_name, locale,
           CASE site WHEN 'Fort-de-France' THEN 'America/Martinique' ELSE 'Europe/Paris' END, 'active', company_id, id,
           current_setting('seed.terms_version'), pg_temp.today() - interval '13 months',
           pg_temp.today() - interval '13 months'
    FROM demo_employees WHERE state = 'account';
