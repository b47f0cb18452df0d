-- Reviews. The author reads and changes their own, which then waits for a moderator again. Moderators see words and stars, and
-- neither who wrote them nor about which session. Everybody who sees a practitioner reads what was published of them.
GRANT SELECT (id, company_id, consultation_id, user_id, practitioner_id, status, version, rating, sealed, sealed_version,
              key_id, rejected_for, written_at) ON app.reviews TO huntzen_employee;
GRANT INSERT (id, company_id, consultation_id, user_id, rating, sealed, key_id, written_at),
    UPDATE (status, version, rating, sealed, sealed_version, key_id, rejected_for, written_at, moderated_at), DELETE ON app.reviews TO huntzen_employee;
CREATE POLICY fence ON app.reviews AS RESTRICTIVE TO huntzen_employee
    USING (company_id = (SELECT app.company_id())) WITH CHECK (company_id = (SELECT app.company_id()));
CREATE POLICY own ON app.reviews FOR SELECT TO huntzen_employee USING (user_id = (SELECT app.user_id()));
CREATE POLICY own_words ON app.reviews FOR INSERT TO huntzen_employee
    WITH CHECK (user_id = (SELECT app.user_id()) AND status = 'pending');
-- whatever they change waits for a moderator
CREATE POLICY own_change ON app.reviews FOR UPDATE TO huntzen_employee
    USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()) AND status = 'pending');
CREATE POLICY own_removal ON app.reviews FOR DELETE TO huntzen_employee USING (user_id = (SELECT app.user_id()));

GRANT SELECT (id, practitioner_id, status, version, rating, sealed, sealed_version, key_id, rejected_for, written_at,
              moderated_at) ON app.reviews TO huntzen_platform;
CREATE POLICY moderated ON app.reviews FOR SELECT TO huntzen_platform USING (true);

GRANT SELECT ON app.published_reviews
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
CREATE POLICY of_visible ON app.published_reviews FOR SELECT TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (EXISTS (SELECT FROM app.practitioners p WHERE p.id = practitioner_id));
CREATE POLICY of_oneself ON app.published_reviews FOR SELECT TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()));
CREATE POLICY all_rows ON app.published_reviews FOR SELECT TO huntzen_platform USING (true);
GRANT SELECT (rating_tenths, review_count) ON app.practitioners TO huntzen_employee, huntzen_hr, huntzen_company_admin;

-- the functions below
GRANT SELECT, DELETE ON app.reviews TO huntzen_kernel;
GRANT UPDATE (status, version, rejected_for, moderated_at, sealed) ON app.reviews TO huntzen_kernel;
GRANT SELECT, INSERT, DELETE ON app.published_reviews TO huntzen_kernel;
GRANT UPDATE (rating_tenths, review_count) ON app.practitioners TO huntzen_kernel;
CREATE POLICY kernel ON app.reviews FOR SELECT TO huntzen_kernel USING (true);
CREATE POLICY kernel_change ON app.reviews FOR UPDATE TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel_removal ON app.reviews FOR DELETE TO huntzen_kernel USING (true);
CREATE POLICY kernel ON app.published_reviews TO huntzen_kernel USING (true) WITH CHECK (true);

-- A review is of a session that was held, and of the practitioner who held it, whatever its author says.
CREATE OR REPLACE FUNCTION app.check_review() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it record;
BEGIN
    SELECT c.status, c.practitioner_id INTO it FROM app.consultations c
        WHERE c.id = NEW.consultation_id AND c.company_id = NEW.company_id AND c.user_id = NEW.user_id;
    IF NOT FOUND OR it.status <> 'completed' THEN
        RAISE EXCEPTION 'the session was not held'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'reviews_session_held';
    END IF;
    NEW.practitioner_id := it.practitioner_id;
    RETURN NEW;
END
$$;
DROP TRIGGER IF EXISTS reviews_session ON app.reviews;
CREATE TRIGGER reviews_session BEFORE INSERT ON app.reviews FOR EACH ROW EXECUTE FUNCTION app.check_review();

-- Each change is the next version; sealing anew under another master key is none.
DROP TRIGGER IF EXISTS reviews_next ON app.reviews;
CREATE TRIGGER reviews_next BEFORE UPDATE OF status, rating, rejected_for, written_at, moderated_at ON app.reviews
    FOR EACH ROW EXECUTE FUNCTION app.check_next_version();

