//! An object on its way into the storage.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::SystemTime;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayloadMut};

use super::unavailable;
use crate::platform::problem::Result;

/// Parts of a large object; an object that is no larger goes in one piece. No part of S3 but the last may be smaller.
const PART_BYTES: usize = 5 << 20;

/// Writes one object: at most two parts of it are in memory.
pub struct Writer {
    store: Arc<dyn ObjectStore>,
    path: Path,
    part: PutPayloadMut,
    parts: Option<Parts>,
    bytes: u64,
}

/// The upload of an object in parts; it is called off unless it is completed.
struct Parts(Option<Box<dyn MultipartUpload>>);

impl Writer {
    pub(super) fn new(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self { store, path, part: PutPayloadMut::new(), parts: None, bytes: 0 }
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
                let upload = self.store.put_multipart(&self.path).await.map_err(unavailable)?;
                none.insert(Parts(Some(upload)))
            }
        };
        let part = std::mem::take(&mut self.part);
        if let Some(upload) = &mut parts.0 {
            upload.put_part(part.into()).await.map_err(unavailable)?;
        }
        Ok(())
    }

    /// Puts the object in its place; how many bytes it has. From here on it is read.
    pub async fn finish(mut self) -> Result<u64> {
        if self.parts.is_none() {
            let whole = std::mem::take(&mut self.part);
            self.store.put(&self.path, whole.into()).await.map_err(unavailable)?;
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
