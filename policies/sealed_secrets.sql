-- Secrets that are sealed under the master keys (platform::crypto::seal), wherever they are kept: listed and sealed anew
-- when a master key is replaced. `huntzen keys rotate` knows the same places; a test compares them with the columns.
GRANT UPDATE (secret) ON app.signing_keys TO huntzen_kernel;
GRANT SELECT, UPDATE (sealed) ON app.consultation_reasons TO huntzen_kernel;
CREATE POLICY kernel ON app.consultation_reasons FOR SELECT TO huntzen_kernel USING (true);
CREATE POLICY kernel_rewrap ON app.consultation_reasons FOR UPDATE TO huntzen_kernel USING (true) WITH CHECK (true);

-- The id of the master key that a stored form names; NULL of none. Not STRICT, so that it is put in the place of its call.
CREATE OR REPLACE FUNCTION app.sealed_under(sealed bytea) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length(sealed) <= 3 THEN '' ELSE substring(sealed FROM 4 FOR get_byte(sealed, 2)) END
$$;

-- Every place: the table, what its rows are known by, the column; whose a row is and of which company, as the associated
-- data say; which of the rows. The functions below make their statements of these words, of nothing else.
CREATE OR REPLACE FUNCTION app.sealed_places()
RETURNS TABLE (place text, in_table text, known_by text, in_column text, person text, company text, of_rows text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    VALUES
        ('signing_keys.secret', 'signing_keys', 'id', 'secret', 'NULL', 'NULL', 'true'),
        ('two_factor.secret', 'two_factor', 'user_id', 'secret', 't.user_id', 'NULL', 'true'),
        ('two_factor.pending_secret', 'two_factor', 'user_id', 'pending_secret', 't.user_id', 'NULL', 'true'),
        ('external_calendars.url', 'external_calendars', 'id', 'url', 't.practitioner_id', 'NULL', 'true'),
        ('consultation_reasons.booking', 'consultation_reasons', 'consultation_id', 'sealed', 'NULL', 't.company_id',
         -- of earlier releases: now they are under keys of their own (policies/sealed_texts.sql)
         $q$t.about = 'booking' AND t.key_id IS NULL$q$),
        ('consultation_reasons.cancelling', 'consultation_reasons', 'consultation_id', 'sealed', 'NULL', 't.company_id',
         $q$t.about = 'cancelling' AND t.key_id IS NULL$q$),
        ('encryption_keys.chat', 'encryption_keys', 'id', 'wrapped', 'coalesce(t.person_id, t.keeper_id)', 't.company_id',
         $q$t.purpose = 'chat'$q$),
        ('encryption_keys.note', 'encryption_keys', 'id', 'wrapped', 'coalesce(t.person_id, t.keeper_id)', 't.company_id',
         $q$t.purpose = 'note'$q$),
        ('encryption_keys.journal', 'encryption_keys', 'id', 'wrapped', 'coalesce(t.person_id, t.keeper_id)', 't.company_id',
         $q$t.purpose = 'journal'$q$),
        ('encryption_keys.file', 'encryption_keys', 'id', 'wrapped', 'coalesce(t.person_id, t.keeper_id)', 't.company_id',
         $q$t.purpose = 'file'$q$),
        ('encryption_keys.copy', 'encryption_keys', 'id', 'wrapped', 'coalesce(t.person_id, t.keeper_id)', 't.company_id',
         $q$t.purpose = 'copy'$q$),
        ('encryption_keys.reason', 'encryption_keys', 'id', 'wrapped', 'coalesce(t.person_id, t.keeper_id)', 't.company_id',
         $q$t.purpose = 'reason'$q$),
        ('encryption_keys.review', 'encryption_keys', 'id', 'wrapped', 'coalesce(t.person_id, t.keeper_id)', 't.company_id',
         $q$t.purpose = 'review'$q$),
        ('reviews.sealed', 'reviews', 'id', 'sealed', 'NULL', 'NULL', 't.key_id IS NULL')
$$;

-- What is not sealed under the newest key, by id; whose it is, and of which company. `locking`: it stays as it is until the
-- transaction ends, and what somebody else changes at the moment is left out.
CREATE OR REPLACE FUNCTION app.list_sealed(wanted text, newest text, after uuid, most int, locking boolean)
RETURNS TABLE (id uuid, person uuid, company uuid, sealed bytea)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it record;
BEGIN
    SELECT * INTO STRICT it FROM app.sealed_places() p WHERE p.place = wanted;
    RETURN QUERY EXECUTE format(
        'SELECT t.%1$I, (%3$s)::uuid, (%4$s)::uuid, t.%2$I FROM app.%5$I t
         WHERE t.%1$I > $1 AND %6$s AND app.sealed_under(t.%2$I) <> $2 ORDER BY t.%1$I LIMIT $3 %7$s',
        it.known_by, it.in_column, it.person, it.company, it.in_table, it.of_rows,
        CASE WHEN locking THEN 'FOR NO KEY UPDATE SKIP LOCKED' ELSE '' END)
        USING coalesce(after, '00000000-0000-0000-0000-000000000000'), convert_to(newest, 'UTF8'), most;
END
$$;

-- Puts the same secrets under another key in their places, where nobody changed or destroyed them meanwhile. How many.
CREATE OR REPLACE FUNCTION app.replace_sealed(wanted text, ids uuid[], before bytea[], renewed bytea[])
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it       record;
    replaced bigint;
BEGIN
    SELECT * INTO STRICT it FROM app.sealed_places() p WHERE p.place = wanted;
    EXECUTE format(
        'UPDATE app.%1$I t SET %2$I = n.renewed FROM unnest($1, $2, $3) AS n (id, before, renewed)
         WHERE t.%3$I = n.id AND %4$s AND t.%2$I = n.before',
        it.in_table, it.in_column, it.known_by, it.of_rows)
        USING ids, before, renewed;
    GET DIAGNOSTICS replaced = ROW_COUNT;
    RETURN replaced;
END
$$;

-- How many are under which master key, in each place.
CREATE OR REPLACE FUNCTION app.count_by_master_key()
RETURNS TABLE (place text, master_key text, secrets bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it record;
BEGIN
    FOR it IN SELECT * FROM app.sealed_places() LOOP
        -- whatever bytes a stored form begins with
        RETURN QUERY EXECUTE format(
            $q$SELECT %1$L::text, encode(app.sealed_under(t.%2$I), 'escape'), count(*) FROM app.%3$I t
               WHERE %4$s AND t.%2$I IS NOT NULL GROUP BY 2$q$,
            it.place, it.in_column, it.in_table, it.of_rows);
    END LOOP;
END
$$;

-- How many are left under other keys than the newest, or in a form that is written no more, for each place.
CREATE OR REPLACE FUNCTION app.count_sealed(newest text)
RETURNS TABLE (place text, older bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT p.place, coalesce(sum(c.secrets), 0)::bigint
    FROM app.sealed_places() p
    LEFT JOIN app.count_by_master_key() c ON c.place = p.place
        -- what should be under a key of its own is older under whichever
        AND (c.master_key <> newest
             OR p.place IN ('consultation_reasons.booking', 'consultation_reasons.cancelling', 'reviews.sealed'))
    GROUP BY p.place
$$;

GRANT SELECT, INSERT, UPDATE, DELETE ON app.master_keys TO huntzen_kernel;
CREATE POLICY kernel ON app.master_keys TO huntzen_kernel USING (true) WITH CHECK (true);

-- Counts, for `app.master_key_uses`.
CREATE OR REPLACE FUNCTION app.note_master_key_uses(at timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    counted jsonb;
BEGIN
    -- one after the other, so that the later count stays
    PERFORM pg_advisory_xact_lock(hashtextextended('huntzen master keys', 0));
    SELECT coalesce(jsonb_object_agg(c.master_key, c.secrets), '{}') INTO counted
        FROM (SELECT b.master_key, sum(b.secrets)::bigint AS secrets FROM app.count_by_master_key() b
              -- whatever else a stored form begins with is no key's name
              WHERE b.master_key ~ '^[A-Za-z0-9._-]{1,64}$' GROUP BY b.master_key) c;
    -- in the order in which a program that starts takes them
    PERFORM FROM app.master_keys m ORDER BY m.id FOR NO KEY UPDATE;
    UPDATE app.master_keys m SET secrets = coalesce((counted ->> m.id)::bigint, 0), counted_at = at;
    INSERT INTO app.master_keys AS m (id, secrets, counted_at)
        SELECT c.key, c.value::bigint, at FROM jsonb_each_text(counted) c ORDER BY c.key
        ON CONFLICT (id) DO UPDATE SET secrets = EXCLUDED.secrets, counted_at = EXCLUDED.counted_at;
END
$$;

-- What was counted last, for the metrics.
CREATE OR REPLACE FUNCTION app.master_key_uses()
RETURNS TABLE (master_key text, secrets bigint, counted_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT m.id, m.secrets, m.counted_at FROM app.master_keys m
$$;

-- A program that starts says which keys it has, by what is derived from them. What keeps it from starting: 'other', a key of
-- that name was another one before; 'missing', secrets are sealed under a key that it has not; 'unsure', somebody had a key
-- within two days that it has not, and may have sealed something since it was counted: to be counted now.
CREATE OR REPLACE FUNCTION app.introduce_master_keys(ids text[], check_values bytea[])
RETURNS TABLE (master_key text, fault text, secrets bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    INSERT INTO app.master_keys AS m (id, check_value, held_at)
    SELECT k.id, k.check_value, now() FROM unnest(ids, check_values) AS k (id, check_value) ORDER BY k.id
    ON CONFLICT (id) DO UPDATE SET check_value = coalesce(m.check_value, EXCLUDED.check_value), held_at = EXCLUDED.held_at;
    RETURN QUERY
        SELECT m.id, 'other', m.secrets FROM app.master_keys m
        JOIN unnest(ids, check_values) AS k (id, check_value) ON k.id = m.id
        WHERE m.check_value <> k.check_value
        UNION ALL
        -- one that no program ever had is a broken row, and no reason to stand still
        SELECT m.id, CASE WHEN m.secrets > 0 THEN 'missing' ELSE 'unsure' END, m.secrets FROM app.master_keys m
        WHERE (m.secrets > 0 OR m.held_at > now() - interval '2 days') AND m.check_value IS NOT NULL AND m.id <> ALL (ids);
END
$$;

-- Whatever was sealed under it is given up: its absence keeps nobody from starting any more. Whether there was such a key.
CREATE OR REPLACE FUNCTION app.forget_master_key(named text)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
BEGIN
    DELETE FROM app.master_keys m WHERE m.id = named;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM app.audit('master_key.forgotten', 'secret', NULL, NULL, NULL, NULL, 'success', '{}', NULL, NULL);
    RETURN true;
END
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.sealed_under(bytea)', 'app.sealed_places()', 'app.list_sealed(text, text, uuid, int, boolean)',
        'app.replace_sealed(text, uuid[], bytea[], bytea[])', 'app.count_by_master_key()', 'app.count_sealed(text)',
        'app.note_master_key_uses(timestamptz)', 'app.master_key_uses()',
        'app.introduce_master_keys(text[], bytea[])', 'app.forget_master_key(text)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
-- figures, and what is derived; listing, replacing and forgetting is for those who own the database
GRANT EXECUTE ON FUNCTION app.count_sealed(text), app.note_master_key_uses(timestamptz), app.master_key_uses(),
    app.introduce_master_keys(text[], bytea[]) TO huntzen_worker;
