//! What a person does in their journal.

use chrono::{DateTime, Days, NaiveDate, Utc};
use secrecy::SecretString;

use super::error::Error;
use super::keys::{self, Column, Reader, document};
use super::model::{Content, Entry, Filter, Kept, Period, Read, Step, is_askable, trend as steps_of};
use super::private::{self, Wrap};
use super::store::{self, After, KeptWraps, Sealing, WrapsBefore};
use crate::domain::identity::session::service::Device;
use crate::domain::identity::two_factor::{SecondStep, begin_proven};
use crate::platform::auth::Permission;
use crate::platform::crypto::envelope::SubjectKey;
use crate::platform::crypto::health_text::HealthText;
use crate::platform::crypto::seal::SealError;
use crate::platform::http::{Etag, IdempotencyKey};
use crate::platform::ids::JournalEntryId;
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Problem, Result, Tx};
use uuid::Uuid;

/// A trend over more days is refused.
const LONGEST_TREND: u64 = 3660;

async fn find(tx: &mut Tx, id: JournalEntryId) -> Result<Kept> {
    store::find(tx, id).await?.ok_or_else(|| Refusal::NotFound.into())
}

fn etag(updated: &Kept) -> Etag {
    Etag::of_version(updated.version)
}

pub fn etag_of(read: &Read) -> Etag {
    Etag::of_version(read.version)
}

/// Neither before anybody's time nor in the future, wherever the person is.
fn check_day(day: NaiveDate, today: NaiveDate) -> Result<()> {
    let mut faults = FieldErrors::new();
    let first = NaiveDate::from_ymd_opt(1900, 1, 1).unwrap_or_default();
    faults.check((first..=today + Days::new(1)).contains(&day), "/date", "journal_day");
    faults.finish()
}

/// What is asked for: days that can be, in their order.
pub fn check_span(from: Option<NaiveDate>, to: Option<NaiveDate>) -> Result<()> {
    let mut faults = FieldErrors::new();
    for (day, pointer) in [(from, "query:from"), (to, "query:to")] {
        faults.check(day.is_none_or(is_askable), pointer, "date");
    }
    if let (Some(from), Some(to)) = (from, to) {
        faults.check(from <= to, "query:to", "order");
    }
    faults.finish()
}

async fn seal(
    cx: &Context,
    tx: &mut Tx,
    id: JournalEntryId,
    version: i32,
    entry: &Entry,
    day: Option<NaiveDate>,
) -> Result<Sealing> {
    let today = store::find_today(tx, cx.now()).await?;
    let day = day.unwrap_or(today);
    check_day(day, today)?;
    let key = keys::for_writing(cx, tx).await?;
    let entropy = &cx.platform().entropy;
    let words = |column, text: &HealthText| key.seal(&document(column, id.0, version), text, entropy);
    let facts = match entry.facts() {
        Some(facts) => Some(words(Column::Facts, &facts.to_words()?)?),
        None => None,
    };
    let sealed = words(Column::Words, &entry.body_words()?)?;
    Ok(Sealing { day, sealed, facts, private_key: entry.private_key(), at: cx.now() })
}

async fn read_again(cx: &Context, tx: &mut Tx, id: JournalEntryId) -> Result<Read> {
    let kept = find(tx, id).await?;
    Ok(keys::reader(cx, tx).await?.open(&kept))
}

pub async fn create(cx: &Context, entry: Entry, day: Option<NaiveDate>, once: Option<&IdempotencyKey>) -> Result<Read> {
    let mut tx = cx.begin(Permission::KeepJournal).await?;
    if let Some(id) = tx.recall::<JournalEntryId>(once).await? {
        return read_again(cx, &mut tx, id).await;
    }
    let id: JournalEntryId = cx.new_id();
    let sealing = seal(cx, &mut tx, id, 1, &entry, day).await?;
    store::insert(&mut tx, id, &sealing).await?;
    // its words are kept in one place
    tx.remember(once, &id).await?;
    let read = read_again(cx, &mut tx, id).await?;
    tx.commit().await?;
    Ok(read)
}

