-- Entries of the audit log that were kept for long enough go; their links stay, so that the chain stays verifiable.

-- At least a year is kept, whatever the program is told; and only the function that says so in the chain removes.
CREATE FUNCTION app.refuse_early_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = 'huntzen_kernel' AND OLD.at < clock_timestamp() - interval '365 days' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END
$$;
REVOKE ALL ON FUNCTION app.refuse_early_removal() FROM PUBLIC;
DROP TRIGGER audit_logs_append_only ON app.audit_logs;
CREATE TRIGGER audit_logs_append_only BEFORE UPDATE ON app.audit_logs
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER audit_logs_kept BEFORE DELETE ON app.audit_logs
    FOR EACH ROW EXECUTE FUNCTION app.refuse_early_removal();

-- How far each chain was cut, where the next cut goes on. A verification believes what the chain itself says of it.
CREATE TABLE app.audit_cuts (
    chain    uuid PRIMARY KEY,
    sequence bigint NOT NULL CHECK (sequence > 0),
    cut_at   timestamptz NOT NULL
);
