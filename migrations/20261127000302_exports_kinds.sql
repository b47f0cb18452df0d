-- Files of more than usage: a practitioner's own sessions, and payroll. How far they are, and why one was not made.
ALTER TABLE app.exports
    -- lines that are written, and lines that there will be, as far as it is known
    ADD COLUMN rows_written  int NOT NULL DEFAULT 0,
    ADD COLUMN rows_expected int,
    ADD COLUMN failure       text,
    DROP CONSTRAINT exports_kind_check,
    ADD CONSTRAINT exports_kind CHECK (kind IN ('usage', 'practitioner_activity', 'payroll')) NOT VALID,
    -- usage is of a company, the others of none
    ADD CONSTRAINT exports_company CHECK ((kind = 'usage') = (company_id IS NOT NULL)) NOT VALID,
    ADD CONSTRAINT exports_failure CHECK (failure IN ('not_made', 'not_entitled')) NOT VALID;
ALTER TABLE app.exports NO FORCE ROW LEVEL SECURITY;
UPDATE app.exports SET failure = 'not_made' WHERE status = 'failed';
ALTER TABLE app.exports FORCE ROW LEVEL SECURITY;
ALTER TABLE app.exports VALIDATE CONSTRAINT exports_kind;
ALTER TABLE app.exports VALIDATE CONSTRAINT exports_company;
ALTER TABLE app.exports VALIDATE CONSTRAINT exports_failure;
ALTER TABLE app.exports ADD CONSTRAINT exports_failed CHECK ((status = 'failed') = (failure IS NOT NULL)) NOT VALID;
ALTER TABLE app.exports VALIDATE CONSTRAINT exports_failed;
