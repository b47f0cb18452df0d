-- A name leads to one article, in whichever language: its two texts may share one, two articles may not.
ALTER TABLE app.article_slugs NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.article_translations NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.articles NO FORCE ROW LEVEL SECURITY;

-- Of several that share one, who keeps it: the one that has it now, that is published, that was begun first. The others get a
-- longer one, made of it.
DO $$
DECLARE
    lost record;
BEGIN
    FOR lost IN
        SELECT s.slug, s.language, s.article_id
        FROM app.article_slugs s
        JOIN (SELECT DISTINCT ON (n.slug) n.slug, n.article_id
              FROM app.article_slugs n JOIN app.articles a ON a.id = n.article_id
              ORDER BY n.slug,
                       EXISTS (SELECT FROM app.article_translations t WHERE t.article_id = n.article_id AND t.slug = n.slug) DESC,
                       a.status = 'published' DESC, a.created_at, a.id) keeper
            ON keeper.slug = s.slug AND keeper.article_id <> s.article_id
    LOOP
        UPDATE app.article_translations t
            SET slug = rtrim(left(t.slug, 100), '-') || '-' || right(t.article_id::text, 12)
            WHERE t.article_id = lost.article_id AND t.language = lost.language AND t.slug = lost.slug;
        DELETE FROM app.article_slugs s
            WHERE s.article_id = lost.article_id AND s.language = lost.language AND s.slug = lost.slug;
    END LOOP;
    INSERT INTO app.article_slugs (language, slug, article_id)
        SELECT t.language, t.slug, t.article_id FROM app.article_translations t ON CONFLICT DO NOTHING;
END
$$;

ALTER TABLE app.article_slugs ADD CONSTRAINT article_slugs_one_article EXCLUDE USING gist (slug WITH =, article_id WITH <>);
ALTER TABLE app.articles FORCE ROW LEVEL SECURITY;
ALTER TABLE app.article_translations FORCE ROW LEVEL SECURITY;
ALTER TABLE app.article_slugs FORCE ROW LEVEL SECURITY;
-- the language does not matter any more
DROP FUNCTION IF EXISTS app.is_slug_free(text, text, uuid);
