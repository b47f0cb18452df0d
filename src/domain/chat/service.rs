//! What the two people do in their conversation; the same for HTTP and for sockets.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::Error;
use super::keys::{self, Reader, document};
use super::model::{Content, Conversation, Excerpt, Kept, Message, Overview, Receipt, Which, complete_until, fitting};
use super::{CHANGED, store};
use crate::domain::files::{self, Bringing, Purpose, Stored};
use crate::platform::auth::{Permission, Role};
use crate::platform::crypto::envelope::SubjectKey;
use crate::platform::crypto::health_text::HealthText;
use crate::platform::db::broken_constraint;
use crate::platform::http::upload::IncomingFile;
use crate::platform::ids::{ConsultationId, FileId, MessageId, UserId};
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Problem, Result, Tx};

/// A change that is overtaken by others of the same person is tried so often.
const ATTEMPTS: usize = 3;

fn open_days(cx: &Context) -> i32 {
    i32::from(cx.platform().config.chat_open_days)
}

async fn find(cx: &Context, tx: &mut Tx, id: ConsultationId) -> Result<Conversation> {
    store::find(tx, id, open_days(cx)).await?.ok_or_else(|| Refusal::NotFound.into())
}

pub async fn list(cx: &Context, after: Option<(DateTime<Utc>, ConsultationId)>, fetch: i64) -> Result<Vec<Overview>> {
    let mut tx = cx.read(Permission::Chat).await?;
    store::list(&mut tx, cx.caller().role, after, fetch, open_days(cx)).await
}

/// The two people of a conversation; refuses one that is not the caller's.
pub async fn check(cx: &Context, id: ConsultationId) -> Result<[UserId; 2]> {
    let of = store::look_up(cx, id, open_days(cx)).await?.ok_or(Refusal::NotFound)?;
    Ok(of.people())
}

/// Notes that the practitioner opens a conversation, for its employee to see; once an hour, for it is told live as well.
pub async fn note_reading(cx: &Context, id: ConsultationId) -> Result<()> {
    if cx.caller().role != Role::Practitioner {
        return Ok(());
    }
    if store::was_reading_noted(cx, id).await? {
        return Ok(());
    }
    let mut tx = cx.begin(Permission::Chat).await?;
    let of = find(cx, &mut tx, id).await?;
    tx.enter_company(of.company_id).await?;
    tx.audit_done("conversation.read", "consultation", id.0).await?;
    tx.commit().await
}

/// At most `limit` messages, and fewer where they are long, in the order of the conversation or, for what changed, of revisions.
pub async fn read(cx: &Context, id: ConsultationId, which: Which, limit: u32) -> Result<Excerpt> {
    let found = store::read(cx, id, which, i64::from(limit) + 1, open_days(cx)).await?;
    let (of, receipts, kept) = found.ok_or(Refusal::NotFound)?;
    let reader = keys::reader(cx, &of);
    let mut messages = fitting(kept.iter().map(|kept| reader.open(kept)), limit as usize);
    let has_more = kept.len() > messages.len();
    let rev = complete_until(which, of.last_rev, has_more, messages.last().map(|message| message.rev));
    if matches!(which, Which::Before(_)) {
        messages.reverse();
    }
    Ok(Excerpt { messages, receipts, rev, last_seq: of.last_seq, has_more, closes_at: of.closes_at })
}

/// A conversation of the caller's, and what its messages are sealed with. A socket looks it up once; the database looks at
/// each message again.
pub struct Opened {
    id: ConsultationId,
    people: [UserId; 2],
    key: SubjectKey,
}

/// Looks up a conversation to write in. Its key is made with the first message.
pub async fn open(cx: &Context, id: ConsultationId) -> Result<Opened> {
    let of = store::look_up(cx, id, open_days(cx)).await?.ok_or(Refusal::NotFound)?;
    let key = match keys::reader(cx, &of) {
        Reader::Key(key) => *key,
        Reader::None => {
            of.check_open(cx.now())?;
            let mut tx = cx.begin(Permission::Chat).await?;
            let mut of = find(cx, &mut tx, id).await?;
            let key = keys::for_writing(cx, &mut tx, &mut of).await?;
            tx.commit().await?;
            key
        }
        Reader::Erased => return Err(Error::ConversationErased.into()),
        Reader::Broken(error) => return Err(Problem::internal(error)),
    };
    Ok(Opened { id, people: of.people(), key })
}

/// Takes a file in, sealed under the conversation's key, for a message that is yet to be sent.
pub async fn bring_attachment(
    cx: &Context,
    id: ConsultationId,
    file: IncomingFile,
    once: Option<String>,
) -> Result<Stored> {
    let of = store::look_up(cx, id, open_days(cx)).await?.ok_or(Refusal::NotFound)?;
    of.check_open(cx.now())?;
    let Opened { key, .. } = open(cx, id).await?;
    let bringing = Bringing {
        permission: Permission::Chat,
        purpose: Purpose::Attachment,
        conversation: Some(id),
        key: Some(key),
        once,
    };
    files::receive(cx, bringing, file).await
}

