-- Conversations in which somebody has not read yet what the other one wrote, and what they were told of it.
CREATE TABLE app.unread_conversations (
    company_id      uuid NOT NULL,
    conversation_id uuid NOT NULL,
    user_id         uuid NOT NULL,
    practitioner_id uuid NOT NULL,
    reader_id       uuid NOT NULL,
    -- of the first message that is not read
    since           timestamptz NOT NULL,
    -- when it was decided whether they find it in their list, and whether they get a mail
    noticed_at      timestamptz,
    mailed_at       timestamptz,
    PRIMARY KEY (company_id, conversation_id, reader_id),
    CONSTRAINT unread_conversations_conversation_fkey FOREIGN KEY (company_id, conversation_id, user_id, practitioner_id)
        REFERENCES app.conversations (company_id, id, user_id, practitioner_id),
    CONSTRAINT unread_conversations_reader CHECK (reader_id IN (user_id, practitioner_id))
);
CREATE INDEX unread_conversations_unnoticed ON app.unread_conversations (since) WHERE noticed_at IS NULL;
CREATE INDEX unread_conversations_unmailed ON app.unread_conversations (since) WHERE mailed_at IS NULL;
