-- Announcements: a company's to its employees, and the platform's to everybody or to the employees of chosen companies.
CREATE TABLE app.news (
    id           uuid PRIMARY KEY,
    company_id   uuid NOT NULL REFERENCES app.companies,
    title_fr     text CONSTRAINT news_title_fr CHECK (length(title_fr) BETWEEN 1 AND 200),
    body_fr      text CONSTRAINT news_body_fr CHECK (length(body_fr) BETWEEN 1 AND 5000),
    title_en     text CONSTRAINT news_title_en CHECK (length(title_en) BETWEEN 1 AND 200),
    body_en      text CONSTRAINT news_body_en CHECK (length(body_en) BETWEEN 1 AND 5000),
    published_at timestamptz NOT NULL,
    -- until when readers see it
    expires_at   timestamptz,
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT news_texts CHECK ((title_fr IS NULL) = (body_fr IS NULL) AND (title_en IS NULL) = (body_en IS NULL)
                                 AND coalesce(title_fr, title_en) IS NOT NULL),
    CONSTRAINT news_order CHECK (expires_at > published_at)
);
CREATE INDEX news_newest ON app.news (company_id, published_at DESC, id DESC);
CREATE TRIGGER news_touch BEFORE UPDATE ON app.news FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

CREATE TABLE app.platform_news (
    id           uuid PRIMARY KEY,
    audience     text NOT NULL CONSTRAINT platform_news_audience CHECK (audience IN ('everybody', 'chosen')),
    title_fr     text CONSTRAINT platform_news_title_fr CHECK (length(title_fr) BETWEEN 1 AND 200),
    body_fr      text CONSTRAINT platform_news_body_fr CHECK (length(body_fr) BETWEEN 1 AND 5000),
    title_en     text CONSTRAINT platform_news_title_en CHECK (length(title_en) BETWEEN 1 AND 200),
    body_en      text CONSTRAINT platform_news_body_en CHECK (length(body_en) BETWEEN 1 AND 5000),
    published_at timestamptz NOT NULL,
    expires_at   timestamptz,
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT platform_news_texts CHECK ((title_fr IS NULL) = (body_fr IS NULL) AND (title_en IS NULL) = (body_en IS NULL)
                                          AND coalesce(title_fr, title_en) IS NOT NULL),
    CONSTRAINT platform_news_order CHECK (expires_at > published_at)
);
CREATE INDEX platform_news_newest ON app.platform_news (published_at DESC, id DESC);
CREATE TRIGGER platform_news_touch BEFORE UPDATE ON app.platform_news
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

-- whose employees read the platform's news for chosen companies
CREATE TABLE app.platform_news_companies (
    company_id uuid NOT NULL REFERENCES app.companies,
    news_id    uuid NOT NULL REFERENCES app.platform_news ON DELETE CASCADE,
    PRIMARY KEY (company_id, news_id)
);
CREATE INDEX platform_news_companies_news ON app.platform_news_companies (news_id);

-- that somebody has read a piece of news, of either kind
CREATE TABLE app.news_reads (
    user_id uuid NOT NULL REFERENCES app.users ON DELETE CASCADE,
    news_id uuid NOT NULL,
    read_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, news_id)
);
CREATE INDEX news_reads_news ON app.news_reads (news_id);
