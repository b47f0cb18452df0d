-- Articles: everybody who is signed in reads what is published. Practitioners write drafts of their own; the platform writes
-- and publishes all.
GRANT SELECT ON app.articles, app.article_translations, app.article_slugs TO
    huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin, huntzen_platform;
GRANT INSERT (id, author_id, category, tags, cover_id, created_at) ON app.articles TO huntzen_practitioner, huntzen_platform;
GRANT UPDATE (category, tags, cover_id) ON app.articles TO huntzen_practitioner;
GRANT UPDATE (category, tags, cover_id, status, publish_at, published_at) ON app.articles TO huntzen_platform;
GRANT DELETE ON app.articles TO huntzen_practitioner, huntzen_platform;
GRANT INSERT (article_id, language, slug, title, summary, body, created_at), UPDATE (slug, title, summary, body), DELETE
    ON app.article_translations TO huntzen_practitioner, huntzen_platform;

CREATE POLICY published ON app.articles FOR SELECT TO huntzen_practitioner USING (status = 'published');
-- a company that has no articles reads none
CREATE POLICY included ON app.articles FOR SELECT TO huntzen_employee, huntzen_hr, huntzen_company_admin
    USING (status = 'published' AND (SELECT app.has_feature('articles')));
CREATE POLICY own ON app.articles FOR SELECT TO huntzen_practitioner USING (author_id = (SELECT app.user_id()));
CREATE POLICY own_draft ON app.articles FOR INSERT TO huntzen_practitioner
    WITH CHECK (author_id = (SELECT app.user_id()) AND status = 'draft');
CREATE POLICY own_change ON app.articles FOR UPDATE TO huntzen_practitioner
    USING (author_id = (SELECT app.user_id()) AND status = 'draft')
    WITH CHECK (author_id = (SELECT app.user_id()) AND status = 'draft');
-- what was ever published is archived instead: its names stay taken
CREATE POLICY own_removal ON app.articles FOR DELETE TO huntzen_practitioner
    USING (author_id = (SELECT app.user_id()) AND status = 'draft' AND published_at IS NULL);
CREATE POLICY all_rows ON app.articles FOR SELECT TO huntzen_platform USING (true);
CREATE POLICY all_drafts ON app.articles FOR INSERT TO huntzen_platform
    WITH CHECK (author_id = (SELECT app.user_id()) AND status = 'draft');
CREATE POLICY all_changes ON app.articles FOR UPDATE TO huntzen_platform USING (true) WITH CHECK (true);
CREATE POLICY removal ON app.articles FOR DELETE TO huntzen_platform USING (status = 'draft' AND published_at IS NULL);

CREATE POLICY of_published ON app.article_translations FOR SELECT
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin
    USING (article_id = ANY (ARRAY(SELECT a.id FROM app.articles a WHERE a.status = 'published')));
CREATE POLICY own ON app.article_translations FOR SELECT TO huntzen_practitioner
    USING (article_id = ANY (ARRAY(SELECT a.id FROM app.articles a WHERE a.author_id = (SELECT app.user_id()))));
CREATE POLICY own_draft ON app.article_translations FOR INSERT TO huntzen_practitioner
    WITH CHECK (article_id = ANY (ARRAY(SELECT a.id FROM app.articles a
                                        WHERE a.author_id = (SELECT app.user_id()) AND a.status = 'draft')));
CREATE POLICY own_change ON app.article_translations FOR UPDATE TO huntzen_practitioner
    USING (article_id = ANY (ARRAY(SELECT a.id FROM app.articles a
                                   WHERE a.author_id = (SELECT app.user_id()) AND a.status = 'draft')))
    WITH CHECK (article_id = ANY (ARRAY(SELECT a.id FROM app.articles a
                                        WHERE a.author_id = (SELECT app.user_id()) AND a.status = 'draft')));
CREATE POLICY own_removal ON app.article_translations FOR DELETE TO huntzen_practitioner
    USING (article_id = ANY (ARRAY(SELECT a.id FROM app.articles a
                                   WHERE a.author_id = (SELECT app.user_id()) AND a.status = 'draft')));
CREATE POLICY all_rows ON app.article_translations TO huntzen_platform USING (true) WITH CHECK (true);

CREATE POLICY of_published ON app.article_slugs FOR SELECT
    TO huntzen_employee, huntzen_practitioner, huntzen_hr, huntzen_company_admin
    USING (article_id = ANY (ARRAY(SELECT a.id FROM app.articles a WHERE a.status = 'published')));
CREATE POLICY own ON app.article_slugs FOR SELECT TO huntzen_practitioner
    USING (article_id = ANY (ARRAY(SELECT a.id FROM app.articles a WHERE a.author_id = (SELECT app.user_id()))));
CREATE POLICY all_rows ON app.article_slugs FOR SELECT TO huntzen_platform USING (true);

-- the functions below
GRANT SELECT, UPDATE (status, published_at, publish_at, cover_id) ON app.articles TO huntzen_kernel;
GRANT SELECT ON app.article_translations TO huntzen_kernel;
GRANT SELECT, INSERT ON app.article_slugs TO huntzen_kernel;
CREATE POLICY kernel ON app.articles FOR SELECT TO huntzen_kernel USING (true);
CREATE POLICY kernel_change ON app.articles FOR UPDATE TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.article_translations FOR SELECT TO huntzen_kernel USING (true);
CREATE POLICY kernel ON app.article_slugs TO huntzen_kernel USING (true) WITH CHECK (true);

