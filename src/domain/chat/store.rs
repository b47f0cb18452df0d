//! Conversations, messages and receipts in the database. What changes goes through its functions.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::error::Error;
use super::model::{Conversation, Kept, KeptAttachment, Overview, Receipt, Standing, StoredKey, Which};
use crate::platform::auth::{Permission, Role};
use crate::platform::db::{Actor, Arg, Instant, Once, OrConstraint, Write, broken_constraint};
use crate::platform::ids::{ConsultationId, FileId, MessageId};
use crate::platform::{Context, Platform, Problem, Result, Tx};

impl FromRow<'_, PgRow> for Overview {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            other_name: row.try_get("other_name")?,
            other_avatar: row.try_get("other_avatar")?,
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

/// How far the caller has read the conversation `v`, and how much of it they have not.
macro_rules! unread {
    () => {
        "LEFT JOIN app.message_receipts r ON r.company_id = v.company_id AND r.conversation_id = v.id
                                         AND r.reader_id = (SELECT app.user_id())
         CROSS JOIN LATERAL (
             SELECT count(*) AS unread FROM (
                 SELECT FROM app.messages m
                 WHERE m.company_id = v.company_id AND m.conversation_id = v.id AND m.seq > coalesce(r.read_seq, 0)
                   AND m.sender_id <> (SELECT app.user_id()) AND m.deleted_at IS NULL
                 LIMIT 100) unseen) n"
    };
}

