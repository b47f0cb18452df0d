-- Breaks of the audit log that are known and explained, so that they do not alarm for ever. Only added to.
CREATE TABLE app.audit_acknowledgements (
    id         uuid PRIMARY KEY DEFAULT app.uuid_v7(),
    chain      uuid NOT NULL,
    at         timestamptz NOT NULL,
    -- who decided, and why, as the operator wrote it
    decided_by text NOT NULL CHECK (length(decided_by) BETWEEN 1 AND 200),
    reason     text NOT NULL CHECK (length(reason) BETWEEN 1 AND 1000),
    -- what was found then: kinds, places, ids
    findings   jsonb NOT NULL CHECK (jsonb_typeof(findings) = 'array' AND jsonb_array_length(findings) > 0)
);
CREATE INDEX audit_acknowledgements_chain ON app.audit_acknowledgements (chain, at DESC);
CREATE TRIGGER audit_acknowledgements_append_only BEFORE UPDATE OR DELETE ON app.audit_acknowledgements
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER audit_acknowledgements_no_truncate BEFORE TRUNCATE ON app.audit_acknowledgements
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
-- what was found again and had been acknowledged; `findings` counts the others
ALTER TABLE app.audit_verifications ADD COLUMN acknowledged int NOT NULL DEFAULT 0 CHECK (acknowledged >= 0);
