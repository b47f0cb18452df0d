-- Replaced by one that puts into the chain what is acknowledged: see policies/audit_acknowledgements.sql.
DROP FUNCTION IF EXISTS app.acknowledge_audit_findings(uuid, jsonb, text, text, bigint, bytea, timestamptz);
