-- What people agreed to; what they asked for of their data; what was erased; how long each kind of record is kept.

-- One row for each decision about a document, in their order. None is changed.
CREATE TABLE app.consents (
    user_id    uuid NOT NULL CONSTRAINT consents_user_fkey REFERENCES app.users,
    -- the person's how-manieth decision: there is an end to them
    place      int NOT NULL CONSTRAINT consents_place CHECK (place BETWEEN 1 AND 1000),
    document   text NOT NULL CONSTRAINT consents_document CHECK (document IN ('terms', 'privacy_notice', 'news', 'surveys')),
    version    text NOT NULL CONSTRAINT consents_version CHECK (version ~ '^[0-9a-z][0-9a-z.-]{0,39}$'),
    decision   text NOT NULL CONSTRAINT consents_decision CHECK (decision IN ('accepted', 'withdrawn')),
    decided_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, place),
    -- what an account rests on ends with the account
    CONSTRAINT consents_withdrawable CHECK (decision = 'accepted' OR document IN ('news', 'surveys'))
);
CREATE INDEX consents_latest ON app.consents (document, user_id, place DESC);
CREATE TRIGGER consents_append_only BEFORE UPDATE ON app.consents
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER consents_no_truncate BEFORE TRUNCATE ON app.consents
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();

-- What is over its time is removed by the functions of policies/retention.sql, and by nothing else.
CREATE FUNCTION app.refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = 'huntzen_kernel' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END
$$;
REVOKE ALL ON FUNCTION app.refuse_removal() FROM PUBLIC;
CREATE TRIGGER consents_kept BEFORE DELETE ON app.consents FOR EACH ROW EXECUTE FUNCTION app.refuse_removal();

-- what was agreed to before
ALTER TABLE app.users NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.consents NO FORCE ROW LEVEL SECURITY;
INSERT INTO app.consents (user_id, place, document, version, decision, decided_at)
    SELECT u.id, 1, 'terms', u.terms_version, 'accepted', coalesce(u.terms_at, u.created_at) FROM app.users u
    WHERE u.terms_version IS NOT NULL;
ALTER TABLE app.consents FORCE ROW LEVEL SECURITY;
ALTER TABLE app.users FORCE ROW LEVEL SECURITY;

-- What a person asked for: a copy of their data, or that it is erased.
CREATE TABLE app.privacy_requests (
    id          uuid PRIMARY KEY,
    user_id     uuid NOT NULL CONSTRAINT privacy_requests_user_fkey REFERENCES app.users,
    kind        text NOT NULL CONSTRAINT privacy_requests_kind CHECK (kind IN ('export', 'erasure')),
    status      text NOT NULL,
    created_at  timestamptz NOT NULL,
    finished_at timestamptz,
    -- of an erasure: until when it can be taken back; why it was refused; what was erased and kept, in numbers
    due_at      timestamptz,
    reason      text CONSTRAINT privacy_requests_reason CHECK (reason IN ('sessions_ahead', 'records_kept', 'last_admin')),
    receipt     jsonb,
    -- of an export: how far it is, and its file
    locale      text CONSTRAINT privacy_requests_locale CHECK (locale IN ('fr', 'en')),
    done_steps  int NOT NULL DEFAULT 0,
    all_steps   int NOT NULL DEFAULT 0,
    object_key  text CONSTRAINT privacy_requests_object CHECK (object_key ~ '^privacy/[0-9a-f]{2}/[0-9a-f]{32}$'),
    -- a key of its own, wrapped under a master key, and that of the file under it: gone with the file
    wrapped_key bytea CONSTRAINT privacy_requests_wrapped CHECK (length(wrapped_key) BETWEEN 60 AND 400),
    sealed_key  bytea CONSTRAINT privacy_requests_sealed CHECK (length(sealed_key) = 78),
    size_bytes  bigint CONSTRAINT privacy_requests_size CHECK (size_bytes > 0),
    expires_at  timestamptz,
    CONSTRAINT privacy_requests_status CHECK (
        CASE kind WHEN 'export' THEN status IN ('pending', 'running', 'ready', 'failed', 'expired', 'stopped')
                  ELSE status IN ('waiting', 'begun', 'done', 'withdrawn', 'refused') END),
    CONSTRAINT privacy_requests_open CHECK (
        (finished_at IS NULL) = (status IN ('pending', 'running', 'waiting', 'begun'))),
    CONSTRAINT privacy_requests_due CHECK ((kind = 'erasure') = (due_at IS NOT NULL)),
    CONSTRAINT privacy_requests_refused CHECK ((status = 'refused') = (reason IS NOT NULL)),
    CONSTRAINT privacy_requests_receipt CHECK (status NOT IN ('done') OR receipt IS NOT NULL),
    CONSTRAINT privacy_requests_language CHECK ((kind = 'export') = (locale IS NOT NULL)),
    CONSTRAINT privacy_requests_steps CHECK (done_steps BETWEEN 0 AND all_steps),
    CONSTRAINT privacy_requests_file CHECK (
        CASE WHEN status = 'ready' THEN num_nulls(object_key, wrapped_key, sealed_key, size_bytes, expires_at) = 0
             ELSE num_nonnulls(wrapped_key, sealed_key) = 0 END)
);
-- one at a time
CREATE UNIQUE INDEX privacy_requests_one ON app.privacy_requests (user_id, kind) WHERE finished_at IS NULL;
CREATE INDEX privacy_requests_of ON app.privacy_requests (user_id, kind, created_at DESC, id DESC);
CREATE INDEX privacy_requests_due ON app.privacy_requests (due_at) WHERE kind = 'erasure' AND finished_at IS NULL;
CREATE INDEX privacy_requests_objects ON app.privacy_requests (object_key) WHERE object_key IS NOT NULL;
CREATE INDEX privacy_requests_finished ON app.privacy_requests (finished_at) WHERE finished_at IS NOT NULL;
CREATE TRIGGER privacy_requests_fixed BEFORE UPDATE OF id, user_id, kind, created_at, due_at, locale
    ON app.privacy_requests FOR EACH ROW EXECUTE FUNCTION app.refuse_change();

