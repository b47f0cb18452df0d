-- Keys of what is written about sessions and in reviews. As with policies/encryption_keys.sql, no role reads the table.
GRANT UPDATE (key_id) ON app.consultation_reasons, app.reviews TO huntzen_kernel;

-- Of some sessions, those of which the caller is one of the two people: whose care they are, and the key, where there is one.
CREATE OR REPLACE FUNCTION app.reason_keys(sessions uuid[])
RETURNS TABLE (session uuid, company_id uuid, person_id uuid, id uuid, wrapped bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT c.id, c.company_id, c.user_id, k.id, k.wrapped
    FROM unnest(sessions) AS wanted (id) JOIN app.consultations c ON c.id = wanted.id
    LEFT JOIN app.encryption_keys k ON k.company_id = c.company_id AND k.purpose = 'reason' AND k.subject_id = c.id
    WHERE CASE app.connected_role() WHEN 'employee' THEN c.user_id = app.user_id() AND c.company_id = app.company_id()
                                    WHEN 'practitioner' THEN c.practitioner_id = app.user_id() ELSE false END
$$;
-- Keeps the first one of a session; of two that come at the same time the first one's stays. About somebody who was erased,
-- nothing new is kept.
CREATE OR REPLACE FUNCTION app.keep_reason_key(of_session uuid, key_id uuid, key_wrapped bytea, at timestamptz)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
    SELECT key_id, s.company_id, 'reason', of_session, s.person_id, key_wrapped, at FROM app.own_session(of_session) s
    JOIN app.users u ON u.id = s.person_id AND u.erased_at IS NULL
    FOR SHARE OF u
    ON CONFLICT ON CONSTRAINT encryption_keys_subject DO NOTHING
$$;

-- The keys of some reviews, with whose they are: for their author, and for the program itself, which opens the words for
-- whoever moderates them. No role of a moderator learns an author by this.
CREATE OR REPLACE FUNCTION app.review_keys(reviews uuid[])
RETURNS TABLE (review uuid, company_id uuid, person_id uuid, id uuid, wrapped bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT r.id, r.company_id, r.user_id, k.id, k.wrapped
    FROM unnest(reviews) AS wanted (id) JOIN app.reviews r ON r.id = wanted.id
    JOIN app.encryption_keys k ON k.company_id = r.company_id AND k.purpose = 'review' AND k.subject_id = r.id
    WHERE CASE app.connected_role() WHEN 'employee' THEN r.user_id = app.user_id() AND r.company_id = app.company_id()
                                    ELSE app.connected_role() = 'system' END
$$;
-- Keeps the key of a review of the caller's. Of somebody who was erased, or is just being, nothing new is kept: no row.
CREATE OR REPLACE FUNCTION app.keep_review_key(of_review uuid, its_key uuid, key_wrapped bytea, at timestamptz)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
    SELECT its_key, r.company_id, 'review', r.id, r.user_id, key_wrapped, at FROM app.reviews r
    JOIN app.users u ON u.id = r.user_id AND u.erased_at IS NULL
    WHERE r.id = of_review AND r.user_id = app.user_id() AND r.company_id = app.company_id() AND app.connected_role() = 'employee'
    FOR SHARE OF u
    ON CONFLICT ON CONSTRAINT encryption_keys_subject DO NOTHING
$$;

-- What is deleted is destroyed: its key goes with it, whoever deletes it.
CREATE OR REPLACE FUNCTION app.destroy_key_of_review() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.encryption_keys k SET wrapped = NULL, destroyed_at = clock_timestamp()
        WHERE k.company_id = OLD.company_id AND k.purpose = 'review' AND k.subject_id = OLD.id AND k.destroyed_at IS NULL;
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION app.destroy_key_of_reasons() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.encryption_keys k SET wrapped = NULL, destroyed_at = clock_timestamp()
        WHERE k.company_id = OLD.company_id AND k.purpose = 'reason' AND k.subject_id = OLD.consultation_id
          AND k.destroyed_at IS NULL
          AND NOT EXISTS (SELECT FROM app.consultation_reasons r
                          WHERE r.company_id = OLD.company_id AND r.consultation_id = OLD.consultation_id);
    RETURN NULL;
END
$$;

-- Texts that an earlier release sealed under a master key itself, with whose they are and the key under which they are to be, where
-- there is one. Locked until the transaction ends; what somebody else changes at the moment is left out. `wanted` is a place
-- of app.sealed_places().
CREATE OR REPLACE FUNCTION app.list_older_forms(wanted text, after uuid, most int)
RETURNS TABLE (id uuid, person uuid, company uuid, sealed bytea, key_id uuid, wrapped bytea)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF wanted = 'reviews.sealed' THEN
        RETURN QUERY
            SELECT r.id, r.user_id, r.company_id, r.sealed, k.id, k.wrapped FROM app.reviews r
            LEFT JOIN app.encryption_keys k ON k.company_id = r.company_id AND k.purpose = 'review' AND k.subject_id = r.id
            WHERE r.key_id IS NULL AND r.id > coalesce(after, '00000000-0000-0000-0000-000000000000')
            ORDER BY r.id LIMIT most FOR NO KEY UPDATE OF r SKIP LOCKED;
    ELSE
        RETURN QUERY
            SELECT t.consultation_id, c.user_id, t.company_id, t.sealed, k.id, k.wrapped FROM app.consultation_reasons t
            JOIN app.consultations c ON c.company_id = t.company_id AND c.id = t.consultation_id
            LEFT JOIN app.encryption_keys k ON k.company_id = t.company_id AND k.purpose = 'reason' AND k.subject_id = t.consultation_id
            WHERE t.key_id IS NULL AND t.about = split_part(wanted, '.', 2)
              AND t.consultation_id > coalesce(after, '00000000-0000-0000-0000-000000000000')
            ORDER BY t.consultation_id LIMIT most FOR NO KEY UPDATE OF t SKIP LOCKED;
    END IF;
END
$$;
-- Puts the same words under a key in their place, where nobody changed them meanwhile, and keeps the key where it is new.
-- False: somebody was faster.
CREATE OR REPLACE FUNCTION app.replace_older_form(wanted text, row_id uuid, before bytea, renewed bytea, its_key uuid,
                                                  new_key bytea, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    its record;
BEGIN
    IF wanted = 'reviews.sealed' THEN
        UPDATE app.reviews r SET sealed = renewed, key_id = its_key
            WHERE r.id = row_id AND r.key_id IS NULL AND r.sealed = before
            RETURNING r.company_id, r.user_id AS person, 'review' AS purpose INTO its;
    ELSE
        UPDATE app.consultation_reasons t SET sealed = renewed, key_id = its_key FROM app.consultations c
            WHERE t.consultation_id = row_id AND t.about = split_part(wanted, '.', 2) AND t.key_id IS NULL AND t.sealed = before
              AND c.company_id = t.company_id AND c.id = t.consultation_id
            RETURNING t.company_id, c.user_id AS person, 'reason' AS purpose INTO its;
    END IF;
    IF its IS NULL THEN
        RETURN false;
    END IF;
    IF new_key IS NOT NULL THEN
        INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
            VALUES (its_key, its.company_id, its.purpose, row_id, its.person, new_key, at);
    END IF;
    RETURN true;
END
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.reason_keys(uuid[])', 'app.keep_reason_key(uuid, uuid, bytea, timestamptz)', 'app.review_keys(uuid[])',
        'app.keep_review_key(uuid, uuid, bytea, timestamptz)', 'app.destroy_key_of_review()', 'app.destroy_key_of_reasons()',
        'app.list_older_forms(text, uuid, int)',
        'app.replace_older_form(text, uuid, bytea, bytea, uuid, bytea, timestamptz)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
DROP TRIGGER IF EXISTS reviews_key_destroyed ON app.reviews;
CREATE TRIGGER reviews_key_destroyed AFTER DELETE ON app.reviews
    FOR EACH ROW WHEN (OLD.key_id IS NOT NULL) EXECUTE FUNCTION app.destroy_key_of_review();
DROP TRIGGER IF EXISTS consultation_reasons_key_destroyed ON app.consultation_reasons;
CREATE TRIGGER consultation_reasons_key_destroyed AFTER DELETE ON app.consultation_reasons
    FOR EACH ROW WHEN (OLD.key_id IS NOT NULL) EXECUTE FUNCTION app.destroy_key_of_reasons();
-- listing and replacing is for those who own the database
GRANT EXECUTE ON FUNCTION app.reason_keys(uuid[]), app.keep_reason_key(uuid, uuid, bytea, timestamptz)
    TO huntzen_employee, huntzen_practitioner;
GRANT EXECUTE ON FUNCTION app.review_keys(uuid[]) TO huntzen_employee, huntzen_worker;
GRANT EXECUTE ON FUNCTION app.keep_review_key(uuid, uuid, bytea, timestamptz) TO huntzen_employee;
