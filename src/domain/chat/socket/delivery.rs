//! What a socket is sent of a conversation, in the order of revisions.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use poem_openapi::types::ToJSON;
use serde_json::Value;

use super::hub::Change;
use super::payloads::ReceiptNews;
use crate::domain::chat::api::MessageAnswer;
use crate::domain::chat::model::{Content, Excerpt, Message, Receipt};
use crate::platform::ids::{ConsultationId, UserId};

/// Up to where a socket was told of a conversation.
#[derive(Clone, Debug)]
pub struct Told {
    pub rev: i64,
    /// The client knows every message up to here: another one is new to it, whatever happened to that since …
    seq: i64,
    /// … but for these, which it was sent before some that come earlier and changed later.
    shown: BTreeSet<i64>,
    receipts: BTreeMap<UserId, (i64, i64)>,
    pub closes_at: DateTime<Utc>,
    pub is_closed: bool,
}

/// Something to send, with the revision that it takes the client to.
#[derive(Clone, Debug)]
pub struct Parcel {
    pub rev: i64,
    pub event: &'static str,
    pub data: Value,
    /// The message that it brings: its arrival can be acknowledged.
    pub arrives: Option<i64>,
}

impl Told {
    /// From what a client was answered when it joined.
    pub fn new(excerpt: &Excerpt, now: DateTime<Utc>) -> Self {
        let receipts = excerpt.receipts.iter().map(|it| (it.reader_id, (it.delivered_seq, it.read_seq))).collect();
        let closes_at = excerpt.closes_at;
        let (rev, seq) = (excerpt.rev, excerpt.last_seq);
        Self { rev, seq, shown: BTreeSet::new(), receipts, closes_at, is_closed: now >= closes_at }
    }

    /// What to send of what was read after [`Told::rev`], in its order.
    pub fn parcels(&self, of: ConsultationId, me: UserId, excerpt: Excerpt) -> Vec<Parcel> {
        let until = excerpt.rev;
        let mut parcels: Vec<Parcel> = excerpt
            .messages
            .into_iter()
            .filter(|message| message.rev <= until)
            .map(|it| self.message(me, it))
            .collect();
        // a receipt says two things: what it says is compared, for one of them may have been sent alone
        for receipt in excerpt.receipts.iter().filter(|it| it.rev <= until) {
            parcels.extend(self.receipt(of, receipt));
        }
        parcels.sort_by_key(|parcel| parcel.rev);
        parcels
    }

    /// The same of the very next change.
    pub fn parcels_of(&self, of: ConsultationId, me: UserId, change: &Change) -> Vec<Parcel> {
        match change {
            Change::Message(message) => vec![self.message(me, Message::clone(message))],
            Change::Receipt(receipt) => self.receipt(of, receipt),
        }
    }

    fn message(&self, me: UserId, message: Message) -> Parcel {
        let is_new = message.seq > self.seq && !self.shown.contains(&message.seq);
        let event = match message.content {
            _ if is_new => "message:new",
            Content::Deleted => "message:deleted",
            _ => "message:edited",
        };
        let (rev, seq, is_mine) = (message.rev, message.seq, message.sender_id == me);
        let data = MessageAnswer::from(message).to_json().unwrap_or_default();
        Parcel { rev, event, data, arrives: (is_new && !is_mine).then_some(seq) }
    }

    fn receipt(&self, of: ConsultationId, receipt: &Receipt) -> Vec<Parcel> {
        let (delivered, read) = self.receipts.get(&receipt.reader_id).copied().unwrap_or_default();
        let parcel = |event, seq: i64| Parcel {
            rev: receipt.rev,
            event,
            data: ReceiptNews { conversation_id: of, reader_id: receipt.reader_id, seq, rev: receipt.rev }
                .to_json()
                .unwrap_or_default(),
            arrives: None,
        };
        let mut parcels = Vec::new();
        if receipt.delivered_seq > delivered {
            parcels.push(parcel("message:delivered", receipt.delivered_seq));
        }
        if receipt.read_seq > read {
            parcels.push(parcel("message:read", receipt.read_seq));
        }
        parcels
    }

    /// Notes that a parcel was taken.
    pub fn sent(&mut self, parcel: &Parcel) {
        self.rev = self.rev.max(parcel.rev);
        if let Some(seq) = parcel.data.get("seq").and_then(Value::as_i64) {
            match parcel.event {
                "message:delivered" | "message:read" => {
                    let reader = parcel.data.get("readerId").and_then(|id| serde_json::from_value(id.clone()).ok());
                    if let Some(reader) = reader {
                        let known = self.receipts.entry(reader).or_default();
                        known.0 = known.0.max(seq);
                        if parcel.event == "message:read" {
                            known.1 = known.1.max(seq);
                        }
                    }
                }
                _ => self.show(seq),
            }
        }
    }

