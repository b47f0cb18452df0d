-- A rule that becomes longer is no change of a note.
DROP TRIGGER clinical_notes_touch ON app.clinical_notes;
CREATE TRIGGER clinical_notes_touch BEFORE UPDATE OF format, status, version, text_version, addenda, written_at, finalized_at
    ON app.clinical_notes FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
