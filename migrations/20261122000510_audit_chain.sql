-- The hash chain of the audit log: one for each company, and one for what belongs to none (chain 0).
--
-- Each link holds the SHA-256 of its entry and one over itself and the link before, so that a changed, removed,
-- inserted or moved entry is found by `huntzen audit verify`. Links are made at COMMIT, by a deferred trigger: only
-- there is the head of the chain locked, so that transactions of one company run side by side until they commit.
CREATE TABLE app.audit_chain (
    chain        uuid NOT NULL,
    sequence     bigint NOT NULL CHECK (sequence > 0),
    -- of the form that is hashed
    version      smallint NOT NULL CHECK (version = 1),
    -- no foreign key: a missing entry is to be found, not to be explained away
    entry_id     uuid NOT NULL CONSTRAINT audit_chain_entry_key UNIQUE,
    entry_digest bytea NOT NULL CHECK (length(entry_digest) = 32),
    digest       bytea NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (chain, sequence)
);
CREATE TRIGGER audit_chain_append_only BEFORE UPDATE OR DELETE ON app.audit_chain
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER audit_chain_no_truncate BEFORE TRUNCATE ON app.audit_chain
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();

-- The last link of each chain: what is locked to append. It only moves forward.
CREATE TABLE app.audit_heads (
    chain    uuid PRIMARY KEY,
    sequence bigint NOT NULL,
    digest   bytea NOT NULL CHECK (length(digest) = 32)
) WITH (fillfactor = 40);
CREATE FUNCTION app.check_audit_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.chain = OLD.chain AND NEW.sequence = OLD.sequence + 1 THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the head of a chain moves forward only'
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'audit_heads_forward_only';
END
$$;
CREATE TRIGGER audit_heads_forward_only BEFORE UPDATE OR DELETE ON app.audit_heads
    FOR EACH ROW EXECUTE FUNCTION app.check_audit_head();
CREATE TRIGGER audit_heads_no_truncate BEFORE TRUNCATE ON app.audit_heads
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();

-- Texts, each with its length before it, so that no two lists look the same; NULL is a length of -1.
CREATE FUNCTION app.audit_bytes(VARIADIC fields text[]) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg(coalesce(int4send(octet_length(convert_to(field, 'UTF8'))) || convert_to(field, 'UTF8'),
                               '\xffffffff'), '' ORDER BY n)
    FROM unnest(fields) WITH ORDINALITY AS f (field, n)
$$;

-- The form of version 1: every column of the entry. `domain::audit_trail::chain` computes the same.
CREATE FUNCTION app.audit_entry_digest(entry app.audit_logs) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(app.audit_bytes(
        'huntzen.audit.entry.1', entry.id::text, (extract(epoch FROM entry.at) * 1000000)::bigint::text,
        entry.actor_id::text, entry.actor_role, entry.company_id::text, entry.action, entry.object_type,
        entry.object_id::text, entry.subject_type, entry.subject_id::text, entry.outcome, entry.details::text,
        entry.ip::text, entry.request_id))
$$;
CREATE FUNCTION app.audit_link_digest(chain uuid, sequence bigint, previous bytea, entry_id uuid, entry_digest bytea)
RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT sha256(app.audit_bytes('huntzen.audit.link.1', chain::text, sequence::text, encode(previous, 'hex'),
                                  entry_id::text, encode(entry_digest, 'hex')))
$$;

-- Appends the link of an entry. Entries of a transaction are linked in the order in which they were written.
CREATE FUNCTION app.link_audit_entry() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    its   uuid := coalesce(NEW.company_id, '00000000-0000-0000-0000-000000000000');
    noted text := current_setting('app.audit_chains', true);
    head  app.audit_heads;
    entry bytea;
    link  bytea;
