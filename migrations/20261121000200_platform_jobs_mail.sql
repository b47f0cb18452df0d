-- What was mailed to whom, without address, subject or body; and an index for the queue's watchers.
CREATE TABLE app.email_log (
    id                    uuid PRIMARY KEY,
    -- what the mail is about: sending is done once for each key
    key                   text NOT NULL CONSTRAINT email_log_key_key UNIQUE,
    template              text,
    company_id            uuid,
    recipient_user_id     uuid,
    recipient_employee_id uuid,
    locale                text,
    status                text NOT NULL CHECK (status IN ('sent', 'skipped', 'failed')),
    message_id            text CONSTRAINT email_log_message_id_key UNIQUE,
    attempts              integer NOT NULL,
    created_at            timestamptz NOT NULL DEFAULT now(),
    sent_at               timestamptz,
    CHECK ((status = 'sent') = (sent_at IS NOT NULL))
);
CREATE INDEX email_log_created_at ON app.email_log (created_at DESC, id DESC);
CREATE INDEX email_log_failed ON app.email_log (created_at DESC) WHERE status = 'failed';

-- finished jobs are the bulk of the table; depth, settling and the dead letters look at the others
CREATE INDEX jobs_unfinished ON apalis.jobs (job_type, status, run_at) WHERE status <> 'Done';
-- for the purge
CREATE INDEX jobs_finished ON apalis.jobs (done_at) WHERE status IN ('Done', 'Killed');
