-- Schemas, identifiers, and what every module writes to.
CREATE SCHEMA IF NOT EXISTS app;
CREATE SCHEMA IF NOT EXISTS auth;
CREATE SCHEMA IF NOT EXISTS stats;
CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA public;

-- definer functions and views are handed over to these owners, who must be able to hold them
GRANT USAGE, CREATE ON SCHEMA app, auth, stats TO huntzen_kernel, huntzen_stats;

-- functions are for those who are granted them, not for everybody
ALTER DEFAULT PRIVILEGES FOR ROLE huntzen_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE FUNCTION app.touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;

CREATE FUNCTION app.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END
$$;

-- UUID version 7 (RFC 9562) for rows that the database makes itself
CREATE FUNCTION app.uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT encode(
        set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                    PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                    FROM 1 FOR 6),
            52, 1), 53, 1), 'hex')::uuid
$$;

CREATE TABLE app.idempotency_keys (
    user_id     uuid NOT NULL,
    key         text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint bytea NOT NULL,
    answer      jsonb,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_created_at ON app.idempotency_keys (created_at);

CREATE TABLE app.audit_logs (
    id          uuid PRIMARY KEY DEFAULT app.uuid_v7(),
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor_id    uuid,
    actor_role  text,
    company_id  uuid,
    action      text NOT NULL,
    object_type text NOT NULL,
    object_id   uuid,
    outcome     text NOT NULL CHECK (outcome IN ('success', 'refused')),
    ip          inet,
    request_id  text
);
CREATE INDEX audit_logs_company ON app.audit_logs (company_id, id DESC);
CREATE INDEX audit_logs_actor ON app.audit_logs (actor_id, id DESC);
CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE ON app.audit_logs
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON app.audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
