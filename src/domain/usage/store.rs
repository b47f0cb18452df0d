//! SQL of counters.

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};

use super::model::{Basis, Breakdown, Count, Line, Months, Withheld};
use crate::platform::{Problem, Result, Tx};

/// What the counters of the transaction's company rest on.
pub async fn find_basis(tx: &mut Tx) -> Result<Option<Basis>> {
    Ok(sqlx::query_as(
        "SELECT as_of, threshold, contract_starts_on, contract_ends_on, seats, sessions_per_employee
         FROM stats.usage_basis()",
    )
    .fetch_optional(tx.conn())
    .await?)
}

#[derive(sqlx::FromRow)]
struct LineRow {
    month: NaiveDate,
    threshold: i32,
    is_total: bool,
    row_key: String,
    column_key: String,
    label: Option<String>,
    sessions: Option<i32>,
    minutes: Option<i32>,
    people: Option<i32>,
    withheld: Option<String>,
}

impl TryFrom<LineRow> for Line {
    type Error = Problem;

    fn try_from(row: LineRow) -> Result<Self> {
        let count = match (row.withheld.as_deref(), row.sessions, row.minutes, row.people) {
            (None, Some(sessions), minutes, Some(people)) => Count::Shown { sessions, minutes, people },
            (Some("small_group"), ..) => Count::Withheld(Withheld::SmallGroup),
            (Some("derivable"), ..) => Count::Withheld(Withheld::Derivable),
            _ => return Err(Problem::internal("a counter that is neither shown nor withheld")),
        };
        let LineRow { threshold, is_total, row_key, column_key, label, .. } = row;
        Ok(Self { month: row.month.into(), threshold, is_total, row: row_key, column: column_key, label, count })
    }
}

/// The published counters of the transaction's company by month: the cells of the table, then the month as a whole.
pub fn stream_lines<'a>(tx: &'a mut Tx, months: &Months, by: Option<Breakdown>) -> BoxStream<'a, Result<Line>> {
    sqlx::query_as::<_, LineRow>(
        "SELECT c.month, m.threshold, c.dimensions = 'total' AS is_total, c.row_key, c.column_key, c.label, c.sessions,
                c.minutes, c.people, c.withheld
         FROM app.usage_cells c JOIN app.usage_months m ON m.company_id = c.company_id AND m.month = c.month
         WHERE c.company_id = (SELECT app.company_id()) AND c.month BETWEEN $1 AND $2 AND c.dimensions IN ('total', $3)
         ORDER BY c.month, is_total, CASE c.dimensions WHEN 'department' THEN '' ELSE c.row_key END, c.label NULLS LAST,
                  c.row_key, c.column_key",
    )
    .bind(months.from.first_day())
    .bind(months.to.first_day())
    .bind(by.map_or("total", Breakdown::as_str))
    .fetch(tx.conn())
    .map(|row| Line::try_from(row?))
    .boxed()
}

pub async fn list_lines(tx: &mut Tx, months: &Months, by: Option<Breakdown>) -> Result<Vec<Line>> {
    stream_lines(tx, months, by).try_collect().await
}

/// The first count of a long history takes its time, and so may the publication of it: what is cut short is begun from the
/// beginning by the next try, and never ends.
async fn take_time(tx: &mut Tx) -> Result<()> {
    sqlx::query("SET LOCAL statement_timeout = 0").execute(tx.conn()).await?;
    Ok(())
}

/// Counts what is not published yet.
pub async fn refresh(tx: &mut Tx, at: DateTime<Utc>) -> Result<()> {
    take_time(tx).await?;
    sqlx::query("SELECT stats.refresh($1, false)").bind(at).execute(tx.conn()).await?;
    Ok(())
}

/// Publishes so many months of companies that are over; how many there were.
pub async fn publish(tx: &mut Tx, batch: i32) -> Result<i32> {
    take_time(tx).await?;
    Ok(sqlx::query_scalar("SELECT stats.publish($1)").bind(batch).fetch_one(tx.conn()).await?)
}

/// How many lines [`stream_lines`] gives.
pub async fn count_lines(tx: &mut Tx, months: &Months, by: Option<Breakdown>) -> Result<i32> {
    Ok(sqlx::query_scalar(
        "SELECT count(*)::int FROM app.usage_cells c
         WHERE c.company_id = (SELECT app.company_id()) AND c.month BETWEEN $1 AND $2 AND c.dimensions IN ('total', $3)",
    )
    .bind(months.from.first_day())
    .bind(months.to.first_day())
    .bind(by.map_or("total", Breakdown::as_str))
    .fetch_one(tx.conn())
    .await?)
}