macro_rules! list_for {
    ($other:literal, $join:literal) => {
        concat!(
            "SELECT v.id, ",
            $other,
            ".display_name AS other_name, ",
            $other,
            ".avatar_id AS other_avatar, c.starts_at, c.ends_at, v.last_at, v.last_seq, v.last_rev,
                    app.chat_closes_at(c.cancelled_at, c.ends_at, c.ended_at, $4) AS closes_at, n.unread
             FROM (SELECT * FROM app.conversations
                   WHERE (last_at, id) < (coalesce($1::timestamptz, 'infinity'),
                                          coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                   ORDER BY last_at DESC, id DESC LIMIT $3) v
             JOIN app.consultations c ON c.id = v.id ",
            $join,
            " ",
            unread!(),
            "
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

/// How those of these stand that are the calling employee's or practitioner's.
pub async fn list_standings(tx: &mut Tx, ids: &[ConsultationId]) -> Result<Vec<Standing>> {
    let statement = concat!(
        "SELECT v.id, v.last_at, v.last_seq, v.last_rev, n.unread FROM app.conversations v ",
        unread!(),
        " WHERE v.id = ANY ($1)"
    );
    Ok(sqlx::query_as(statement).bind(ids).fetch_all(tx.conn()).await?)
}

/// Those of the calling employee or practitioner in which something was said since; at most so many.
pub async fn list_changed_since(tx: &mut Tx, since: DateTime<Utc>, most: i64) -> Result<Vec<ConsultationId>> {
    Ok(sqlx::query_scalar(
        "SELECT id FROM app.conversations WHERE last_at >= $1 ORDER BY last_at DESC, id DESC LIMIT $2",
    )
    .bind(since)
    .bind(most)
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
            practitioner: row.try_get("practitioner_id")?,
            closes_at: row.try_get::<Instant, _>("closes_at")?.0,
            last_seq: row.try_get("last_seq")?,
            last_rev: row.try_get("last_rev")?,
            key,
        })
    }
}

const FIND: &str = "SELECT v.id, v.company_id, v.user_id, v.practitioner_id, v.last_seq, v.last_rev,
        app.chat_closes_at(c.cancelled_at, c.ends_at, c.ended_at, $2::int) AS closes_at, k.id AS key_id, k.wrapped
    FROM app.conversations v JOIN app.consultations c ON c.id = v.id
    LEFT JOIN LATERAL app.conversation_key(v.id) k ON true
    WHERE v.id = $1::uuid";

/// A conversation of the caller's, with its key.
pub async fn find(tx: &mut Tx, id: ConsultationId, open_days: i32) -> Result<Option<Conversation>> {
    Ok(sqlx::query_as(FIND).bind(id).bind(open_days).fetch_optional(tx.conn()).await?)
}

/// The same in one round trip.
pub async fn look_up(cx: &Context, id: ConsultationId, open_days: i32) -> Result<Option<Conversation>> {
    let args = [Arg::Id(Some(id.0)), Arg::Count(open_days.into())];
    let found = cx.read_once(Permission::Chat, &Once { name: "chat_find", statement: FIND }, &args).await?;
    Ok(found.into_iter().next())
}

/// Whether the caller's reading of a conversation was noted within the hour.
pub async fn was_reading_noted(cx: &Context, id: ConsultationId) -> Result<bool> {
    const NOTED: Once = Once {
        name: "chat_reading_noted",
        statement: "SELECT EXISTS (SELECT FROM app.audit_logs l
                                   WHERE l.object_id = $1 AND l.action = 'conversation.read'
                                     AND l.actor_id = (SELECT app.user_id())
                                     AND l.at > clock_timestamp() - interval '1 hour')",
    };
    let noted: Vec<(bool,)> = cx.read_once(Permission::Chat, &NOTED, &[Arg::Id(Some(id.0))]).await?;
    Ok(noted.first().is_some_and(|it| it.0))
}

/// Keeps the key of a conversation, unless it has one; the one that it has then.
pub async fn keep_key(
    tx: &mut Tx,
    conversation: ConsultationId,
    id: Uuid,
    wrapped: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<StoredKey>> {
    sqlx::query("SELECT app.keep_conversation_key($1, $2, $3, $4)")
        .bind(conversation)
        .bind(id)
        .bind(wrapped)
        .bind(now)
        .execute(tx.conn())
        .await?;
    let found = sqlx::query_as::<_, (Uuid, Option<Vec<u8>>)>("SELECT id, wrapped FROM app.conversation_key($1)")
        .bind(conversation)
        .fetch_optional(tx.conn())
        .await?;
    Ok(found.map(|(id, wrapped)| StoredKey { id, wrapped }))
}

/// What came with the message `m`: a row of lists. Looked for where there is something alone.
macro_rules! attached {
    () => {
        "LEFT JOIN LATERAL (
             SELECT array_agg(f.id ORDER BY f.place) AS file_ids, array_agg(f.media_type ORDER BY f.place) AS file_types,
                    array_agg(f.size_bytes ORDER BY f.place) AS file_sizes,
                    array_agg(encode(f.sealed_name, 'hex') ORDER BY f.place) AS file_names
             FROM app.files f
             WHERE m.attachments > 0 AND f.company_id = m.company_id AND f.conversation_id = m.conversation_id
               AND f.message_seq = m.seq AND f.state = 'ready') a ON m.attachments > 0"
    };
}

fn attachments(row: &PgRow) -> sqlx::Result<Vec<KeptAttachment>> {
    let Some(ids) = row.try_get::<Option<Vec<Uuid>>, _>("file_ids")? else { return Ok(Vec::new()) };
    let (types, sizes): (Vec<String>, Vec<i64>) = (row.try_get("file_types")?, row.try_get("file_sizes")?);
    let names: Vec<String> = row.try_get("file_names")?;
    let all = ids.into_iter().zip(types).zip(sizes).zip(names);
    all.map(|(((id, media_type), size_bytes), name)| {
        let sealed_name = hex::decode(name).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(KeptAttachment { id: FileId(id), media_type, size_bytes, sealed_name })
    })
    .collect()
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
            attachments: attachments(row)?,
            created_at: row.try_get("created_at")?,
            edited_at: row.try_get("edited_at")?,
            deleted_at: row.try_get("deleted_at")?,
        })
    }
}

