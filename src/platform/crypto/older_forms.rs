//! Texts that earlier releases sealed under a master key itself, and that are under the keys of their subjects now.
//!
//! They are read where they stand. `huntzen keys rotate` seals them anew: some rows in a transaction, by id, so that a
//! rotation that was killed goes on where it was. What is left is counted with what is under older master keys.

use std::time::Instant;

use sqlx::postgres::PgConnectOptions;
use uuid::{Builder, Uuid};

use super::entropy::Entropy;
use super::envelope::{Document, KeyPurpose, Subject, SubjectKey};
use super::health_text::HealthText;
use super::rewrap::{Pace, Progress, Rewrapped, Sealed};
use super::seal::{Keyring, Place, SealError};
use crate::platform::audit::{Detail, Entry};
use crate::platform::db::{Owner, Tx};
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::problem::Result;

/// Texts that are sealed anew in one transaction.
const BATCH: i32 = 200;
/// Rows that somebody else changes are stepped over, and looked for again.
const ROUNDS: usize = 3;

/// Such a place: how its texts were sealed, and as which documents of which subject they are now. The subject is the row.
#[derive(Clone, Copy, Debug)]
pub struct OlderForm {
    pub sealed: Sealed,
    pub place: fn(Uuid, CompanyId) -> Place,
    pub purpose: KeyPurpose,
    pub document: fn(Uuid) -> Document,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    person: Uuid,
    company: Uuid,
    sealed: Vec<u8>,
    key_id: Option<Uuid>,
    wrapped: Option<Vec<u8>>,
}

/// A text that was sealed anew, not yet in its place; its key, where there was none.
struct Renewed {
    sealed: Vec<u8>,
    key_id: Uuid,
    new_key: Option<Vec<u8>>,
}

/// Seals all of them anew. `owner` is the connection of the database's owner.
pub async fn convert(
    owner: &PgConnectOptions,
    keyring: &Keyring,
    entropy: &Entropy,
    forms: &[OlderForm],
    pace: Pace,
    tell: &mut (dyn FnMut(Progress<'_>) + Send + Sync),
) -> Result<Vec<Rewrapped>> {
    let owner = Owner::new(owner);
    let mut all = Vec::with_capacity(forms.len());
    let mut moved = 0;
    for form in forms {
        let mut it = Rewrapped { column: form.sealed.name(), ..Rewrapped::default() };
        for _ in 0..ROUNDS {
            let before = it.moved;
            let mut after = None;
            loop {
                let begun = Instant::now();
                let mut tx = owner.begin().await?;
                let rows = list(&mut tx, form, after).await?;
                let Some(last) = rows.last().map(|row| row.id) else { break };
                for row in rows {
                    match seal_anew(form, &row, keyring, entropy) {
                        Ok(renewed) => it.moved += i64::from(replace(&mut tx, form, &row, &renewed).await?),
                        // the others go on; it is counted as left
                        Err(error) => it.fault = it.fault.or(Some(error)),
                    }
                }
                tx.commit().await?;
                after = Some(last);
                tell(Progress { column: &it.column, moved: moved + it.moved, total: moved + it.moved });
                pace.rest_after(begun.elapsed()).await;
            }
            if it.moved == before {
                break;
            }
        }
        moved += it.moved;
        all.push(it);
    }
    if moved > 0 {
        let mut tx = owner.begin().await?;
        tx.audit(Entry::done("secrets.rewrapped", "secret", None).with(Detail::Count, moved)).await?;
        tx.commit().await?;
    }
    Ok(all)
}

fn seal_anew(
    form: &OlderForm,
    row: &Row,
    keyring: &Keyring,
    entropy: &Entropy,
) -> std::result::Result<Renewed, SealError> {
    let place = (form.place)(row.id, CompanyId(row.company));
    let opened = keyring.open(&place, &row.sealed)?;
    let text = std::str::from_utf8(&opened).map_err(|_| SealError::Malformed)?;
    let subject =
        Subject { purpose: form.purpose, id: row.id, person: UserId(row.person), company: CompanyId(row.company) };
    let (key, new_key) = match (row.key_id, &row.wrapped) {
        (Some(id), Some(wrapped)) => (SubjectKey::unwrap(id, subject, wrapped, keyring)?, None),
        // what was destroyed is not made again
        (Some(_), None) => return Err(SealError::UnknownKey),
        (None, _) => {
            let key = SubjectKey::new(Builder::from_random_bytes(entropy.bytes()).into_uuid(), subject, entropy);
            let wrapped = key.wrap(keyring, entropy)?;
            (key, Some(wrapped))
        }
    };
    let sealed = key.seal(&(form.document)(row.id), &HealthText::new(text.to_owned()), entropy)?;
    Ok(Renewed { sealed, key_id: key.id(), new_key })
}

async fn list(tx: &mut Tx, form: &OlderForm, after: Option<Uuid>) -> Result<Vec<Row>> {
    Ok(sqlx::query_as("SELECT id, person, company, sealed, key_id, wrapped FROM app.list_older_forms($1, $2, $3)")
        .bind(form.sealed.name())
        .bind(after)
        .bind(BATCH)
        .fetch_all(tx.conn())
        .await?)
}

/// Whether it was still what was read.
async fn replace(tx: &mut Tx, form: &OlderForm, row: &Row, renewed: &Renewed) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.replace_older_form($1, $2, $3, $4, $5, $6, now())")
        .bind(form.sealed.name())
        .bind(row.id)
        .bind(&row.sealed)
        .bind(&renewed.sealed)
        .bind(renewed.key_id)
        .bind(&renewed.new_key)
        .fetch_one(tx.conn())
        .await?)
}