-- What is not published any more is nowhere to be read.
CREATE OR REPLACE FUNCTION app.take_review_back() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    DELETE FROM app.published_reviews r WHERE r.id = NEW.id;
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS reviews_taken_back ON app.reviews;
CREATE TRIGGER reviews_taken_back AFTER UPDATE OF status ON app.reviews
    FOR EACH ROW WHEN (OLD.status = 'published' AND NEW.status <> 'published') EXECUTE FUNCTION app.take_review_back();

-- The average follows what is published. One change of a practitioner's at a time, so that each counts the ones before.
CREATE OR REPLACE FUNCTION app.count_reviews() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    person uuid := CASE TG_OP WHEN 'DELETE' THEN OLD.practitioner_id ELSE NEW.practitioner_id END;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('reviews ' || person, 0));
    UPDATE app.practitioners p SET rating_tenths = its.tenths, review_count = its.reviews
        FROM (SELECT CASE WHEN count(*) >= 3 THEN round(avg(r.rating) * 10)::smallint END AS tenths,
                     CASE WHEN count(*) >= 3 THEN count(*)::int END AS reviews
              FROM app.published_reviews r WHERE r.practitioner_id = person) its
        WHERE p.id = person;
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS published_reviews_counted ON app.published_reviews;
CREATE TRIGGER published_reviews_counted AFTER INSERT OR DELETE ON app.published_reviews
    FOR EACH ROW EXECUTE FUNCTION app.count_reviews();

-- Which of some words are, or are part of, the name of the author, the practitioner, or somebody of the author's company: for
-- the moderator to look at. Whose name a word is, it does not tell, so that the hint names no author. Of the caller's own
-- session; the words come in small letters without accents.
CREATE OR REPLACE FUNCTION app.names_among(session uuid, words text[])
RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH its AS (
        SELECT c.company_id, c.practitioner_id, c.user_id FROM app.consultations c
        WHERE c.id = session AND c.user_id = app.user_id() AND c.company_id = app.company_id()
    ), names AS (
        SELECT e.first_name || ' ' || e.last_name AS name FROM its JOIN app.employees e ON e.company_id = its.company_id
        UNION ALL SELECT u.display_name FROM its JOIN app.users u ON u.id = its.user_id
        UNION ALL SELECT p.display_name FROM its JOIN app.practitioners p ON p.id = its.practitioner_id
    )
    SELECT DISTINCT part
    FROM names, regexp_split_to_table(lower(public.unaccent(names.name)), '[^a-z0-9]+') AS part
    WHERE length(part) >= 3 AND part = ANY (words)
$$;

-- A moderator's verdict about the words that they read: `known` is their version.
CREATE OR REPLACE FUNCTION app.moderate_review(review uuid, known int, verdict text, words text, reason text, at timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it app.reviews;
BEGIN
    SELECT * INTO it FROM app.reviews r WHERE r.id = review FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    ELSIF it.version <> known THEN
        RETURN 'stale';
    END IF;
    UPDATE app.reviews r SET status = verdict, version = r.version + 1, rejected_for = reason, moderated_at = at
        WHERE r.id = review;
    IF verdict = 'published' AND it.status <> 'published' THEN
        INSERT INTO app.published_reviews (id, practitioner_id, rating, body)
            VALUES (it.id, it.practitioner_id, it.rating, words);
    END IF;
    RETURN 'done';
END
$$;

-- Erasure: nothing of what a person of the transaction's company wrote about their sessions is left, here or in what was
-- published. How many there were.
CREATE OR REPLACE FUNCTION app.erase_reviews(person uuid)
RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH gone AS (
        DELETE FROM app.reviews r WHERE r.company_id = app.company_id() AND r.user_id = person RETURNING r.id
    )
    SELECT count(*) FROM gone
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.check_review()', 'app.take_review_back()', 'app.count_reviews()', 'app.names_among(uuid, text[])',
        'app.moderate_review(uuid, int, text, text, text, timestamptz)', 'app.erase_reviews(uuid)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.names_among(uuid, text[]) TO huntzen_employee;
GRANT EXECUTE ON FUNCTION app.moderate_review(uuid, int, text, text, text, timestamptz) TO huntzen_platform;
GRANT EXECUTE ON FUNCTION app.erase_reviews(uuid) TO huntzen_worker;
