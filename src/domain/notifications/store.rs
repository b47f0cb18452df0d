//! Statements on notifications and preferences. What is added goes through the database's functions.

use chrono::{DateTime, Utc};

use super::error::Error;
use super::model::{Channel, Kind, Line, Refused};
use crate::platform::db::broken_constraint;
use crate::platform::ids::{CallId, CompanyId, ConsultationId, NotificationId, ReviewId, UserId, WaitlistOfferId};
use crate::platform::locale::Locale;
use crate::platform::{Problem, Result, Tx};

/// More are not counted.
pub const MOST_COUNTED: i64 = 1000;

macro_rules! lines {
    ($which:literal) => {
        concat!(
            "SELECT id, place, kind, object_type, object_id, created_at, read_at FROM app.notifications
             WHERE user_id = (SELECT app.user_id()) AND ",
            $which
        )
    };
}

/// Of the caller's list, the newest first.
pub async fn list(tx: &mut Tx, before: Option<i64>, unread: bool, fetch: i64) -> Result<Vec<Line>> {
    let statement = if unread {
        lines!("read_at IS NULL AND place < $1 ORDER BY place DESC LIMIT $2")
    } else {
        lines!("place < $1 ORDER BY place DESC LIMIT $2")
    };
    Ok(sqlx::query_as(statement).bind(before.unwrap_or(i64::MAX)).bind(fetch).fetch_all(tx.conn()).await?)
}

/// What came after a place, the oldest first.
pub async fn list_after(tx: &mut Tx, place: i64, fetch: i64) -> Result<Vec<Line>> {
    Ok(sqlx::query_as(lines!("place > $1 ORDER BY place LIMIT $2"))
        .bind(place)
        .bind(fetch)
        .fetch_all(tx.conn())
        .await?)
}

/// The last place of the caller's list.
pub async fn last_place(tx: &mut Tx) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar(
        "SELECT place FROM app.notifications WHERE user_id = (SELECT app.user_id()) ORDER BY place DESC LIMIT 1",
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// How many the caller has not read; [`MOST_COUNTED`] stands for more as well.
pub async fn count_unread(tx: &mut Tx) -> Result<i64> {
    Ok(sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT FROM app.notifications
                               WHERE user_id = (SELECT app.user_id()) AND read_at IS NULL LIMIT $1) unread",
    )
    .bind(MOST_COUNTED)
    .fetch_one(tx.conn())
    .await?)
}

pub async fn exists(tx: &mut Tx, id: NotificationId) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM app.notifications WHERE id = $1)")
        .bind(id)
        .fetch_one(tx.conn())
        .await?)
}

/// Whoever reads that somebody wrote to them is told of the next message anew. Before the line is noted as read; of all lines
/// where none is named.
pub async fn forget_noticed(tx: &mut Tx, only: Option<NotificationId>) -> Result<()> {
    sqlx::query("SELECT app.forget_noticed_conversations($1)").bind(only).execute(tx.conn()).await?;
    Ok(())
}

/// Notes that one was read. `false`: there is none that was not.
pub async fn save_read(tx: &mut Tx, id: NotificationId, now: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query("UPDATE app.notifications SET read_at = $2 WHERE id = $1 AND read_at IS NULL")
        .bind(id)
        .bind(now)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The same of all that the caller has.
pub async fn save_all_read(tx: &mut Tx, now: DateTime<Utc>) -> Result<()> {
    sqlx::query("UPDATE app.notifications SET read_at = $1 WHERE user_id = (SELECT app.user_id()) AND read_at IS NULL")
        .bind(now)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Tells one of the two people of a session; whether they want a mail.
pub async fn notify_of_consultation(
    tx: &mut Tx,
    id: NotificationId,
    about: ConsultationId,
    reader: &'static str,
    kind: Kind,
    nth: i64,
    now: DateTime<Utc>,
) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.notify_of_consultation($1, $2, $3, $4, $5, $6)")
        .bind(id)
        .bind(about)
        .bind(reader)
        .bind(kind)
        .bind(nth)
        .bind(now)
        .fetch_one(tx.conn())
        .await?)
}

/// Tells who waits which time is kept for them; whether they want a mail.
pub async fn notify_of_offer(
    tx: &mut Tx,
    id: NotificationId,
    offer: WaitlistOfferId,
    now: DateTime<Utc>,
) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.notify_of_offer($1, $2, $3)")
        .bind(id)
        .bind(offer)
        .bind(now)
        .fetch_one(tx.conn())
        .await?)
}

/// Tells somebody what touched the safety of their account.
pub async fn notify_of_account(
    tx: &mut Tx,
    id: NotificationId,
    person: UserId,
    kind: Kind,
    at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query("SELECT app.notify_of_account($1, $2, $3, $4)")
        .bind(id)
        .bind(person)
        .bind(kind)
        .bind(at)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Tells the author of a review what was decided about it; whether they want a mail.
pub async fn notify_of_review(
    tx: &mut Tx,
    id: NotificationId,
    review: ReviewId,
    version: i32,
    now: DateTime<Utc>,
) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.notify_of_review($1, $2, $3, $4)")
        .bind(id)
        .bind(review)
        .bind(version)
        .bind(now)
        .fetch_one(tx.conn())
        .await?)
}

