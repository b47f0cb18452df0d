-- How the audit log stands as a whole, for the metrics of each node: no chain and no company is named.
DROP FUNCTION IF EXISTS app.audit_standing();
CREATE FUNCTION app.audit_standing()
RETURNS TABLE (broken bigint, oldest timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT count(*) FILTER (WHERE v.findings > 0), min(v.verified_at) FROM app.audit_verifications v
$$;
ALTER FUNCTION app.audit_standing() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.audit_standing() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.audit_standing() TO huntzen_worker;
