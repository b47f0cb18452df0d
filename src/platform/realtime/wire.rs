//! The way between nodes: what is told to all of them, over PostgreSQL or, where `REDIS_URL` is set, over Redis.
//!
//! What a node announces its own sockets hear at once, in the process; the other nodes a moment later, many things in one
//! message. That is a reason to look and never more: what is lost on the way, because a node died after a commit or because
//! Redis is away, is found when the revisions are compared, which each module does every few seconds.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Client, Pipeline};
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Notify, broadcast};
use uuid::Uuid;

use crate::platform::config::Config;
use crate::platform::context::Platform;
use crate::platform::crypto::derive;
use crate::platform::db::Actor;
use crate::platform::problem::{Problem, Result};

/// What waits to be told to other nodes; further words are left out.
const UNTOLD: usize = 8192;
/// What is told at once.
const TOLD_AT_ONCE: usize = 500;
/// Between one message to the others and the next: what comes meanwhile goes together.
const REST: Duration = Duration::from_millis(4);
/// What waits to be heard in this process; whoever falls behind looks at everything.
const UNHEARD: usize = 4096;
/// After the others could not be told, and before that is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Redis answers by then, or is away …
const PATIENCE: Duration = Duration::from_secs(1);
/// … and is not asked again for so long, that nobody waits for it.
const AWAY: Duration = Duration::from_secs(5);

/// Something that is told: ids only.
#[derive(Clone, Debug)]
pub struct Word {
    pub channel: &'static str,
    pub about: String,
}

/// Of something that changes often, only the last revision; and all who are shown it otherwise from one of them on.
#[derive(Default)]
struct Latest {
    revision: i64,
    people: Vec<Uuid>,
}

#[derive(Default)]
struct Untold {
    revisions: HashMap<(&'static str, Uuid), Latest>,
    words: VecDeque<Word>,
}

pub struct Wire {
    redis: Option<Redis>,
    untold: Mutex<Untold>,
    waiting: Notify,
    here: broadcast::Sender<Word>,
}

pub struct Redis {
    client: Client,
    /// Before the names of channels: installations may share a server.
    prefix: String,
    publisher: tokio::sync::Mutex<Option<MultiplexedConnection>>,
    failed_at: Mutex<Option<Instant>>,
}

impl Wire {
    /// `base` says which database it is.
    pub fn open(config: &Config, base: &PgConnectOptions) -> Result<Self> {
        let redis = config.redis_url.as_ref().map(|url| {
            let client = Client::open(url.expose_secret()).map_err(|_| Problem::internal("REDIS_URL is of no use"))?;
            let purpose = format!("channels of {}", base.get_database().unwrap_or_default());
            let name = derive::key(&config.database_roles_secret, &purpose);
            let prefix = URL_SAFE_NO_PAD.encode(name.get(..12).unwrap_or_default());
            Ok::<_, Problem>(Redis {
                client,
                prefix: format!("huntzen:{prefix}:"),
                publisher: tokio::sync::Mutex::default(),
                failed_at: Mutex::default(),
            })
        });
        let here = broadcast::Sender::new(UNHEARD);
        Ok(Self { redis: redis.transpose()?, untold: Mutex::default(), waiting: Notify::new(), here })
    }

    /// Tells that something was changed and committed, up to which revision, and in whose lists it is shown otherwise now: to
    /// this process now, to the others soon.
    pub fn announce(&self, channel: &'static str, id: Uuid, revision: i64, people: &[Uuid]) {
        let _ = self.here.send(Word { channel, about: about(id, revision, people) });
        let mut untold = self.untold();
        if untold.revisions.len() < UNTOLD {
            let latest = untold.revisions.entry((channel, id)).or_default();
            latest.revision = revision.max(latest.revision);
            for person in people {
                if !latest.people.contains(person) {
                    latest.people.push(*person);
                }
            }
        }
        drop(untold);
        self.waiting.notify_one();
    }

    /// Tells something that is kept nowhere, such as that somebody is writing. All nodes hear it, this one as well.
    pub fn say(&self, channel: &'static str, about: String) {
        let mut untold = self.untold();
        if untold.words.len() < UNTOLD {
            untold.words.push_back(Word { channel, about });
        }
        drop(untold);
        self.waiting.notify_one();
    }

    /// What this node announces.
    pub(super) fn hear(&self) -> broadcast::Receiver<Word> {
        self.here.subscribe()
    }

    pub(super) fn redis(&self) -> Option<&Redis> {
        self.redis.as_ref()
    }

    /// Whether Redis answers; `None`: there is none.
    pub async fn is_reachable(&self) -> Option<bool> {
        let redis = self.redis()?;
        Some(!redis.is_away() && redis.publish(&[]).await.is_ok())
    }

    fn untold(&self) -> MutexGuard<'_, Untold> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Vec<Word> {
        let mut untold = self.untold();
        let count = untold.words.len().min(TOLD_AT_ONCE);
        let mut batch: Vec<Word> = untold.words.drain(..count).collect();
        let revisions = std::mem::take(&mut untold.revisions);
        drop(untold);
        let told = |((channel, id), it): ((_, _), Latest)| Word { channel, about: about(id, it.revision, &it.people) };
        batch.extend(revisions.into_iter().map(told));
        batch
    }

