//! `/journal`.

mod bodies;

use chrono::NaiveDate;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi, Tags};

use bodies::{
    CreatedEntry, EntryAnswer, EntryRequest, KeysAnswer, KeysRequest, TrendAnswer, WrittenEntry, WrittenKeys,
};

use super::model::{Filter, Period};
use super::service::{self, Proof};
use crate::domain::identity::session::api::device;
use crate::domain::identity::two_factor::SecondStep;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, IdempotencyKey, Page, PageQuery, Tagged};
use crate::platform::ids::JournalEntryId;

#[derive(Tags)]
enum Tag {
    /// A person's own diary.
    Journal,
}

#[derive(ApiResponse)]
enum Deleted {
    /// Nothing of it is left.
    #[oai(status = 204)]
    Done,
}

pub struct JournalApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Journal")]
impl JournalApi {
    /// Write an entry
    ///
    /// With a mood from 1 (very low) to 5 (very good), ten tags at most, and a day, which is today on the person's clock
    /// unless said. Words, mood and tags are sealed; nobody but the person reads them. A journal has 5,000 entries at most
    /// (`409 journal_full`).
    ///
    /// With `sealed: true` the entry is private: `body` is what the browser sealed (docs/private-journal.md), as base64,
    /// with mood and tags inside, and the day is said. Our database, backups and staff tools cannot read it. Its key has to
    /// be the one of `/journal/keys`: `409 journal_key_differs`.
    #[oai(path = "/journal", method = "post", operation_id = "createJournalEntry")]
    async fn create(
        &self,
        cx: Authorized<perm::KeepJournal>,
        /// Makes a repetition safe: for 24 hours the same key gets the same entry. With another body it is refused.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Body<EntryRequest>,
    ) -> Result<CreatedEntry> {
        let key = IdempotencyKey::of(key.0, "createJournalEntry", &(), &body.0)?;
        let (entry, day) = body.0.entry()?;
        let it = service::create(&cx, entry, day, key.as_ref()).await?;
        let etag = service::etag_of(&it);
        Ok(CreatedEntry::Created(Json(it.into()), etag.as_str().to_owned()))
    }

    /// Read one's journal
    ///
    /// The latest day first. `tag` (whatever its capitals) and `mood` find entries that are not private; private ones are
    /// found by their day. What does not open is `unreadable`, and the others are there.
    #[oai(path = "/journal", method = "get", operation_id = "listJournal")]
    #[allow(clippy::too_many_arguments)] // one for each parameter of the route
    async fn list(
        &self,
        cx: Authorized<perm::KeepJournal>,
        /// The first day.
        from: Query<Option<NaiveDate>>,
        /// The last day.
        to: Query<Option<NaiveDate>>,
        #[oai(validator(min_length = 1, max_length = 40))] tag: Query<Option<String>>,
        #[oai(validator(minimum(value = "1"), maximum(value = "5")))] mood: Query<Option<i16>>,
        /// 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<EntryAnswer>>> {
        let page: PageQuery<(NaiveDate, JournalEntryId)> = PageQuery::new(limit.0, cursor.0.as_deref())?;
        service::check_span(from.0, to.0)?;
        let tag = tag.0.map(|tag| tag.trim().to_lowercase());
        let filter = Filter { from: from.0, to: to.0, tag, mood: mood.0 };
        let rows = service::list(&cx, &filter, page.after, page.fetch()).await?;
        Ok(Json(Page::new(&page, rows, |row| (row.day, row.id), EntryAnswer::from)))
    }

    /// The trend of moods
    ///
    /// By week (from Monday on) or by month; the last twelve unless said. Steps in which nothing was written are left out.
    /// Private entries are not in it: the server does not know their moods, and says how many there are.
    #[oai(path = "/journal/trend", method = "get", operation_id = "getJournalTrend")]
    async fn trend(
        &self,
        cx: Authorized<perm::KeepJournal>,
        /// `week` unless said.
        period: Query<Option<Period>>,
        /// The first day.
        from: Query<Option<NaiveDate>>,
        /// The last day. At most ten years after the first one.
        to: Query<Option<NaiveDate>>,
    ) -> Result<Json<TrendAnswer>> {
        Ok(Json(service::trend(&cx, period.0.unwrap_or(Period::Week), from.0, to.0).await?.into()))
    }

