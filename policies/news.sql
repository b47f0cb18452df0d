-- News. Employees, HR and admins read their company's and the platform's, practitioners the platform's for everybody. HR and
-- admins write their company's, staff the platform's; nobody sees who has read what.
GRANT SELECT ON app.news TO huntzen_employee, huntzen_hr, huntzen_company_admin;
GRANT INSERT (id, company_id, title_fr, body_fr, title_en, body_en, published_at, expires_at),
    UPDATE (title_fr, body_fr, title_en, body_en, expires_at), DELETE ON app.news TO huntzen_hr, huntzen_company_admin;
CREATE POLICY fence ON app.news AS RESTRICTIVE TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own_company ON app.news FOR SELECT TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id()));
CREATE POLICY own_add ON app.news FOR INSERT TO huntzen_hr, huntzen_company_admin
    WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own_change ON app.news FOR UPDATE TO huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own_removal ON app.news FOR DELETE TO huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id()));

GRANT SELECT ON app.platform_news
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT INSERT (id, audience, title_fr, body_fr, title_en, body_en, published_at, expires_at),
    UPDATE (audience, title_fr, body_fr, title_en, body_en, expires_at), DELETE ON app.platform_news TO huntzen_platform;
CREATE POLICY for_everybody ON app.platform_news FOR SELECT
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin
    USING (audience = 'everybody');
CREATE POLICY for_company ON app.platform_news FOR SELECT TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (id = ANY (ARRAY(SELECT c.news_id FROM app.platform_news_companies c
                           WHERE c.company_id = (SELECT app.company_id()))));
CREATE POLICY all_rows ON app.platform_news TO huntzen_platform USING (true) WITH CHECK (true);

GRANT SELECT ON app.platform_news_companies TO huntzen_employee, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT INSERT, DELETE ON app.platform_news_companies TO huntzen_platform;
CREATE POLICY fence ON app.platform_news_companies AS RESTRICTIVE TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own_company ON app.platform_news_companies FOR SELECT
    TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id()));
CREATE POLICY all_rows ON app.platform_news_companies TO huntzen_platform USING (true) WITH CHECK (true);

GRANT SELECT, INSERT ON app.news_reads
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
CREATE POLICY own ON app.news_reads FOR SELECT
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform
    USING (user_id = (SELECT app.user_id()));
CREATE POLICY own_reading ON app.news_reads FOR INSERT
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform
    WITH CHECK (user_id = (SELECT app.user_id()));

-- Who read what is gone is of no interest.
GRANT SELECT, DELETE ON app.news_reads TO huntzen_kernel;
CREATE POLICY kernel ON app.news_reads FOR SELECT TO huntzen_kernel USING (true);
CREATE POLICY kernel_removal ON app.news_reads FOR DELETE TO huntzen_kernel USING (true);
CREATE OR REPLACE FUNCTION app.forget_news_reads() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    DELETE FROM app.news_reads r WHERE r.news_id = OLD.id;
    RETURN NULL;
END
$$;
ALTER FUNCTION app.forget_news_reads() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.forget_news_reads() FROM PUBLIC;
DROP TRIGGER IF EXISTS news_forgotten ON app.news;
CREATE TRIGGER news_forgotten AFTER DELETE ON app.news FOR EACH ROW EXECUTE FUNCTION app.forget_news_reads();
DROP TRIGGER IF EXISTS platform_news_forgotten ON app.platform_news;
CREATE TRIGGER platform_news_forgotten AFTER DELETE ON app.platform_news
    FOR EACH ROW EXECUTE FUNCTION app.forget_news_reads();
