-- Search. Operators of words and letters run before row security only where they are the functions' below, which answer with
-- ids and figures. Who asks joins them with the rows that their own policies show, before anything is ranked or counted.
ALTER FUNCTION app.index_article() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.index_article() FROM PUBLIC;

-- The words of a question: eight at most, small letters without accents, no single letters.
CREATE OR REPLACE FUNCTION app.words_asked(question text)
RETURNS SETOF text LANGUAGE sql STABLE ROWS 4 SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT it.word
    FROM (SELECT part.word, min(part.place) AS place
          FROM regexp_split_to_table(lower(public.unaccent(question)), '[^a-z0-9]+') WITH ORDINALITY AS part (word, place)
          WHERE length(part.word) >= 2 GROUP BY part.word) it
    ORDER BY it.place LIMIT 8
$$;

-- Of a text in small letters without accents, the words that are long enough to be misspelt.
CREATE OR REPLACE FUNCTION app.words_of(plain text)
RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT DISTINCT part.word FROM regexp_split_to_table(plain, '[^a-z0-9]+') AS part (word)
    WHERE length(part.word) BETWEEN 4 AND 40
$$;

-- The list of words follows what practitioners say of themselves: one who is erased leaves none that is nobody else's. One
-- change at a time, because a word that one gives up another may just begin to use.
GRANT SELECT, INSERT, DELETE ON app.search_words TO huntzen_kernel;
CREATE POLICY kernel ON app.search_words TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE OR REPLACE FUNCTION app.keep_search_words() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('search words', 0));
    INSERT INTO app.search_words (word) SELECT w FROM app.words_of(NEW.search_text) w ON CONFLICT DO NOTHING;
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM app.search_words k
            USING (SELECT w FROM app.words_of(OLD.search_text) w EXCEPT SELECT w FROM app.words_of(NEW.search_text) w) gone (word)
            WHERE k.word = gone.word
              AND NOT EXISTS (SELECT FROM app.practitioners p
                              WHERE p.search_text LIKE '%' || gone.word || '%' AND p.search_text ~ ('\m' || gone.word || '\M'));
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS practitioners_words ON app.practitioners;
CREATE TRIGGER practitioners_words AFTER INSERT ON app.practitioners
    FOR EACH ROW EXECUTE FUNCTION app.keep_search_words();
DROP TRIGGER IF EXISTS practitioners_other_words ON app.practitioners;
CREATE TRIGGER practitioners_other_words AFTER UPDATE OF display_name, bio_fr, bio_en ON app.practitioners
    FOR EACH ROW WHEN (OLD.search_text <> NEW.search_text) EXECUTE FUNCTION app.keep_search_words();

-- Practitioners in whom each word of a question occurs, and how well: in the name, in what they are called by their field of
-- care, in what they say of themselves; misspelt a little where words are longer. Nothing here depends on whom else there is:
-- whoever asks may not see them all, and would learn of them by the order.
-- The planner knows neither the words nor how few texts hold them: every table is read by its indexes.
CREATE OR REPLACE FUNCTION app.practitioners_ranked(question text)
RETURNS TABLE (id uuid, score real)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp SET enable_seqscan = off AS $$
    WITH wanted AS MATERIALIZED (SELECT w.word FROM app.words_asked(question) AS w (word)),
    hits AS (
        SELECT w.word, p.id, 1.0::real AS score
        FROM wanted w JOIN app.practitioners p ON p.search_name LIKE '%' || w.word || '%'
        UNION ALL
        SELECT w.word, p.id, 0.3 FROM wanted w JOIN app.practitioners p ON p.search_text LIKE '%' || w.word || '%'
        UNION ALL
        SELECT w.word, s.practitioner_id, 0.6
        FROM wanted w
        JOIN app.words_of_specialties() field
          ON (length(w.word) >= 3 AND ' ' || field.words LIKE '% ' || w.word || '%')
             OR (length(w.word) >= 5 AND public.word_similarity(w.word, field.words) >= 0.6)
        JOIN app.practitioner_specialties s ON s.specialty = field.specialty
        UNION ALL
        -- one slip leaves the first letters or the last ones whole, and those an index finds
        SELECT w.word, p.id, 0.8 * public.word_similarity(w.word, p.search_name)
        FROM wanted w JOIN app.practitioners p
          ON p.search_name LIKE '%' || left(w.word, 3) || '%' OR p.search_name LIKE '%' || right(w.word, 3) || '%'
        WHERE length(w.word) >= 4 AND public.word_similarity(w.word, p.search_name) >= 0.5
        UNION ALL
        -- a word that is like it, looked for as it is written; one that it is a part of was found above
        SELECT w.word, p.id, 0.15
        FROM wanted w
        JOIN app.search_words known ON w.word OPERATOR(public.<%) known.word AND known.word NOT LIKE '%' || w.word || '%'
        JOIN app.practitioners p
          ON p.search_text LIKE '%' || known.word || '%' AND p.search_text ~ ('\m' || known.word || '\M')
        WHERE length(w.word) >= 5
    ), best AS (
        SELECT h.id, h.word, max(h.score) AS score FROM hits h GROUP BY h.id, h.word
    )
    SELECT b.id, avg(b.score)::real FROM best b GROUP BY b.id HAVING count(*) = (SELECT count(*) FROM wanted)
