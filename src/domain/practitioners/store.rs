//! SQL of practitioners and their weekly hours.

use std::str::FromStr;

use chrono::TimeDelta;

use super::hours::Rule;
use super::model::BookingTerms;
use crate::platform::ids::PractitionerId;
use crate::platform::{Problem, Result, Tx};

#[derive(sqlx::FromRow)]
struct TermsRow {
    display_name: String,
    time_zone: String,
    session_lengths: Vec<i32>,
    buffer_before_minutes: i32,
    buffer_after_minutes: i32,
    min_notice_minutes: i32,
    horizon_days: i32,
    modes: Vec<String>,
    specialty: String,
    status: String,
}

/// What a booking must keep to, of a practitioner whom the caller may see.
pub async fn find_booking_terms(tx: &mut Tx, id: PractitionerId) -> Result<Option<BookingTerms>> {
    let row: Option<TermsRow> = sqlx::query_as(
        "SELECT p.display_name, p.time_zone, p.session_lengths, p.buffer_before_minutes, p.buffer_after_minutes,
                p.min_notice_minutes, p.horizon_days, p.modes, s.specialty, p.status
         FROM app.practitioners p
         JOIN app.practitioner_specialties s ON s.practitioner_id = p.id
         WHERE p.id = $1 ORDER BY s.rank, s.specialty LIMIT 1",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut session_lengths = row.session_lengths;
    session_lengths.sort_unstable();
    Ok(Some(BookingTerms {
        id,
        display_name: row.display_name,
        time_zone: read(&row.time_zone)?,
        session_lengths,
        buffer_before: TimeDelta::minutes(row.buffer_before_minutes.into()),
        buffer_after: TimeDelta::minutes(row.buffer_after_minutes.into()),
        min_notice: TimeDelta::minutes(row.min_notice_minutes.into()),
        horizon_days: row.horizon_days,
        modes: read_all(&row.modes)?,
        specialty: read(&row.specialty)?,
        status: read(&row.status)?,
    }))
}

/// The weekly hours, by weekday and time.
pub async fn list_rules(tx: &mut Tx, id: PractitionerId) -> Result<Vec<Rule>> {
    Ok(sqlx::query_as(
        "SELECT weekday, starts_minute, ends_minute FROM app.availability_rules
         WHERE practitioner_id = $1 ORDER BY weekday, starts_minute",
    )
    .bind(id)
    .fetch_all(tx.conn())
    .await?)
}

/// Reads a word of the database; one that is not known is a fault of ours.
fn read<T: FromStr>(word: &str) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    word.parse().map_err(Problem::internal)
}

fn read_all<T: FromStr>(words: &[String]) -> Result<Vec<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    words.iter().map(|word| read(word)).collect()
}
