//! A read of one statement, in one round trip.
//!
//! Round trips decide what a read costs: BEGIN with its settings, the statement, and the end of the transaction are
//! three. Here the settings and the statement, prepared beforehand on its connection, travel in one message of the
//! simple protocol, which PostgreSQL runs as one transaction of its own. The scope is the same as a [`super::Tx`]'s.
//! What such a message holds is made of UUIDs, times, numbers and words of the program: nothing in it can hold a quote.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow, raw_sql};
use uuid::Uuid;

use super::pool::{Connection, Pool, is_broken};
use super::{Actor, setting};
use crate::platform::problem::Result;

/// A statement that a busy route sends all the time.
#[derive(Clone, Copy, Debug)]
pub struct Once {
    /// Unique in the program; lower case letters and underscores.
    pub name: &'static str,
    /// With `$1`, `$2` …, each cast to its type where the statement does not tell it.
    pub statement: &'static str,
}

/// A value for a [`Once`]: only what cannot hold a quote.
#[derive(Clone, Copy, Debug)]
pub enum Arg {
    Id(Option<Uuid>),
    At(Option<DateTime<Utc>>),
    Count(i64),
    /// A word of the program, such as a state.
    Word(Option<&'static str>),
}

impl Arg {
    fn write(self, out: &mut String) {
        let _ = match self {
            Self::Id(Some(id)) => write!(out, "'{id}'"),
            Self::At(Some(at)) => write!(out, "'{}'", at.format("%Y-%m-%d %H:%M:%S%.6f+00")),
            Self::Count(count) => write!(out, "{count}"),
            Self::Word(Some(word)) => write!(out, "'{}'", word.replace('\'', "''")),
            Self::Id(None) | Self::At(None) | Self::Word(None) => out.write_str("NULL"),
        };
    }
}

/// The rows that the actor may see.
pub async fn run<T>(pool: &Pool, actor: &Actor, once: &Once, args: &[Arg]) -> Result<Vec<T>>
where
    T: for<'r> FromRow<'r, PgRow>,
{
    let message = message(actor, once, args);
    let mut broken = 0;
    let rows = loop {
        let mut conn = pool.get().await?;
        match fetch(&mut conn, once, &message).await {
            Ok(rows) => break rows,
            Err(error) => {
                let try_another = is_broken(&error) && broken <= pool.size();
                // what failed may be in any state
                drop(deadpool::managed::Object::take(conn));
                if !try_another {
                    return Err(error.into());
                }
                broken += 1;
            }
        }
    };
    Ok(rows.iter().map(T::from_row).collect::<sqlx::Result<_>>()?)
}

fn message(actor: &Actor, once: &Once, args: &[Arg]) -> String {
    let mut message = String::with_capacity(256);
    let _ = write!(
        message,
        "SET LOCAL app.user_id = '{}'; SET LOCAL app.company_id = '{}'; EXECUTE {}(",
        setting(actor.user_id.map(|id| id.0)),
        setting(actor.company_id.map(|id| id.0)),
        once.name
    );
    for (n, arg) in args.iter().enumerate() {
        if n > 0 {
            message.push(',');
        }
        arg.write(&mut message);
    }
    message.push(')');
    message
}

async fn fetch(conn: &mut Connection, once: &Once, message: &str) -> sqlx::Result<Vec<PgRow>> {
    if !conn.prepared.contains(once.name) {
        let prepare = format!("PREPARE {} AS {}", once.name, once.statement);
        raw_sql(AssertSqlSafe(prepare)).execute(&mut conn.pg).await?;
        conn.prepared.insert(once.name);
    }
    raw_sql(AssertSqlSafe(message)).fetch_all(&mut conn.pg).await
}
