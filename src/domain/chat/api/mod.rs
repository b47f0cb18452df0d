//! `/conversations` and `/messages`.

mod bodies;

use chrono::{DateTime, Utc};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{OpenApi, Tags};

use bodies::{ConversationAnswer, EditRequest, MessageResponse, ReadRequest, ReceiptAnswer, SendRequest};
pub use bodies::{MessageAnswer, MessagesAnswer, ReceiptState};

use super::model::Which;
use super::service::{self, Draft};
use crate::domain::files::FileResponse;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::page::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::platform::http::upload::Upload;
use crate::platform::http::{Body, Page, PageQuery};
use crate::platform::ids::{ConsultationId, MessageId};
use crate::platform::problem::Error;
use crate::platform::{Problem, Result};

#[derive(Tags)]
enum Tag {
    /// What the two people of a consultation write to each other.
    Chat,
}

pub struct ChatApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Chat")]
impl ChatApi {
    /// List one's own conversations
    ///
    /// The one that was written to last comes first. Each consultation has one, under its own id, from its booking on.
    #[oai(path = "/conversations", method = "get", operation_id = "listConversations")]
    async fn list(
        &self,
        cx: Authorized<perm::Chat>,
        /// 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<ConversationAnswer>>> {
        let page: PageQuery<(DateTime<Utc>, ConsultationId)> = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let rows = service::list(&cx, page.after, page.fetch()).await?;
        let now = cx.now();
        Ok(Json(Page::new(&page, rows, |row| (row.last_at, row.id), |row| ConversationAnswer::new(row, now))))
    }

    /// Read messages
    ///
    /// Unless said, the latest ones; `beforeSeq` gives those before a message, for reading back: both in the order of
    /// the conversation. `afterRev` gives what changed after a revision, in the order of revisions: new messages, edits
    /// and deletions. Whoever keeps `rev` of the last answer and asks with it again misses nothing; where `hasMore` is
    /// true, ask on from that `rev`. How far each of the two has the conversation is always told. Reading notes nothing:
    /// tell it by `POST …/read`.
    #[oai(path = "/conversations/:id/messages", method = "get", operation_id = "listMessages")]
    async fn messages(
        &self,
        cx: Authorized<perm::Chat>,
        id: Path<ConsultationId>,
        /// Everything that changed after this revision. Not together with `beforeSeq`.
        #[oai(name = "afterRev", validator(minimum(value = "0")))]
        after_rev: Query<Option<i64>>,
        /// Messages before this one.
        #[oai(name = "beforeSeq", validator(minimum(value = "1")))]
        before_seq: Query<Option<i64>>,
        /// 1–100; 20 unless said. Fewer come at once where they are long.
        limit: Query<Option<u32>>,
    ) -> Result<Json<MessagesAnswer>> {
        let limit = limit.0.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::from(Error::InvalidParameter).at("query:limit", "limit_range"));
        }
        let which = match (after_rev.0, before_seq.0) {
            (Some(_), Some(_)) => {
                return Err(Problem::from(Error::InvalidParameter).at("query:beforeSeq", "after_rev_or_before_seq"));
            }
            (Some(rev), None) => Which::ChangedAfter(rev),
            (None, seq) => Which::Before(seq.unwrap_or(i64::MAX)),
        };
        service::note_reading(&cx, id.0).await?;
        Ok(Json(service::read(&cx, id.0, which, limit).await?.into()))
    }

    /// Send a message
    ///
    /// `clientId` makes a repetition safe: the same one in the same conversation is the same message, for good; with
    /// another text it is refused. `410 conversation_closed`, with `closedAt`, some days after the end of the session, or
    /// once the consultation is cancelled. `410 conversation_erased`: the employee’s account was erased. Messages are
    /// sealed; no one but the two people reads them. `attachmentIds` names files that one brought to this conversation and
    /// did not send yet: others are `422 attachment_not_yours`, and nothing is sent.
    #[oai(path = "/conversations/:id/messages", method = "post", operation_id = "sendMessage")]
    async fn send(
        &self,
        cx: Authorized<perm::Chat>,
        id: Path<ConsultationId>,
        body: Body<SendRequest>,
    ) -> Result<MessageResponse> {
        let Body(SendRequest { client_id, body, attachment_ids }) = body;
        let draft = Draft::new(client_id, body, attachment_ids)?;
        let sent = if draft.brings_files() {
            service::send_with_files(&cx, id.0, draft).await?
        } else {
            service::send(&cx, &service::open(&cx, id.0).await?, draft).await?
        };
        Ok(MessageResponse::Sent(Json(sent.into())))
    }

    /// Bring a file to a conversation
    ///
    /// A form with `file`: JPEG, PNG, WebP or PDF, named accordingly. Pictures are written anew, without place, device and
    /// time. It is sealed with the conversation’s key, and so is its name. Nobody but oneself has it before it is sent with
    /// a message, within 24 hours. Refusals are those of `POST /files`, and of sending a message; and `409
    /// conversation_files_exceeded`: one person sends 500 files in one conversation at most. What was sent counts for its sender
    /// as whatever else they brought (`409 file_quota_exceeded`), until its message is deleted or its time is over.
    #[oai(path = "/conversations/:id/attachments", method = "post", operation_id = "createAttachment")]
    async fn attach(
        &self,
        cx: Authorized<perm::Chat>,
        id: Path<ConsultationId>,
        /// Makes a repetition harmless: it gets the first answer. Kept for 24 hours.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        form: Upload<false>,
    ) -> Result<FileResponse> {
        let stored = service::bring_attachment(&cx, id.0, form.file().await?, idempotency_key.0).await?;
        Ok(FileResponse::Created(Json(stored.into())))
    }

    /// Edit a message
    ///
    /// One’s own, for fifteen minutes, as long as the conversation is open: later is `409 too_late_to_change`, the
    /// other’s is `403 not_your_message`, a deleted one is `409 message_deleted`. It keeps its place; `editedAt` says that
    /// it was changed.
    #[oai(path = "/messages/:id", method = "patch", operation_id = "editMessage")]
    async fn edit(
        &self,
        cx: Authorized<perm::Chat>,
        id: Path<MessageId>,
        body: Body<EditRequest>,
    ) -> Result<Json<MessageAnswer>> {
        Ok(Json(service::edit(&cx, id.0, body.0.body).await?.into()))
    }

    /// Delete a message
    ///
    /// As editing. Its place stays, without a text. Once more changes nothing.
    #[oai(path = "/messages/:id", method = "delete", operation_id = "deleteMessage")]
    async fn delete(&self, cx: Authorized<perm::Chat>, id: Path<MessageId>) -> Result<Json<MessageAnswer>> {
        Ok(Json(service::delete(&cx, id.0).await?.into()))
    }

    /// Say how far one has read
    ///
    /// Everything up to a message was read, or has arrived (`state`). It never goes back, nor beyond the last message. The
    /// answer says how far one is now; the other one sees it.
    #[oai(path = "/conversations/:id/read", method = "post", operation_id = "readConversation")]
    async fn read(
        &self,
        cx: Authorized<perm::Chat>,
        id: Path<ConsultationId>,
        body: Body<ReadRequest>,
    ) -> Result<Json<ReceiptAnswer>> {
        let is_read = body.is_read();
        Ok(Json(service::note_receipt(&cx, id.0, body.0.seq, is_read).await?.into()))
    }
}
