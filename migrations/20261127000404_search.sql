-- What words are looked for in, in articles: stems of the language, in the title and anywhere, and letters for what is
-- misspelt. Two lists of stems rather than one with weights: which of them a word is found in says how well, without
-- reading any text.
ALTER TABLE app.article_translations
    ADD COLUMN search_title tsvector NOT NULL DEFAULT '',
    ADD COLUMN search_words tsvector NOT NULL DEFAULT '',
    ADD COLUMN search_text  text NOT NULL DEFAULT '';
CREATE FUNCTION app.index_article() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
DECLARE
    config regconfig := CASE NEW.language WHEN 'fr' THEN 'french' ELSE 'english' END;
BEGIN
    NEW.search_title := strip(to_tsvector(config, public.unaccent(NEW.title)));
    NEW.search_words := strip(to_tsvector(config, public.unaccent(concat_ws(' ', NEW.title, NEW.summary, NEW.body))));
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
CREATE INDEX article_translations_title ON app.article_translations USING gin (search_title) WITH (fastupdate = off);
CREATE INDEX article_translations_words ON app.article_translations USING gin (search_words) WITH (fastupdate = off);
CREATE INDEX article_translations_letters ON app.article_translations USING gin (search_text public.gin_trgm_ops)
    WITH (fastupdate = off);
CREATE INDEX practitioners_names ON app.practitioners USING gin (search_name public.gin_trgm_ops);
