-- Who writes articles, under which names they were ever found, and their picture.
ALTER TABLE app.articles
    -- nobody: it was there before authors were noted
    ADD COLUMN author_id uuid,
    ADD COLUMN cover_id  uuid,
    ADD CONSTRAINT articles_author_fkey FOREIGN KEY (author_id) REFERENCES app.users,
    ADD CONSTRAINT articles_cover_fkey FOREIGN KEY (cover_id) REFERENCES app.files ON DELETE SET NULL,
    ADD CONSTRAINT articles_tag_words CHECK (
        array_to_string(tags, ',') ~ '^([a-z0-9]+([_-][a-z0-9]+)*(,|$))*$' AND length(array_to_string(tags, '')) <= 800) NOT VALID;
ALTER TABLE app.articles VALIDATE CONSTRAINT articles_tag_words;
CREATE INDEX articles_author ON app.articles (author_id, created_at DESC, id DESC);
CREATE INDEX articles_prepared ON app.articles (created_at DESC, id DESC) WHERE status <> 'published';
CREATE INDEX articles_due ON app.articles (publish_at) WHERE status = 'scheduled';
CREATE INDEX articles_cover ON app.articles (cover_id) WHERE cover_id IS NOT NULL;

-- an id is told from a name by its form
ALTER TABLE app.article_translations
    ADD CONSTRAINT article_translations_slug_word CHECK (slug !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$') NOT VALID;
ALTER TABLE app.article_translations VALIDATE CONSTRAINT article_translations_slug_word;

-- Every name that a text ever had: links that were given away lead to it for good, and no other text takes its name.
CREATE TABLE app.article_slugs (
    language   text NOT NULL,
    slug       text NOT NULL,
    article_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (language, slug),
    CONSTRAINT article_slugs_article_fkey FOREIGN KEY (article_id) REFERENCES app.articles ON DELETE CASCADE
);
CREATE INDEX article_slugs_slug ON app.article_slugs (slug);
CREATE INDEX article_slugs_article ON app.article_slugs (article_id);
ALTER TABLE app.article_slugs NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.article_translations NO FORCE ROW LEVEL SECURITY;
INSERT INTO app.article_slugs (language, slug, article_id)
    SELECT t.language, t.slug, t.article_id FROM app.article_translations t;
ALTER TABLE app.article_translations FORCE ROW LEVEL SECURITY;
ALTER TABLE app.article_slugs FORCE ROW LEVEL SECURITY;
