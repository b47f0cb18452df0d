//! `/consultations/{id}/notes` and `/notes`.

mod bodies;

use chrono::{DateTime, Utc};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{OpenApi, Tags};

use bodies::{AddendumRequest, CreatedNote, NoteAnswer, NoteRequest, NoteSummary, VersionAnswer, WrittenNote};

use super::service;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, Etag, IdempotencyKey, Page, PageQuery, Tagged};
use crate::platform::ids::{ConsultationId, NoteId};

#[derive(Tags)]
enum Tag {
    /// What a practitioner writes about a session, for nobody else.
    #[oai(rename = "Clinical notes")]
    Notes,
}

pub struct NotesApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Notes")]
impl NotesApi {
    /// Write a note about a session
    ///
    /// As a SOAP note (`subjective`, `objective`, `assessment`, `plan`, of which one at least says something) or as free
    /// text. From the beginning of the session on: `409 session_not_begun`. It is a draft until it is finalised. Nobody but
    /// the author reads it: not the employee, not the company, not the platform, not another practitioner. Twenty notes a
    /// session at most (`409 too_many_notes`).
    #[oai(path = "/consultations/:id/notes", method = "post", operation_id = "createNote")]
    async fn create(
        &self,
        cx: Authorized<perm::KeepNotes>,
        id: Path<ConsultationId>,
        /// Makes a repetition safe: for 24 hours the same key gets the same note. With another body it is refused.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Body<NoteRequest>,
    ) -> Result<CreatedNote> {
        let key = IdempotencyKey::of(key.0, "createNote", &id.0, &body.0)?;
        let it = service::create(&cx, id.0, body.0.text()?, key.as_ref()).await?;
        let etag = Etag::of(it.note.updated_at);
        Ok(CreatedNote::Created(Json(it.into()), etag.as_str().to_owned()))
    }

    /// List one's own notes about a session
    ///
    /// The newest first, without their words.
    #[oai(path = "/consultations/:id/notes", method = "get", operation_id = "listNotes")]
    async fn list(
        &self,
        cx: Authorized<perm::KeepNotes>,
        id: Path<ConsultationId>,
        /// 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<NoteSummary>>> {
        let page: PageQuery<(DateTime<Utc>, NoteId)> = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let rows = service::list(&cx, id.0, page.after, page.fetch()).await?;
        Ok(Json(Page::new(&page, rows, |row| (row.created_at, row.id), NoteSummary::from)))
    }

    /// Export one's own notes about a person
    ///
    /// All that the caller wrote about the person of this session, of whichever sessions, with their texts and addenda, the newest
    /// first: for the person's access to their records, and for whoever goes on treating them, with their consent. Whose profile
    /// is deactivated has it as well. It is noted, and the employee finds that in their access log.
    #[oai(path = "/consultations/:id/client-notes", method = "get", operation_id = "exportClientNotes")]
    async fn export(
        &self,
        cx: Authorized<perm::KeepNotes>,
        id: Path<ConsultationId>,
        /// 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<NoteAnswer>>> {
        let page: PageQuery<(DateTime<Utc>, NoteId)> = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let rows = service::export(&cx, id.0, page.after, page.fetch()).await?;
        Ok(Json(Page::new(&page, rows, |row| (row.note.created_at, row.note.id), NoteAnswer::from)))
    }

    /// Read a note
    ///
    /// With its addenda. That it was opened is noted, and the employee finds that in their access log, without a word of
    /// what it says. A text that does not open is `unreadable`; the operator is told.
    #[oai(path = "/notes/:id", method = "get", operation_id = "getNote")]
    async fn get(
        &self,
        cx: Authorized<perm::KeepNotes>,
        id: Path<NoteId>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<NoteAnswer>> {
        let it = service::read(&cx, id.0).await?;
        let etag = Etag::of(it.note.updated_at);
        Ok(Tagged::new(it.into(), &etag, if_none_match.0.as_deref()))
    }

    /// Save a draft
    ///
    /// Another text, in this form or the other. The one before is kept as a version. `If-Match` says which one the client
    /// knows: where the note has changed since, the answer is `412 stale` with its `version`, and nothing is overwritten.
    /// Of what is final it is `409 note_finalized`; add an addendum then.
    #[oai(path = "/notes/:id", method = "put", operation_id = "saveNote")]
    async fn save(
        &self,
        cx: Authorized<perm::KeepNotes>,
        id: Path<NoteId>,
        /// The version that the client knows.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<NoteRequest>,
    ) -> Result<WrittenNote> {
        Ok(WrittenNote::new(service::save(&cx, id.0, body.0.text()?, if_match.0.as_deref()).await?))
    }

    /// Finalise a note
    ///
    /// The note is read only from then on, for good. `If-Match` says which text was read, and another one is not made final
    /// (`412 stale`); `*` says nothing (`428`).
    #[oai(path = "/notes/:id/finalize", method = "post", operation_id = "finalizeNote")]
    async fn finalize(
        &self,
        cx: Authorized<perm::KeepNotes>,
        id: Path<NoteId>,
        /// The version that the client knows.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<WrittenNote> {
        Ok(WrittenNote::new(service::finalize(&cx, id.0, if_match.0.as_deref()).await?))
    }

    /// Add to a final note
    ///
    /// A draft is saved instead: `409 note_not_finalized`. Fifty addenda a note at most (`409 note_full`).
    #[oai(path = "/notes/:id/addenda", method = "post", operation_id = "addAddendum")]
    async fn add(
        &self,
        cx: Authorized<perm::KeepNotes>,
        id: Path<NoteId>,
        /// Makes a repetition safe: for 24 hours the same key adds once. With another body it is refused.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Body<AddendumRequest>,
    ) -> Result<CreatedNote> {
        let key = IdempotencyKey::of(key.0, "addAddendum", &id.0, &body.0)?;
        let it = service::add(&cx, id.0, body.0.body, key.as_ref()).await?;
        let etag = Etag::of(it.note.updated_at);
        Ok(CreatedNote::Created(Json(it.into()), etag.as_str().to_owned()))
    }

    /// Read every version of a note
    ///
    /// Texts that were saved over, and addenda: the last one first.
    #[oai(path = "/notes/:id/versions", method = "get", operation_id = "listNoteVersions")]
    async fn versions(
        &self,
        cx: Authorized<perm::KeepNotes>,
        id: Path<NoteId>,
        /// 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<VersionAnswer>>> {
        let page: PageQuery<i32> = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let rows = service::versions(&cx, id.0, page.after, page.fetch()).await?;
        Ok(Json(Page::new(&page, rows, |row| row.version, VersionAnswer::from)))
    }
}
