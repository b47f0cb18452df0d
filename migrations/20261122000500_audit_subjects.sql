-- Whose data an entry of the audit log concerns, and details that are never free text.

-- what policies/audit.sql states in full: stated here first, because the constraint below needs it
CREATE FUNCTION app.audit_details_are_plain(details jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT jsonb_typeof(details) = 'object' $$;

ALTER TABLE app.audit_logs
    ADD COLUMN subject_type text,
    ADD COLUMN subject_id uuid,
    ADD COLUMN details jsonb NOT NULL DEFAULT '{}',
    -- a person's account, or an entry of a directory
    ADD CONSTRAINT audit_logs_subject CHECK (
        (subject_type IS NULL) = (subject_id IS NULL) AND subject_type IN ('user', 'employee')),
    ADD CONSTRAINT audit_logs_details CHECK (app.audit_details_are_plain(details));
CREATE INDEX audit_logs_subject ON app.audit_logs (subject_id, id DESC) WHERE subject_id IS NOT NULL;
CREATE INDEX audit_logs_object ON app.audit_logs (object_id, id DESC) WHERE object_id IS NOT NULL;

-- its successor takes neither the role nor, from those who belong to one, the company from the program
DROP FUNCTION IF EXISTS app.audit(text, text, text, uuid, uuid, text, text, text);