/// At most `fetch` entries, the latest day first.
pub async fn list(cx: &Context, filter: &Filter, after: After, fetch: i64) -> Result<Vec<Read>> {
    let mut tx = cx.read(Permission::KeepJournal).await?;
    let reader = keys::reader(cx, &mut tx).await?;
    let kept = if filter.looks_inside() {
        let wanted: Vec<JournalEntryId> = store::list_facts(&mut tx, filter, after)
            .await?
            .iter()
            .filter(|kept| reader.open_facts(kept).is_some_and(|facts| filter.takes(&facts)))
            .map(|kept| kept.id)
            .take(usize::try_from(fetch).unwrap_or_default())
            .collect();
        store::list_by_ids(&mut tx, &wanted).await?
    } else {
        store::list(&mut tx, filter, after, fetch).await?
    };
    Ok(kept.iter().map(|kept| reader.open(kept)).collect())
}

pub async fn read(cx: &Context, id: JournalEntryId) -> Result<Read> {
    let mut tx = cx.read(Permission::KeepJournal).await?;
    read_again(cx, &mut tx, id).await
}

/// Puts another entry in the place of the one that the caller knows.
pub async fn save(
    cx: &Context,
    id: JournalEntryId,
    entry: Entry,
    day: Option<NaiveDate>,
    if_match: Option<&str>,
) -> Result<Read> {
    let mut tx = cx.begin(Permission::KeepJournal).await?;
    let known = find(&mut tx, id).await?;
    etag(&known).require_named(if_match)?;
    if !entry.follows(&keys::reader(cx, &mut tx).await?.open(&known)) {
        return Err(Error::JournalEntryDiffers.into());
    }
    let sealing = seal(cx, &mut tx, id, known.version + 1, &entry, day.or(Some(known.day))).await?;
    if !store::save(&mut tx, &known, &sealing).await? {
        return Err(Refusal::Stale.into());
    }
    let read = read_again(cx, &mut tx, id).await?;
    tx.commit().await?;
    Ok(read)
}

/// Nothing of it is left.
pub async fn delete(cx: &Context, id: JournalEntryId, if_match: Option<&str>) -> Result<()> {
    let mut tx = cx.begin(Permission::KeepJournal).await?;
    let known = find(&mut tx, id).await?;
    etag(&known).require(if_match)?;
    if !store::delete(&mut tx, &known).await? {
        return Err(Refusal::Stale.into());
    }
    tx.commit().await
}

/// Moods over time.
pub struct Trend {
    pub period: Period,
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub steps: Vec<Step>,
    /// Entries of that time whose mood the server does not know.
    pub private: usize,
}

/// Moods by week or month, out of one statement.
pub async fn trend(cx: &Context, period: Period, from: Option<NaiveDate>, to: Option<NaiveDate>) -> Result<Trend> {
    // before anything is reckoned with them
    check_span(from, to)?;
    // to the end of the present step, wherever the person is
    let to = to.unwrap_or_else(|| period.around(cx.now().date_naive() + Days::new(1)).1);
    let from = from.unwrap_or_else(|| period.usual_start(to));
    let mut faults = FieldErrors::new();
    faults.check(from <= to, "query:to", "order");
    faults.check((to - from).num_days().unsigned_abs() <= LONGEST_TREND, "query:from", "journal_span");
    faults.finish()?;
    let mut tx = cx.read(Permission::KeepJournal).await?;
    let reader = keys::reader(cx, &mut tx).await?;
    let filter = Filter { from: Some(from), to: Some(to), ..Filter::default() };
    let found = store::list_facts(&mut tx, &filter, None).await?;
    let private = found.iter().filter(|kept| kept.facts.is_none()).count();
    let moods = found.iter().filter_map(|kept| Some((kept.day, reader.open_facts(kept)?.mood)));
    Ok(Trend { period, from, to, steps: steps_of(period, moods), private })
}

/// The wraps of the key of private entries.
pub struct Wraps {
    pub key_id: Uuid,
    pub by_passphrase: HealthText,
    pub by_recovery_code: HealthText,
}

/// That it is the person themselves who exchanges them.
pub struct Proof<'a> {
    pub password: &'a SecretString,
    pub shown: Option<&'a SecondStep>,
    pub device: &'a Device,
}

/// What is kept of the caller's wraps.
pub struct Ring {
    /// 0: there are none.
    pub version: i32,
    pub content: Content,
    pub wraps: Option<Wraps>,
    pub before: Option<Before>,
}

/// Wraps that were replaced, and until when they are given back.
pub struct Before {
    pub wraps: Wraps,
    pub until: DateTime<Utc>,
}

impl Ring {
    pub fn etag(&self) -> Etag {
        Etag::of_version(self.version)
    }
}

