-- Psychologists and physiotherapists have a number in a register, or may not call themselves so: whom the platform
-- verifies in one of these fields, it looked up. Who was there before is told apart by the check `earlier`.
CREATE FUNCTION app.practitioner_registered() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
DECLARE
    person uuid := CASE TG_TABLE_NAME WHEN 'practitioners' THEN to_jsonb(NEW) ->> 'id'
                                      ELSE to_jsonb(NEW) ->> 'practitioner_id' END;
BEGIN
    IF EXISTS (SELECT FROM app.practitioners p JOIN app.practitioner_specialties s ON s.practitioner_id = p.id
               WHERE p.id = person AND s.specialty IN ('psychology', 'physiotherapy') AND p.verified_at IS NOT NULL
                 AND NOT p.verified_checks && '{rpps,adeli,earlier}') THEN
        RAISE EXCEPTION 'a registered profession was verified without its register'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'practitioners_registered';
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION app.practitioner_registered() FROM PUBLIC;
CREATE TRIGGER practitioners_registered AFTER INSERT OR UPDATE OF verified_checks ON app.practitioners
    FOR EACH ROW EXECUTE FUNCTION app.practitioner_registered();
CREATE TRIGGER practitioner_specialties_registered AFTER INSERT OR UPDATE OF specialty ON app.practitioner_specialties
    FOR EACH ROW EXECUTE FUNCTION app.practitioner_registered();

-- What was looked up is there.
ALTER TABLE app.practitioners
    ADD CONSTRAINT practitioners_checked_rpps CHECK (rpps IS NOT NULL OR NOT 'rpps' = ANY (verified_checks)),
    ADD CONSTRAINT practitioners_checked_adeli CHECK (adeli IS NOT NULL OR NOT 'adeli' = ANY (verified_checks));

-- Under which name somebody was verified, they stay known, unless the platform looks again.
CREATE FUNCTION app.practitioner_keeps_name() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = app, pg_temp AS $$
BEGIN
    IF NEW.display_name <> OLD.display_name AND OLD.verified_at IS NOT NULL AND app.connected_role() = 'practitioner' THEN
        RAISE EXCEPTION 'who is verified does not change their name alone'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'practitioners_name_kept';
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION app.practitioner_keeps_name() FROM PUBLIC;
CREATE TRIGGER practitioners_name_kept BEFORE UPDATE OF display_name ON app.practitioners
    FOR EACH ROW EXECUTE FUNCTION app.practitioner_keeps_name();