/// What somebody sends: words, files that were brought before, or both.
pub struct Draft {
    client_id: Uuid,
    text: HealthText,
    attachments: Vec<FileId>,
}

impl Draft {
    pub fn new(client_id: Uuid, text: HealthText, attachments: Option<Vec<FileId>>) -> Result<Self> {
        let attachments = attachments.unwrap_or_default();
        let mut faults = FieldErrors::new();
        faults.check(!attachments.is_empty() || !text.expose().trim().is_empty(), "/body", "pattern");
        let distinct: HashSet<_> = attachments.iter().collect();
        faults.check(distinct.len() == attachments.len(), "/attachmentIds", "unique_items");
        faults.finish()?;
        Ok(Self { client_id, text, attachments })
    }

    pub fn brings_files(&self) -> bool {
        !self.attachments.is_empty()
    }
}

/// A message that was sent now.
fn sent_now(
    cx: &Context,
    conversation_id: ConsultationId,
    draft: Draft,
    sent: &store::Sent,
    at: DateTime<Utc>,
) -> Message {
    Message {
        id: sent.id,
        conversation_id,
        sender_id: cx.caller().user_id,
        client_id: draft.client_id,
        seq: sent.seq,
        rev: sent.rev,
        content: Content::Text,
        body: Some(draft.text),
        attachments: Vec::new(),
        created_at: at,
        edited_at: None,
        deleted_at: None,
    }
}

/// Sends a message; the one that is there, if the caller's client has sent it before.
pub async fn send(cx: &Context, to: &Opened, draft: Draft) -> Result<Message> {
    if draft.brings_files() {
        return send_with_files(cx, to.id, draft).await;
    }
    let (now, id): (_, MessageId) = (cx.now(), cx.new_id());
    let sealed = to.key.seal(&document(id, 1), &draft.text, &cx.platform().entropy)?;
    let client_id = draft.client_id;
    let letter = store::Letter { conversation: to.id, id, client_id, sealed: &sealed, key: to.key.id(), at: now };
    let mut sent = store::send(cx, &letter, open_days(cx)).await?;
    if is_twice(&sent) {
        sent = store::send(cx, &letter, open_days(cx)).await?;
    }
    let sent = match sent {
        Ok(sent) => sent.ok_or(Refusal::NotFound)?,
        Err(error) => return Err(refused(cx, to.id, error).await),
    };
    // one that was there as well: whoever sent it first may not have come to announcing it
    announce(cx, to.id, sent.rev, &to.people);
    if !sent.is_new {
        return repeated(cx, to.id, sent.id, &draft).await;
    }
    Ok(sent_now(cx, to.id, draft, &sent, now))
}

/// Whether the same client sent it twice at the same moment: now the first one is there.
fn is_twice(sent: &std::result::Result<Option<store::Sent>, sqlx::Error>) -> bool {
    sent.as_ref().is_err_and(|error| broken_constraint(error) == Some("messages_once"))
}

/// Sends a message with the files that come with it: all of it, or nothing.
pub async fn send_with_files(cx: &Context, conversation: ConsultationId, draft: Draft) -> Result<Message> {
    let (now, id): (_, MessageId) = (cx.now(), cx.new_id());
    for is_last in [false, true] {
        let mut tx = cx.begin(Permission::Chat).await?;
        let mut of = find(cx, &mut tx, conversation).await?;
        let key = keys::for_writing(cx, &mut tx, &mut of).await?;
        let sealed = key.seal(&document(id, 1), &draft.text, &cx.platform().entropy)?;
        let client_id = draft.client_id;
        let letter = store::Letter { conversation, id, client_id, sealed: &sealed, key: key.id(), at: now };
        let sent = store::send_in(&mut tx, &letter, open_days(cx)).await;
        if is_twice(&sent) && !is_last {
            continue;
        }
        let sent = match sent {
            Ok(sent) => sent.ok_or(Refusal::NotFound)?,
            Err(error) => {
                drop(tx);
                return Err(refused(cx, conversation, error).await);
            }
        };
        if !sent.is_new {
            drop(tx);
            announce(cx, conversation, sent.rev, &of.people());
            return repeated(cx, conversation, sent.id, &draft).await;
        }
        store::attach(&mut tx, sent.id, &draft.attachments, now).await?;
        let kept = store::find_message(&mut tx, sent.id).await?.ok_or(Refusal::NotFound)?;
        tx.commit().await?;
        announce(cx, conversation, sent.rev, &of.people());
        let attachments = keys::attachments(&key, &kept);
        return Ok(Message { attachments, ..sent_now(cx, conversation, draft, &sent, now) });
    }
    Err(Refusal::Conflict.into())
}

