-- The audit log and the idempotency keys: written through functions only.
CREATE OR REPLACE FUNCTION app.audit(actor_role text, action text, object_type text, object_id uuid, company_id uuid,
                                     outcome text, ip text, request_id text)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    INSERT INTO app.audit_logs (actor_id, actor_role, company_id, action, object_type, object_id, outcome, ip, request_id)
    VALUES (app.user_id(), audit.actor_role, audit.company_id, audit.action, audit.object_type, audit.object_id,
            audit.outcome, audit.ip::inet, audit.request_id)
$$;
ALTER FUNCTION app.audit(text, text, text, uuid, uuid, text, text, text) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.audit(text, text, text, uuid, uuid, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.audit(text, text, text, uuid, uuid, text, text, text) TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform, huntzen_worker, huntzen_auth;

GRANT INSERT ON app.audit_logs TO huntzen_kernel;
CREATE POLICY write ON app.audit_logs FOR INSERT TO huntzen_kernel WITH CHECK (true);
-- everybody sees what they did themselves; a company what was done to its directory; the platform all but what
-- employees did with their consultations, which would say whose they are
GRANT SELECT ON app.audit_logs TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
-- what concerns no company, such as one's own log-in, is no other company's
CREATE POLICY fence ON app.audit_logs AS RESTRICTIVE TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (coalesce(company_id, (SELECT app.company_id())) = (SELECT app.company_id()))
    WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.audit_logs FOR SELECT TO huntzen_employee, huntzen_practitioner
    USING (actor_id = (SELECT app.user_id()));
-- whatever HR sets off, it learns nothing of consultations
CREATE POLICY own_of_hr ON app.audit_logs FOR SELECT TO huntzen_hr, huntzen_company_admin
    USING (actor_id = (SELECT app.user_id()) AND object_type <> 'consultation');
CREATE POLICY directory ON app.audit_logs FOR SELECT TO huntzen_hr, huntzen_company_admin
    USING (company_id = (SELECT app.company_id())
           AND object_type IN ('employee', 'department', 'company', 'company_settings', 'member', 'export'));
CREATE POLICY of_others ON app.audit_logs FOR SELECT TO huntzen_platform
    USING (object_type <> 'consultation' OR actor_role = 'practitioner');

-- takes a key for the transaction, or finds what it gave before
CREATE OR REPLACE FUNCTION app.take_idempotency_key(wanted text, print bytea)
RETURNS TABLE (fresh boolean, fingerprint bytea, answer jsonb)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    me uuid := app.user_id();
BEGIN
    IF me IS NULL THEN
        RAISE EXCEPTION 'idempotency keys belong to a user' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM app.idempotency_keys k
        WHERE k.user_id = me AND k.key = wanted AND k.created_at < now() - interval '24 hours';
    INSERT INTO app.idempotency_keys AS k (user_id, key, fingerprint) VALUES (me, wanted, print)
        ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN QUERY SELECT true, print, NULL::jsonb;
    ELSE
        RETURN QUERY SELECT false, k.fingerprint, k.answer FROM app.idempotency_keys k
            WHERE k.user_id = me AND k.key = wanted;
    END IF;
END
$$;
CREATE OR REPLACE FUNCTION app.keep_idempotent_answer(taken text, given jsonb)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    UPDATE app.idempotency_keys SET answer = given WHERE user_id = app.user_id() AND key = taken
$$;
CREATE OR REPLACE FUNCTION app.purge_idempotency_keys()
RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH gone AS (DELETE FROM app.idempotency_keys WHERE created_at < now() - interval '24 hours' RETURNING 1)
    SELECT count(*) FROM gone
$$;
ALTER FUNCTION app.take_idempotency_key(text, bytea) OWNER TO huntzen_kernel;
ALTER FUNCTION app.keep_idempotent_answer(text, jsonb) OWNER TO huntzen_kernel;
ALTER FUNCTION app.purge_idempotency_keys() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.take_idempotency_key(text, bytea), app.keep_idempotent_answer(text, jsonb),
    app.purge_idempotency_keys() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.take_idempotency_key(text, bytea), app.keep_idempotent_answer(text, jsonb) TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT EXECUTE ON FUNCTION app.purge_idempotency_keys() TO huntzen_worker;
GRANT SELECT, INSERT, DELETE ON app.idempotency_keys TO huntzen_kernel;
GRANT UPDATE (answer) ON app.idempotency_keys TO huntzen_kernel;
CREATE POLICY kernel ON app.idempotency_keys TO huntzen_kernel USING (true) WITH CHECK (true);
