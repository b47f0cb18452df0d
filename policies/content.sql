-- Articles: everybody who is signed in reads what is published; the platform sees what it prepares as well.
GRANT SELECT ON app.articles, app.article_translations TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
CREATE POLICY published ON app.articles FOR SELECT
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin USING (status = 'published');
CREATE POLICY all_rows ON app.articles FOR SELECT TO huntzen_platform USING (true);
CREATE POLICY of_published ON app.article_translations FOR SELECT
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin
    USING (article_id = ANY (ARRAY(SELECT a.id FROM app.articles a WHERE a.status = 'published')));
CREATE POLICY all_rows ON app.article_translations FOR SELECT TO huntzen_platform USING (true);
REVOKE ALL ON FUNCTION app.check_article_state() FROM PUBLIC;
