-- Keys of contents: no role of the program reads the table. What a key opens is for some people; the functions below ask
-- who calls, and give out the wrapped key of that one subject. Without a master key it opens nothing.
GRANT SELECT, INSERT, UPDATE (wrapped, destroyed_at) ON app.encryption_keys TO huntzen_kernel;
CREATE POLICY kernel ON app.encryption_keys TO huntzen_kernel USING (true) WITH CHECK (true);

-- A session of which the caller is one of the two people, with the employee whose care it is.
CREATE OR REPLACE FUNCTION app.own_session(session uuid)
RETURNS TABLE (company_id uuid, person_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT c.company_id, c.user_id FROM app.consultations c
    WHERE c.id = session
      AND CASE app.connected_role() WHEN 'employee' THEN c.user_id = app.user_id() AND c.company_id = app.company_id()
                                    WHEN 'practitioner' THEN c.practitioner_id = app.user_id() ELSE false END
$$;

-- The key of a conversation, for the two people in it. No row: there is none yet, or the conversation is not theirs.
CREATE OR REPLACE FUNCTION app.conversation_key(conversation uuid)
RETURNS TABLE (id uuid, company_id uuid, person_id uuid, wrapped bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT k.id, k.company_id, k.person_id, k.wrapped
    FROM app.own_session(conversation) s
    JOIN app.encryption_keys k ON k.company_id = s.company_id AND k.purpose = 'chat' AND k.subject_id = conversation
$$;

-- Keeps the first key of a conversation; of two who bring one at the same time the first one's stays. About somebody who was
-- erased, or is just being, nothing new is kept: no row.
CREATE OR REPLACE FUNCTION app.keep_conversation_key(conversation uuid, key_id uuid, key_wrapped bytea, at timestamptz)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
    SELECT key_id, s.company_id, 'chat', conversation, s.person_id, key_wrapped, at FROM app.own_session(conversation) s
    JOIN app.users u ON u.id = s.person_id AND u.erased_at IS NULL
    FOR SHARE OF u
    ON CONFLICT ON CONSTRAINT encryption_keys_subject DO NOTHING
$$;

-- Destroys the keys of a person of the transaction's company: what they open is gone, here at once, in the backups when
-- those of this table expire. How many there were.
CREATE OR REPLACE FUNCTION app.destroy_keys(person uuid, purposes text[], at timestamptz)
RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH destroyed AS (
        UPDATE app.encryption_keys k SET wrapped = NULL, destroyed_at = at
        WHERE k.company_id = app.company_id() AND k.person_id = person AND k.purpose = ANY (purposes)
          AND k.destroyed_at IS NULL
        RETURNING k.id
    )
    SELECT count(*) FROM destroyed
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.own_session(uuid)', 'app.conversation_key(uuid)',
        'app.keep_conversation_key(uuid, uuid, bytea, timestamptz)',
        'app.destroy_keys(uuid, text[], timestamptz)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.own_session(uuid) TO huntzen_kernel;
GRANT EXECUTE ON FUNCTION app.conversation_key(uuid), app.keep_conversation_key(uuid, uuid, bytea, timestamptz)
    TO huntzen_employee, huntzen_practitioner;
GRANT EXECUTE ON FUNCTION app.destroy_keys(uuid, text[], timestamptz) TO huntzen_worker;
