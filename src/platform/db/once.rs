//! One statement, in one round trip.
//!
//! Round trips decide what a read costs: BEGIN with its settings, the statement, and the end of the transaction are
//! three. Here the settings and the statement, prepared beforehand on its connection, travel in one message of the
//! simple protocol, which PostgreSQL runs as one transaction of its own. The scope is the same as a [`super::Tx`]'s, and so is that it can only read.
//! What such a message holds is made of UUIDs, times, numbers, words of the program and hexadecimal bytes, and quoted all the
//! same. Writes go the same way, together ([`super::gather`]).

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use deadpool::managed::Object;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow, raw_sql};
use uuid::Uuid;

use super::pool::{Connection, Manager, Pool, is_broken, patiently};
use super::{Actor, setting};
use crate::platform::telemetry::traces;

/// A statement that a busy route sends all the time.
#[derive(Clone, Copy, Debug)]
pub struct Once {
    /// Unique in the program; lower case letters and underscores.
    pub name: &'static str,
    /// With `$1`, `$2` …, each cast to its type where the statement does not tell it.
    pub statement: &'static str,
}

/// A write that many callers send at the same moment.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// In the scope of its caller.
    pub alone: Once,
    /// The same for several callers: `$1` are their ids, `$2` those of their companies, then comes an array for each argument of
    /// `alone`. Each row that it answers says whose it is by its `place`, from one on. Who gets none is served alone.
    pub together: Once,
}

/// A value for a [`Once`].
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    Id(Option<Uuid>),
    At(Option<DateTime<Utc>>),
    Count(i64),
    /// A word of the program, such as a state.
    Word(Option<&'static str>),
    Bytes(&'a [u8]),
    Flag(bool),
}

/// Whether the transaction may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Reads,
    Writes,
}

impl Arg<'_> {
    /// As PostgreSQL reads it. `None`: NULL.
    pub fn text(self) -> Option<String> {
        Some(match self {
            Self::Id(id) => id?.to_string(),
            // beyond these years PostgreSQL writes dates in another way, and nothing of ours lies there
            Self::At(at) => {
                let at = at?;
                let (first, last) =
                    (DateTime::from_timestamp(-62_135_596_800, 0), DateTime::from_timestamp(253_402_300_799, 0));
                let at = at.clamp(first.unwrap_or(at), last.unwrap_or(at));
                at.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string()
            }
            Self::Count(count) => count.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Bytes(bytes) => format!("\\x{}", hex::encode(bytes)),
            Self::Word(word) => word?.to_owned(),
        })
    }
}

/// A literal that takes the type of its place.
pub fn quote(text: Option<&str>, out: &mut String) {
    match text {
        None => out.push_str("NULL"),
        Some(text) => {
            out.push('\'');
            for (n, piece) in text.split('\'').enumerate() {
                out.push_str(if n > 0 { "\'\'" } else { "" });
                out.push_str(piece);
            }
            out.push('\'');
        }
    }
}

/// The rows that the actor may see.
pub async fn read<T>(pool: &Pool, actor: &Actor, once: &Once, args: &[Arg<'_>]) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, PgRow>,
{
    let rows = alone(pool, once, &message(actor, Mode::Reads, once, args)).await?;
    rows.iter().map(T::from_row).collect()
}

/// The answer to a message.
pub async fn alone(pool: &Pool, once: &Once, message: &str) -> Result<Vec<PgRow>, sqlx::Error> {
    let mut broken = 0;
    let _span = traces::database("postgresql statement", pool.options().get_username(), Some(once.name));
    loop {
        let mut conn = Unfinished::new(pool.get().await?);
        let answered = patiently(fetch(conn.get(), once, message)).await;
        conn.finish_after(&answered);
        match answered {
            Err(error) if (is_broken(&error) || is_outdated(&error)) && broken <= pool.max_size() => broken += 1,
            answered => return answered,
        }
    }
}

/// A connection whose answer is not there yet: dropped in that state, by an error or with its request, it is closed,
/// because the next caller would get what is left of the answer.
pub struct Unfinished(Option<Object<Manager>>);

impl Unfinished {
    pub fn new(conn: Object<Manager>) -> Self {
        Self(Some(conn))
    }

    #[allow(clippy::expect_used)] // taken only by what consumes it
    pub fn get(&mut self) -> &mut Connection {
        self.0.as_mut().expect("a connection until it is finished")
    }

    /// Gives the connection back where the answer was whole: rows, or a refusal.
    pub fn finish_after<T>(mut self, answered: &Result<T, sqlx::Error>) {
        let is_whole = match answered {
            Ok(_) => true,
            Err(error @ sqlx::Error::Database(_)) => !is_broken(error) && !is_outdated(error),
            Err(_) => false,
        };
        if is_whole {
            drop(self.0.take());
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(conn) = self.0.take() {
            drop(Object::take(conn));
        }
    }
}

/// What was prepared on this connection does not fit any more: the tables changed under it, or it is gone.
fn is_outdated(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| ["0A000", "26000", "42P05"].contains(&code.as_ref()))
}

pub fn message(actor: &Actor, mode: Mode, once: &Once, args: &[Arg<'_>]) -> String {
    let args: Vec<_> = args.iter().map(|arg| arg.text()).collect();
    in_scope(actor, mode, once, &args)
}

/// The same of arguments that are written.
pub fn in_scope(actor: &Actor, mode: Mode, once: &Once, args: &[Option<String>]) -> String {
    let mut message = String::with_capacity(256);
    if mode == Mode::Reads {
        message.push_str("SET LOCAL transaction_read_only = on; ");
    }
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
        quote(arg.as_deref(), &mut message);
    }
    message.push(')');
    message
}

/// Prepares a statement where the connection does not have it yet.
pub async fn prepare(conn: &mut Connection, once: &Once) -> sqlx::Result<()> {
    if !conn.prepared.contains(once.name) {
        let prepare = format!("PREPARE {} AS {}", once.name, once.statement);
        raw_sql(AssertSqlSafe(prepare)).execute(&mut conn.pg).await?;
        conn.prepared.insert(once.name);
    }
    Ok(())
}

async fn fetch(conn: &mut Connection, once: &Once, message: &str) -> sqlx::Result<Vec<PgRow>> {
    prepare(conn, once).await?;
    raw_sql(AssertSqlSafe(message)).fetch_all(&mut conn.pg).await
}
