//! Conversations, messages and receipts in the database. What changes goes through its functions.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::error::Error;
use super::model::{Conversation, Kept, Overview, Receipt, StoredKey, Which};
use crate::platform::auth::Role;
use crate::platform::db::broken_constraint;
use crate::platform::ids::{ConsultationId, MessageId};
use crate::platform::{Problem, Result, Tx};

impl FromRow<'_, PgRow> for Overview {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            other_name: row.try_get("other_name")?,
            starts_at: row.try_get("starts_at")?,
            ends_at: row.try_get("ends_at")?,
            closes_at: row.try_get("closes_at")?,
            last_at: row.try_get("last_at")?,
            last_seq: row.try_get("last_seq")?,
            last_rev: row.try_get("last_rev")?,
            unread: row.try_get("unread")?,
        })
    }
}

macro_rules! list_for {
    ($other:literal, $join:literal) => {
        concat!(
            "SELECT v.id, ", $other, ".display_name AS other_name, c.starts_at, c.ends_at, v.last_at, v.last_seq, v.last_rev,
                    app.chat_closes_at(c.cancelled_at, c.ends_at, c.ended_at, $4) AS closes_at, n.unread
             FROM (SELECT * FROM app.conversations
                   WHERE (last_at, id) < (coalesce($1::timestamptz, 'infinity'),
                                          coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                   ORDER BY last_at DESC, id DESC LIMIT $3) v
             JOIN app.consultations c ON c.id = v.id ", $join, "
             LEFT JOIN app.message_receipts r ON r.company_id = v.company_id AND r.conversation_id = v.id
                                             AND r.reader_id = (SELECT app.user_id())
             CROSS JOIN LATERAL (
                 SELECT count(*) AS unread FROM (
                     SELECT FROM app.messages m
                     WHERE m.company_id = v.company_id AND m.conversation_id = v.id AND m.seq > coalesce(r.read_seq, 0)
                       AND m.sender_id <> (SELECT app.user_id()) AND m.deleted_at IS NULL
                     LIMIT 100) unseen) n
             ORDER BY v.last_at DESC, v.id DESC"
        )
    };
}

/// The conversations of the caller, the one that was written to last first.
pub async fn list(
    tx: &mut Tx,
    role: Role,
    after: Option<(DateTime<Utc>, ConsultationId)>,
    fetch: i64,
    open_days: i32,
) -> Result<Vec<Overview>> {
    let statement = match role {
        Role::Practitioner => list_for!("u", "JOIN app.clients u ON u.id = c.user_id"),
        _ => list_for!("p", "JOIN app.practitioners p ON p.id = c.practitioner_id"),
    };
    Ok(sqlx::query_as(statement)
        .bind(after.map(|(at, _)| at))
        .bind(after.map(|(_, id)| id))
        .bind(fetch)
        .bind(open_days)
        .fetch_all(tx.conn())
        .await?)
}

impl FromRow<'_, PgRow> for Conversation {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let key = match row.try_get::<Option<Uuid>, _>("key_id")? {
            Some(id) => Some(StoredKey { id, wrapped: row.try_get("wrapped")? }),
            None => None,
        };
        Ok(Self {
            id: row.try_get("id")?,
            company_id: row.try_get("company_id")?,
            employee: row.try_get("user_id")?,
            closes_at: row.try_get("closes_at")?,
            last_seq: row.try_get("last_seq")?,
            last_rev: row.try_get("last_rev")?,
            key,
        })
    }
}

/// A conversation of the caller's, with its key.
pub async fn find(tx: &mut Tx, id: ConsultationId, open_days: i32) -> Result<Option<Conversation>> {
    Ok(sqlx::query_as(
        "SELECT v.id, v.company_id, v.user_id, v.last_seq, v.last_rev,
                app.chat_closes_at(c.cancelled_at, c.ends_at, c.ended_at, $2) AS closes_at, k.id AS key_id, k.wrapped
         FROM app.conversations v JOIN app.consultations c ON c.id = v.id
         LEFT JOIN LATERAL app.conversation_key(v.id) k ON true
         WHERE v.id = $1",
    )
    .bind(id)
    .bind(open_days)
    .fetch_optional(tx.conn())
    .await?)
}

/// Keeps the key of a conversation, unless it has one; the one that it has then.
pub async fn keep_key(
    tx: &mut Tx,
    conversation: ConsultationId,
    id: Uuid,
    wrapped: &[u8],
    now: DateTime<Utc>,
) -> Result<StoredKey> {
    sqlx::query("SELECT app.keep_conversation_key($1, $2, $3, $4)")
        .bind(conversation)
        .bind(id)
        .bind(wrapped)
        .bind(now)
        .execute(tx.conn())
        .await?;
    let (id, wrapped) = sqlx::query_as("SELECT id, wrapped FROM app.conversation_key($1)")
        .bind(conversation)
        .fetch_one(tx.conn())
        .await?;
    Ok(StoredKey { id, wrapped })
}

