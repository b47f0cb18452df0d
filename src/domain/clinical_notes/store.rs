//! Notes in the database. What changes goes through its functions.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::error::Error;
use super::model::{Kept, Note, Session, StoredKey, Text};
use crate::platform::db::broken_constraint;
use crate::platform::ids::{ConsultationId, NoteId};
use crate::platform::{Problem, Result, Tx};

impl FromRow<'_, PgRow> for Kept {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            version: row.try_get("text_of")?,
            kind: row.try_get("kind")?,
            format: row.try_get("text_format")?,
            sealed: row.try_get("sealed")?,
            created_at: row.try_get("text_at")?,
        })
    }
}

macro_rules! note {
    ($more:literal) => {
        concat!(
            "SELECT n.id, n.company_id, n.consultation_id, n.practitioner_id, n.format, n.status, n.version, n.text_version,
                    n.addenda, n.created_at, n.updated_at, n.finalized_at, n.retained_until",
            $more
        )
    };
}

macro_rules! version {
    () => {
        "v.version AS text_of, v.kind, v.format AS text_format, v.sealed, v.created_at AS text_at"
    };
}

/// A session of the caller's.
pub async fn find_session(tx: &mut Tx, id: ConsultationId) -> Result<Option<Session>> {
    Ok(sqlx::query_as("SELECT company_id, practitioner_id FROM app.consultations WHERE id = $1")
        .bind(id)
        .fetch_optional(tx.conn())
        .await?)
}

/// The notes of a session, the newest first, without their texts.
pub async fn list(
    tx: &mut Tx,
    session: ConsultationId,
    after: Option<(DateTime<Utc>, NoteId)>,
    fetch: i64,
) -> Result<Vec<Note>> {
    Ok(sqlx::query_as(note!(
        " FROM app.clinical_notes n
          WHERE n.consultation_id = $1
            AND (n.created_at, n.id) < (coalesce($2::timestamptz, 'infinity'),
                                        coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
          ORDER BY n.created_at DESC, n.id DESC LIMIT $4"
    ))
    .bind(session)
    .bind(after.map(|(at, _)| at))
    .bind(after.map(|(_, id)| id))
    .bind(fetch)
    .fetch_all(tx.conn())
    .await?)
}

/// A note of the caller's with its text and its key.
pub struct Found {
    pub note: Note,
    pub text: Kept,
    pub key: Option<StoredKey>,
}

impl FromRow<'_, PgRow> for Found {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let key = match row.try_get::<Option<Uuid>, _>("key_id")? {
            Some(id) => Some(StoredKey { id, wrapped: row.try_get("wrapped")? }),
            None => None,
        };
        Ok(Self { note: Note::from_row(row)?, text: Kept::from_row(row)?, key })
    }
}

/// The statement that finds a note, and the one that keeps a new one. Benchmarks send them as well.
pub const FIND: &str = concat!(
    note!(", "),
    version!(),
    ", k.id AS key_id, k.wrapped
     FROM app.clinical_notes n
     JOIN app.clinical_note_versions v
         ON v.company_id = n.company_id AND v.note_id = n.id AND v.version = n.text_version
     LEFT JOIN LATERAL app.note_key(n.id) k ON true
     WHERE n.id = $1"
);
pub const WRITE: &str = "SELECT app.write_note($1, $2, $3, $4, $5, $6, $7)";

pub async fn find(tx: &mut Tx, id: NoteId) -> Result<Option<Found>> {
    Ok(sqlx::query_as(FIND).bind(id).fetch_optional(tx.conn()).await?)
}