    /// What could not be told comes first the next time: that somebody left is kept nowhere else.
    fn put_back(&self, batch: Vec<Word>) {
        let mut untold = self.untold();
        for word in batch.into_iter().rev() {
            if untold.words.len() < UNTOLD {
                untold.words.push_front(word);
            }
        }
    }
}

/// The id, the revision, and the people's ids.
fn about(id: Uuid, revision: i64, people: &[Uuid]) -> String {
    let mut about = format!("{id} {revision}");
    for person in people {
        let _ = write!(about, " {person}");
    }
    about
}

/// What changed, and up to which revision; the largest where that was not told.
pub fn changed(about: &str) -> Option<(Uuid, i64)> {
    let mut words = about.split(' ');
    let id = words.next()?.parse().ok()?;
    Some((id, words.next().map_or(Ok(i64::MAX), str::parse).ok()?))
}

/// In whose lists it is shown otherwise now.
pub fn people_of(about: &str) -> impl Iterator<Item = Uuid> {
    about.split(' ').skip(2).filter_map(|it| it.parse().ok())
}

/// Tells the other nodes what is announced and said, for as long as it is run.
pub async fn carry(platform: &Platform) {
    loop {
        platform.wire.waiting.notified().await;
        loop {
            let batch = platform.wire.next();
            if batch.is_empty() {
                break;
            }
            let mut rest = REST;
            if let Err(error) = tell(platform, &batch).await {
                tracing::debug!(%error, "the other nodes are not told now");
                platform.wire.put_back(batch);
                rest = AGAIN;
            }
            tokio::time::sleep(rest).await;
        }
    }
}

/// Over Redis; where there is none, or it is away, over the database, which each node hears in any case.
pub(super) async fn tell(platform: &Platform, words: &[Word]) -> Result<()> {
    if let Some(redis) = platform.wire.redis()
        && !redis.is_away()
        && redis.publish(words).await.is_ok()
    {
        return Ok(());
    }
    let channels: Vec<_> = words.iter().map(|word| word.channel).collect();
    let abouts: Vec<_> = words.iter().map(|word| word.about.as_str()).collect();
    let mut tx = platform.db.anonymous(Actor::job(None, None)).await?;
    sqlx::query("SELECT pg_notify(it.channel, it.about) FROM unnest($1::text[], $2::text[]) AS it (channel, about)")
        .bind(channels)
        .bind(abouts)
        .execute(tx.conn())
        .await?;
    tx.commit().await
}

impl Redis {
    fn failed_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_away(&self) -> bool {
        self.failed_at().is_some_and(|at| at.elapsed() < AWAY)
    }

    async fn publish(&self, words: &[Word]) -> redis::RedisResult<()> {
        let published = self.try_publish(words).await;
        *self.failed_at() = published.is_err().then(Instant::now);
        published
    }

    async fn try_publish(&self, words: &[Word]) -> redis::RedisResult<()> {
        let mut messages = Pipeline::with_capacity(words.len() + 1);
        for word in words {
            messages.cmd("PUBLISH").arg(format!("{}{}", self.prefix, word.channel)).arg(&word.about).ignore();
        }
        if words.is_empty() {
            messages.cmd("PING").ignore();
        }
        let mut publisher = self.publisher.lock().await;
        // a connection that was lost meanwhile is found out here
        for is_last in [false, true] {
            let mut connection = match publisher.take() {
                Some(connection) => connection,
                None => self.client.get_multiplexed_async_connection_with_config(&patience()).await?,
            };
            match messages.query_async::<()>(&mut connection).await {
                Ok(()) => {
                    *publisher = Some(connection);
                    return Ok(());
                }
                Err(error) if is_last => return Err(error),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// A connection that hears some channels.
    pub(super) async fn subscribe(&self, channels: &[&str]) -> redis::RedisResult<PubSub> {
        let connecting = async {
            let mut subscribed = self.client.get_async_pubsub().await?;
            for channel in channels {
                subscribed.subscribe(format!("{}{channel}", self.prefix)).await?;
            }
            Ok(subscribed)
        };
        tokio::time::timeout(PATIENCE * 2, connecting).await.unwrap_or_else(|_| Err(late()))
    }

    /// Which of the module's channels a message came on.
    pub(super) fn channel<'a>(&self, name: &'a str) -> &'a str {
        name.strip_prefix(&self.prefix).unwrap_or_default()
    }
}

fn patience() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE))
}

pub(super) fn late() -> redis::RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_with_its_revision_or_without() {
        let id = Uuid::from_u128(7);
        assert_eq!(changed(&about(id, 12, &[])), Some((id, 12)));
        assert_eq!(changed(&about(id, 12, &[id])), Some((id, 12)));
        assert_eq!(changed(&id.to_string()), Some((id, i64::MAX)));
        assert_eq!(changed("x 12"), None);
        assert_eq!(changed(&format!("{id} x")), None);
    }

    #[test]
    fn whose_lists_change_is_told_with_it() {
        let [id, alice, dr] = [7, 8, 9].map(Uuid::from_u128);
        let told = |about: &str| people_of(about).collect::<Vec<_>>();
        assert_eq!(told(&about(id, 12, &[alice, dr])), [alice, dr]);
        assert!(told(&about(id, 12, &[])).is_empty());
        assert_eq!(told(&format!("{id} 12 x {dr}")), [dr]);
        assert!(told(&id.to_string()).is_empty());
    }
}
