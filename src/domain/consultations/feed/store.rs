//! SQL of the feed.

use chrono::{DateTime, Utc};

use crate::domain::consultations::model::Status;
use crate::platform::ids::ConsultationId;
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx};

/// What a calendar may show of a consultation.
pub struct Entry {
    pub id: ConsultationId,
    pub status: Status,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub ics_sequence: i32,
    pub updated_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct Row {
    locale: Locale,
    id: Option<ConsultationId>,
    status: Option<Status>,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
    ics_sequence: Option<i32>,
    updated_at: Option<DateTime<Utc>>,
}

/// The language and the entries of the feed with a token; `None` where there is no such feed.
pub async fn read(
    tx: &mut Tx,
    hash: &[u8],
    (since, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Option<(Locale, Vec<Entry>)>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT locale, id, status, starts_at, ends_at, ics_sequence, updated_at FROM auth.calendar_feed($1, $2, $3)",
    )
    .bind(hash)
    .bind(since)
    .bind(until)
    .fetch_all(tx.conn())
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let locale = first.locale;
    // the first row stands for the feed alone
    let entry = |row: Row| {
        Some(Entry {
            id: row.id?,
            status: row.status?,
            starts_at: row.starts_at?,
            ends_at: row.ends_at?,
            ics_sequence: row.ics_sequence?,
            updated_at: row.updated_at?,
        })
    };
    Ok(Some((locale, rows.into_iter().filter_map(entry).collect())))
}
