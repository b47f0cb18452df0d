-- The chat of each consultation.
CREATE TABLE app.conversations (
    -- the consultation's
    id              uuid PRIMARY KEY,
    company_id      uuid NOT NULL,
    user_id         uuid NOT NULL,
    practitioner_id uuid NOT NULL,
    -- the numbers of the last message, and of the last change of any kind
    last_seq        bigint NOT NULL DEFAULT 0,
    last_rev        bigint NOT NULL DEFAULT 0,
    -- of the last message, at first of the booking
    last_at         timestamptz NOT NULL,
    CONSTRAINT conversations_consultation_fkey FOREIGN KEY (company_id, id) REFERENCES app.consultations (company_id, id),
    CONSTRAINT conversations_people UNIQUE (company_id, id, user_id, practitioner_id),
    CONSTRAINT conversations_counts CHECK (last_seq >= 0 AND last_rev >= last_seq)
);
CREATE INDEX conversations_user ON app.conversations (user_id, company_id, last_at DESC, id DESC);
CREATE INDEX conversations_practitioner ON app.conversations (practitioner_id, last_at DESC, id DESC);

-- What was booked before has one, too. The owner of the tables is under their row security.
ALTER TABLE app.conversations NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.consultations NO FORCE ROW LEVEL SECURITY;
INSERT INTO app.conversations (id, company_id, user_id, practitioner_id, last_at)
SELECT c.id, c.company_id, c.user_id, c.practitioner_id, c.created_at FROM app.consultations c;
ALTER TABLE app.consultations FORCE ROW LEVEL SECURITY;
ALTER TABLE app.conversations FORCE ROW LEVEL SECURITY;

CREATE TABLE app.messages (
    id              uuid PRIMARY KEY,
    company_id      uuid NOT NULL,
    conversation_id uuid NOT NULL,
    user_id         uuid NOT NULL,
    practitioner_id uuid NOT NULL,
    sender_id       uuid NOT NULL,
    -- made by the sender's client: the same one twice is one message
    client_id       uuid NOT NULL,
    -- its place in the conversation
    seq             bigint NOT NULL,
    -- of its last change
    rev             bigint NOT NULL,
    -- grows with each change of its text
    version         int NOT NULL DEFAULT 1,
    -- empty: deleted
    sealed          bytea CONSTRAINT messages_size CHECK (length(sealed) BETWEEN 106 AND 16490),
    created_at      timestamptz NOT NULL,
    edited_at       timestamptz,
    deleted_at      timestamptz,
    CONSTRAINT messages_conversation_fkey FOREIGN KEY (company_id, conversation_id, user_id, practitioner_id)
        REFERENCES app.conversations (company_id, id, user_id, practitioner_id),
    CONSTRAINT messages_sender CHECK (sender_id IN (user_id, practitioner_id)),
    CONSTRAINT messages_tombstone CHECK ((sealed IS NULL) = (deleted_at IS NOT NULL)),
    CONSTRAINT messages_order UNIQUE (company_id, conversation_id, seq),
    CONSTRAINT messages_revision UNIQUE (company_id, conversation_id, rev),
    CONSTRAINT messages_once UNIQUE (company_id, conversation_id, sender_id, client_id)
);
CREATE TRIGGER messages_fixed BEFORE UPDATE OF id, company_id, conversation_id, user_id, practitioner_id, sender_id,
    client_id, seq, created_at ON app.messages FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
-- what is deleted stays deleted
CREATE TRIGGER messages_final BEFORE UPDATE ON app.messages
    FOR EACH ROW WHEN (OLD.deleted_at IS NOT NULL) EXECUTE FUNCTION app.refuse_change();

-- Up to which message somebody's client has the conversation, and up to which they have read it.
CREATE TABLE app.message_receipts (
    company_id      uuid NOT NULL,
    conversation_id uuid NOT NULL,
    user_id         uuid NOT NULL,
    practitioner_id uuid NOT NULL,
    reader_id       uuid NOT NULL,
    delivered_seq   bigint NOT NULL,
    read_seq        bigint NOT NULL,
    rev             bigint NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (company_id, conversation_id, reader_id),
    CONSTRAINT message_receipts_conversation_fkey FOREIGN KEY (company_id, conversation_id, user_id, practitioner_id)
        REFERENCES app.conversations (company_id, id, user_id, practitioner_id),
    CONSTRAINT message_receipts_reader CHECK (reader_id IN (user_id, practitioner_id)),
    CONSTRAINT message_receipts_order CHECK (read_seq BETWEEN 0 AND delivered_seq)
);
