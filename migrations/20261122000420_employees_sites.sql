-- The sites of a directory, for filters.
CREATE INDEX employees_site ON app.employees (company_id, site) WHERE site IS NOT NULL;
