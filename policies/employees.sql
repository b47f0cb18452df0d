-- The directory: HR's own. The platform may read it for support, and every such read is audited.
GRANT SELECT ON app.departments TO huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_stats;
GRANT INSERT, DELETE ON app.departments TO huntzen_hr, huntzen_company_admin;
GRANT UPDATE (name) ON app.departments TO huntzen_hr, huntzen_company_admin;
CREATE POLICY fence ON app.departments AS RESTRICTIVE TO huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.departments TO huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY all_rows ON app.departments FOR SELECT TO huntzen_platform, huntzen_stats USING (true);

GRANT SELECT ON app.employees TO huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker, huntzen_employee;
GRANT INSERT ON app.employees TO huntzen_hr, huntzen_company_admin;
GRANT UPDATE (email, first_name, last_name, staff_number, department_id, site, locale, status, left_at) ON app.employees
    TO huntzen_hr, huntzen_company_admin;
CREATE POLICY fence ON app.employees AS RESTRICTIVE TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own_company ON app.employees TO huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own_entry ON app.employees FOR SELECT TO huntzen_employee
    USING (id = (SELECT u.employee_id FROM app.users u WHERE u.id = (SELECT app.user_id())));
CREATE POLICY all_rows ON app.employees FOR SELECT TO huntzen_platform USING (true);
CREATE POLICY of_job ON app.employees FOR SELECT TO huntzen_worker USING (company_id = (SELECT app.company_id()));
GRANT SELECT ON app.employees TO huntzen_kernel, huntzen_stats;
CREATE POLICY kernel ON app.employees FOR SELECT TO huntzen_kernel, huntzen_stats USING (true);
