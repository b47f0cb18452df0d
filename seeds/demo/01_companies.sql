-- Two client companies, and the people who run them and the platform.
CREATE TEMP TABLE demo_companies ON COMMIT DROP AS
    SELECT pg_temp.id('company ' || domain) AS id, *
    FROM (VALUES
        ('acme.test', 'Acme', '200000008', 'en', 'Europe/Paris', 60, 100),
        ('globex.test', 'Globex', '200000016', 'fr', 'Europe/Paris', 24, 50)
    ) AS it (domain, name, siren, locale, time_zone, sessions_per_employee, seats);

INSERT INTO app.companies (id, name, siren, locale, time_zone, contract_starts_on, contract_ends_on,
                           sessions_per_employee, seats, created_at)
    SELECT id, name, siren, locale, time_zone, date_trunc('month', pg_temp.today() - interval '13 months'),
           date_trunc('month', pg_temp.today() + interval '23 months'), sessions_per_employee, seats,
           pg_temp.today() - interval '14 months'
    FROM demo_companies;
INSERT INTO app.company_settings (company_id) SELECT id FROM demo_companies;

INSERT INTO app.users (id, email, password_hash, role, display_name, locale, status, company_id, terms_version, terms_at,
                       created_at)
    SELECT pg_temp.account(it.email), it.email, current_setting('seed.password_hash'), it.role, it.display_name,
           it.locale, 'active', c.id, current_setting('seed.terms_version'), pg_temp.today() - interval '13 months',
           pg_temp.today() - interval '14 months'
    FROM (VALUES
        ('admin@huntzen.test', 'platform_admin', 'Nadia Ferrand', 'fr', NULL),
        ('admin@acme.test', 'company_admin', 'Olivia Hartwell', 'en', 'acme.test'),
        ('hr@acme.test', 'hr', 'Simon Delorme', 'en', 'acme.test'),
        ('admin@globex.test', 'company_admin', 'Gilles Tanguy', 'fr', 'globex.test'),
        ('hr@globex.test', 'hr', 'Hélène Vasseur', 'fr', 'globex.test')
    ) AS it (email, role, display_name, locale, domain)
    LEFT JOIN demo_companies c USING (domain);
