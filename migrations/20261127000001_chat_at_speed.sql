-- Functions whose answer changed are made anew from policies/.
DROP FUNCTION IF EXISTS app.note_receipt(uuid, bigint, boolean, timestamptz);

-- Room for rows that change with each message.
ALTER TABLE app.conversations SET (fillfactor = 85);
ALTER TABLE app.unread_conversations SET (fillfactor = 85);
ALTER TABLE app.message_receipts SET (fillfactor = 85);
