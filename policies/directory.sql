-- Who takes bookings, and how practitioners are found by words.
GRANT UPDATE (verified_at, verified_by, verified_checks) ON app.practitioners TO huntzen_platform;

ALTER FUNCTION app.index_practitioner() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.index_practitioner() FROM PUBLIC;

-- What people call a field of care and those who work in it, in French and English, without accents.
CREATE OR REPLACE FUNCTION app.words_of_specialties() RETURNS TABLE (specialty text, words text)
LANGUAGE sql IMMUTABLE AS $$
    VALUES
        ('psychology', 'psychologie psychologue psychotherapie therapie psychology psychologist psychotherapy therapy therapist'),
        ('coaching', 'coaching coach'),
        ('nutrition', 'nutrition nutritionniste dietetique dieteticien dieteticienne alimentation nutritionist dietetics
                       dietitian dietician food'),
        ('sleep', 'sommeil insomnie sleep insomnia'),
        ('physiotherapy', 'kinesitherapie kinesitherapeute physiotherapie physiotherapeute physiotherapy physiotherapist'),
        ('social_work', 'travail social travailleur travailleuse sociale assistant assistante service social worker work')
$$;
REVOKE ALL ON FUNCTION app.words_of_specialties() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.words_of_specialties() TO huntzen_kernel;

-- The practitioners in whose name, words or fields of care each of some words occurs: accents and capitals do not matter,
-- longer words may be misspelt a little, names a little more, and a field of care is known by the first letters of its
-- words. Ids only: who asks sees of them whom their own policies show.
CREATE OR REPLACE FUNCTION app.practitioners_like(words text[])
RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH wanted AS (
        SELECT it.word, '%' || replace(replace(replace(it.word, '\', '\\'), '%', '\%'), '_', '\_') || '%' AS pattern
        FROM (SELECT DISTINCT lower(public.unaccent(w.word)) AS word FROM unnest(words) AS w (word)) it
    ), hits AS (
        SELECT w.word, p.id FROM wanted w JOIN app.practitioners p ON p.search_text LIKE w.pattern
        UNION
        SELECT w.word, p.id FROM wanted w JOIN app.practitioners p ON w.word OPERATOR(public.<%) p.search_text
        WHERE length(w.word) >= 5
        UNION
        SELECT w.word, p.id FROM wanted w JOIN app.practitioners p ON public.word_similarity(w.word, p.search_name) >= 0.5
        WHERE length(w.word) >= 4
        UNION
        SELECT w.word, s.practitioner_id
        FROM wanted w
        JOIN app.words_of_specialties() field
          ON (length(w.word) >= 3 AND ' ' || field.words LIKE '% ' || right(w.pattern, -1))
             OR (length(w.word) >= 5 AND w.word OPERATOR(public.<%) field.words)
        JOIN app.practitioner_specialties s ON s.specialty = field.specialty
    )
    SELECT h.id FROM hits h GROUP BY h.id HAVING count(*) = (SELECT count(*) FROM wanted)
$$;
ALTER FUNCTION app.practitioners_like(text[]) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.practitioners_like(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.practitioners_like(text[])
    TO huntzen_employee, huntzen_hr, huntzen_company_admin, huntzen_platform;

-- How many sessions a practitioner still has before them, whosever they are.
CREATE OR REPLACE FUNCTION app.sessions_ahead(practitioner uuid, at timestamptz)
RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT count(*) FROM app.consultations c
    WHERE c.practitioner_id = practitioner AND c.status IN ('pending', 'confirmed') AND c.starts_at > at
$$;
ALTER FUNCTION app.sessions_ahead(uuid, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.sessions_ahead(uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.sessions_ahead(uuid, timestamptz) TO huntzen_platform;

-- The companies on whose contracts a practitioner who is inactive, or whose account is suspended, still has sessions before
-- them.
CREATE OR REPLACE FUNCTION app.companies_with_sessions_of(practitioner uuid, at timestamptz)
RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT DISTINCT c.company_id
    FROM app.consultations c JOIN app.practitioners p ON p.id = c.practitioner_id JOIN app.users u ON u.id = p.id
    WHERE c.practitioner_id = practitioner AND (p.status = 'inactive' OR u.status = 'suspended')
      AND c.status IN ('pending', 'confirmed')
      AND c.starts_at > at
$$;
-- Cancels those of the transaction's company. Answers with the cancelled ones.
CREATE OR REPLACE FUNCTION app.cancel_consultations_of_inactive_practitioner(practitioner uuid, at timestamptz)
RETURNS SETOF uuid LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    WITH chosen AS (
        SELECT c.id
        FROM app.consultations c JOIN app.practitioners p ON p.id = c.practitioner_id JOIN app.users u ON u.id = p.id
        WHERE c.practitioner_id = practitioner AND (p.status = 'inactive' OR u.status = 'suspended')
          AND c.company_id = (SELECT app.company_id())
          AND c.status IN ('pending', 'confirmed') AND c.starts_at > at
        ORDER BY c.starts_at, c.id FOR UPDATE OF c
    ), cancelled AS (
        UPDATE app.consultations c
        SET status = 'cancelled', cancelled_at = at, cancelled_by = 'platform', ics_sequence = ics_sequence + 1
        FROM chosen WHERE c.id = chosen.id AND c.status IN ('pending', 'confirmed')
        RETURNING c.id, c.company_id
    ), told AS (
        INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
        SELECT company_id, id, 'CANCELLED', cancel_consultations_of_inactive_practitioner.at, 'platform' FROM cancelled
        RETURNING consultation_id
    )
    SELECT consultation_id FROM told
$$;
ALTER FUNCTION app.companies_with_sessions_of(uuid, timestamptz) OWNER TO huntzen_kernel;
ALTER FUNCTION app.cancel_consultations_of_inactive_practitioner(uuid, timestamptz) OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.companies_with_sessions_of(uuid, timestamptz),
    app.cancel_consultations_of_inactive_practitioner(uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.companies_with_sessions_of(uuid, timestamptz),
    app.cancel_consultations_of_inactive_practitioner(uuid, timestamptz) TO huntzen_worker;
