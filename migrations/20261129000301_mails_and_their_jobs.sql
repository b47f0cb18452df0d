-- A mail that was not taken names the job that sends it, and says whether it will be tried again.
ALTER TABLE app.email_log
    ADD COLUMN job_id text,
    DROP CONSTRAINT email_log_status_check,
    ADD CONSTRAINT email_log_status_check CHECK (status IN ('sent', 'skipped', 'retrying', 'failed')) NOT VALID,
    ADD CONSTRAINT email_log_job CHECK (
        CASE status WHEN 'retrying' THEN job_id IS NOT NULL WHEN 'failed' THEN true ELSE job_id IS NULL END) NOT VALID;
ALTER TABLE app.email_log VALIDATE CONSTRAINT email_log_status_check;
ALTER TABLE app.email_log VALIDATE CONSTRAINT email_log_job;
CREATE INDEX email_log_job_id ON app.email_log (job_id) WHERE job_id IS NOT NULL;
-- what it answers with changes
DROP FUNCTION IF EXISTS app.list_jobs(text[], text[], int, text);
