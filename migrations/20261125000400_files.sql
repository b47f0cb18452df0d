-- Files that people bring. What they hold lies in the storage, under random keys; here is whose they are, and what they are.
CREATE TABLE app.files (
    id              uuid PRIMARY KEY,
    -- of attachments the conversation's; of people who belong to none: empty
    company_id      uuid CONSTRAINT files_company_fkey REFERENCES app.companies (id),
    owner_id        uuid NOT NULL CONSTRAINT files_owner_fkey REFERENCES app.users (id),
    purpose         text NOT NULL CONSTRAINT files_purpose
                    CHECK (purpose IN ('avatar', 'logo', 'article_image', 'attachment', 'document')),
    -- uploading → ready → deleted; a deleted one goes with its object
    state           text NOT NULL DEFAULT 'uploading' CONSTRAINT files_state CHECK (state IN ('uploading', 'ready', 'deleted')),
    -- where the storage has it: random, so that it tells nothing
    object_key      text NOT NULL CONSTRAINT files_object_key CHECK (object_key ~ '^files/[0-9a-f]{2}/[0-9a-f]{32}$'),
    -- what was found in it, never what was said of it
    media_type      text CONSTRAINT files_media_type
                    CHECK (media_type IN ('image/jpeg', 'image/png', 'image/webp', 'application/pdf')),
    -- while it is uploaded, what is kept free for it
    size_bytes      bigint NOT NULL CONSTRAINT files_size CHECK (size_bytes > 0),
    -- SHA-256 of the object as the storage has it: of what is sealed where it is sealed
    digest          bytea CONSTRAINT files_digest CHECK (length(digest) = 32),
    -- the key of what is sealed, and its name; both under the key of the conversation or of the person
    sealed_key      bytea CONSTRAINT files_sealed_key CHECK (length(sealed_key) = 78),
    sealed_name     bytea CONSTRAINT files_sealed_name CHECK (length(sealed_name) BETWEEN 107 AND 1400),
    -- of attachments: where they were sent
    conversation_id uuid,
    user_id         uuid,
    practitioner_id uuid,
    message_seq     bigint,
    place           smallint,
    created_at      timestamptz NOT NULL,
    ready_at        timestamptz,
    -- until when it must be uploaded, or sent
    expires_at      timestamptz,
    deleted_at      timestamptz,
    CONSTRAINT files_conversation_fkey FOREIGN KEY (company_id, conversation_id, user_id, practitioner_id)
        REFERENCES app.conversations (company_id, id, user_id, practitioner_id),
    CONSTRAINT files_message_fkey FOREIGN KEY (company_id, conversation_id, message_seq)
        REFERENCES app.messages (company_id, conversation_id, seq),
    CONSTRAINT files_attachment CHECK (
        CASE purpose WHEN 'attachment'
            THEN num_nulls(company_id, conversation_id, user_id, practitioner_id) = 0 AND owner_id IN (user_id, practitioner_id)
            ELSE num_nonnulls(conversation_id, user_id, practitioner_id, message_seq, place) = 0 END),
    CONSTRAINT files_sent CHECK (num_nulls(message_seq, place) IN (0, 2)),
    CONSTRAINT files_of_company CHECK (purpose NOT IN ('logo', 'document') OR company_id IS NOT NULL),
    -- health-related ones are sealed, or they are not there
    CONSTRAINT files_sealed CHECK (
        CASE WHEN purpose IN ('attachment', 'document') AND state = 'ready' THEN num_nulls(sealed_key, sealed_name) = 0
             ELSE num_nonnulls(sealed_key, sealed_name) = 0 END),
    CONSTRAINT files_ready CHECK (state <> 'ready' OR num_nulls(media_type, digest, ready_at) = 0),
    CONSTRAINT files_uploading CHECK (state <> 'uploading' OR expires_at IS NOT NULL),
    CONSTRAINT files_deleted CHECK ((state = 'deleted') = (deleted_at IS NOT NULL))
);
CREATE INDEX files_owner ON app.files (owner_id, purpose) WHERE state <> 'deleted';
CREATE INDEX files_message ON app.files (company_id, conversation_id, message_seq) WHERE message_seq IS NOT NULL;
CREATE INDEX files_object ON app.files (object_key);
CREATE INDEX files_expiring ON app.files (expires_at) WHERE state <> 'deleted' AND expires_at IS NOT NULL;
CREATE INDEX files_deleted ON app.files (deleted_at) WHERE state = 'deleted';
CREATE TRIGGER files_fixed BEFORE UPDATE OF id, company_id, owner_id, purpose, object_key, conversation_id, user_id,
    practitioner_id, created_at ON app.files FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
-- what is deleted never comes back, and what is ready is not written again
CREATE TRIGGER files_final BEFORE UPDATE ON app.files
    FOR EACH ROW WHEN (OLD.state = 'deleted') EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER files_written_once BEFORE UPDATE OF media_type, size_bytes, digest, sealed_key, sealed_name ON app.files
    FOR EACH ROW WHEN (OLD.state = 'ready' AND NEW.state = 'ready') EXECUTE FUNCTION app.refuse_change();

-- Shown beside a name; set with the file.
ALTER TABLE app.users ADD COLUMN avatar_id uuid;
ALTER TABLE app.practitioners ADD COLUMN avatar_id uuid;
ALTER TABLE app.companies ADD COLUMN logo_id uuid;

-- How many files came with a message.
ALTER TABLE app.messages ADD COLUMN attachments smallint NOT NULL DEFAULT 0
    CONSTRAINT messages_attachments CHECK (attachments BETWEEN 0 AND 10);