    fn show(&mut self, seq: i64) {
        if seq > self.seq + 1 {
            self.shown.insert(seq);
        } else if seq > self.seq {
            self.seq = seq;
            while self.shown.remove(&(self.seq + 1)) {
                self.seq += 1;
            }
        }
    }

    /// Everything that there was was sent: every message up to this one.
    pub fn caught_up(&mut self, last_seq: i64) {
        self.seq = self.seq.max(last_seq);
        self.shown = self.shown.split_off(&(self.seq + 1));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::platform::crypto::health_text::HealthText;
    use crate::platform::ids::MessageId;

    const ME: UserId = UserId(Uuid::from_u128(1));
    const OTHER: UserId = UserId(Uuid::from_u128(2));
    const TALK: ConsultationId = ConsultationId(Uuid::from_u128(3));

    fn message(seq: i64, rev: i64, sender_id: UserId, content: Content) -> Message {
        Message {
            id: MessageId(Uuid::nil()),
            conversation_id: TALK,
            sender_id,
            client_id: Uuid::nil(),
            seq,
            rev,
            content,
            body: (content == Content::Text).then(|| HealthText::new("hello".into())),
            attachments: Vec::new(),
            created_at: DateTime::UNIX_EPOCH,
            edited_at: None,
            deleted_at: None,
        }
    }

    fn excerpt(messages: Vec<Message>, receipts: Vec<Receipt>, rev: i64) -> Excerpt {
        Excerpt { messages, receipts, rev, last_seq: 3, has_more: false, closes_at: DateTime::UNIX_EPOCH }
    }

    fn told() -> Told {
        let receipts = vec![Receipt { reader_id: OTHER, delivered_seq: 2, read_seq: 1, rev: 4 }];
        Told::new(&excerpt(Vec::new(), receipts, 5), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn changes_are_sent_by_revision_each_as_what_it_is_to_the_client() {
        let receipts = vec![Receipt { reader_id: OTHER, delivered_seq: 4, read_seq: 3, rev: 8 }];
        let messages = vec![
            message(2, 6, ME, Content::Text),
            message(1, 7, OTHER, Content::Deleted),
            message(4, 9, OTHER, Content::Text),
            message(5, 10, OTHER, Content::Deleted),
        ];
        let mut told = told();
        let parcels = told.parcels(TALK, ME, excerpt(messages, receipts, 10));
        let seen: Vec<_> = parcels.iter().map(|it| (it.rev, it.event, it.arrives)).collect();
        let expected = [
            (6, "message:edited", None),
            (7, "message:deleted", None),
            (8, "message:delivered", None),
            (8, "message:read", None),
            (9, "message:new", Some(4)),
            // it was taken back before this client ever saw it
            (10, "message:new", Some(5)),
        ];
        assert_eq!(seen, expected);
        for parcel in &parcels {
            told.sent(parcel);
        }
        assert_eq!((told.rev, told.seq, told.receipts[&OTHER]), (10, 5, (4, 3)));
    }

    #[test]
    fn what_changed_before_it_was_shown_is_new_also_in_a_later_part() {
        let mut told = told();
        for (seq, rev, content, expected) in [
            (6, 6, Content::Text, ("message:new", Some(6))),
            // written before that one, and changed after it
            (4, 7, Content::Text, ("message:new", Some(4))),
            (6, 8, Content::Text, ("message:edited", None)),
            (5, 9, Content::Deleted, ("message:new", Some(5))),
            (5, 10, Content::Deleted, ("message:deleted", None)),
            (7, 11, Content::Text, ("message:new", Some(7))),
        ] {
            let parcels = told.parcels(TALK, ME, excerpt(vec![message(seq, rev, OTHER, content)], Vec::new(), rev));
            let [parcel] = parcels.as_slice() else { panic!("{parcels:?}") };
            assert_eq!((parcel.event, parcel.arrives), expected, "{seq} {rev}");
            told.sent(parcel);
        }
        assert_eq!((told.seq, told.shown.len()), (7, 0));
        told.show(12);
        told.caught_up(12);
        assert_eq!((told.seq, told.shown.len()), (12, 0));
    }

    #[test]
    fn what_lies_beyond_what_was_read_whole_waits() {
        let receipts = vec![Receipt { reader_id: OTHER, delivered_seq: 4, read_seq: 4, rev: 9 }];
        let messages = vec![message(4, 6, OTHER, Content::Text), message(5, 8, OTHER, Content::Text)];
        let parcels = told().parcels(TALK, ME, excerpt(messages, receipts, 7));
        assert_eq!(parcels.iter().map(|it| it.rev).collect::<Vec<_>>(), [6]);
    }
}
