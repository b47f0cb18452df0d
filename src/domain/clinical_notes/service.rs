//! What an author does with their notes.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::Error;
use super::keys::{self, Reader, document};
use super::model::{Note, Session, Text, Whole, Words};
use super::store::{self, Found, Sealing};
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::Permission;
use crate::platform::crypto::envelope::SubjectKey;
use crate::platform::crypto::health_text::HealthText;
use crate::platform::http::{Etag, IdempotencyKey};
use crate::platform::ids::{ConsultationId, NoteId};
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Problem, Result, Tx};

/// An addendum that is overtaken by others of the same author is tried so often.
const ATTEMPTS: usize = 3;

/// A session of the caller's, to which what follows belongs.
async fn enter_session(tx: &mut Tx, id: ConsultationId) -> Result<Session> {
    let session = store::find_session(tx, id).await?.ok_or(Refusal::NotFound)?;
    tx.enter_company(session.company_id).await?;
    Ok(session)
}

async fn find(tx: &mut Tx, id: NoteId) -> Result<Found> {
    store::find(tx, id).await?.ok_or_else(|| Refusal::NotFound.into())
}

/// What is done with a note is done with its session, as the log tells it.
async fn note_action(tx: &mut Tx, action: &str, of: &Note) -> Result<()> {
    tx.enter_company(of.company_id).await?;
    tx.audit_done(action, "consultation", of.consultation_id.0).await
}

async fn open(cx: &Context, tx: &mut Tx, found: Found) -> Result<Whole> {
    let Found { note, text, key } = found;
    let reader = keys::reader(cx, &note, key.as_ref());
    let addenda = store::list_addenda(tx, &note).await?;
    let addenda = addenda.iter().map(|kept| reader.open(note.id, kept)).collect();
    Ok(Whole { text: reader.open(note.id, &text), addenda, note })
}

/// Writes a new note about a session.
pub async fn create(cx: &Context, session: ConsultationId, text: Text, once: Option<&IdempotencyKey>) -> Result<Whole> {
    check(&text)?;
    let mut tx = cx.begin(Permission::KeepNotes).await?;
    if let Some(id) = tx.recall::<NoteId>(once).await? {
        let found = find(&mut tx, id).await?;
        return open(cx, &mut tx, found).await;
    }
    let of = enter_session(&mut tx, session).await?;
    let id: NoteId = cx.new_id();
    let platform = cx.platform();
    let key = keys::new(cx, id, &of);
    let wrapped = key.wrap(&platform.keyring, &platform.entropy)?;
    let first = seal(cx, &key, id, 1, &text)?;
    if !store::insert(&mut tx, id, session, &first, key.id(), &wrapped).await? {
        return Err(Refusal::NotFound.into());
    }
    tx.audit_done("note.created", "consultation", session.0).await?;
    let found = find(&mut tx, id).await?;
    let whole = open(cx, &mut tx, found).await?;
    // its words are kept in one place
    tx.remember(once, &id).await?;
    tx.commit().await?;
    Ok(whole)
}

fn check(text: &Text) -> Result<()> {
    let mut faults = FieldErrors::new();
    text.check(&mut faults);
    faults.finish()
}

fn seal<'a>(cx: &Context, key: &SubjectKey, id: NoteId, version: i32, text: &'a Text) -> Result<Sealing<'a>> {
    let sealed = key.seal(&document(id, version), &text.to_words()?, &cx.platform().entropy)?;
    Ok(Sealing { text, sealed, at: cx.now() })
}

/// The notes of a session, without their texts.
pub async fn list(
    cx: &Context,
    session: ConsultationId,
    after: Option<(DateTime<Utc>, NoteId)>,
    fetch: i64,
) -> Result<Vec<Note>> {
    let mut tx = cx.begin(Permission::KeepNotes).await?;
    enter_session(&mut tx, session).await?;
    let found = store::list(&mut tx, session, after, fetch).await?;
    tx.audit_done("note.listed", "consultation", session.0).await?;
    tx.commit().await?;
    Ok(found)
}

/// All of the caller's notes about the person of a session with their texts, of whichever sessions: what a patient's access to
/// their records, and whoever goes on treating them, needs.
pub async fn export(
    cx: &Context,
    session: ConsultationId,
    after: Option<(DateTime<Utc>, NoteId)>,
    fetch: i64,
) -> Result<Vec<Whole>> {
    let mut tx = cx.begin(Permission::KeepNotes).await?;
    enter_session(&mut tx, session).await?;
    let found = store::list_of_client(&mut tx, session, after, fetch).await?;
    let ids: Vec<_> = found.iter().map(|it| it.note.id).collect();
    let addenda = store::list_addenda_of(&mut tx, &ids).await?;
    let entry = Entry::done("note.exported", "consultation", session.0);
    tx.audit(entry.with(Detail::Count, i64::try_from(found.len()).unwrap_or(i64::MAX))).await?;
    tx.commit().await?;
    let whole = found.into_iter().map(|Found { note, text, key }| {
        let reader = keys::reader(cx, &note, key.as_ref());
        let its = addenda.iter().filter(|(id, _)| *id == note.id);
        let addenda = its.map(|(_, kept)| reader.open(note.id, kept)).collect();
        Whole { text: reader.open(note.id, &text), addenda, note }
    });
    Ok(whole.collect())
}

