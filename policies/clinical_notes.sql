-- Clinical notes: whoever wrote them, and nobody else: no employee, no employer, no staff, no job, no other practitioner.
GRANT SELECT ON app.clinical_notes, app.clinical_note_versions TO huntzen_practitioner;
CREATE POLICY author ON app.clinical_notes FOR SELECT TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()));
CREATE POLICY author ON app.clinical_note_versions FOR SELECT TO huntzen_practitioner
    USING (practitioner_id = (SELECT app.user_id()));

-- Nobody writes but through the functions below.
GRANT SELECT, INSERT ON app.clinical_notes, app.clinical_note_versions TO huntzen_kernel;
GRANT UPDATE (format, status, version, text_version, addenda, written_at, updated_at, finalized_at, retained_until)
    ON app.clinical_notes TO huntzen_kernel;
CREATE POLICY kernel ON app.clinical_notes TO huntzen_kernel USING (true) WITH CHECK (true);
CREATE POLICY kernel ON app.clinical_note_versions TO huntzen_kernel USING (true) WITH CHECK (true);
GRANT SELECT ON app.retention_rules TO huntzen_kernel;
CREATE POLICY kernel ON app.retention_rules FOR SELECT TO huntzen_kernel USING (true);

-- For how long notes of a practitioner about sessions of a field are kept: the longest that is said of that field, of any
-- field that they work in, and, of who is in a register of health professionals, of these, whatever the session was booked as.
CREATE OR REPLACE FUNCTION app.note_kept_for(author uuid, field text)
RETURNS interval LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT max(make_interval(years => coalesce(r.years, 0), days => coalesce(r.days, 0), mins => coalesce(r.minutes, 0)))
    FROM (SELECT field AS profession
          UNION SELECT s.specialty FROM app.practitioner_specialties s WHERE s.practitioner_id = author
          UNION SELECT 'any' FROM app.practitioners p WHERE p.id = author AND (p.rpps IS NOT NULL OR p.adeli IS NOT NULL)) its
    CROSS JOIN LATERAL (SELECT * FROM app.retention_rules r
                        WHERE r.record = 'clinical_note' AND r.profession IN (its.profession, 'any')
                        ORDER BY r.profession = 'any' LIMIT 1) r
$$;
-- What is kept for longer now: of all notes, or of those that are over their time, some at once. How many.
CREATE OR REPLACE FUNCTION app.lengthen_notes(over_at timestamptz, most int)
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    moved bigint;
BEGIN
    WITH concerned AS (
        SELECT n.id, n.practitioner_id, n.profession, n.written_at, n.retained_until FROM app.clinical_notes n
        WHERE n.retained_until < coalesce(over_at, 'infinity') ORDER BY n.retained_until LIMIT most
    ), kept AS (
        SELECT it.practitioner_id, it.profession, app.note_kept_for(it.practitioner_id, it.profession) AS time
        FROM (SELECT DISTINCT c.practitioner_id, c.profession FROM concerned c) it
    )
    UPDATE app.clinical_notes n SET retained_until = c.written_at + k.time
        FROM concerned c JOIN kept k USING (practitioner_id, profession)
        WHERE n.id = c.id AND c.written_at + k.time > c.retained_until;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END
$$;
CREATE OR REPLACE FUNCTION app.follow_note_rules() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    PERFORM app.lengthen_notes(NULL, NULL);
    RETURN NULL;
END
$$;

-- What is finalised is read: addenda are all that can come. Each change is kept for its legal time from then on.
CREATE OR REPLACE FUNCTION app.keep_clinical_note() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF app.connected_role() = 'practitioner' THEN
        -- who left reads what they wrote, and writes nothing any more; nor does one whose erasure has begun, which looked for notes
        -- to keep: one that came later would be read by nobody. It held the account: whoever of the two is second waits, and sees the
        -- first. Session or note are locked before it, as by all who lock both
        PERFORM FROM app.users u JOIN app.practitioners p ON p.id = u.id
            WHERE u.id = NEW.practitioner_id AND u.status <> 'suspended' AND p.status <> 'inactive' FOR SHARE OF u;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the author has left'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'clinical_notes_author_left';
        END IF;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD.status = 'finalized' AND (NEW.status, NEW.format, NEW.text_version, NEW.finalized_at)
                                        IS DISTINCT FROM (OLD.status, OLD.format, OLD.text_version, OLD.finalized_at) THEN
            RAISE EXCEPTION 'the note is finalised'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'clinical_notes_read_only';
        ELSIF NEW.version NOT IN (OLD.version, OLD.version + 1) THEN
            RAISE EXCEPTION 'versions follow each other'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'clinical_notes_version_order';
        END IF;
    END IF;
    NEW.retained_until := greatest(NEW.written_at + app.note_kept_for(NEW.practitioner_id, NEW.profession),
                                   CASE TG_OP WHEN 'UPDATE' THEN OLD.retained_until END);
    RETURN NEW;
END
$$;
CREATE OR REPLACE FUNCTION app.check_clinical_note_version() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    IF (NEW.kind = 'addendum') <> (SELECT n.status = 'finalized' FROM app.clinical_notes n
                                   WHERE n.company_id = NEW.company_id AND n.id = NEW.note_id) THEN
        RAISE EXCEPTION 'the note is finalised, or not yet'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'clinical_notes_read_only';
    END IF;
    RETURN NEW;
END
$$;

