//! Bringing, fetching and deleting files.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::keys;
use super::model::{FileName, MediaType, Purpose, Stored, content_document, name_document, plain_name, too_large};
use super::source::Source;
use super::store::{self, Coming, Kept, Readable};
use super::stream::{self, Sink};
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::Permission;
use crate::platform::crypto::envelope::SubjectKey;
use crate::platform::crypto::health_text::{HealthText, never_shown};
use crate::platform::crypto::seal::SealError;
use crate::platform::http::IdempotencyKey;
use crate::platform::http::upload::{FORM_BYTES, IncomingFile};
use crate::platform::ids::{ConsultationId, FileId};
use crate::platform::problem::Error as Refusal;
use crate::platform::storage::Pieces;
use crate::platform::{Context, Problem, Result};

/// What somebody brings a file for.
pub struct Bringing {
    pub permission: Permission,
    pub purpose: Purpose,
    /// Of attachments.
    pub conversation: Option<ConsultationId>,
    /// What it is sealed under.
    pub key: Option<SubjectKey>,
    /// `Idempotency-Key`: a repetition of the same file gets the first answer.
    pub once: Option<String>,
}

impl Bringing {
    /// What is brought by itself.
    pub async fn own(cx: &Context, purpose: Purpose, once: Option<String>) -> Result<Self> {
        if !purpose.is_for(cx.caller().role) {
            return Err(Refusal::Forbidden.into());
        }
        let key = if purpose.is_sealed() { Some(keys::own(cx).await?) } else { None };
        Ok(Self { key, once, ..Self::plainly(Permission::BringFile, purpose) })
    }

    /// A file that is not sealed.
    pub fn plainly(permission: Permission, purpose: Purpose) -> Self {
        Self { permission, purpose, conversation: None, key: None, once: None }
    }
}

/// Takes a file in. When it fails nothing of it is left.
pub async fn receive(cx: &Context, bringing: Bringing, mut file: IncomingFile) -> Result<Stored> {
    if !bringing.purpose.is_for(cx.caller().role) {
        return Err(Refusal::Forbidden.into());
    }
    if bringing.purpose.is_sealed() != bringing.key.is_some() {
        return Err(Problem::internal("a file of this purpose is sealed, and the others are not"));
    }
    // one that is none is refused before anything comes
    IdempotencyKey::new(bringing.once.clone(), "", &())?;
    let name = FileName::read(file.name.expose())?;
    let limit = bringing.purpose.limit(&cx.platform().config);
    let announced = file.length.map(|length| length.saturating_sub(FORM_BYTES));
    if announced.is_some_and(|length| length > limit) {
        file.let_go().await;
        return Err(too_large(limit));
    }
    let upload = Unfinished::begin(cx, &bringing, file.length.unwrap_or(u64::MAX).clamp(1, limit)).await?;
    let received = take_in(cx, &bringing, &upload, &name, &mut file).await;
    match received {
        Ok(stored) if stored.id == upload.id => {
            upload.finish();
            Ok(stored)
        }
        // it was there already
        Ok(stored) => {
            upload.give_up().await;
            Ok(stored)
        }
        Err(problem) => {
            upload.give_up().await;
            if problem.status().is_client_error() {
                file.let_go().await;
            }
            Err(problem)
        }
    }
}