/// To whom a mail about a verdict goes.
#[derive(sqlx::FromRow)]
pub struct ReaderOfVerdict {
    pub id: UserId,
    pub email: String,
    pub display_name: String,
    pub locale: Locale,
    pub is_published: bool,
}

/// Whoever is still to be told of a verdict.
pub async fn find_reader_of_verdict(tx: &mut Tx, review: ReviewId, version: i32) -> Result<Option<ReaderOfVerdict>> {
    Ok(sqlx::query_as("SELECT id, email, display_name, locale, is_published FROM app.reader_of_verdict($1, $2)")
        .bind(review)
        .bind(version)
        .fetch_optional(tx.conn())
        .await?)
}

/// Conversations of all companies in which it is time to tell somebody.
pub async fn list_due_conversations(
    tx: &mut Tx,
    now: DateTime<Utc>,
    most: i32,
) -> Result<Vec<(CompanyId, ConsultationId, UserId)>> {
    Ok(sqlx::query_as("SELECT company_id, conversation_id, reader_id FROM app.due_unread_conversations($1, $2)")
        .bind(now)
        .bind(most)
        .fetch_all(tx.conn())
        .await?)
}

/// Tells somebody of one what is due; since when it waits, where a mail is to be sent.
pub async fn notify_of_messages(
    tx: &mut Tx,
    id: NotificationId,
    conversation: ConsultationId,
    reader: UserId,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>> {
    Ok(sqlx::query_scalar("SELECT app.notify_of_messages($1, $2, $3, $4)")
        .bind(id)
        .bind(conversation)
        .bind(reader)
        .bind(now)
        .fetch_one(tx.conn())
        .await?)
}

/// Whether somebody still has not read what waits for them since then.
pub async fn waits_to_be_read(
    tx: &mut Tx,
    conversation: ConsultationId,
    reader: UserId,
    since: DateTime<Utc>,
) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.waits_to_be_read($1, $2, $3)")
        .bind(conversation)
        .bind(reader)
        .bind(since)
        .fetch_one(tx.conn())
        .await?)
}

/// Calls of all companies of which it is to be decided whether somebody missed them.
pub async fn list_missed_calls(tx: &mut Tx, now: DateTime<Utc>, most: i32) -> Result<Vec<(CompanyId, CallId)>> {
    Ok(sqlx::query_as("SELECT company_id, call_id FROM app.due_missed_calls($1, $2)")
        .bind(now)
        .bind(most)
        .fetch_all(tx.conn())
        .await?)
}

/// Tells whoever missed a call; the session and who it is, where a mail is to be sent.
pub async fn notify_of_missed_call(
    tx: &mut Tx,
    id: NotificationId,
    call: CallId,
    now: DateTime<Utc>,
) -> Result<Option<(ConsultationId, UserId)>> {
    Ok(sqlx::query_as("SELECT consultation_id, reader_id FROM app.notify_of_missed_call($1, $2, $3)")
        .bind(id)
        .bind(call)
        .bind(now)
        .fetch_optional(tx.conn())
        .await?)
}

/// Whether the two have not talked since a call was missed, and still may.
pub async fn is_call_missed(tx: &mut Tx, call: CallId, now: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.is_call_missed($1, $2)").bind(call).bind(now).fetch_one(tx.conn()).await?)
}

/// Whether somebody wants to be told of a kind by a channel, as they say now.
pub async fn wants(tx: &mut Tx, person: UserId, kind: Kind, channel: Channel) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.wants_notice($1, $2, $3)")
        .bind(person)
        .bind(kind)
        .bind(channel)
        .fetch_one(tx.conn())
        .await?)
}

/// Removes what is past its time; whether there may be more.
pub async fn purge(tx: &mut Tx, now: DateTime<Utc>, batch: i32) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.purge_notifications($1, $2)").bind(now).bind(batch).fetch_one(tx.conn()).await?)
}

/// One after the other, those who change the preferences of one person.
pub async fn lock_preferences(tx: &mut Tx) -> Result<()> {
    sqlx::query(
        "SELECT pg_advisory_xact_lock(hashtextextended('notification preferences:' || app.user_id()::text, 0))",
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What the caller does not want; a few.
pub async fn list_refused(tx: &mut Tx) -> Result<Vec<Refused>> {
    Ok(sqlx::query_as(
        "SELECT kind, channel FROM app.notification_preferences WHERE user_id = (SELECT app.user_id())
         ORDER BY kind, channel",
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Puts others in their place.
pub async fn save_refused(tx: &mut Tx, refused: &[Refused]) -> Result<()> {
    sqlx::query("DELETE FROM app.notification_preferences WHERE user_id = (SELECT app.user_id())")
        .execute(tx.conn())
        .await?;
    let (kinds, channels): (Vec<_>, Vec<_>) = refused.iter().map(|it| (it.kind.as_str(), it.channel.as_str())).unzip();
    sqlx::query(
        "INSERT INTO app.notification_preferences (user_id, kind, channel)
         SELECT app.user_id(), it.kind, it.channel FROM unnest($1::text[], $2::text[]) AS it (kind, channel)",
    )
    .bind(&kinds)
    .bind(&channels)
    .execute(tx.conn())
    .await
    .map_err(|error| match broken_constraint(&error) {
        Some("notification_preferences_service") => Error::ServiceMessage.into(),
        _ => Problem::from(error),
    })?;
    Ok(())
}
