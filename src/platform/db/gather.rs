//! Writes of one kind that travel together: those that wait while others are on their way are one statement, one
//! transaction, and one flush of the database's log.
//!
//! The statement runs in nobody's scope and is told whose each of them is; what nothing is in the way of is done. Whatever is
//! not, or all of them where one breaks something, is run alone in the scope of its own caller, and answered what that says; so
//! they are such as are the same once and twice. They come in the order of the rows that they lock, and no row twice, so that
//! two transactions do not wait for each other. Whoever waits for their turn waits no longer than for a connection.

use std::collections::{HashSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow, Row, raw_sql};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::Actor;
use super::once::{self, Arg, Mode, Unfinished, Write};
use super::pool::{Pool, is_broken, patiently};

/// Writes in one transaction: each waits for all of them.
const AT_ONCE: usize = 48;
/// Transactions of one role at a time. While these are on their way, what comes is gathered.
const UNDER_WAY: usize = 2;
/// How long the others wait for a row that somebody else has locked.
const LOCKS: &str = "SET LOCAL lock_timeout = '250ms'";

struct Waiting {
    /// The row that it locks.
    row: Uuid,
    actor: Actor,
    write: Write,
    args: Vec<Option<String>>,
    since: Instant,
    answer: oneshot::Sender<Result<Vec<PgRow>, sqlx::Error>>,
}

/// Those that share one statement.
struct Kind {
    name: &'static str,
    queue: mpsc::UnboundedSender<Waiting>,
}

/// The writes of one log-in role.
#[derive(Clone, Default)]
pub struct Gathering {
    kinds: Arc<Mutex<Vec<Kind>>>,
    under_way: Arc<UnderWay>,
}

/// What is on its way of one role. Whoever wants a row that is, waits without a connection.
struct UnderWay {
    permits: Arc<Semaphore>,
    rows: Mutex<HashSet<Uuid>>,
    freed: Notify,
    /// When there was no connection last: whoever waited then need not wait for none once more.
    refused_at: Mutex<Option<Instant>>,
}

impl Default for UnderWay {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(UNDER_WAY)),
            rows: Mutex::default(),
            freed: Notify::new(),
            refused_at: Mutex::default(),
        }
    }
}

/// A row that is on its way until this is dropped.
struct Held {
    under_way: Arc<UnderWay>,
    row: Uuid,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.under_way.rows.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.row);
        self.under_way.freed.notify_waiters();
    }
}

impl Gathering {
    /// Writes for an actor. `row` is what it locks first.
    pub async fn write<T>(
        &self,
        pool: &Pool,
        actor: &Actor,
        row: Uuid,
        write: &Write,
        args: &[Arg<'_>],
    ) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let (answer, answered) = oneshot::channel();
        let args = args.iter().map(|arg| arg.text()).collect();
        let waiting = Waiting { row, actor: actor.clone(), write: *write, args, since: Instant::now(), answer };
        self.queue(pool, write).send(waiting).map_err(|_| sqlx::Error::PoolClosed)?;
        let rows = answered.await.map_err(|_| sqlx::Error::PoolClosed)??;
        rows.iter().map(T::from_row).collect()
    }

    /// As many wait in it as there are requests and sockets: each has one at a time.
    fn queue(&self, pool: &Pool, write: &Write) -> mpsc::UnboundedSender<Waiting> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = kinds.iter().find(|kind| kind.name == write.together.name) {
            return kind.queue.clone();
        }
        let (sender, queue) = mpsc::unbounded_channel();
        tokio::spawn(gather(pool.clone(), self.under_way.clone(), queue));
        kinds.push(Kind { name: write.together.name, queue: sender.clone() });
        sender
    }
}

/// Sends what waits, until nobody is there who could.
async fn gather(pool: Pool, under_way: Arc<UnderWay>, mut queue: mpsc::UnboundedReceiver<Waiting>) {
    let patience = pool.patience();
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Some(first) = queue.recv().await else { return };
            waiting.push_back(first);
        }
        let Ok(permit) = under_way.permits.clone().acquire_owned().await else { return };
        let mut freed = pin!(under_way.freed.notified());
        // before it is looked: a row that is free from now on is not missed
        freed.as_mut().enable();
        while let Ok(more) = queue.try_recv() {
            waiting.push_back(more);
        }
        let batch = take(&under_way, &mut waiting, Instant::now(), patience, || pool.timed_out());
        if batch.is_empty() {
            drop(permit);
            let Some(first) = waiting.iter().map(|it| it.since).min() else { continue };
            tokio::select! {
                () = freed => {}
                Some(more) = queue.recv() => waiting.push_back(more),
                () = tokio::time::sleep_until(first + patience) => {}
            }
            continue;
        }
        let (pool, under_way) = (pool.clone(), under_way.clone());
        tokio::spawn(async move {
            send(&pool, &under_way, batch, permit).await;
        });
    }
}