macro_rules! excerpt {
    ($which:literal, $order:literal) => {
        concat!(
            "SELECT v.id, v.company_id, v.user_id, v.practitioner_id, v.last_seq, v.last_rev,
                    app.chat_closes_at(c.cancelled_at, c.ends_at, c.ended_at, $4::int) AS closes_at, k.id AS key_id, k.wrapped,
                    r.readers, r.delivered, r.read, r.revs,
                    m.id AS message_id, m.sender_id, m.client_id, m.seq, m.rev, m.version, m.sealed, m.created_at, m.edited_at,
                    m.deleted_at, a.file_ids, a.file_types, a.file_sizes, a.file_names
             FROM app.conversations v JOIN app.consultations c ON c.id = v.id
             LEFT JOIN LATERAL app.conversation_key(v.id) k ON true
             CROSS JOIN LATERAL (
                 SELECT array_agg(reader_id ORDER BY reader_id) AS readers, array_agg(delivered_seq ORDER BY reader_id) AS delivered,
                        array_agg(read_seq ORDER BY reader_id) AS read, array_agg(rev ORDER BY reader_id) AS revs
                 FROM app.message_receipts WHERE company_id = v.company_id AND conversation_id = v.id) r
             LEFT JOIN LATERAL (
                 SELECT * FROM app.messages WHERE company_id = v.company_id AND conversation_id = v.id AND ",
            $which, " ORDER BY ", $order, " LIMIT $3::bigint) m ON true ", attached!(), "
             WHERE v.id = $1::uuid ORDER BY ", $order
        )
    };
}

/// What [`read`] finds: each row says all of the conversation, and one message where there is any.
struct Line {
    conversation: Conversation,
    receipts: Vec<Receipt>,
    message: Option<Kept>,
}

impl FromRow<'_, PgRow> for Line {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let optional = |name: &str| row.try_get::<Option<Instant>, _>(name).map(|it| it.map(|it| it.0));
        let conversation = Conversation::from_row(row)?;
        let readers: Vec<Uuid> = row.try_get::<Option<_>, _>("readers")?.unwrap_or_default();
        let numbers = |name: &str| row.try_get::<Option<Vec<i64>>, _>(name).map(Option::unwrap_or_default);
        let (delivered, read, revs) = (numbers("delivered")?, numbers("read")?, numbers("revs")?);
        let receipts = readers.into_iter().zip(delivered).zip(read).zip(revs);
        let receipts = receipts
            .map(|(((reader_id, delivered_seq), read_seq), rev)| Receipt {
                reader_id: reader_id.into(),
                delivered_seq,
                read_seq,
                rev,
            })
            .collect();
        let message = match row.try_get::<Option<MessageId>, _>("message_id")? {
            Some(id) => Some(Kept {
                id,
                conversation_id: conversation.id,
                sender_id: row.try_get("sender_id")?,
                client_id: row.try_get("client_id")?,
                seq: row.try_get("seq")?,
                rev: row.try_get("rev")?,
                version: row.try_get("version")?,
                sealed: row.try_get("sealed")?,
                attachments: attachments(row)?,
                created_at: row.try_get::<Instant, _>("created_at")?.0,
                edited_at: optional("edited_at")?,
                deleted_at: optional("deleted_at")?,
            }),
            None => None,
        };
        Ok(Self { conversation, receipts, message })
    }
}

/// A conversation of the caller's with its receipts, and messages in the order in which they were asked for: the latest
/// first, or by revision. One statement in one round trip, and one moment: every change in a conversation asks for this.
pub async fn read(
    cx: &Context,
    id: ConsultationId,
    which: Which,
    fetch: i64,
    open_days: i32,
) -> Result<Option<(Conversation, Vec<Receipt>, Vec<Kept>)>> {
    let (once, bound) = match which {
        Which::Before(seq) => (Once { name: "chat_before", statement: excerpt!("seq < $2::bigint", "seq DESC") }, seq),
        Which::ChangedAfter(rev) => {
            (Once { name: "chat_changes", statement: excerpt!("rev > $2::bigint", "rev") }, rev)
        }
    };
    let args = [Arg::Id(Some(id.0)), Arg::Count(bound), Arg::Count(fetch), Arg::Count(open_days.into())];
    let mut lines: Vec<Line> = cx.read_once(Permission::Chat, &once, &args).await?;
    let messages = lines.iter_mut().filter_map(|line| line.message.take()).collect();
    Ok(lines.into_iter().next().map(|line| (line.conversation, line.receipts, messages)))
}

