-- Names are in the order in which people look for them (Adam, Élodie, eva, Zoé), whatever the locale is that the database
-- was made with: by the root collation of Unicode, which also keeps unlike names apart, so that pages can begin after one.
DROP TRIGGER practitioners_index ON app.practitioners;
DROP TRIGGER practitioners_name_kept ON app.practitioners;
ALTER TABLE app.practitioners ALTER COLUMN display_name TYPE text COLLATE "und-x-icu";
CREATE TRIGGER practitioners_index BEFORE INSERT OR UPDATE OF display_name, bio_fr, bio_en ON app.practitioners
    FOR EACH ROW EXECUTE FUNCTION app.index_practitioner();
CREATE TRIGGER practitioners_name_kept BEFORE UPDATE OF display_name ON app.practitioners
    FOR EACH ROW EXECUTE FUNCTION app.practitioner_keeps_name();
ALTER TABLE app.employees
    ALTER COLUMN first_name TYPE text COLLATE "und-x-icu",
    ALTER COLUMN last_name TYPE text COLLATE "und-x-icu";
ALTER TABLE app.companies ALTER COLUMN name TYPE text COLLATE "und-x-icu";
ALTER TABLE app.departments ALTER COLUMN name TYPE text COLLATE "und-x-icu";