-- draft ⇄ scheduled → published ⇄ archived; everything goes back to a draft. Only what was published is archived.
CREATE OR REPLACE FUNCTION app.check_article_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'archived' THEN
            RETURN NEW;
        END IF;
    ELSIF NEW.status = OLD.status OR (OLD.status, NEW.status) IN (
        ('draft', 'scheduled'), ('draft', 'published'),
        ('scheduled', 'draft'), ('scheduled', 'published'),
        ('published', 'draft'), ('published', 'archived'),
        ('archived', 'draft'), ('archived', 'published'), ('archived', 'scheduled')
    ) OR ((OLD.status, NEW.status) = ('draft', 'archived') AND OLD.published_at IS NOT NULL) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'an article cannot become %', NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'articles_state_machine';
END
$$;

-- Keeps the name of a text for it. Names that another article ever had, in whichever language, are taken.
CREATE OR REPLACE FUNCTION app.keep_article_slug() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    INSERT INTO app.article_slugs (language, slug, article_id) VALUES (NEW.language, NEW.slug, NEW.article_id)
        ON CONFLICT DO NOTHING;
    IF NOT EXISTS (SELECT FROM app.article_slugs s
                   WHERE s.language = NEW.language AND s.slug = NEW.slug AND s.article_id = NEW.article_id) THEN
        RAISE EXCEPTION 'another article has had this name'
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'article_translations_slug_key';
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS article_translations_named ON app.article_translations;
CREATE TRIGGER article_translations_named AFTER INSERT OR UPDATE OF slug ON app.article_translations
    FOR EACH ROW EXECUTE FUNCTION app.keep_article_slug();

-- Whether no other article ever had a name.
CREATE OR REPLACE FUNCTION app.is_slug_free(wanted text, article uuid)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT NOT EXISTS (SELECT FROM app.article_slugs s WHERE s.slug = wanted AND s.article_id <> article)
$$;

-- A cover is a picture that was brought for articles, by who puts it there or, where that is staff, by anybody.
CREATE OR REPLACE FUNCTION app.check_article_cover() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM app.files f
                   WHERE f.id = NEW.cover_id AND f.purpose = 'article_image' AND f.state = 'ready'
                     AND (f.owner_id = app.user_id() OR app.connected_role() IN ('platform_admin', 'operator'))) THEN
        RAISE EXCEPTION 'no picture for an article' USING ERRCODE = 'check_violation', CONSTRAINT = 'articles_cover';
    END IF;
    RETURN NEW;
END
$$;
DROP TRIGGER IF EXISTS articles_cover_there ON app.articles;
DROP TRIGGER IF EXISTS articles_cover_changed ON app.articles;
CREATE TRIGGER articles_cover_there BEFORE INSERT ON app.articles
    FOR EACH ROW WHEN (NEW.cover_id IS NOT NULL) EXECUTE FUNCTION app.check_article_cover();
CREATE TRIGGER articles_cover_changed BEFORE UPDATE OF cover_id ON app.articles
    FOR EACH ROW WHEN (NEW.cover_id IS NOT NULL AND NEW.cover_id IS DISTINCT FROM OLD.cover_id)
    EXECUTE FUNCTION app.check_article_cover();

-- Publishes what is due: the clock's turn. Each keeps the time that was promised; one that was published before, that time.
CREATE OR REPLACE FUNCTION app.publish_due_articles(at timestamptz, most int)
RETURNS SETOF uuid LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    UPDATE app.articles a SET status = 'published', published_at = coalesce(a.published_at, a.publish_at), publish_at = NULL
    WHERE a.id = ANY (ARRAY(SELECT d.id FROM app.articles d WHERE d.status = 'scheduled' AND d.publish_at <= at
                            ORDER BY d.publish_at LIMIT most FOR UPDATE SKIP LOCKED))
      AND a.status = 'scheduled' AND a.publish_at <= at
    RETURNING a.id
$$;

-- What the feed shows to programs that cannot sign in: of the newest published articles the name, title and summary in a
-- language, or in the one that there is. Whole texts are for who is signed in.
CREATE OR REPLACE FUNCTION auth.article_feed(wanted text, most int)
RETURNS TABLE (id uuid, language text, slug text, title text, summary text, category text, published_at timestamptz,
               updated_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT a.id, t.language, t.slug, t.title, t.summary, a.category, a.published_at, greatest(a.updated_at, t.updated_at)
    FROM (SELECT * FROM app.articles WHERE status = 'published' ORDER BY published_at DESC, id DESC LIMIT most) a
    CROSS JOIN LATERAL (
        SELECT * FROM app.article_translations t WHERE t.article_id = a.id ORDER BY t.language = wanted DESC LIMIT 1
    ) t
    ORDER BY a.published_at DESC, a.id DESC
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.keep_article_slug()', 'app.is_slug_free(text, uuid)', 'app.check_article_cover()',
        'app.publish_due_articles(timestamptz, int)', 'auth.article_feed(text, int)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION app.check_article_state() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.is_slug_free(text, uuid) TO huntzen_practitioner, huntzen_platform;
GRANT EXECUTE ON FUNCTION app.publish_due_articles(timestamptz, int) TO huntzen_worker;
GRANT EXECUTE ON FUNCTION auth.article_feed(text, int) TO huntzen_auth;