async fn take_in(
    cx: &Context,
    bringing: &Bringing,
    upload: &Unfinished,
    name: &FileName,
    file: &mut IncomingFile,
) -> Result<Stored> {
    let platform = cx.platform();
    let (id, purpose) = (upload.id, bringing.purpose);
    let mut source = Source::begin(file).await?;
    let media = source.media_type().filter(|it| purpose.takes(*it)).ok_or(Error::FileTypeRefused)?;
    if !name.fits(media) {
        return Err(Error::FileTypeMismatch.into());
    }
    let (sealing, sealed_key) = match &bringing.key {
        Some(key) => {
            let (key, wrapped) = key.new_file_key(&content_document(id), &platform.entropy)?;
            (Some((key, platform.entropy.clone())), Some(wrapped))
        }
        None => (None, None),
    };
    let sink = Sink::new(platform.storage.create(&upload.object_key), sealing);
    let limit = media.limit(&platform.config).min(purpose.limit(&platform.config));
    let (written, media) = match media.kind() {
        Some(kind) => source.picture(&platform.images, kind, purpose.shape(), limit, sink).await?,
        None => (source.document(limit, sink).await?, media),
    };
    let own_name = bringing.key.is_some().then(|| name.of(media));
    let sealed_name = match (&bringing.key, &own_name) {
        (Some(key), Some(name)) => Some(key.seal(&name_document(id), name, &platform.entropy)?),
        _ => None,
    };
    let now = cx.now();
    let mut kept = Kept {
        id,
        media,
        bytes: written.bytes,
        digest: &written.digest,
        sealed_key: sealed_key.as_deref(),
        sealed_name: sealed_name.as_deref(),
        at: now,
        expires_at: None,
        quota: platform.config.file_quota_bytes,
    };
    let content = (purpose.name(), bringing.conversation, source.digest());
    let once = IdempotencyKey::of(bringing.once.clone(), "bringFile", &content, name)?;
    let mut tx = cx.begin(bringing.permission).await?;
    if let Some(first) = tx.recall::<Remembered>(once.as_ref()).await? {
        return first.stored(purpose, own_name);
    }
    if let Some(record) = purpose.unsent_record() {
        kept.expires_at = Some(store::kept_until(&mut tx, record, now).await?);
    }
    if !store::finish(&mut tx, &kept).await? {
        return Err(Refusal::RequestTimeout.into());
    }
    let entry = Entry::done("file.added", "file", id.0).about(cx.caller().user_id);
    tx.audit(entry.with(Detail::Purpose, purpose.name())).await?;
    let first = Remembered {
        id,
        media_type: media.name().to_owned(),
        bytes: written.bytes,
        created_at: now,
        expires_at: kept.expires_at,
    };
    tx.remember(once.as_ref(), &first).await?;
    tx.commit().await?;
    first.stored(purpose, own_name)
}

/// What a repetition is answered from.
#[derive(Serialize, Deserialize)]
struct Remembered {
    id: FileId,
    media_type: String,
    bytes: u64,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
}

impl Remembered {
    /// Its name is the one that the repetition says as well.
    fn stored(self, purpose: Purpose, name: Option<HealthText>) -> Result<Stored> {
        let Self { id, media_type, bytes, created_at, expires_at } = self;
        let media = MediaType::parse(&media_type).ok_or_else(|| Problem::internal("a type that we do not take"))?;
        Ok(Stored { id, purpose, media, bytes, name, created_at, expires_at })
    }
}

/// A file whose row is there and which is not ready. Dropped as such, because whoever sent it has gone, it is given up.
struct Unfinished {
    cx: Context,
    permission: Permission,
    id: FileId,
    object_key: String,
    is_over: bool,
}

impl Unfinished {
    async fn begin(cx: &Context, bringing: &Bringing, reserved: u64) -> Result<Self> {
        let random = hex::encode(cx.platform().entropy.bytes::<17>());
        let (shard, key) = random.split_at(2);
        let object_key = format!("files/{shard}/{key}");
        let id = cx.new_id();
        let coming = Coming {
            id,
            purpose: bringing.purpose,
            conversation: bringing.conversation,
            object_key: &object_key,
            reserved,
            at: cx.now(),
            quota: cx.platform().config.file_quota_bytes,
        };
        let mut tx = cx.begin(bringing.permission).await?;
        if !store::open(&mut tx, &coming).await? {
            return Err(Refusal::NotFound.into());
        }
        tx.commit().await?;
        Ok(Self { cx: cx.clone(), permission: bringing.permission, id, object_key, is_over: false })
    }

    fn finish(mut self) {
        self.is_over = true;
    }

    async fn give_up(mut self) {
        self.is_over = true;
        give_up(&self.cx, self.permission, self.id, &self.object_key).await;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.is_over {
            return;
        }
        let (cx, permission, id) = (self.cx.clone(), self.permission, self.id);
        let object_key = std::mem::take(&mut self.object_key);
        runtime.spawn(async move { give_up(&cx, permission, id, &object_key).await });
    }
}