impl Wraps {
    fn check(&self) -> Result<()> {
        let mut faults = FieldErrors::new();
        let is_of = |wrap, text: &HealthText| private::key_of_wrap(wrap, text.expose()) == Some(self.key_id);
        faults.check(is_of(Wrap::Passphrase, &self.by_passphrase), "/byPassphrase", "journal_wrap");
        faults.check(is_of(Wrap::RecoveryCode, &self.by_recovery_code), "/byRecoveryCode", "journal_wrap");
        faults.finish()
    }
}

/// `Ok(None)`: the key was destroyed.
fn open_wraps(cx: &Context, reader: &Reader, kept: &KeptWraps) -> std::result::Result<Option<Wraps>, SealError> {
    let text = |column, sealed: &[u8]| reader.text(column, cx.caller().user_id.0, kept.version, sealed);
    let one = text(Column::ByPassphrase, &kept.by_passphrase)?;
    let other = text(Column::ByRecoveryCode, &kept.by_recovery_code)?;
    Ok(one.zip(other).map(|(by_passphrase, by_recovery_code)| Wraps {
        key_id: kept.key_id,
        by_passphrase,
        by_recovery_code,
    }))
}

fn open_ring(cx: &Context, reader: &Reader, kept: Option<KeptWraps>, before: Option<WrapsBefore>) -> Ring {
    let Some(kept) = kept else { return Ring { version: 0, content: Content::Text, wraps: None, before: None } };
    let unreadable = |error: SealError| tracing::error!(%error, "the wrapped key of a journal does not open");
    let (content, wraps) = match open_wraps(cx, reader, &kept) {
        Ok(Some(wraps)) => (Content::Text, Some(wraps)),
        Ok(None) => (Content::Erased, None),
        Err(error) => {
            unreadable(error);
            (Content::Unreadable, None)
        }
    };
    let before = before.and_then(|WrapsBefore { wraps, until }| {
        let wraps = open_wraps(cx, reader, &wraps).unwrap_or_else(|error| {
            unreadable(error);
            None
        });
        wraps.map(|wraps| Before { wraps, until })
    });
    Ring { version: kept.version, content, wraps, before }
}

async fn find_ring(cx: &Context, tx: &mut Tx) -> Result<Ring> {
    let reader = keys::reader(cx, tx).await?;
    let kept = store::find_wraps(tx).await?;
    let before = store::find_wraps_before(tx, cx.now()).await?;
    Ok(open_ring(cx, &reader, kept, before))
}

pub async fn read_keys(cx: &Context) -> Result<Ring> {
    let mut tx = cx.read(Permission::KeepJournal).await?;
    find_ring(cx, &mut tx).await
}

/// Keeps the first wraps, or others of the same key; of another key only as long as no entry names the one that is there.
/// Whoever holds a session alone exchanges none.
pub async fn save_keys(cx: &Context, wraps: Wraps, proof: &Proof<'_>, if_match: Option<&str>) -> Result<Ring> {
    wraps.check()?;
    let mut tx = begin_proven(cx, proof.password, proof.shown, proof.device).await?;
    let known = store::find_wraps(&mut tx).await?.map_or(0, |kept| kept.version);
    Etag::of_version(known).require_named(if_match)?;
    let key = keys::for_writing(cx, &mut tx).await?;
    let next = seal_wraps(cx, &key, &wraps, known + 1)?;
    let is_kept = match known {
        0 => store::insert_wraps(&mut tx, &next).await?,
        _ => store::save_wraps(&mut tx, &next).await?,
    };
    if !is_kept {
        return Err(Refusal::Stale.into());
    }
    tx.audit_done("journal.keys_replaced", "journal", None).await?;
    let ring = find_ring(cx, &mut tx).await?;
    tx.commit().await?;
    Ok(ring)
}

fn seal_wraps(cx: &Context, key: &SubjectKey, wraps: &Wraps, version: i32) -> Result<KeptWraps, Problem> {
    let seal = |column, text: &HealthText| {
        key.seal(&document(column, cx.caller().user_id.0, version), text, &cx.platform().entropy)
    };
    Ok(KeptWraps {
        key_id: wraps.key_id,
        version,
        by_passphrase: seal(Column::ByPassphrase, &wraps.by_passphrase)?,
        by_recovery_code: seal(Column::ByRecoveryCode, &wraps.by_recovery_code)?,
        updated_at: cx.now(),
    })
}