CREATE FUNCTION app.check_privacy_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status IN ('pending', 'waiting') THEN
            RETURN NEW;
        END IF;
    ELSIF NEW.status = OLD.status OR (OLD.status, NEW.status) IN (
        ('pending', 'running'), ('pending', 'failed'), ('pending', 'stopped'),
        ('running', 'ready'), ('running', 'failed'), ('running', 'stopped'),
        ('ready', 'expired'), ('ready', 'stopped'),
        ('waiting', 'begun'), ('waiting', 'withdrawn'), ('waiting', 'refused'), ('begun', 'done'), ('begun', 'refused')
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a request about privacy cannot become %', NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'privacy_requests_state_machine';
END
$$;
REVOKE ALL ON FUNCTION app.check_privacy_request() FROM PUBLIC;
CREATE TRIGGER privacy_requests_state_machine BEFORE INSERT OR UPDATE OF status ON app.privacy_requests
    FOR EACH ROW EXECUTE FUNCTION app.check_privacy_request();

-- Who was erased, and which keys went: ids, and nothing of anybody. Replayed after a backup was restored.
CREATE TABLE app.erasure_ledger (
    user_id   uuid PRIMARY KEY,
    key_ids   uuid[] NOT NULL,
    erased_at timestamptz NOT NULL
);
CREATE TRIGGER erasure_ledger_append_only BEFORE UPDATE OR DELETE ON app.erasure_ledger
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER erasure_ledger_no_truncate BEFORE TRUNCATE ON app.erasure_ledger
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();

-- An account that was erased: rows know it, and it is nobody's. It is suspended for good, and knows no entry of a directory.
ALTER TABLE app.users
    ADD COLUMN erased_at timestamptz,
    DROP CONSTRAINT users_check1,
    ADD CONSTRAINT users_entry CHECK (
        CASE WHEN erased_at IS NULL THEN (role = 'employee') = (employee_id IS NOT NULL) ELSE employee_id IS NULL END) NOT VALID,
    ADD CONSTRAINT users_erased CHECK (
        erased_at IS NULL OR status = 'suspended' AND removed_at IS NOT NULL AND password_hash IS NULL) NOT VALID;
ALTER TABLE app.users VALIDATE CONSTRAINT users_entry;
ALTER TABLE app.users VALIDATE CONSTRAINT users_erased;
CREATE TRIGGER users_erased_for_good BEFORE UPDATE ON app.users
    FOR EACH ROW WHEN (OLD.erased_at IS NOT NULL) EXECUTE FUNCTION app.refuse_change();

-- How long each kind of record is kept: one table, which the jobs follow and the privacy notice shows.
ALTER TABLE app.retention_rules
    ALTER COLUMN years DROP NOT NULL,
    ADD COLUMN days int CONSTRAINT retention_rules_days CHECK (days BETWEEN 0 AND 36500),
    -- from when on it is counted
    ADD COLUMN since text NOT NULL DEFAULT 'change' CONSTRAINT retention_rules_since CHECK (
        since IN ('change', 'creation', 'end', 'reading', 'expiry', 'closing', 'erasure')),
    -- what it is about, in the schema app
    ADD COLUMN relations text[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT retention_rules_duration CHECK (num_nonnulls(years, days) = 1) NOT VALID;
ALTER TABLE app.retention_rules VALIDATE CONSTRAINT retention_rules_duration;
ALTER TABLE app.retention_rules NO FORCE ROW LEVEL SECURITY;
UPDATE app.retention_rules SET relations = '{clinical_notes,clinical_note_versions}' WHERE record = 'clinical_note';
INSERT INTO app.retention_rules (record, profession, years, days, since, relations, ground) VALUES
    ('message', 'any', 5, NULL, 'closing', '{messages,message_receipts,unread_conversations}',
     'To follow care and to answer claims: Code civil, 2224'),
    ('consultation_reason', 'any', 2, NULL, 'end', '{consultation_reasons}', 'To prepare and follow the session: RGPD, 5(1)(e)'),
    ('notification_read', 'any', NULL, 180, 'reading', '{notifications}', 'To keep people informed: RGPD, 5(1)(e)'),
    ('notification', 'any', NULL, 365, 'creation', '{notifications}', 'To keep people informed: RGPD, 5(1)(e)'),
    ('session', 'any', NULL, 1, 'end', '{user_sessions,refresh_tokens,ended_sessions}', 'Security of accounts: RGPD, 32'),
    ('mailed_link', 'any', NULL, 1, 'expiry', '{one_time_tokens}', 'Security of accounts: RGPD, 32'),
    ('known_device', 'any', NULL, 0, 'expiry', '{known_devices}', 'Security of accounts: RGPD, 32'),
    ('failed_attempt', 'any', NULL, 1, 'end', '{throttles}', 'Security of accounts: RGPD, 32'),
    ('repeated_answer', 'any', NULL, 1, 'creation', '{idempotency_keys}', 'To make repeated requests harmless: RGPD, 5(1)(e)'),
    ('invitation_count', 'any', NULL, 2, 'creation', '{invitation_mails}', 'To bound invitations: RGPD, 5(1)(e)'),
    ('member_invitation', 'any', NULL, 180, 'change', '{member_invitations}', 'Invitations that nobody accepted: RGPD, 5(1)(e)'),
    ('job_done', 'any', NULL, 7, 'end', '{}', 'To run the service: RGPD, 32'),
    ('job_failed', 'any', NULL, 30, 'end', '{}', 'To run the service: RGPD, 32'),
    ('mail_record', 'any', NULL, 365, 'creation', '{email_log}', 'To prove what was sent: RGPD, 5(2)'),
    ('audit_entry', 'any', 3, NULL, 'creation', '{audit_logs}', 'To prove who opened what: RGPD, 5(2) and 32'),
    ('waitlist_place', 'any', NULL, 30, 'end', '{waitlist_entries,waitlist_offers,waitlist_holds}', 'To offer freed time: RGPD, 5(1)(e)'),
    ('past_override', 'any', NULL, 365, 'end', '{availability_overrides}', 'To explain past times: RGPD, 5(1)(e)'),
    ('usage_export', 'any', NULL, 365, 'creation', '{exports}', 'To prove what was handed out: RGPD, 5(2)'),
    ('privacy_export_file', 'any', NULL, 7, 'creation', '{}', 'For the person to fetch it: RGPD, 15 and 20'),
    ('privacy_request', 'any', 5, NULL, 'end', '{privacy_requests}', 'To prove that a request was answered: RGPD, 5(2)'),
    ('consent', 'any', 5, NULL, 'erasure', '{consents}', 'To prove what was agreed to: RGPD, 7(1), and Code civil, 2224');
ALTER TABLE app.retention_rules FORCE ROW LEVEL SECURITY;

-- Notes whose legal time is over are removed, and no others: the database looks at its own clock.
CREATE FUNCTION app.refuse_early_note_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = 'huntzen_kernel' AND EXISTS (
           SELECT FROM app.clinical_notes n
           WHERE n.id = (CASE TG_TABLE_NAME WHEN 'clinical_notes' THEN to_jsonb(OLD) ->> 'id' ELSE to_jsonb(OLD) ->> 'note_id' END)::uuid
             AND n.retained_until < clock_timestamp()) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END
$$;
REVOKE ALL ON FUNCTION app.refuse_early_note_removal() FROM PUBLIC;
DROP TRIGGER clinical_notes_kept ON app.clinical_notes;
CREATE TRIGGER clinical_notes_kept BEFORE DELETE ON app.clinical_notes
    FOR EACH ROW EXECUTE FUNCTION app.refuse_early_note_removal();
DROP TRIGGER clinical_note_versions_append_only ON app.clinical_note_versions;
CREATE TRIGGER clinical_note_versions_append_only BEFORE UPDATE ON app.clinical_note_versions
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER clinical_note_versions_kept BEFORE DELETE ON app.clinical_note_versions
    FOR EACH ROW EXECUTE FUNCTION app.refuse_early_note_removal();
CREATE INDEX clinical_notes_retained ON app.clinical_notes (retained_until);