pub async fn find_message(tx: &mut Tx, id: MessageId) -> Result<Option<Kept>> {
    Ok(sqlx::query_as(concat!(
        "SELECT m.id, m.conversation_id, m.sender_id, m.client_id, m.seq, m.rev, m.version, m.sealed, m.created_at,
                m.edited_at, m.deleted_at, a.file_ids, a.file_types, a.file_sizes, a.file_names
         FROM app.messages m ",
        attached!(),
        " WHERE m.id = $1"
    ))
    .bind(id)
    .fetch_optional(tx.conn())
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

/// What is to be stored of a message.
pub struct Letter<'a> {
    pub conversation: ConsultationId,
    pub id: MessageId,
    pub client_id: Uuid,
    pub sealed: &'a [u8],
    pub key: Uuid,
    pub at: DateTime<Utc>,
}

/// Stores a message in one round trip. `None`: the conversation is not the caller's. The inner error says what the database
/// refuses.
pub async fn send(
    cx: &Context,
    letter: &Letter<'_>,
    open_days: i32,
) -> Result<std::result::Result<Option<Sent>, sqlx::Error>> {
    const SEND: Write = Write {
        alone: Once {
            name: "chat_send",
            statement: "SELECT message_id, message_seq, message_rev, is_new FROM app.send_message($1, $2, $3, $4, $5, $6, $7)",
        },
        together: Once {
            name: "chat_send_all",
            statement: "SELECT place, message_id, message_seq, message_rev, true AS is_new
                        FROM app.send_messages($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        },
    };
    let args = [
        Arg::Id(Some(letter.conversation.0)),
        Arg::Id(Some(letter.id.0)),
        Arg::Id(Some(letter.client_id)),
        Arg::Bytes(letter.sealed),
        Arg::At(Some(letter.at)),
        Arg::Count(open_days.into()),
        Arg::Id(Some(letter.key)),
    ];
    let sent = cx.write_once(Permission::Chat, letter.conversation.0, &SEND, &args).await?;
    Ok(sent.map(|rows| rows.into_iter().next()))
}

/// Stores a message in a transaction that goes on.
pub async fn send_in(
    tx: &mut Tx,
    letter: &Letter<'_>,
    open_days: i32,
) -> std::result::Result<Option<Sent>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM app.send_message($1, $2, $3, $4, $5, $6, $7)")
        .bind(letter.conversation)
        .bind(letter.id)
        .bind(letter.client_id)
        .bind(letter.sealed)
        .bind(letter.at)
        .bind(open_days)
        .bind(letter.key)
        .fetch_optional(tx.conn())
        .await
}

/// Sends files with a message that is just being sent.
pub async fn attach(tx: &mut Tx, message: MessageId, files: &[FileId], now: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT app.attach_files($1, $2, $3)")
        .bind(message)
        .bind(files)
        .bind(now)
        .execute(tx.conn())
        .await
        .or_constraint("files_attachable", Error::AttachmentNotYours)?;
    Ok(())
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

/// Notes in one round trip that the caller has, or has read, everything up to a message: how far they are now, and whether
/// that is news. `None`: the conversation is not theirs.
pub async fn note_receipt(
    cx: &Context,
    id: ConsultationId,
    up_to: i64,
    is_read: bool,
) -> Result<Option<(i64, i64, i64)>> {
    const NOTE: Write = Write {
        alone: Once {
            name: "chat_note",
            statement: "SELECT delivered, read, revision FROM app.note_receipt($1, $2, $3, $4)",
        },
        together: Once {
            name: "chat_note_all",
            statement: "SELECT delivered, read, revision, place FROM app.note_receipts($1, $2, $3, $4, $5, $6)",
        },
    };
    let args = [Arg::Id(Some(id.0)), Arg::Count(up_to), Arg::Flag(is_read), Arg::At(Some(cx.now()))];
    let noted: Vec<_> = cx.write_once(Permission::Chat, id.0, &NOTE, &args).await??;
    Ok(noted.into_iter().next())
}

/// Of the conversations that are looked at, those that have changed since.
pub async fn beyond(platform: &Platform, looked_at: &[Uuid], known: &[i64]) -> Result<Vec<(Uuid, i64)>> {
    let mut tx = platform.db.anonymous(Actor::job(None, None)).await?;
    Ok(sqlx::query_as("SELECT id, rev FROM auth.conversations_beyond($1, $2)")
        .bind(looked_at)
        .bind(known)
        .fetch_all(tx.conn())
        .await?)
}
