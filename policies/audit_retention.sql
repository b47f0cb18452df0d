-- Entries of the audit log go when they were kept for long enough, from the beginning of each chain on.
GRANT DELETE ON app.audit_logs TO huntzen_kernel;
CREATE POLICY kernel_cut ON app.audit_logs FOR DELETE TO huntzen_kernel
    USING (at < (SELECT clock_timestamp()) - interval '365 days');
GRANT SELECT, INSERT ON app.audit_cuts TO huntzen_kernel;
GRANT UPDATE (sequence, cut_at) ON app.audit_cuts TO huntzen_kernel;
CREATE POLICY kernel ON app.audit_cuts TO huntzen_kernel USING (true) WITH CHECK (true);

-- Removes what was kept for as long as app.retention_rules says, a year at least, from the chain of the transaction's company;
-- how many entries.
-- Links stay. An entry says how far the chain was cut: whoever verifies it believes that entry alone. A chain that was
-- not found whole is evidence, and stays as it is.
CREATE OR REPLACE FUNCTION app.cut_audit_log(most int)
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    nobody uuid := '00000000-0000-0000-0000-000000000000';
    its    uuid := coalesce(app.company_id(), nobody);
    before timestamptz := date_trunc('day', clock_timestamp(), 'UTC') - greatest(app.kept_for('audit_entry'), interval '365 days');
    begins bigint;
    ends   bigint;
    gone   bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('huntzen audit cut ' || its, 0));
    begins := coalesce((SELECT c.sequence FROM app.audit_cuts c WHERE c.chain = its), 0);
    -- up to the first entry that is kept: what is gone is always the beginning
    SELECT coalesce(min(k.sequence) FILTER (WHERE k.at >= before) - 1, max(k.sequence)) INTO ends
        FROM (SELECT c.sequence, l.at FROM app.audit_chain c LEFT JOIN app.audit_logs l ON l.id = c.entry_id
              WHERE c.chain = its AND c.sequence > begins ORDER BY c.sequence LIMIT most) k;
    IF ends IS NULL OR ends <= begins
       OR NOT EXISTS (SELECT FROM app.audit_verifications v
                      WHERE v.chain = its AND v.findings = 0 AND v.sequence >= ends) THEN
        RETURN 0;
    END IF;
    DELETE FROM app.audit_logs l USING app.audit_chain c
        WHERE c.chain = its AND c.sequence > begins AND c.sequence <= ends AND l.id = c.entry_id;
    GET DIAGNOSTICS gone = ROW_COUNT;
    INSERT INTO app.audit_cuts AS k (chain, sequence, cut_at) VALUES (its, ends, clock_timestamp())
        ON CONFLICT (chain) DO UPDATE SET sequence = excluded.sequence, cut_at = excluded.cut_at;
    PERFORM app.audit('audit_log.cut', 'audit_log', NULL, NULL, NULL, nullif(its, nobody), 'success',
                      jsonb_build_object('count', ends, 'removed', gone,
                                         'to', to_char(before AT TIME ZONE 'UTC', 'YYYY-MM-DD')), NULL, NULL);
    RETURN gone;
END
$$;
ALTER FUNCTION app.cut_audit_log(int) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.cut_audit_log(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.cut_audit_log(int) TO huntzen_worker;
