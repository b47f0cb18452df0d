-- Keys of contents for two more purposes. What opens a note is nobody's to destroy by an erasure: it belongs to the
-- practitioner who has to keep the note for its legal time.
ALTER TABLE app.encryption_keys
    ALTER COLUMN person_id DROP NOT NULL,
    -- of 'note': its author
    ADD COLUMN keeper_id uuid CONSTRAINT encryption_keys_keeper_fkey REFERENCES app.practitioners,
    DROP CONSTRAINT encryption_keys_purpose,
    ADD CONSTRAINT encryption_keys_purpose CHECK (purpose IN ('chat', 'file', 'note', 'journal')) NOT VALID,
    ADD CONSTRAINT encryption_keys_whose
        CHECK ((purpose = 'note') = (keeper_id IS NOT NULL) AND (purpose = 'note') = (person_id IS NULL)) NOT VALID;
ALTER TABLE app.encryption_keys VALIDATE CONSTRAINT encryption_keys_purpose;
ALTER TABLE app.encryption_keys VALIDATE CONSTRAINT encryption_keys_whose;
DROP TRIGGER encryption_keys_fixed ON app.encryption_keys;
CREATE TRIGGER encryption_keys_fixed BEFORE UPDATE OF id, company_id, purpose, subject_id, person_id, keeper_id, created_at
    ON app.encryption_keys FOR EACH ROW EXECUTE FUNCTION app.refuse_change();

-- How long records of a kind are kept, by the profession of whoever keeps them; 'any' where nothing else is said.
CREATE TABLE app.retention_rules (
    record     text NOT NULL CONSTRAINT retention_rules_record CHECK (record ~ '^[a-z_]{1,40}$'),
    profession text NOT NULL CONSTRAINT retention_rules_profession CHECK (profession ~ '^[a-z_]{1,40}$'),
    years      int NOT NULL CONSTRAINT retention_rules_years CHECK (years BETWEEN 1 AND 100),
    -- on what ground, for the people who answer for it
    ground     text NOT NULL CONSTRAINT retention_rules_ground CHECK (length(ground) BETWEEN 1 AND 300),
    PRIMARY KEY (record, profession)
);
ALTER TABLE app.retention_rules NO FORCE ROW LEVEL SECURITY;
INSERT INTO app.retention_rules (record, profession, years, ground) VALUES
    ('clinical_note', 'any', 20, 'Code de la santé publique, R. 1112-7, taken over for all who keep records of care'),
    ('clinical_note', 'coaching', 5, 'No care in the sense of the Code de la santé publique: Code civil, 2224');
ALTER TABLE app.retention_rules FORCE ROW LEVEL SECURITY;

-- What a practitioner notes about a session.
CREATE TABLE app.clinical_notes (
    id              uuid PRIMARY KEY,
    company_id      uuid NOT NULL,
    consultation_id uuid NOT NULL,
    -- who wrote it, and alone reads it
    practitioner_id uuid NOT NULL REFERENCES app.practitioners,
    -- the field of the session, by which it is kept
    profession      text NOT NULL,
    format          text NOT NULL CONSTRAINT clinical_notes_format CHECK (format IN ('soap', 'free')),
    status          text NOT NULL DEFAULT 'draft' CONSTRAINT clinical_notes_status CHECK (status IN ('draft', 'finalized')),
    -- of the last change of words, addenda included
    version         int NOT NULL DEFAULT 1 CONSTRAINT clinical_notes_versions CHECK (version BETWEEN 1 AND 1000),
    -- the version that is the note itself
    text_version    int NOT NULL DEFAULT 1,
    addenda         int NOT NULL DEFAULT 0 CONSTRAINT clinical_notes_addenda CHECK (addenda BETWEEN 0 AND 50),
    created_at      timestamptz NOT NULL,
    -- by the program's clock; what follows is the database's
    written_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    finalized_at    timestamptz,
    retained_until  timestamptz NOT NULL,
    CONSTRAINT clinical_notes_author UNIQUE (company_id, id, practitioner_id),
    CONSTRAINT clinical_notes_consultation_fkey FOREIGN KEY (company_id, consultation_id)
        REFERENCES app.consultations (company_id, id),
    CONSTRAINT clinical_notes_finalized CHECK ((status = 'finalized') = (finalized_at IS NOT NULL)),
    CONSTRAINT clinical_notes_order CHECK (text_version <= version AND (addenda = 0 OR status = 'finalized'))
);
CREATE INDEX clinical_notes_of ON app.clinical_notes (consultation_id, created_at DESC, id DESC);
CREATE INDEX clinical_notes_practitioner ON app.clinical_notes (practitioner_id, created_at DESC, id DESC);
CREATE TRIGGER clinical_notes_touch BEFORE UPDATE ON app.clinical_notes
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER clinical_notes_fixed BEFORE UPDATE OF id, company_id, consultation_id, practitioner_id, profession, created_at
    ON app.clinical_notes FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER clinical_notes_kept BEFORE DELETE ON app.clinical_notes
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER clinical_notes_no_truncate BEFORE TRUNCATE ON app.clinical_notes
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();

-- Every text that a note ever had, and what was added to it later, sealed.
CREATE TABLE app.clinical_note_versions (
    company_id      uuid NOT NULL,
    note_id         uuid NOT NULL,
    practitioner_id uuid NOT NULL,
    version         int NOT NULL,
    kind            text NOT NULL CONSTRAINT clinical_note_versions_kind CHECK (kind IN ('text', 'addendum')),
    format          text CONSTRAINT clinical_note_versions_format CHECK (format IN ('soap', 'free')),
    sealed          bytea NOT NULL CONSTRAINT clinical_note_versions_size CHECK (length(sealed) BETWEEN 106 AND 200000),
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (company_id, note_id, version),
    CONSTRAINT clinical_note_versions_note_fkey FOREIGN KEY (company_id, note_id, practitioner_id)
        REFERENCES app.clinical_notes (company_id, id, practitioner_id),
    CONSTRAINT clinical_note_versions_shape CHECK ((kind = 'text') = (format IS NOT NULL))
);
CREATE TRIGGER clinical_note_versions_append_only BEFORE UPDATE OR DELETE ON app.clinical_note_versions
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER clinical_note_versions_no_truncate BEFORE TRUNCATE ON app.clinical_note_versions
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
