-- The audit log and the idempotency keys: written through functions only.
-- What an entry may say besides ids: these keys, with numbers, yes or no, and words of the program (states, names of
-- fields, ids, dates). Nothing that somebody typed fits. `platform::audit::Detail` is the same list.
CREATE OR REPLACE FUNCTION app.audit_details_are_plain(details jsonb)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT jsonb_typeof(details) = 'object' AND octet_length(details::text) <= 1000 AND NOT EXISTS (
        SELECT FROM jsonb_each(CASE jsonb_typeof(details) WHEN 'object' THEN details ELSE '{}' END) d (key, value)
        WHERE key NOT IN ('attempts', 'by', 'count', 'created', 'fields', 'filters', 'format', 'from', 'kind', 'limit',
                          'method', 'mode', 'of', 'partial', 'purpose', 'reason', 'rejected', 'removed', 'role',
                          'sessions', 'status', 'to', 'unchanged', 'updated')
           OR CASE jsonb_typeof(value)
                  WHEN 'number' THEN false
                  WHEN 'boolean' THEN false
                  WHEN 'string' THEN value #>> '{}' !~ '^[a-z0-9][a-z0-9_.-]{0,39}$'
                  WHEN 'array' THEN EXISTS (SELECT FROM jsonb_array_elements(value) word
                                            WHERE jsonb_typeof(word) <> 'string'
                                               OR word #>> '{}' !~ '^[a-z0-9][a-z0-9_.-]{0,39}$')
                  ELSE true
              END)
$$;

-- Who is connected, as the audit log says it: nothing that a statement could change.
CREATE OR REPLACE FUNCTION app.connected_role() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE session_user
               WHEN 'huntzen_employee' THEN 'employee'
               WHEN 'huntzen_practitioner' THEN 'practitioner'
               WHEN 'huntzen_hr' THEN 'hr'
               WHEN 'huntzen_company_admin' THEN 'company_admin'
               WHEN 'huntzen_platform' THEN 'platform_admin'
               WHEN 'huntzen_worker' THEN 'system'
               WHEN 'huntzen_auth' THEN 'visitor'
               -- on the command line, with the owner's connection
               ELSE 'operator'
           END
$$;
REVOKE ALL ON FUNCTION app.audit_details_are_plain(jsonb), app.connected_role() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.audit_details_are_plain(jsonb), app.connected_role() TO huntzen_kernel;

-- Writes an entry. Role and company come from the connection and its settings, not from what the program says: an
-- account must have the role that is connected, and belong to the company of the transaction. Before anybody is
-- signed in, the account that logs in is named, with the role and company that it has. Only the platform's staff,
-- jobs and those who are not signed in yet may name another company than the transaction's.
CREATE OR REPLACE FUNCTION app.audit(action text, object_type text, object_id uuid, subject_type text, subject_id uuid,
                                     company_id uuid, outcome text, details jsonb, ip text, request_id text)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    actor   uuid := app.user_id();
    role    text := app.connected_role();
    company uuid := app.company_id();
    account app.users;
BEGIN
    SELECT * INTO account FROM app.users u WHERE u.id = actor;
    CASE
        WHEN role IN ('employee', 'hr', 'company_admin') THEN
            IF account.role IS DISTINCT FROM role OR account.company_id IS DISTINCT FROM company
               OR audit.company_id <> company THEN
                RAISE EXCEPTION 'an entry in another name' USING ERRCODE = 'insufficient_privilege';
            END IF;
        WHEN role = 'practitioner' THEN
            -- a client's company
            IF account.role IS DISTINCT FROM role OR audit.company_id <> company OR company IS NOT NULL AND NOT EXISTS (
                   SELECT FROM app.consultations c WHERE c.practitioner_id = actor AND c.company_id = company) THEN
                RAISE EXCEPTION 'an entry in another name' USING ERRCODE = 'insufficient_privilege';
            END IF;
        WHEN role = 'platform_admin' THEN
            IF account.role IS DISTINCT FROM role THEN
                RAISE EXCEPTION 'an entry in another name' USING ERRCODE = 'insufficient_privilege';
            END IF;
            company := coalesce(audit.company_id, company);
        WHEN role = 'visitor' THEN
            role := coalesce(account.role, role);
            company := CASE WHEN account.id IS NULL THEN coalesce(audit.company_id, company) ELSE account.company_id END;
        ELSE
            company := coalesce(audit.company_id, company);
    END CASE;
    INSERT INTO app.audit_logs (actor_id, actor_role, company_id, action, object_type, object_id, subject_type, subject_id,
                                outcome, details, ip, request_id)
    VALUES (actor, role, company, audit.action, audit.object_type, audit.object_id, audit.subject_type,
            audit.subject_id, audit.outcome, coalesce(audit.details, '{}'), audit.ip::inet, audit.request_id);
END
$$;
ALTER FUNCTION app.audit(text, text, uuid, text, uuid, uuid, text, jsonb, text, text) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.audit(text, text, uuid, text, uuid, uuid, text, jsonb, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.audit(text, text, uuid, text, uuid, uuid, text, jsonb, text, text) TO
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