/// What cannot be done now a job does later.
async fn give_up(cx: &Context, permission: Permission, id: FileId, object_key: &str) {
    let given_up = async {
        let mut tx = cx.begin(permission).await?;
        // where its last commit was not answered, it may be ready all the same
        let is_ours = store::give_up(&mut tx, id, cx.now()).await?;
        tx.commit().await?;
        if is_ours { cx.platform().storage.delete(object_key).await } else { Ok(()) }
    };
    if let Err(problem) = given_up.await {
        tracing::warn!(?problem, file_id = %id, "an upload that was given up is left to be collected");
    }
}

/// A file on its way to somebody who may have it.
pub struct Fetched {
    pub media: MediaType,
    pub name: HealthText,
    pub bytes: u64,
    pub pieces: Pieces,
}

never_shown!(Fetched);

pub async fn fetch(cx: &Context, id: FileId) -> Result<Fetched> {
    let mut tx = cx.begin(Permission::ReadFile).await?;
    let it = store::find(&mut tx, id, cx.now()).await?.ok_or(Refusal::NotFound)?;
    if it.purpose.is_sealed() && it.owner_id != cx.caller().user_id {
        let entry = Entry::done("file.read", "file", id.0).about(it.owner_id);
        tx.audit(entry.with(Detail::Purpose, it.purpose.name())).await?;
        tx.commit().await?;
    } else {
        drop(tx);
    }
    let media = MediaType::parse(&it.media_type).ok_or_else(|| Problem::internal("a file of a type we do not take"))?;
    let bytes = u64::try_from(it.size_bytes).map_err(Problem::internal)?;
    let damaged = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, file_id = %id, "a file does not open");
        Problem::from(Error::FileDamaged)
    };
    let opener = opener(cx, &it)?.map_err(|error| damaged(&error))?;
    let found = cx.platform().storage.find(&it.object_key).await?;
    let (_, object) = found.ok_or_else(|| damaged(&"its object is missing"))?;
    let (name, pieces) = match opener {
        None => (HealthText::new(plain_name(it.purpose, media)), object),
        Some((name, key)) => (name, stream::opened(object, key)),
    };
    let pieces = stream::begun(pieces).await?.map_err(|error| damaged(&error))?;
    Ok(Fetched { media, name, bytes, pieces })
}

type Opener = (HealthText, crate::platform::crypto::pieces::FileKey);

/// The name and the key of what is sealed.
fn opener(cx: &Context, it: &Readable) -> Result<Result<Option<Opener>, SealError>> {
    let (Some(sealed_key), Some(sealed_name)) = (&it.sealed_key, &it.sealed_name) else {
        return if it.purpose.is_sealed() { Err(Problem::internal("a file lost its key")) } else { Ok(Ok(None)) };
    };
    let wrapped = it.key_wrapped.as_ref().ok_or(Error::FileErased)?;
    let (key_id, subject) = (it.key_id.ok_or(Error::FileErased)?, keys::subject(it)?);
    let open = || {
        let key = SubjectKey::unwrap(key_id, subject, wrapped, &cx.platform().keyring)?;
        let name = key.open(&name_document(it.id), sealed_name)?;
        Ok(Some((name, key.file_key(&content_document(it.id), sealed_key)?)))
    };
    Ok(open())
}

pub async fn delete(cx: &Context, permission: Permission, id: FileId) -> Result<()> {
    let mut tx = cx.begin(permission).await?;
    let (purpose, owner) = store::delete(&mut tx, id, cx.now()).await?.ok_or(Refusal::NotFound)?;
    let entry = Entry::done("file.deleted", "file", id.0).about(owner);
    tx.audit(entry.with(Detail::Purpose, purpose.name())).await?;
    tx.commit().await
}

/// Takes one's own picture away. Once more changes nothing.
pub async fn delete_avatar(cx: &Context) -> Result<()> {
    let mut tx = cx.read(Permission::ManageSelf).await?;
    let avatar = store::find_avatar(&mut tx, cx.caller().user_id).await?;
    drop(tx);
    match avatar {
        None => Ok(()),
        Some(id) => match delete(cx, Permission::ManageSelf, id).await {
            // another one took its place, or it was taken away elsewhere, at the same moment
            Err(problem) if problem.code() == "not_found" => Ok(()),
            done => done,
        },
    }
}
