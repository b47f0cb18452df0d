//! Writes of one statement that travel together: those that wait while others are on their way are one message, one
//! transaction, and one flush of the database's log.
//!
//! Each statement comes with the settings of its own actor before it, so that it runs in its own scope, as it would alone.
//! Where one of them is refused, none was kept, and each is run alone; so they are such as are the same once and twice.
//! They are put in the order of the rows that they lock, so that two transactions do not wait for each other.

use std::sync::{Arc, OnceLock};

use futures_util::TryStreamExt;
use futures_util::future::join_all;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Either, FromRow, raw_sql};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use uuid::Uuid;

use super::Actor;
use super::once::{self, Arg, Mode, Once, Unfinished};
use super::pool::{Pool, is_broken, patiently};

/// Statements in one transaction: those of others wait for all of them.
const AT_ONCE: usize = 48;
/// Transactions at a time. While these are on their way, what comes is gathered.
const UNDER_WAY: usize = 3;
/// How long the others wait for a row that somebody else has locked.
const LOCKS: &str = "SET LOCAL lock_timeout = '250ms'";
/// Statements of the simple protocol for each write: two settings, and its own.
const PARTS: usize = 3;

struct Waiting {
    /// The row that it locks.
    row: Uuid,
    once: Once,
    message: String,
    answer: oneshot::Sender<Result<Vec<PgRow>, sqlx::Error>>,
}

/// The writes of one log-in role.
#[derive(Clone, Default)]
pub struct Gathering(Arc<OnceLock<mpsc::UnboundedSender<Waiting>>>);

impl Gathering {
    /// Runs a statement in the scope of its actor. `row` names what it locks first.
    pub async fn write<T>(
        &self,
        pool: &Pool,
        actor: &Actor,
        row: Uuid,
        once: &Once,
        args: &[Arg<'_>],
    ) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        // as many wait as there are requests and sockets: each has one at a time
        let queue = self.0.get_or_init(|| {
            let (sender, queue) = mpsc::unbounded_channel();
            tokio::spawn(gather(pool.clone(), queue));
            sender
        });
        let (answer, answered) = oneshot::channel();
        let message = once::message(actor, Mode::Writes, once, args);
        let waiting = Waiting { row, once: *once, message, answer };
        queue.send(waiting).map_err(|_| sqlx::Error::PoolClosed)?;
        let rows = answered.await.map_err(|_| sqlx::Error::PoolClosed)??;
        rows.iter().map(T::from_row).collect()
    }
}

/// Sends what waits, until nobody is there who could.
async fn gather(pool: Pool, mut queue: mpsc::UnboundedReceiver<Waiting>) {
    let under_way = Arc::new(Semaphore::new(UNDER_WAY));
    loop {
        let Ok(permit) = under_way.clone().acquire_owned().await else { return };
        let mut batch = Vec::with_capacity(1);
        if queue.recv_many(&mut batch, AT_ONCE).await == 0 {
            return;
        }
        let pool = pool.clone();
        tokio::spawn(async move {
            send(&pool, batch, permit).await;
        });
    }
}

/// What one of them breaks is not the others': each is run alone then, all at once. Where there was no connection, or no
/// answer, there is none for each of them either.
async fn send(pool: &Pool, mut batch: Vec<Waiting>, permit: OwnedSemaphorePermit) {
    batch.sort_by_key(|it| it.row);
    match together(pool, &batch).await {
        Ok(answers) => {
            for (waiting, rows) in batch.into_iter().zip(answers) {
                let _ = waiting.answer.send(Ok(rows));
            }
            return;
        }
        Err(error) if matches!(error, sqlx::Error::Database(_)) || is_broken(&error) => {}
        Err(error) => {
            for waiting in batch {
                let _ = waiting.answer.send(Err(again(&error)));
            }
            return;
        }
    }
    // whoever waits for a row that is locked holds up nobody else
    drop(permit);
    join_all(batch.into_iter().map(async |waiting| {
        let rows = once::alone(pool, &waiting.once, &waiting.message).await;
        let _ = waiting.answer.send(rows);
    }))
    .await;
}

fn again(error: &sqlx::Error) -> sqlx::Error {
    match error {
        sqlx::Error::Io(error) => sqlx::Error::Io(error.kind().into()),
        sqlx::Error::PoolClosed => sqlx::Error::PoolClosed,
        _ => sqlx::Error::PoolTimedOut,
    }
}

/// The rows of each.
async fn together(pool: &Pool, batch: &[Waiting]) -> Result<Vec<Vec<PgRow>>, sqlx::Error> {
    let mut conn = Unfinished::new(pool.get().await?);
    let messages: Vec<_> = [LOCKS].into_iter().chain(batch.iter().map(|it| it.message.as_str())).collect();
    let answered = patiently(async {
        for waiting in batch {
            once::prepare(conn.get(), &waiting.once).await?;
        }
        let mut rows: Vec<Vec<PgRow>> = batch.iter().map(|_| Vec::new()).collect();
        let mut done: usize = 0;
        let mut parts = raw_sql(AssertSqlSafe(messages.join(";"))).fetch_many(&mut conn.get().pg);
        while let Some(part) = parts.try_next().await? {
            match part {
                Either::Left(_) => done += 1,
                Either::Right(row) => {
                    if let Some(of) = rows.get_mut(done.saturating_sub(1) / PARTS) {
                        of.push(row);
                    }
                }
            }
        }
        Ok(rows)
    })
    .await;
    conn.finish_after(&answered);
    answered
}
