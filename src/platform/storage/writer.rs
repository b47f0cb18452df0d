//! An object on its way into the storage.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, MultipartUpload, ObjectStoreExt, PutPayload, PutPayloadMut};

use super::{SILENCE, SLOWEST_BYTES_PER_SECOND, Storage, unavailable};
use crate::platform::problem::Result;

/// Where a bucket holds the ids of uploads that are under way, each under the name of its object: whoever is killed in the
/// middle leaves parts behind that no list shows, and that are paid for.
pub(super) const UPLOADS: &str = "uploads";

/// Parts of a large object; an object that is no larger goes in one piece. No part of S3 but the last may be smaller.
const PART_BYTES: usize = 5 << 20;

/// Writes one object: at most two parts of it are in memory.
pub struct Writer {
    storage: Storage,
    path: Path,
    part: PutPayloadMut,
    parts: Option<Parts>,
    bytes: u64,
}

/// The upload of an object in parts; it is called off unless it is completed.
struct Parts(Option<Upload>);

enum Upload {
    Staged(Box<dyn MultipartUpload>),
    Noted(Noted),
}

/// An upload into a bucket, which is noted there.
struct Noted {
    bucket: Arc<AmazonS3>,
    path: Path,
    id: MultipartId,
    parts: Vec<PartId>,
}

/// What so many bytes are written by, in the time that they take over a slow line.
async fn in_time<T>(bytes: usize, written: impl Future<Output = object_store::Result<T>>) -> Result<T> {
    let patience = SILENCE + Duration::from_secs(bytes as u64 / SLOWEST_BYTES_PER_SECOND);
    tokio::time::timeout(patience, written).await.map_err(unavailable)?.map_err(unavailable)
}

/// What is written for as long as the storage answers otherwise: of the writing itself nothing is heard before it is done.
async fn while_it_answers<T>(storage: &Storage, written: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        done = written => done,
        silent = storage.falls_silent() => Err(silent),
    }
}

/// Where the upload of an object is noted.
fn note_of(path: &Path) -> Path {
    Path::from(format!("{UPLOADS}/{path}"))
}

impl Noted {
    /// Each of the two requests has its time. An upload that is there and cannot be noted is called off.
    async fn begin(bucket: &Arc<AmazonS3>, path: &Path) -> Result<Parts> {
        let id = in_time(0, bucket.create_multipart(path)).await?;
        let note = PutPayload::from(id.clone().into_bytes());
        let begun = Self { bucket: bucket.clone(), path: path.clone(), id, parts: Vec::new() };
        let begun = Parts(Some(Upload::Noted(begun)));
        // before anything is in it
        in_time(0, bucket.put(&note_of(path), note)).await?;
        Ok(begun)
    }

    async fn put_part(&mut self, part: PutPayload) -> object_store::Result<()> {
        self.parts.push(self.bucket.put_part(&self.path, &self.id, self.parts.len(), part).await?);
        Ok(())
    }

    async fn complete(&mut self) -> object_store::Result<()> {
        self.bucket.complete_multipart(&self.path, &self.id, std::mem::take(&mut self.parts)).await?;
        // of what is complete nothing is aborted, so that a note that stays does no harm
        let _ = self.bucket.delete(&note_of(&self.path)).await;
        Ok(())
    }

    async fn abort(&self) -> object_store::Result<()> {
        self.bucket.abort_multipart(&self.path, &self.id).await?;
        self.bucket.delete(&note_of(&self.path)).await
    }
}

impl Upload {
    async fn put_part(&mut self, part: PutPayload) -> object_store::Result<()> {
        match self {
            Self::Staged(upload) => upload.put_part(part).await,
            Self::Noted(upload) => upload.put_part(part).await,
        }
    }

    async fn complete(&mut self) -> object_store::Result<()> {
        match self {
            Self::Staged(upload) => upload.complete().await.map(drop),
            Self::Noted(upload) => upload.complete().await,
        }
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        match self {
            Self::Staged(upload) => upload.abort().await,
            Self::Noted(upload) => upload.abort().await,
        }
    }
}

impl Writer {
    pub(super) fn new(storage: Storage, path: Path) -> Self {
        Self { storage, path, part: PutPayloadMut::new(), parts: None, bytes: 0 }
    }

    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = PART_BYTES - self.part.content_length();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.part.extend_from_slice(now);
            bytes = later;
            if self.part.content_length() == PART_BYTES {
                let storage = self.storage.clone();
                while_it_answers(&storage, self.send_part()).await?;
            }
        }
        Ok(())
    }

    async fn send_part(&mut self) -> Result<()> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => {
                let begun = match &self.storage.bucket {
                    Some(bucket) => Noted::begin(bucket, &self.path).await?,
                    None => {
                        Parts(Some(Upload::Staged(in_time(0, self.storage.store.put_multipart(&self.path)).await?)))
                    }
                };
                none.insert(begun)
            }
        };
        let part = std::mem::take(&mut self.part);
        if let Some(upload) = &mut parts.0 {
            in_time(part.content_length(), upload.put_part(part.into())).await?;
        }
        Ok(())
    }

    /// Puts the object in its place; how many bytes it has. From here on it is read.
    pub async fn finish(mut self) -> Result<u64> {
        let storage = self.storage.clone();
        while_it_answers(&storage, self.put_in_place()).await?;
        Ok(self.bytes)
    }

    async fn put_in_place(&mut self) -> Result<()> {
        if self.parts.is_none() {
            let whole = std::mem::take(&mut self.part);
            let store = self.storage.to_write();
            return in_time(whole.content_length(), store.put(&self.path, whole.into())).await.map(drop);
        }
        if !self.part.is_empty() {
            self.send_part().await?;
        }
        if let Some(parts) = &mut self.parts {
            if let Some(upload) = &mut parts.0 {
                upload.complete().await.map_err(unavailable)?;
            }
            parts.0 = None;
        }
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let (Some(mut upload), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) else { return };
        runtime.spawn(async move {
            if let Err(error) = upload.abort().await {
                tracing::warn!(%error, "what was written of an object could not be taken back");
            }
        });
    }
}

/// Removes the files `name#number` below a folder that were there before a moment; how many.
pub(super) fn remove_staged(folder: &FilePath, moment: SystemTime) -> std::io::Result<usize> {
    let mut removed = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            removed += remove_staged(&entry.path(), moment)?;
            continue;
        }
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.rsplit_once('#')).map(|(_, number)| number);
        let is_staged = number.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()));
        if is_staged && entry.metadata()?.modified()? < moment {
            std::fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}
