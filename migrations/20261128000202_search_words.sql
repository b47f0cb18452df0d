-- The words that practitioners say of themselves, each once. What is misspelt is looked for among them, not in every text of
-- everybody: comparing letters takes as long as a text is. Nobody's words alone, and gone when nobody says them any more.
CREATE TABLE app.search_words (
    word text PRIMARY KEY CONSTRAINT search_words_form CHECK (word ~ '^[a-z0-9]{4,40}$')
);
ALTER TABLE app.search_words NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.practitioners NO FORCE ROW LEVEL SECURITY;
INSERT INTO app.search_words
SELECT DISTINCT part.word FROM app.practitioners p, regexp_split_to_table(p.search_text, '[^a-z0-9]+') AS part (word)
WHERE length(part.word) BETWEEN 4 AND 40;
ALTER TABLE app.practitioners FORCE ROW LEVEL SECURITY;
ALTER TABLE app.search_words FORCE ROW LEVEL SECURITY;
-- lists that are always whole: after many changes at once, a planner would rather read the table than what is not in its place
CREATE INDEX search_words_letters ON app.search_words USING gin (word public.gin_trgm_ops) WITH (fastupdate = off);
ALTER INDEX app.practitioners_names SET (fastupdate = off);
ALTER INDEX app.practitioners_search SET (fastupdate = off);
SELECT gin_clean_pending_list('app.practitioners_names'), gin_clean_pending_list('app.practitioners_search');