pub async fn read(cx: &Context, id: NoteId) -> Result<Whole> {
    let mut tx = cx.begin(Permission::KeepNotes).await?;
    let found = find(&mut tx, id).await?;
    let whole = open(cx, &mut tx, found).await?;
    note_action(&mut tx, "note.read", &whole.note).await?;
    tx.commit().await?;
    Ok(whole)
}

/// At most `fetch` versions before one, the last one first.
pub async fn versions(cx: &Context, id: NoteId, before: Option<i32>, fetch: i64) -> Result<Vec<Words>> {
    let mut tx = cx.begin(Permission::KeepNotes).await?;
    let Found { note, key, .. } = find(&mut tx, id).await?;
    let reader = keys::reader(cx, &note, key.as_ref());
    let kept = store::list_versions(&mut tx, &note, before, fetch).await?;
    let words = kept.iter().map(|kept| reader.open(note.id, kept)).collect();
    note_action(&mut tx, "note.read", &note).await?;
    tx.commit().await?;
    Ok(words)
}

/// Puts another text in the place of the one that the caller knows.
pub async fn save(cx: &Context, id: NoteId, text: Text, if_match: Option<&str>) -> Result<Whole> {
    check(&text)?;
    let mut tx = cx.begin(Permission::KeepNotes).await?;
    let known = find_known(&mut tx, id, if_match).await?;
    known.note.check_draft()?;
    let key = writing_key(cx, &known)?;
    let next = seal(cx, &key, id, known.note.version + 1, &text)?;
    if !store::save(&mut tx, &known.note, &next).await? {
        return Err(overtaken(&mut tx, id).await?);
    }
    note_action(&mut tx, "note.saved", &known.note).await?;
    finish(cx, tx, id).await
}

/// Makes the text that the caller knows the final one.
pub async fn finalize(cx: &Context, id: NoteId, if_match: Option<&str>) -> Result<Whole> {
    let mut tx = cx.begin(Permission::KeepNotes).await?;
    let known = find_known(&mut tx, id, if_match).await?;
    known.note.check_draft()?;
    if !store::finalize(&mut tx, &known.note, cx.now()).await? {
        return Err(overtaken(&mut tx, id).await?);
    }
    note_action(&mut tx, "note.finalized", &known.note).await?;
    finish(cx, tx, id).await
}

/// Adds to a final note. There is nothing to overwrite: of two at once both are kept, one after the other.
pub async fn add(cx: &Context, id: NoteId, text: HealthText, once: Option<&IdempotencyKey>) -> Result<Whole> {
    let text = Text::Addendum(text);
    for _ in 0..ATTEMPTS {
        let mut tx = cx.begin(Permission::KeepNotes).await?;
        if tx.recall::<Uuid>(once).await?.is_some() {
            let found = find(&mut tx, id).await?;
            return open(cx, &mut tx, found).await;
        }
        let known = find(&mut tx, id).await?;
        known.note.check_final()?;
        let key = writing_key(cx, &known)?;
        let next = seal(cx, &key, id, known.note.version + 1, &text)?;
        if store::add(&mut tx, &known.note, &next).await? {
            note_action(&mut tx, "note.amended", &known.note).await?;
            tx.remember(once, &id).await?;
            return finish(cx, tx, id).await;
        }
        // the author added something elsewhere at the same moment
    }
    Err(Refusal::Conflict.into())
}

/// The note, where it is still as the caller knows it.
async fn find_known(tx: &mut Tx, id: NoteId, if_match: Option<&str>) -> Result<Found> {
    let found = find(tx, id).await?;
    match Etag::of(found.note.updated_at).require_named(if_match) {
        Ok(()) => Ok(found),
        Err(problem) if problem.code() == "stale" => Err(found.note.stale()),
        Err(problem) => Err(problem),
    }
}

/// Why the version that was read could not be changed any more.
async fn overtaken(tx: &mut Tx, id: NoteId) -> Result<Problem> {
    Ok(find(tx, id).await?.note.stale())
}

fn writing_key(cx: &Context, of: &Found) -> Result<SubjectKey> {
    match keys::reader(cx, &of.note, of.key.as_ref()) {
        Reader::Key(key) => Ok(*key),
        Reader::Erased => Err(Error::NoteErased.into()),
        Reader::Broken(error) => Err(Problem::internal(error)),
    }
}

async fn finish(cx: &Context, mut tx: Tx, id: NoteId) -> Result<Whole> {
    let found = find(&mut tx, id).await?;
    let whole = open(cx, &mut tx, found).await?;
    tx.commit().await?;
    Ok(whole)
}
