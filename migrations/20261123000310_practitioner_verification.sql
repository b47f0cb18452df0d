-- Nobody takes bookings whom the platform has not verified. Who was there before counts as verified then.
ALTER TABLE app.practitioners
    ADD COLUMN verified_at timestamptz,
    ADD COLUMN verified_by uuid CONSTRAINT practitioners_verified_by_fkey REFERENCES app.users,
    ADD COLUMN verified_checks text[] NOT NULL DEFAULT '{}';
UPDATE app.practitioners SET verified_at = created_at, verified_checks = '{earlier}';
ALTER TABLE app.practitioners
    DROP CONSTRAINT practitioners_status_check,
    ADD CONSTRAINT practitioners_status_check CHECK (status IN ('unverified', 'active', 'inactive')),
    ALTER COLUMN status SET DEFAULT 'unverified',
    ADD CONSTRAINT practitioners_verified CHECK (status <> 'active' OR verified_at IS NOT NULL),
    ADD CONSTRAINT practitioners_verified_checks CHECK (
        verified_checks <@ ARRAY['identity', 'rpps', 'adeli', 'diploma', 'insurance', 'earlier']
        AND (cardinality(verified_checks) > 0) = (verified_at IS NOT NULL));

-- What words are looked for in: names and bios without accents, in small letters.
CREATE EXTENSION IF NOT EXISTS unaccent SCHEMA public;
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
ALTER TABLE app.practitioners
    ADD COLUMN search_name text NOT NULL DEFAULT '',
    ADD COLUMN search_text text NOT NULL DEFAULT '';
CREATE FUNCTION app.index_practitioner() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
BEGIN
    NEW.search_name := lower(public.unaccent(NEW.display_name));
    NEW.search_text := lower(public.unaccent(concat_ws(' ', NEW.display_name, NEW.bio_fr, NEW.bio_en)));
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION app.index_practitioner() FROM PUBLIC;
CREATE TRIGGER practitioners_index BEFORE INSERT OR UPDATE OF display_name, bio_fr, bio_en ON app.practitioners
    FOR EACH ROW EXECUTE FUNCTION app.index_practitioner();
UPDATE app.practitioners SET search_name = lower(public.unaccent(display_name)),
    search_text = lower(public.unaccent(concat_ws(' ', display_name, bio_fr, bio_en)));
CREATE INDEX practitioners_search ON app.practitioners USING gin (search_text public.gin_trgm_ops);
