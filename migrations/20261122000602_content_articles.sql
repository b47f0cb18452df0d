-- Articles of the platform, in one or two languages.
CREATE TABLE app.articles (
    id           uuid PRIMARY KEY,
    status       text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'scheduled', 'published', 'archived')),
    category     text NOT NULL CHECK (category IN
        ('getting_started', 'stress', 'sleep', 'work', 'relationships', 'nutrition', 'movement')),
    tags         text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tags) <= 20 AND array_position(tags, NULL) IS NULL),
    -- when a scheduled one is to be published
    publish_at   timestamptz,
    -- what readers see; kept when it is archived
    published_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT articles_schedule CHECK ((status = 'scheduled') = (publish_at IS NOT NULL)),
    CONSTRAINT articles_published CHECK (status NOT IN ('published', 'archived') OR published_at IS NOT NULL)
);
CREATE INDEX articles_newest ON app.articles (published_at DESC, id DESC) WHERE status = 'published';
CREATE INDEX articles_tags ON app.articles USING gin (tags);
CREATE TRIGGER articles_touch BEFORE UPDATE ON app.articles
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

CREATE FUNCTION app.check_article_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'archived' THEN
            RETURN NEW;
        END IF;
    ELSIF NEW.status = OLD.status OR (OLD.status, NEW.status) IN (
        ('draft', 'scheduled'), ('draft', 'published'),
        ('scheduled', 'draft'), ('scheduled', 'published'),
        ('published', 'draft'), ('published', 'archived'),
        ('archived', 'draft'), ('archived', 'published')
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'an article cannot become %', NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'articles_state_machine';
END
$$;
CREATE TRIGGER articles_state_machine BEFORE INSERT OR UPDATE OF status ON app.articles
    FOR EACH ROW EXECUTE FUNCTION app.check_article_state();

CREATE TABLE app.article_translations (
    article_id uuid NOT NULL REFERENCES app.articles ON DELETE CASCADE,
    language   text NOT NULL CHECK (language IN ('fr', 'en')),
    slug       text NOT NULL CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(slug) <= 120),
    title      text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    summary    text NOT NULL CHECK (length(summary) BETWEEN 1 AND 500),
    -- Markdown (CommonMark)
    body       text NOT NULL CHECK (length(body) BETWEEN 1 AND 100000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (article_id, language),
    CONSTRAINT article_translations_slug_key UNIQUE (language, slug)
);
CREATE TRIGGER article_translations_touch BEFORE UPDATE ON app.article_translations
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