/// Why the database took no message.
async fn refused(cx: &Context, id: ConsultationId, error: sqlx::Error) -> Problem {
    match broken_constraint(&error) {
        Some("conversations_open") => match store::look_up(cx, id, open_days(cx)).await {
            Ok(Some(of)) => of.closed(),
            Ok(None) => Refusal::NotFound.into(),
            Err(problem) => problem,
        },
        Some("conversations_key") => Error::ConversationErased.into(),
        _ => error.into(),
    }
}

/// The message that was sent before, as it is now. Another text or other files under its name are refused, as long as the
/// first ones are known.
async fn repeated(cx: &Context, conversation: ConsultationId, id: MessageId, draft: &Draft) -> Result<Message> {
    let mut tx = cx.read(Permission::Chat).await?;
    let kept = store::find_message(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    let of = find(cx, &mut tx, conversation).await?;
    let is_first = kept.version == 1;
    let message = keys::reader(cx, &of).open(&kept);
    let has_other_files = message.body.is_some() && !kept.attachments.iter().map(|it| &it.id).eq(&draft.attachments);
    let is_other = message.body.as_ref().is_some_and(|body| body.expose() != draft.text.expose()) || has_other_files;
    if is_first && is_other { Err(Refusal::IdempotencyMismatch.into()) } else { Ok(message) }
}

/// What was committed is told to whoever looks at the conversation, on every node, and to those in whose lists of
/// conversations it stands otherwise now.
fn announce(cx: &Context, id: ConsultationId, rev: i64, lists: &[UserId]) {
    let people: Vec<Uuid> = lists.iter().map(|it| it.0).collect();
    cx.platform().wire.announce(CHANGED, id.0, rev, &people);
}

/// Puts another text in the place of one of the caller's own messages.
pub async fn edit(cx: &Context, id: MessageId, text: HealthText) -> Result<Message> {
    change(cx, id, Some(text)).await
}

/// Takes one of the caller's own messages back. Once more changes nothing.
pub async fn delete(cx: &Context, id: MessageId) -> Result<Message> {
    change(cx, id, None).await
}

async fn change(cx: &Context, id: MessageId, text: Option<HealthText>) -> Result<Message> {
    let now = cx.now();
    for _ in 0..ATTEMPTS {
        let mut tx = cx.begin(Permission::Chat).await?;
        let kept = store::find_message(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
        let mut of = find(cx, &mut tx, kept.conversation_id).await?;
        if text.is_none() && kept.sender_id == cx.caller().user_id && kept.deleted_at.is_some() {
            announce(cx, of.id, kept.rev, &of.people());
            return Ok(kept.with(Content::Deleted, None));
        }
        kept.check_change(cx.caller().user_id, now)?;
        of.check_open(now)?;
        let (sealed, came_with) = match &text {
            Some(text) => {
                check_words(&kept, text)?;
                let key = keys::for_writing(cx, &mut tx, &mut of).await?;
                let sealed = key.seal(&document(id, kept.version + 1), text, &cx.platform().entropy)?;
                (Some(sealed), keys::attachments(&key, &kept))
            }
            None => (None, Vec::new()),
        };
        if let Some(rev) = store::change(&mut tx, &of, &kept, sealed.as_deref(), now, open_days(cx)).await? {
            tx.commit().await?;
            // what is gone is unread no more
            let lists = if text.is_none() { of.people().to_vec() } else { Vec::new() };
            announce(cx, of.id, rev, &lists);
            return Ok(Message { attachments: came_with, ..kept.changed(text, rev, now) });
        }
        // the person changed it elsewhere at the same moment
    }
    Err(Refusal::Conflict.into())
}

/// A message says something, or brings something.
fn check_words(kept: &Kept, text: &HealthText) -> Result<()> {
    let mut faults = FieldErrors::new();
    faults.check(!kept.attachments.is_empty() || !text.expose().trim().is_empty(), "/body", "pattern");
    faults.finish()
}

/// Notes that the caller has, or has read, everything up to a message; how far they are now.
pub async fn note_receipt(cx: &Context, id: ConsultationId, up_to: i64, is_read: bool) -> Result<Receipt> {
    let noted = store::note_receipt(cx, id, up_to, is_read).await?;
    let (delivered_seq, read_seq, rev) = noted.ok_or(Refusal::NotFound)?;
    let reader_id = cx.caller().user_id;
    // known already or not: see `send`
    if rev > 0 {
        // read on one device, it is unread on no other one
        let lists = if is_read { vec![reader_id] } else { Vec::new() };
        announce(cx, id, rev, &lists);
    }
    Ok(Receipt { reader_id, delivered_seq, read_seq, rev })
}
