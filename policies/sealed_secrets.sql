-- Secrets that are sealed under the master keys (platform::crypto::seal), wherever they are kept: listed and sealed anew
-- when a master key is replaced. `huntzen keys rewrap` knows the same places; a test compares them with the columns.
GRANT UPDATE (secret) ON app.signing_keys TO huntzen_kernel;
GRANT SELECT, UPDATE (sealed) ON app.consultation_reasons TO huntzen_kernel;
CREATE POLICY kernel ON app.consultation_reasons FOR SELECT TO huntzen_kernel USING (true);
CREATE POLICY kernel_rewrap ON app.consultation_reasons FOR UPDATE TO huntzen_kernel USING (true) WITH CHECK (true);

-- The id of the master key that a stored form names.
CREATE OR REPLACE FUNCTION app.sealed_under(sealed bytea) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length(sealed) > 3 THEN substring(sealed FROM 4 FOR get_byte(sealed, 2)) ELSE '' END
$$;

-- What is not sealed under the newest key, by id; whose it is, and of which company.
CREATE OR REPLACE FUNCTION app.list_sealed(place text, newest text, after uuid, most int)
RETURNS TABLE (id uuid, person uuid, company uuid, sealed bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    beyond uuid := coalesce(after, '00000000-0000-0000-0000-000000000000');
    wanted bytea := convert_to(newest, 'UTF8');
BEGIN
    CASE place
        WHEN 'two_factor.secret' THEN
            RETURN QUERY SELECT t.user_id, t.user_id, NULL::uuid, t.secret FROM app.two_factor t
                WHERE t.user_id > beyond AND app.sealed_under(t.secret) <> wanted ORDER BY t.user_id LIMIT most;
        WHEN 'two_factor.pending_secret' THEN
            RETURN QUERY SELECT t.user_id, t.user_id, NULL::uuid, t.pending_secret FROM app.two_factor t
                WHERE t.user_id > beyond AND app.sealed_under(t.pending_secret) <> wanted ORDER BY t.user_id LIMIT most;
        WHEN 'external_calendars.url' THEN
            RETURN QUERY SELECT c.id, c.practitioner_id, NULL::uuid, c.url FROM app.external_calendars c
                WHERE c.id > beyond AND app.sealed_under(c.url) <> wanted ORDER BY c.id LIMIT most;
        WHEN 'consultation_reasons.booking', 'consultation_reasons.cancelling' THEN
            RETURN QUERY SELECT r.consultation_id, NULL::uuid, r.company_id, r.sealed FROM app.consultation_reasons r
                WHERE r.about = split_part(place, '.', 2) AND r.consultation_id > beyond
                  AND app.sealed_under(r.sealed) <> wanted
                ORDER BY r.consultation_id LIMIT most;
        WHEN 'encryption_keys.chat', 'encryption_keys.note', 'encryption_keys.journal', 'encryption_keys.file' THEN
            RETURN QUERY SELECT k.id, coalesce(k.person_id, k.keeper_id), k.company_id, k.wrapped FROM app.encryption_keys k
                WHERE k.purpose = split_part(place, '.', 2) AND k.id > beyond AND app.sealed_under(k.wrapped) <> wanted
                ORDER BY k.id LIMIT most;
        WHEN 'reviews.sealed' THEN
            RETURN QUERY SELECT r.id, NULL::uuid, NULL::uuid, r.sealed FROM app.reviews r
                WHERE r.id > beyond AND app.sealed_under(r.sealed) <> wanted ORDER BY r.id LIMIT most;
        WHEN 'signing_keys.secret' THEN
            RETURN QUERY SELECT k.id, NULL::uuid, NULL::uuid, k.secret FROM app.signing_keys k
                WHERE k.id > beyond AND app.sealed_under(k.secret) <> wanted ORDER BY k.id LIMIT most;
    END CASE;
END
$$;

-- Puts the same secret under another key in its place. False: it was changed meanwhile.
CREATE OR REPLACE FUNCTION app.replace_sealed(place text, row_id uuid, before bytea, renewed bytea)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    CASE place
        WHEN 'two_factor.secret' THEN
            UPDATE app.two_factor t SET secret = renewed WHERE t.user_id = row_id AND t.secret = before;
        WHEN 'two_factor.pending_secret' THEN
            UPDATE app.two_factor t SET pending_secret = renewed WHERE t.user_id = row_id AND t.pending_secret = before;
        WHEN 'external_calendars.url' THEN
            UPDATE app.external_calendars c SET url = renewed WHERE c.id = row_id AND c.url = before;
        WHEN 'consultation_reasons.booking', 'consultation_reasons.cancelling' THEN
            UPDATE app.consultation_reasons r SET sealed = renewed
                WHERE r.consultation_id = row_id AND r.about = split_part(place, '.', 2) AND r.sealed = before;
        WHEN 'encryption_keys.chat', 'encryption_keys.note', 'encryption_keys.journal', 'encryption_keys.file' THEN
            UPDATE app.encryption_keys k SET wrapped = renewed
                WHERE k.id = row_id AND k.purpose = split_part(place, '.', 2) AND k.wrapped = before;
        WHEN 'reviews.sealed' THEN
            UPDATE app.reviews r SET sealed = renewed WHERE r.id = row_id AND r.sealed = before;
        WHEN 'signing_keys.secret' THEN
            UPDATE app.signing_keys k SET secret = renewed WHERE k.id = row_id AND k.secret = before;
    END CASE;
    RETURN FOUND;
END
$$;

-- How many are left under other keys than the newest, for each place.
CREATE OR REPLACE FUNCTION app.count_sealed(newest text)
RETURNS TABLE (place text, older bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT 'two_factor.secret', count(*) FROM app.two_factor t
        WHERE app.sealed_under(t.secret) <> convert_to(newest, 'UTF8')
    UNION ALL SELECT 'two_factor.pending_secret', count(*) FROM app.two_factor t
        WHERE app.sealed_under(t.pending_secret) <> convert_to(newest, 'UTF8')
    UNION ALL SELECT 'external_calendars.url', count(*) FROM app.external_calendars c
        WHERE app.sealed_under(c.url) <> convert_to(newest, 'UTF8')
    UNION ALL SELECT 'consultation_reasons.' || kind.about, count(r.about)
        FROM (VALUES ('booking'), ('cancelling')) AS kind (about)
        LEFT JOIN app.consultation_reasons r
            ON r.about = kind.about AND app.sealed_under(r.sealed) <> convert_to(newest, 'UTF8')
        GROUP BY kind.about
    UNION ALL SELECT 'encryption_keys.' || kind.purpose, count(k.id)
        FROM (VALUES ('chat'), ('note'), ('journal'), ('file')) AS kind (purpose)
        LEFT JOIN app.encryption_keys k
            ON k.purpose = kind.purpose AND app.sealed_under(k.wrapped) <> convert_to(newest, 'UTF8')
        GROUP BY kind.purpose
    UNION ALL SELECT 'reviews.sealed', count(*) FROM app.reviews r
        WHERE app.sealed_under(r.sealed) <> convert_to(newest, 'UTF8')
    UNION ALL SELECT 'signing_keys.secret', count(*) FROM app.signing_keys k
        WHERE app.sealed_under(k.secret) <> convert_to(newest, 'UTF8')
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.sealed_under(bytea)', 'app.list_sealed(text, text, uuid, int)',
        'app.replace_sealed(text, uuid, bytea, bytea)', 'app.count_sealed(text)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
-- figures only; listing and replacing is for those who own the database
GRANT EXECUTE ON FUNCTION app.count_sealed(text) TO huntzen_worker;
