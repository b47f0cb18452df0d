-- What the platform's staff run: modules that a company has or has not, and times in which nothing is written.
CREATE TABLE app.feature_flags (
    company_id uuid NOT NULL REFERENCES app.companies ON DELETE CASCADE,
    feature    text NOT NULL CONSTRAINT feature_flags_feature CHECK (feature IN ('video', 'audio', 'chat', 'articles')),
    -- a company has whatever no row says otherwise
    is_on      boolean NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (company_id, feature)
);
CREATE TRIGGER feature_flags_touch BEFORE UPDATE ON app.feature_flags
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

CREATE TABLE app.maintenance (
    only_row            boolean PRIMARY KEY DEFAULT true CONSTRAINT maintenance_only_row CHECK (only_row),
    is_on               boolean NOT NULL DEFAULT false,
    -- when clients are told to come back
    retry_after_seconds int NOT NULL DEFAULT 300 CONSTRAINT maintenance_retry CHECK (retry_after_seconds BETWEEN 10 AND 86400),
    since               timestamptz,
    CONSTRAINT maintenance_since CHECK (is_on = (since IS NOT NULL))
);
ALTER TABLE app.maintenance NO FORCE ROW LEVEL SECURITY;
INSERT INTO app.maintenance DEFAULT VALUES;
ALTER TABLE app.maintenance FORCE ROW LEVEL SECURITY;

-- what the overview counts
CREATE INDEX users_standing ON app.users (role, status);
CREATE INDEX companies_status ON app.companies (status);