/// All of the caller's about the person of a session, of whichever sessions, the newest first.
pub async fn list_of_client(
    tx: &mut Tx,
    session: ConsultationId,
    after: Option<(DateTime<Utc>, NoteId)>,
    fetch: i64,
) -> Result<Vec<Found>> {
    Ok(sqlx::query_as(concat!(
        note!(", "),
        version!(),
        ", k.id AS key_id, k.wrapped
         FROM app.consultations own
         JOIN app.consultations c ON c.user_id = own.user_id AND c.company_id = own.company_id
         JOIN app.clinical_notes n ON n.consultation_id = c.id
         JOIN app.clinical_note_versions v
             ON v.company_id = n.company_id AND v.note_id = n.id AND v.version = n.text_version
         LEFT JOIN LATERAL app.note_key(n.id) k ON true
         WHERE own.id = $1
           AND (n.created_at, n.id) < (coalesce($2::timestamptz, 'infinity'),
                                       coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
         ORDER BY n.created_at DESC, n.id DESC LIMIT $4"
    ))
    .bind(session)
    .bind(after.map(|(at, _)| at))
    .bind(after.map(|(_, id)| id))
    .bind(fetch)
    .fetch_all(tx.conn())
    .await?)
}

/// What was added to some notes, in the order in which it was; fifty for each at most.
pub async fn list_addenda_of(tx: &mut Tx, notes: &[NoteId]) -> Result<Vec<(NoteId, Kept)>> {
    #[derive(FromRow)]
    struct Of {
        note_id: NoteId,
        #[sqlx(flatten)]
        kept: Kept,
    }
    let found: Vec<Of> = sqlx::query_as(concat!(
        "SELECT v.note_id, ",
        version!(),
        " FROM app.clinical_notes n
         JOIN app.clinical_note_versions v
             ON v.company_id = n.company_id AND v.note_id = n.id AND v.version > n.text_version AND v.kind = 'addendum'
         WHERE n.id = ANY ($1) ORDER BY v.note_id, v.version"
    ))
    .bind(notes)
    .fetch_all(tx.conn())
    .await?;
    Ok(found.into_iter().map(|it| (it.note_id, it.kept)).collect())
}

/// In the order in which they were added; fifty at most.
pub async fn list_addenda(tx: &mut Tx, of: &Note) -> Result<Vec<Kept>> {
    if of.addenda == 0 {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        version!(),
        " FROM app.clinical_note_versions v
         WHERE v.company_id = $1 AND v.note_id = $2 AND v.version > $3 AND v.kind = 'addendum' ORDER BY v.version LIMIT 50"
    ))
    .bind(of.company_id)
    .bind(of.id)
    .bind(of.text_version)
    .fetch_all(tx.conn())
    .await?)
}

/// Every version, the last one first.
pub async fn list_versions(tx: &mut Tx, of: &Note, before: Option<i32>, fetch: i64) -> Result<Vec<Kept>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        version!(),
        " FROM app.clinical_note_versions v
         WHERE v.company_id = $1 AND v.note_id = $2 AND v.version < coalesce($3, 2147483647)
         ORDER BY v.version DESC LIMIT $4"
    ))
    .bind(of.company_id)
    .bind(of.id)
    .bind(before)
    .bind(fetch)
    .fetch_all(tx.conn())
    .await?)
}

/// A text to keep, sealed.
pub struct Sealing<'a> {
    pub text: &'a Text,
    pub sealed: Vec<u8>,
    pub at: DateTime<Utc>,
}

/// Keeps a new note with its key. False: the session is not the caller's.
pub async fn insert(
    tx: &mut Tx,
    id: NoteId,
    session: ConsultationId,
    first: &Sealing<'_>,
    key: Uuid,
    wrapped: &[u8],
) -> Result<bool> {
    sqlx::query_scalar(WRITE)
        .bind(session)
        .bind(id)
        .bind(first.text.format())
        .bind(&first.sealed)
        .bind(key)
        .bind(wrapped)
        .bind(first.at)
        .fetch_one(tx.conn())
        .await
        .map_err(refused)
}

/// Puts another text in the place of the one that is known. False: it is another by now, or final.
pub async fn save(tx: &mut Tx, known: &Note, next: &Sealing<'_>) -> Result<bool> {
    sqlx::query_scalar("SELECT app.save_note($1, $2, $3, $4, $5)")
        .bind(known.id)
        .bind(known.version)
        .bind(next.text.format())
        .bind(&next.sealed)
        .bind(next.at)
        .fetch_one(tx.conn())
        .await
        .map_err(refused)
}

/// Makes the text that is known the final one. False: it is another by now, or final.
pub async fn finalize(tx: &mut Tx, known: &Note, at: DateTime<Utc>) -> Result<bool> {
    sqlx::query_scalar("SELECT app.finalize_note($1, $2, $3)")
        .bind(known.id)
        .bind(known.version)
        .bind(at)
        .fetch_one(tx.conn())
        .await
        .map_err(refused)
}

/// Adds to a final note. False: something was added meanwhile, or it is a draft.
pub async fn add(tx: &mut Tx, known: &Note, next: &Sealing<'_>) -> Result<bool> {
    sqlx::query_scalar("SELECT app.add_to_note($1, $2, $3, $4)")
        .bind(known.id)
        .bind(known.version)
        .bind(&next.sealed)
        .bind(next.at)
        .fetch_one(tx.conn())
        .await
        .map_err(refused)
}

fn refused(error: sqlx::Error) -> Problem {
    match broken_constraint(&error) {
        Some("clinical_notes_session_begun") => Error::SessionNotBegun.into(),
        Some("clinical_notes_author_left") => Error::AuthorLeft.into(),
        Some("clinical_notes_enough") => Error::TooManyNotes.into(),
        Some("clinical_notes_versions" | "clinical_notes_addenda") => Error::NoteFull.into(),
        _ => error.into(),
    }
}
