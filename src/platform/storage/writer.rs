//! An object on its way into the storage.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, PutPayloadMut};

use super::{SILENCE, SLOWEST_BYTES_PER_SECOND, unavailable};
use crate::platform::problem::Result;

/// Where a bucket holds the ids of uploads that are under way, each under the name of its object: whoever is killed in the
/// middle leaves parts behind that no list shows, and that are paid for.
pub(super) const UPLOADS: &str = "uploads";

/// Parts of a large object; an object that is no larger goes in one piece. No part of S3 but the last may be smaller.
const PART_BYTES: usize = 5 << 20;

/// Writes one object: at most two parts of it are in memory.
pub struct Writer {
    store: Arc<dyn ObjectStore>,
    bucket: Option<Arc<AmazonS3>>,
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

/// How long so many bytes may take: as long as over a slow line, for nothing is heard before the last of them has come.
fn patience(bytes: usize) -> Duration {
    SILENCE + Duration::from_secs(bytes as u64 / SLOWEST_BYTES_PER_SECOND)
}

/// What so many bytes are written by, in their time.
async fn in_time<T>(bytes: usize, written: impl Future<Output = object_store::Result<T>>) -> Result<T> {
    tokio::time::timeout(patience(bytes), written).await.map_err(unavailable)?.map_err(unavailable)
}

/// Where the upload of an object is noted.
fn note_of(path: &Path) -> Path {
    Path::from(format!("{UPLOADS}/{path}"))
}

impl Noted {
    async fn begin(bucket: &Arc<AmazonS3>, path: &Path) -> object_store::Result<Self> {
        let id = bucket.create_multipart(path).await?;
        let begun = Self { bucket: bucket.clone(), path: path.clone(), id, parts: Vec::new() };
        // before anything is in it
        match bucket.put(&note_of(path), begun.id.clone().into_bytes().into()).await {
            Ok(_) => Ok(begun),
            Err(error) => {
                let _ = begun.bucket.abort_multipart(path, &begun.id).await;
                Err(error)
            }
        }
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
    pub(super) fn new(store: Arc<dyn ObjectStore>, bucket: Option<Arc<AmazonS3>>, path: Path) -> Self {
        Self { store, bucket, path, part: PutPayloadMut::new(), parts: None, bytes: 0 }
    }

    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = PART_BYTES - self.part.content_length();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.part.extend_from_slice(now);
            bytes = later;
            if self.part.content_length() == PART_BYTES {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    async fn send_part(&mut self) -> Result<()> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => {
                let begun = match &self.bucket {
                    Some(bucket) => Upload::Noted(in_time(0, Noted::begin(bucket, &self.path)).await?),
                    None => Upload::Staged(in_time(0, self.store.put_multipart(&self.path)).await?),
                };
                none.insert(Parts(Some(begun)))
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
        if self.parts.is_none() {
            let whole = std::mem::take(&mut self.part);
            in_time(whole.content_length(), self.store.put(&self.path, whole.into())).await?;
            return Ok(self.bytes);
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
        Ok(self.bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_that_hangs_is_given_up_within_two_minutes_whatever_it_was_given() {
        let seconds = |bytes| patience(bytes).as_secs();
        assert_eq!([seconds(0), seconds(1 << 10), seconds(1 << 20), seconds(PART_BYTES)], [20, 20, 36, 100]);
    }
}