    /// The wrapped key of one's private entries
    ///
    /// As the browser wrapped it, under the passphrase and under the recovery code; the server opens neither. Before there
    /// is one, `isSet` is false, and the `ETag` is what the first one is put with. What was replaced is in `before` for a
    /// fortnight, to be put again.
    #[oai(path = "/journal/keys", method = "get", operation_id = "getJournalKeys")]
    async fn keys(
        &self,
        cx: Authorized<perm::KeepJournal>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<KeysAnswer>> {
        let ring = service::read_keys(&cx).await?;
        let etag = ring.etag();
        Ok(Tagged::new(ring.into(), &etag, if_none_match.0.as_deref()))
    }

    /// Wrap the key of one's private entries anew
    ///
    /// The first time, and whenever passphrase or recovery code change: the key stays the same, so that no entry has to be
    /// sealed anew. It takes the password again, and a code where there is a second factor (`403 wrong_password`): whoever has a session for a
    /// minute does not make a journal unreadable. Another key is refused while an entry is sealed under the one before (`409 journal_key_differs`): it
    /// could never be read again.
    #[oai(path = "/journal/keys", method = "put", operation_id = "saveJournalKeys")]
    async fn save_keys(
        &self,
        cx: Authorized<perm::KeepJournal>,
        /// The version that the client knows.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        request: &poem::Request,
        body: Body<KeysRequest>,
    ) -> Result<WrittenKeys> {
        let mut body = body.0;
        let device = device(cx.platform(), request, None, body.device_token.take());
        let shown = SecondStep::of(body.code.take(), body.recovery_code.take())?;
        let password = std::mem::take(&mut body.password).into();
        let proof = Proof { password: &password, shown: shown.as_ref(), device: &device };
        let ring = service::save_keys(&cx, body.into(), &proof, if_match.0.as_deref()).await?;
        let etag = ring.etag();
        Ok(WrittenKeys::Done(Json(ring.into()), etag.as_str().to_owned()))
    }

    /// Read an entry
    #[oai(path = "/journal/:id", method = "get", operation_id = "getJournalEntry")]
    async fn get(
        &self,
        cx: Authorized<perm::KeepJournal>,
        id: Path<JournalEntryId>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<EntryAnswer>> {
        let it = service::read(&cx, id.0).await?;
        let etag = service::etag_of(&it);
        Ok(Tagged::new(it.into(), &etag, if_none_match.0.as_deref()))
    }

    /// Change an entry
    ///
    /// As writing one; its day stays unless another is said. What it was is not kept. A private entry is followed by a later
    /// text of the same entry alone, as the browser counts them: `409 journal_entry_differs`.
    #[oai(path = "/journal/:id", method = "put", operation_id = "saveJournalEntry")]
    async fn save(
        &self,
        cx: Authorized<perm::KeepJournal>,
        id: Path<JournalEntryId>,
        /// The version that the client knows.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<EntryRequest>,
    ) -> Result<WrittenEntry> {
        let (entry, day) = body.0.entry()?;
        let it = service::save(&cx, id.0, entry, day, if_match.0.as_deref()).await?;
        let etag = service::etag_of(&it);
        Ok(WrittenEntry::Done(Json(it.into()), etag.as_str().to_owned()))
    }

    /// Delete an entry
    ///
    /// For good.
    #[oai(path = "/journal/:id", method = "delete", operation_id = "deleteJournalEntry")]
    async fn delete(
        &self,
        cx: Authorized<perm::KeepJournal>,
        id: Path<JournalEntryId>,
        /// The version that the client knows.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Deleted> {
        service::delete(&cx, id.0, if_match.0.as_deref()).await?;
        Ok(Deleted::Done)
    }
}