BEGIN
    IF noted LIKE '%,%' THEN
        -- entries of several companies: everybody locks heads in the same order, so that nobody waits in a circle
        PERFORM FROM app.audit_heads h WHERE h.chain = ANY (string_to_array(noted, ',')::uuid[]) ORDER BY h.chain FOR UPDATE;
    END IF;
    SELECT * INTO head FROM app.audit_heads h WHERE h.chain = its FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO app.audit_heads AS h (chain, sequence, digest) VALUES (its, 0, decode(repeat('00', 32), 'hex'))
            ON CONFLICT DO NOTHING;
        SELECT * INTO head FROM app.audit_heads h WHERE h.chain = its FOR UPDATE;
    END IF;
    entry := app.audit_entry_digest(NEW);
    link := app.audit_link_digest(its, head.sequence + 1, head.digest, NEW.id, entry);
    INSERT INTO app.audit_chain (chain, sequence, version, entry_id, entry_digest, digest)
        VALUES (its, head.sequence + 1, 1, NEW.id, entry, link);
    UPDATE app.audit_heads h SET sequence = head.sequence + 1, digest = link WHERE h.chain = its;
    RETURN NULL;
END
$$;
ALTER FUNCTION app.link_audit_entry() OWNER TO huntzen_kernel;
REVOKE ALL ON FUNCTION app.link_audit_entry() FROM PUBLIC;

-- what was written before: in the order of ids, which is that of time. The owner sees rows while none is forced on it.
ALTER TABLE app.audit_logs NO FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
    entry app.audit_logs;
    its   uuid;
    head  app.audit_heads;
    hash  bytea;
BEGIN
    LOCK TABLE app.audit_logs IN SHARE ROW EXCLUSIVE MODE;
    FOR entry IN SELECT * FROM app.audit_logs ORDER BY id LOOP
        its := coalesce(entry.company_id, '00000000-0000-0000-0000-000000000000');
        INSERT INTO app.audit_heads (chain, sequence, digest) VALUES (its, 0, decode(repeat('00', 32), 'hex'))
            ON CONFLICT DO NOTHING;
        SELECT * INTO head FROM app.audit_heads h WHERE h.chain = its;
        hash := app.audit_entry_digest(entry);
        INSERT INTO app.audit_chain (chain, sequence, version, entry_id, entry_digest, digest)
            VALUES (its, head.sequence + 1, 1, entry.id, hash,
                    app.audit_link_digest(its, head.sequence + 1, head.digest, entry.id, hash))
            RETURNING digest INTO hash;
        UPDATE app.audit_heads h SET sequence = head.sequence + 1, digest = hash WHERE h.chain = its;
    END LOOP;
END
$$;
ALTER TABLE app.audit_logs FORCE ROW LEVEL SECURITY;
INSERT INTO app.audit_heads (chain, sequence, digest)
    VALUES ('00000000-0000-0000-0000-000000000000', 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;

CREATE CONSTRAINT TRIGGER audit_logs_link AFTER INSERT ON app.audit_logs
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.link_audit_entry();

-- What the last verification of each chain found.
CREATE TABLE app.audit_verifications (
    chain       uuid PRIMARY KEY,
    verified_at timestamptz NOT NULL,
    -- how far the chain went then; the next verification expects to find this again
    sequence    bigint NOT NULL,
    digest      bytea NOT NULL CHECK (length(digest) = 32),
    findings    int NOT NULL CHECK (findings >= 0),
    -- the first of them: ids, numbers and the kind of finding
    first       jsonb,
    CHECK ((findings = 0) = (first IS NULL))
);

-- lists go by time, and by id where times are the same
DROP INDEX app.audit_logs_company, app.audit_logs_actor, app.audit_logs_subject, app.audit_logs_object;
CREATE INDEX audit_logs_at ON app.audit_logs (at DESC, id DESC);
CREATE INDEX audit_logs_company ON app.audit_logs (company_id, at DESC, id DESC);
CREATE INDEX audit_logs_actor ON app.audit_logs (actor_id, at DESC, id DESC);
CREATE INDEX audit_logs_action ON app.audit_logs (action, at DESC, id DESC);
CREATE INDEX audit_logs_subject ON app.audit_logs (subject_id, at DESC, id DESC) WHERE subject_id IS NOT NULL;
CREATE INDEX audit_logs_object ON app.audit_logs (object_id, at DESC, id DESC) WHERE object_id IS NOT NULL;
-- lists of people, for the access log of those who were among them
CREATE INDEX audit_logs_lists ON app.audit_logs (company_id, at DESC, id DESC)
    WHERE object_type = 'employee' AND object_id IS NULL;
