-- What words are looked for in, in articles: stems of its language by weight, and letters for what is misspelt.
ALTER TABLE app.article_translations
    ADD COLUMN search_words tsvector NOT NULL DEFAULT '',
    ADD COLUMN search_text  text NOT NULL DEFAULT '';
CREATE FUNCTION app.index_article() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
DECLARE
    config regconfig := CASE NEW.language WHEN 'fr' THEN 'french' ELSE 'english' END;
BEGIN
    NEW.search_words := setweight(to_tsvector(config, public.unaccent(NEW.title)), 'A')
        || setweight(to_tsvector(config, public.unaccent(NEW.summary)), 'B')
        || setweight(to_tsvector(config, public.unaccent(NEW.body)), 'D');
    NEW.search_text := lower(public.unaccent(NEW.title || ' ' || NEW.summary));
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION app.index_article() FROM PUBLIC;
CREATE TRIGGER article_translations_index BEFORE INSERT OR UPDATE OF title, summary, body ON app.article_translations
    FOR EACH ROW EXECUTE FUNCTION app.index_article();
-- of those that are there: the trigger does it, and gives them no new version
ALTER TABLE app.article_translations NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.article_translations DISABLE TRIGGER article_translations_touch;
UPDATE app.article_translations SET title = title;
ALTER TABLE app.article_translations ENABLE TRIGGER article_translations_touch;
ALTER TABLE app.article_translations FORCE ROW LEVEL SECURITY;
-- one list that is always whole: texts are read far more often than they are written
CREATE INDEX article_translations_words ON app.article_translations USING gin (search_words) WITH (fastupdate = off);
CREATE INDEX article_translations_letters ON app.article_translations USING gin (search_text public.gin_trgm_ops)
    WITH (fastupdate = off);
CREATE INDEX practitioners_names ON app.practitioners USING gin (search_name public.gin_trgm_ops);