-- The key of a note, for its author.
CREATE OR REPLACE FUNCTION app.note_key(note uuid)
RETURNS TABLE (id uuid, wrapped bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT k.id, k.wrapped FROM app.clinical_notes n
    JOIN app.encryption_keys k ON k.company_id = n.company_id AND k.purpose = 'note' AND k.subject_id = n.id
    WHERE n.id = note AND n.practitioner_id = app.user_id() AND app.connected_role() = 'practitioner'
$$;

-- A new note about a session of the caller's that has begun, with its key. False: the session is not theirs.
CREATE OR REPLACE FUNCTION app.write_note(session uuid, note uuid, note_format text, contents bytea, key_id uuid,
                                          key_wrapped bytea, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it app.consultations;
BEGIN
    SELECT * INTO it FROM app.consultations c
        WHERE c.id = session AND c.practitioner_id = app.user_id() AND app.connected_role() = 'practitioner'
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    ELSIF it.status NOT IN ('in_progress', 'completed', 'no_show') THEN
        RAISE EXCEPTION 'the session has not begun'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'clinical_notes_session_begun';
    ELSIF (SELECT count(*) FROM app.clinical_notes n WHERE n.consultation_id = it.id) >= 20 THEN
        RAISE EXCEPTION 'enough notes about one session'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'clinical_notes_enough';
    END IF;
    INSERT INTO app.clinical_notes (id, company_id, consultation_id, practitioner_id, profession, format, created_at,
                                    written_at)
        VALUES (note, it.company_id, it.id, it.practitioner_id, it.specialty, note_format, at, at);
    INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, keeper_id, wrapped, created_at)
        VALUES (key_id, it.company_id, 'note', note, it.practitioner_id, key_wrapped, at);
    INSERT INTO app.clinical_note_versions (company_id, note_id, practitioner_id, version, kind, format, sealed, created_at)
        VALUES (it.company_id, note, it.practitioner_id, 1, 'text', note_format, contents, at);
    RETURN true;
END
$$;

-- Another text in the place of the one that the caller knows, or none: false. Of two at once the second one finds another
-- version than it knows.
CREATE OR REPLACE FUNCTION app.save_note(note uuid, known_version int, note_format text, contents bytea, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it app.clinical_notes;
BEGIN
    UPDATE app.clinical_notes n
        SET version = n.version + 1, text_version = n.version + 1, format = note_format, written_at = at
        WHERE n.id = note AND n.practitioner_id = app.user_id() AND app.connected_role() = 'practitioner'
          AND n.version = known_version AND n.status = 'draft'
        RETURNING n.* INTO it;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO app.clinical_note_versions (company_id, note_id, practitioner_id, version, kind, format, sealed, created_at)
        VALUES (it.company_id, it.id, it.practitioner_id, it.version, 'text', note_format, contents, at);
    RETURN true;
END
$$;

-- Makes the text that the caller knows the final one. False: it is another by now, or final.
CREATE OR REPLACE FUNCTION app.finalize_note(note uuid, known_version int, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    UPDATE app.clinical_notes n SET status = 'finalized', finalized_at = at, written_at = at
        WHERE n.id = note AND n.practitioner_id = app.user_id() AND app.connected_role() = 'practitioner'
          AND n.version = known_version AND n.status = 'draft';
    RETURN FOUND;
END
$$;

-- Adds to a final note. False: somebody, which is its author elsewhere, added something meanwhile, or it is not final.
CREATE OR REPLACE FUNCTION app.add_to_note(note uuid, known_version int, contents bytea, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it app.clinical_notes;
BEGIN
    UPDATE app.clinical_notes n SET version = n.version + 1, addenda = n.addenda + 1, written_at = at
        WHERE n.id = note AND n.practitioner_id = app.user_id() AND app.connected_role() = 'practitioner'
          AND n.version = known_version AND n.status = 'finalized'
        RETURNING n.* INTO it;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO app.clinical_note_versions (company_id, note_id, practitioner_id, version, kind, sealed, created_at)
        VALUES (it.company_id, it.id, it.practitioner_id, it.version, 'addendum', contents, at);
    RETURN true;
END
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.note_kept_for(uuid, text)', 'app.lengthen_notes(timestamptz, int)', 'app.follow_note_rules()',
        'app.keep_clinical_note()', 'app.check_clinical_note_version()', 'app.note_key(uuid)',
        'app.write_note(uuid, uuid, text, bytea, uuid, bytea, timestamptz)',
        'app.save_note(uuid, int, text, bytea, timestamptz)', 'app.finalize_note(uuid, int, timestamptz)',
        'app.add_to_note(uuid, int, bytea, timestamptz)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
DROP TRIGGER IF EXISTS clinical_notes_rules ON app.clinical_notes;
CREATE TRIGGER clinical_notes_rules BEFORE INSERT OR UPDATE ON app.clinical_notes
    FOR EACH ROW EXECUTE FUNCTION app.keep_clinical_note();
DROP TRIGGER IF EXISTS retention_rules_followed ON app.retention_rules;
CREATE TRIGGER retention_rules_followed AFTER INSERT OR UPDATE OR DELETE ON app.retention_rules
    FOR EACH STATEMENT EXECUTE FUNCTION app.follow_note_rules();
GRANT EXECUTE ON FUNCTION app.note_kept_for(uuid, text), app.lengthen_notes(timestamptz, int) TO huntzen_kernel;
DROP TRIGGER IF EXISTS clinical_note_versions_rules ON app.clinical_note_versions;
CREATE TRIGGER clinical_note_versions_rules BEFORE INSERT ON app.clinical_note_versions
    FOR EACH ROW EXECUTE FUNCTION app.check_clinical_note_version();
GRANT EXECUTE ON FUNCTION app.note_key(uuid), app.write_note(uuid, uuid, text, bytea, uuid, bytea, timestamptz),
    app.save_note(uuid, int, text, bytea, timestamptz), app.finalize_note(uuid, int, timestamptz),
    app.add_to_note(uuid, int, bytea, timestamptz) TO huntzen_practitioner;