/// The first ones whose rows are not on their way, each row once. Nobody waits for the answer of who has gone; who has waited
/// long enough is refused.
fn take(
    under_way: &Arc<UnderWay>,
    waiting: &mut VecDeque<Waiting>,
    now: Instant,
    patience: Duration,
    refusal: impl Fn() -> sqlx::Error,
) -> Vec<(Waiting, Held)> {
    let refused_at = *under_way.refused_at.lock().unwrap_or_else(PoisonError::into_inner);
    let mut rows = under_way.rows.lock().unwrap_or_else(PoisonError::into_inner);
    let mut batch = Vec::new();
    for it in std::mem::take(waiting) {
        if it.answer.is_closed() {
            continue;
        }
        if refused_at.is_some_and(|at| it.since <= at) || now.saturating_duration_since(it.since) >= patience {
            let _ = it.answer.send(Err(refusal()));
            continue;
        }
        if batch.len() < AT_ONCE && rows.insert(it.row) {
            let held = Held { under_way: under_way.clone(), row: it.row };
            batch.push((it, held));
        } else {
            waiting.push_back(it);
        }
    }
    drop(rows);
    batch.sort_unstable_by_key(|(it, _)| it.row);
    batch
}

/// Who was not served together is served alone, all at once: what one of them breaks is not the others'. Where there was no
/// connection, or no answer, there is none for each of them either.
async fn send(pool: &Pool, under_way: &UnderWay, batch: Vec<(Waiting, Held)>, permit: OwnedSemaphorePermit) {
    let answers = match together(pool, &batch).await {
        Ok(answers) => answers,
        Err(error) if matches!(error, sqlx::Error::Database(_)) || is_broken(&error) => Vec::new(),
        Err(error) => {
            if matches!(error, sqlx::Error::PoolTimedOut) {
                *under_way.refused_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            }
            for (waiting, _held) in batch {
                let _ = waiting.answer.send(Err(again(&error)));
            }
            return;
        }
    };
    let mut alone = Vec::new();
    let mut answers = answers.into_iter();
    for (waiting, held) in batch {
        match answers.next() {
            Some(rows) if !rows.is_empty() => {
                let _ = waiting.answer.send(Ok(rows));
            }
            _ => alone.push((waiting, held)),
        }
    }
    // whoever waits for a row that is locked holds up nobody else
    drop(permit);
    join_all(alone.into_iter().map(async |(it, _held)| {
        let message = once::in_scope(&it.actor, Mode::Writes, &it.write.alone, &it.args);
        let _ = it.answer.send(once::alone(pool, &it.write.alone, &message).await);
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
async fn together(pool: &Pool, batch: &[(Waiting, Held)]) -> Result<Vec<Vec<PgRow>>, sqlx::Error> {
    let Some((first, _)) = batch.first() else { return Ok(Vec::new()) };
    let mut conn = Unfinished::new(pool.get().await?);
    let message = format!("{LOCKS}; {}", message(&first.write, batch));
    let answered = patiently(async {
        once::prepare(conn.get(), &first.write.together).await?;
        raw_sql(AssertSqlSafe(message)).fetch_all(&mut conn.get().pg).await
    })
    .await;
    conn.finish_after(&answered);
    let mut rows: Vec<Vec<PgRow>> = batch.iter().map(|_| Vec::new()).collect();
    for row in answered? {
        let place = usize::try_from(row.try_get::<i64, _>("place")?).unwrap_or_default();
        if let Some(of) = place.checked_sub(1).and_then(|place| rows.get_mut(place)) {
            of.push(row);
        }
    }
    Ok(rows)
}

/// Calls the statement with an array for each argument, callers and their companies first.
fn message(write: &Write, batch: &[(Waiting, Held)]) -> String {
    let ids = |of: fn(&Actor) -> Option<Uuid>| batch.iter().map(move |(it, _)| of(&it.actor).map(|id| id.to_string()));
    let mut arrays = vec![array(ids(|it| it.user_id.map(|id| id.0))), array(ids(|it| it.company_id.map(|id| id.0)))];
    let count = batch.first().map_or(0, |(it, _)| it.args.len());
    arrays.extend((0..count).map(|n| array(batch.iter().map(|(it, _)| it.args.get(n)?.as_deref()))));
    let mut message = format!("EXECUTE {}(", write.together.name);
    for (n, array) in arrays.iter().enumerate() {
        message.push_str(if n > 0 { "," } else { "" });
        once::quote(Some(array), &mut message);
    }
    message.push(')');
    message
}

/// An array as PostgreSQL reads it.
fn array(elements: impl Iterator<Item = Option<impl AsRef<str>>>) -> String {
    let mut array = String::from("{");
    for (n, element) in elements.enumerate() {
        array.push_str(if n > 0 { "," } else { "" });
        let Some(text) = element else {
            array.push_str("NULL");
            continue;
        };
        array.push('"');
        for letter in text.as_ref().chars() {
            array.extend(matches!(letter, '"' | '\\').then_some('\\'));
            array.push(letter);
        }
        array.push('"');
    }
    array.push('}');
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_says_what_its_elements_are_and_nothing_else() {
        let quoted = |elements: &[Option<&str>]| {
            let mut out = String::new();
            once::quote(Some(&array(elements.iter().copied())), &mut out);
            out
        };
        assert_eq!(quoted(&[]), "'{}'");
        assert_eq!(quoted(&[Some("a"), None, Some("NULL")]), r#"'{"a",NULL,"NULL"}'"#);
        assert_eq!(quoted(&[Some("\\x00"), Some(r#"","'},"#)]), r#"'{"\\x00","\",\"''},"}'"#);
    }

    const SECOND: Duration = Duration::from_secs(1);

    /// Somebody who waits for a row.
    fn waits(row: u128, since: Instant) -> (Waiting, oneshot::Receiver<Result<Vec<PgRow>, sqlx::Error>>) {
        const NOTHING: once::Once = once::Once { name: "nothing", statement: "SELECT" };
        const NOBODY: Actor =
            Actor { user_id: None, role: None, company_id: None, session_id: None, ip: None, request_id: None };
        let (answer, answered) = oneshot::channel();
        let write = Write { alone: NOTHING, together: NOTHING };
        let row = Uuid::from_u128(row);
        (Waiting { row, actor: NOBODY, write, args: Vec::new(), since, answer }, answered)
    }

    fn next(under_way: &Arc<UnderWay>, waiting: &mut VecDeque<Waiting>, now: Instant) -> Vec<(Waiting, Held)> {
        take(under_way, waiting, now, SECOND, || sqlx::Error::PoolTimedOut)
    }

    fn rows(batch: &[(Waiting, Held)]) -> Vec<u128> {
        batch.iter().map(|(it, _)| it.row.as_u128()).collect()
    }

    #[test]
    fn of_many_who_wait_for_one_row_one_goes_and_others_go_with_it() {
        let (under_way, now) = (Arc::<UnderWay>::default(), Instant::now());
        let mut answers = Vec::new();
        let mut waiting: VecDeque<_> = (0..80)
            .map(|_| 7)
            .chain([3])
            .map(|row| {
                let (it, answered) = waits(row, now);
                answers.push(answered);
                it
            })
            .collect();
        let first = next(&under_way, &mut waiting, now);
        assert_eq!((rows(&first), waiting.len()), (vec![3, 7], 79));
        // while it is on its way, the others of its row wait, and one of another row does not
        let (other, _answered) = waits(5, now);
        waiting.push_back(other);
        let second = next(&under_way, &mut waiting, now);
        assert_eq!((rows(&second), waiting.len()), (vec![5], 79));
        assert!(next(&under_way, &mut waiting, now).is_empty());
        // who has gone is forgotten
        drop(first);
        answers.truncate(3);
        assert_eq!(rows(&next(&under_way, &mut waiting, now)), [7]);
        assert_eq!(waiting.len(), 1);
    }

    #[test]
    fn whoever_waited_while_there_was_no_connection_or_too_long_is_refused() {
        let (under_way, begun) = (Arc::<UnderWay>::default(), Instant::now());
        let (early, mut refused) = waits(1, begun);
        let (later, mut goes) = waits(2, begun + SECOND / 2);
        *under_way.refused_at.lock().unwrap() = Some(begun + SECOND / 4);
        let mut waiting = VecDeque::from([early, later]);
        let batch = next(&under_way, &mut waiting, begun + SECOND / 2);
        assert_eq!(rows(&batch), [2]);
        assert!(matches!(refused.try_recv(), Ok(Err(sqlx::Error::PoolTimedOut))));
        assert!(goes.try_recv().is_err(), "not answered yet");
        let (of_the_same, mut late) = waits(2, begun + SECOND / 2);
        waiting.push_back(of_the_same);
        assert!(next(&under_way, &mut waiting, begun + SECOND).is_empty());
        assert!(late.try_recv().is_err(), "it waits");
        assert!(next(&under_way, &mut waiting, begun + SECOND * 2).is_empty());
        assert!(matches!(late.try_recv(), Ok(Err(sqlx::Error::PoolTimedOut))));
    }
}