$$;

-- Texts of published articles in which each word of a question occurs, and how well: by its stem in the language of the text,
-- also where it is only begun, in the title, as a tag, or anywhere. Longer words that no published text has so may be misspelt
-- a little in title and summary. Words that a language is full of do not count in it.
-- What a language is full of is nothing to tell a client about either.
CREATE OR REPLACE FUNCTION app.articles_ranked(question text)
RETURNS TABLE (article_id uuid, language text, score real)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp SET client_min_messages = warning AS $$
    WITH asked AS MATERIALIZED (
        SELECT l.language, w.word, to_tsquery(l.config, w.word || ':*') AS query
        FROM app.words_asked(question) AS w (word),
             (VALUES ('fr', 'french'::regconfig), ('en', 'english'::regconfig)) AS l (language, config)
        WHERE numnode(to_tsquery(l.config, w.word)) > 0
    ), exact AS MATERIALIZED (
        SELECT a.language, a.word, t.article_id, 1.0::real AS score
        FROM asked a JOIN app.article_translations t ON t.search_title @@ a.query AND t.language = a.language
        UNION ALL
        SELECT a.language, a.word, t.article_id, 0.2
        FROM asked a JOIN app.article_translations t ON t.search_words @@ a.query AND t.language = a.language
        UNION ALL
        SELECT a.language, a.word, t.article_id, 0.7
        FROM asked a JOIN app.articles tagged ON tagged.tags @> ARRAY[a.word]
        JOIN app.article_translations t ON t.article_id = tagged.id AND t.language = a.language
    ), hits AS (
        SELECT e.language, e.word, e.article_id, e.score FROM exact e
        UNION ALL
        SELECT a.language, a.word, t.article_id, 0.5 * public.word_similarity(a.word, t.search_text)
        FROM asked a JOIN app.article_translations t ON a.word OPERATOR(public.<%) t.search_text AND t.language = a.language
        WHERE length(a.word) >= 5 
          AND NOT EXISTS (SELECT FROM exact e JOIN app.articles shown ON shown.id = e.article_id AND shown.status = 'published'
                          WHERE e.word = a.word)
    ), best AS (
        SELECT h.article_id, h.language, h.word, max(h.score) AS score FROM hits h GROUP BY h.article_id, h.language, h.word
    ), whole AS (
        SELECT b.article_id, b.language, avg(b.score)::real AS score FROM best b GROUP BY b.article_id, b.language
        HAVING count(*) = (SELECT count(*) FROM asked a WHERE a.language = b.language)
    )
    SELECT w.article_id, w.language, w.score FROM whole w JOIN app.articles a ON a.id = w.article_id AND a.status = 'published'
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.words_asked(text)', 'app.words_of(text)', 'app.keep_search_words()', 'app.practitioners_ranked(text)', 'app.articles_ranked(text)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.words_asked(text), app.words_of(text) TO huntzen_kernel;
GRANT EXECUTE ON FUNCTION app.practitioners_ranked(text)
    TO huntzen_employee, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT EXECUTE ON FUNCTION app.articles_ranked(text)
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