impl FromRow<'_, PgRow> for Kept {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            conversation_id: row.try_get("conversation_id")?,
            sender_id: row.try_get("sender_id")?,
            client_id: row.try_get("client_id")?,
            seq: row.try_get("seq")?,
            rev: row.try_get("rev")?,
            version: row.try_get("version")?,
            sealed: row.try_get("sealed")?,
            created_at: row.try_get("created_at")?,
            edited_at: row.try_get("edited_at")?,
            deleted_at: row.try_get("deleted_at")?,
        })
    }
}

macro_rules! messages {
    ($which:literal) => {
        concat!(
            "SELECT id, conversation_id, sender_id, client_id, seq, rev, version, sealed, created_at, edited_at, deleted_at
             FROM app.messages ",
            $which
        )
    };
}

/// In the order in which they were asked for: the latest first, or by revision.
pub async fn list_messages(tx: &mut Tx, of: &Conversation, which: Which, fetch: i64) -> Result<Vec<Kept>> {
    let (statement, bound) = match which {
        Which::Before(seq) => {
            (messages!("WHERE company_id = $1 AND conversation_id = $2 AND seq < $3 ORDER BY seq DESC LIMIT $4"), seq)
        }
        Which::ChangedAfter(rev) => {
            (messages!("WHERE company_id = $1 AND conversation_id = $2 AND rev > $3 ORDER BY rev LIMIT $4"), rev)
        }
    };
    Ok(sqlx::query_as(statement).bind(of.company_id).bind(of.id).bind(bound).bind(fetch).fetch_all(tx.conn()).await?)
}

pub async fn find_message(tx: &mut Tx, id: MessageId) -> Result<Option<Kept>> {
    Ok(sqlx::query_as(messages!("WHERE id = $1")).bind(id).fetch_optional(tx.conn()).await?)
}

/// Two at most.
pub async fn list_receipts(tx: &mut Tx, of: &Conversation) -> Result<Vec<Receipt>> {
    Ok(sqlx::query_as(
        "SELECT reader_id, delivered_seq, read_seq, rev FROM app.message_receipts
         WHERE company_id = $1 AND conversation_id = $2 ORDER BY reader_id",
    )
    .bind(of.company_id)
    .bind(of.id)
    .fetch_all(tx.conn())
    .await?)
}

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Sent {
    #[sqlx(rename = "message_id")]
    pub id: MessageId,
    #[sqlx(rename = "message_seq")]
    pub seq: i64,
    #[sqlx(rename = "message_rev")]
    pub rev: i64,
    /// Or it was there under the same name of the client's.
    pub is_new: bool,
}

/// `None`: the conversation is not the caller's.
pub async fn send(
    tx: &mut Tx,
    of: &Conversation,
    id: MessageId,
    client_id: Uuid,
    sealed: &[u8],
    now: DateTime<Utc>,
    open_days: i32,
) -> Result<Option<Sent>> {
    sqlx::query_as("SELECT * FROM app.send_message($1, $2, $3, $4, $5, $6)")
        .bind(of.id)
        .bind(id)
        .bind(client_id)
        .bind(sealed)
        .bind(now)
        .bind(open_days)
        .fetch_optional(tx.conn())
        .await
        .map_err(|error| refused(error, of))
}

/// Puts another text in a message's place, or none; its revision then. `None`: it has another version by now.
pub async fn change(
    tx: &mut Tx,
    of: &Conversation,
    message: &Kept,
    sealed: Option<&[u8]>,
    now: DateTime<Utc>,
    open_days: i32,
) -> Result<Option<i64>> {
    sqlx::query_scalar("SELECT app.change_message($1, $2, $3, $4, $5)")
        .bind(message.id)
        .bind(message.version)
        .bind(sealed)
        .bind(now)
        .bind(open_days)
        .fetch_one(tx.conn())
        .await
        .map_err(|error| refused(error, of))
}

fn refused(error: sqlx::Error, of: &Conversation) -> Problem {
    match broken_constraint(&error) {
        Some("conversations_open") => of.closed(),
        Some("messages_changed_in_time") => Error::TooLateToChange.into(),
        _ => error.into(),
    }
}

/// Notes that the caller has, or has read, everything up to a message; the revision, where that was news.
pub async fn note_receipt(
    tx: &mut Tx,
    of: &Conversation,
    up_to: i64,
    is_read: bool,
    now: DateTime<Utc>,
) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar("SELECT app.note_receipt($1, $2, $3, $4)")
        .bind(of.id)
        .bind(up_to)
        .bind(is_read)
        .bind(now)
        .fetch_one(tx.conn())
        .await?)
}
