-- Breaks of the audit log that are known: written by the operator alone, read by whoever verifies, and by the staff.
GRANT SELECT ON app.audit_acknowledgements TO huntzen_worker, huntzen_platform;
GRANT INSERT ON app.audit_acknowledgements TO huntzen_kernel;
GRANT INSERT ON app.audit_verifications TO huntzen_kernel;
GRANT UPDATE (verified_at, sequence, digest, findings, first, acknowledged) ON app.audit_verifications TO huntzen_kernel;
GRANT UPDATE (acknowledged) ON app.audit_verifications TO huntzen_worker;
CREATE POLICY of_job ON app.audit_acknowledgements FOR SELECT TO huntzen_worker
    USING (chain = coalesce((SELECT app.company_id()), '00000000-0000-0000-0000-000000000000'));
CREATE POLICY all_rows ON app.audit_acknowledgements FOR SELECT TO huntzen_platform USING (true);
CREATE POLICY kernel ON app.audit_acknowledgements FOR INSERT TO huntzen_kernel WITH CHECK (true);
CREATE POLICY kernel_write ON app.audit_verifications FOR INSERT TO huntzen_kernel WITH CHECK (true);
CREATE POLICY kernel_change ON app.audit_verifications FOR UPDATE TO huntzen_kernel USING (true) WITH CHECK (true);

-- Notes that what was found in a chain is known. From now on it has to go on from where it stands: `up_to` and `head`.
-- `digest` is of who decided what and why: whoever verifies the chain believes what stands here only where an entry of
-- the operator in that very chain has it.
CREATE OR REPLACE FUNCTION app.acknowledge_audit_findings(its uuid, breaks jsonb, decided_by text, reason text, digest text,
                                                          up_to bigint, head bytea, at timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    many int := jsonb_array_length(breaks);
BEGIN
    INSERT INTO app.audit_acknowledgements (chain, at, decided_by, reason, findings)
        VALUES (its, acknowledge_audit_findings.at, acknowledge_audit_findings.decided_by,
                acknowledge_audit_findings.reason, breaks);
    INSERT INTO app.audit_verifications AS v (chain, verified_at, sequence, digest, findings, first, acknowledged)
        VALUES (its, acknowledge_audit_findings.at, up_to, acknowledge_audit_findings.head, 0, NULL, many)
        ON CONFLICT (chain) DO UPDATE SET
            verified_at = excluded.verified_at, sequence = excluded.sequence, digest = excluded.digest, findings = 0,
            first = NULL, acknowledged = v.acknowledged + excluded.acknowledged;
    PERFORM app.audit('audit_log.break_acknowledged', 'audit_log', NULL, NULL, NULL,
                      nullif(its, '00000000-0000-0000-0000-000000000000'), 'success',
                      jsonb_build_object('count', many, 'digest', acknowledge_audit_findings.digest), NULL, NULL);
END
$$;
-- nobody but those who own the database
ALTER FUNCTION app.acknowledge_audit_findings(uuid, jsonb, text, text, text, bigint, bytea, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.acknowledge_audit_findings(uuid, jsonb, text, text, text, bigint, bytea, timestamptz) FROM PUBLIC;
