//! Times in which nothing is written: changes are answered by `503 maintenance` with `Retry-After`, reading goes on. Who
//! switches it is exempt, and everybody may log in, so that somebody can end it. Jobs go on, and so do sessions: who has one
//! is let in, and says when it began and ended. Otherwise jobs would write down as missed what nobody was let into.
//!
//! It is a row of the database, which each node asks for every other second, while there are changes to refuse.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use poem::http::Method;
use tokio::sync::Mutex;

use crate::platform::Platform;
use crate::platform::db::Actor;
use crate::platform::problem::{Error, Problem, Result};

/// How long what was read is believed.
const FRESH: Duration = Duration::from_secs(2);
/// A database that does not answer by then leaves it as it was.
const PATIENCE: Duration = Duration::from_millis(500);
/// Without these nobody could come in and end it.
const ALWAYS: [&str; 4] =
    ["/api/v1/auth/login", "/api/v1/auth/login/totp", "/api/v1/auth/refresh", "/api/v1/auth/logout"];
/// What is done to a session while it is held.
const HELD: [&str; 3] = ["join", "start", "end"];

/// Whether it is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct State {
    pub is_on: bool,
    /// When clients are told to come back.
    pub retry_after_seconds: i32,
}

/// What this node knows of it.
#[derive(Debug, Default)]
pub struct Maintenance {
    known: RwLock<Option<(Instant, State)>>,
    asking: Mutex<()>,
}

/// Whether a request may change something, and can wait.
pub fn is_change(method: &Method, path: &str) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) && !ALWAYS.contains(&path) && !is_of_session(path)
}

/// `/api/v1/consultations/{id}/join`, and the like.
fn is_of_session(path: &str) -> bool {
    let session = path.strip_prefix("/api/v1/consultations/").and_then(|rest| rest.split_once('/'));
    session.is_some_and(|(id, verb)| !id.is_empty() && HELD.contains(&verb))
}

impl Maintenance {
    /// As the database said at most two seconds ago.
    pub async fn state(&self, platform: &Platform) -> State {
        let known = *self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, state)) = known
            && at.elapsed() < FRESH
        {
            return state;
        }
        let last = known.map(|(_, state)| state).unwrap_or_default();
        // one asks, the others go by what was known
        let Ok(_asking) = self.asking.try_lock() else { return last };
        let state = match tokio::time::timeout(PATIENCE, read(platform)).await {
            Ok(Ok(state)) => state,
            Ok(Err(_)) | Err(_) => last,
        };
        self.note(state);
        state
    }

    /// It was just switched by this node.
    pub fn note(&self, state: State) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), state));
    }

    /// Refuses a change while it is on.
    pub async fn refuse(&self, platform: &Platform) -> Result<()> {
        let state = self.state(platform).await;
        if state.is_on {
            let later = state.retry_after_seconds.to_string();
            return Err(Problem::from(Error::Maintenance).with_header("retry-after", later));
        }
        Ok(())
    }
}

async fn read(platform: &Platform) -> Result<State> {
    let mut tx = platform.db.anonymous(Actor::job(None, None)).await?;
    Ok(sqlx::query_as("SELECT is_on, retry_after_seconds FROM auth.maintenance()").fetch_one(tx.conn()).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_coming_in_and_holding_a_session_are_no_changes() {
        for (method, path, expected) in [
            (Method::GET, "/api/v1/me", false),
            (Method::HEAD, "/api/v1/me", false),
            (Method::POST, "/api/v1/auth/login", false),
            (Method::POST, "/api/v1/auth/refresh", false),
            (Method::POST, "/api/v1/auth/forgot-password", true),
            (Method::POST, "/api/v1/consultations", true),
            (Method::PATCH, "/api/v1/me", true),
            (Method::DELETE, "/api/v1/auth/sessions", true),
            (Method::POST, "/api/v1/consultations/01941f29/join", false),
            (Method::POST, "/api/v1/consultations/01941f29/start", false),
            (Method::POST, "/api/v1/consultations/01941f29/end", false),
            (Method::POST, "/api/v1/consultations/01941f29/cancel", true),
            (Method::POST, "/api/v1/consultations/01941f29/notes/end", true),
            (Method::POST, "/api/v1/consultations//join", true),
            (Method::POST, "/api/v1/notes/01941f29/end", true),
        ] {
            assert_eq!(is_change(&method, path), expected, "{method} {path}");
        }
    }
}
