//! Objects under random keys, in a local folder or in a bucket of a server that speaks S3.
//!
//! An object can be read once all of it is there, and never changes afterwards. Where the storage is away, does not answer
//! or has no room, whatever needs it fails with `503 storage_unavailable`.

mod writer;

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{BoxStream, try_unfold};
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, GetResultPayload, ObjectStore, ObjectStoreExt, RetryConfig};
use secrecy::ExposeSecret;

use crate::platform::config::{Bucket, Config, StorageUrl};
use crate::platform::problem::{Error, Problem, Result};
pub use writer::Writer;

const CONNECTING: Duration = Duration::from_secs(5);
/// A server that says nothing for so long is away.
const SILENCE: Duration = Duration::from_secs(20);
/// What is written may take so much longer as its bytes take over a slow line.
const SLOWEST_BYTES_PER_SECOND: u64 = 8 << 10;
/// Longer than any part takes; a server puts the parts of a large object together for minutes.
const LONGEST_WRITE: Duration = Duration::from_mins(15);
/// What fails is tried again for so long at most: a person waits for it.
const RETRYING: Duration = Duration::from_secs(10);
/// What is read of a file of the folder at once. Another thread does it: of small pieces most of the time is spent on handing
/// them over.
const READ_AT_ONCE: u64 = 128 << 10;
const PROBE: &str = "health/probe";
/// What is written to a bucket for longer is written by nobody any more.
const LONGEST_UPLOAD: TimeDelta = TimeDelta::hours(22);

/// The bytes of an object, as they come.
pub type Pieces = BoxStream<'static, std::io::Result<Bytes>>;

/// Where files are kept.
#[derive(Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    /// Where it is a folder.
    folder: Option<PathBuf>,
    /// Where it is a bucket, for what is written: nothing is heard of a server before it has all of a part.
    bucket: Option<Arc<AmazonS3>>,
    /// After how long it is asked whether it is there, while something is written to it, and how long it may take to answer.
    silence: Duration,
}

/// The storage is there, and does not take the program: its address, its bucket or its keys are wrong.
#[derive(Debug, thiserror::Error)]
#[error("STORAGE_URL: {0}")]
pub struct Misplaced(object_store::Error);

impl Storage {
    /// Opens `STORAGE_URL`; a folder is made when missing.
    pub fn open(config: &Config) -> Result<Self> {
        match &config.storage_url {
            StorageUrl::Folder(folder) => {
                std::fs::create_dir_all(folder).map_err(Problem::internal)?;
                let store = LocalFileSystem::new_with_prefix(folder).map_err(Problem::internal)?.with_fsync(true);
                Ok(Self { store: Arc::new(store), folder: Some(folder.clone()), bucket: None, silence: SILENCE })
            }
            StorageUrl::Bucket(bucket) => {
                let to_read = ClientOptions::new().with_read_timeout(SILENCE).with_timeout_disabled();
                let to_write = ClientOptions::new().with_timeout(LONGEST_WRITE);
                let open = |options| open_bucket(bucket, options).map(Arc::new).map_err(Problem::internal);
                Ok(Self { store: open(to_read)?, folder: None, bucket: Some(open(to_write)?), silence: SILENCE })
            }
        }
    }

    /// The same, less patient, or more, with a bucket that says nothing.
    #[must_use]
    pub fn with_silence(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// Tries what the program needs, once, before it serves. A storage that is away is only noted: it may come back.
    pub async fn prove(&self) -> Result<(), Misplaced> {
        let tried = async {
            let path = Path::from(PROBE);
            self.store.put(&path, Bytes::from_static(b"ok").into()).await?;
            // another process that starts at the same moment may have removed it
            or_gone(async { self.store.get(&path).await?.bytes().await }.await)?;
            self.store.list(Some(&Path::from("health"))).try_next().await?;
            or_gone(self.store.delete(&path).await)?;
            let Some(bucket) = &self.bucket else { return Ok(()) };
            let id = bucket.create_multipart(&path).await?;
            bucket.abort_multipart(&path, &id).await
        };
        match tried.await {
            Ok(()) => Ok(()),
            Err(error) if is_our_fault(&error) => Err(Misplaced(error)),
            Err(error) => {
                tracing::error!(%error, "the file storage does not answer");
                Ok(())
            }
        }
    }

    /// An object to write piece by piece, at constant memory. Dropped before it is finished it leaves nothing.
    pub fn create(&self, key: &str) -> Writer {
        Writer::new(self.clone(), Path::from(key))
    }

    fn to_write(&self) -> Arc<dyn ObjectStore> {
        self.bucket.clone().map_or_else(|| self.store.clone(), |bucket| bucket as Arc<dyn ObjectStore>)
    }

    /// Ends once a bucket does not answer what it is asked now and then, or refuses it twice in a row: one that refuses a question
    /// answers, and may be taking what is written all the while. What a folder is written by is heard of as it is.
    async fn falls_silent(&self) -> Problem {
        if self.bucket.is_none() {
            return std::future::pending().await;
        }
        let mut has_refused = false;
        loop {
            tokio::time::sleep(self.silence).await;
            match tokio::time::timeout(self.silence, self.store.head(&Path::from(PROBE))).await {
                Ok(Ok(_) | Err(object_store::Error::NotFound { .. })) => has_refused = false,
                Ok(Err(error)) if !has_refused && says_status(&error) => has_refused = true,
                // there is no connection, or no answer on it, as well
                Ok(Err(error)) => return unavailable(error),
                Err(elapsed) => return unavailable(elapsed),
            }
        }
    }

    /// The bytes of an object, and how many; `None` where there is none.
    pub async fn find(&self, key: &str) -> Result<Option<(u64, Pieces)>> {
        let got = match self.store.get(&Path::from(key)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            got => got.map_err(unavailable)?,
        };
        let size = got.meta.size;
        let pieces = match got.payload {
            GetResultPayload::File(file, _) => read_file(file, size),
            GetResultPayload::Stream(pieces) => pieces.map(|piece| piece.map_err(std::io::Error::other)).boxed(),
        };
        Ok(Some((size, pieces)))
    }

    /// The bytes of an object that must be there.
    pub async fn read(&self, key: &str) -> Result<(u64, Pieces)> {
        self.find(key).await?.ok_or_else(|| Problem::internal("an object is missing"))
    }

    /// Removes an object; one that is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<()> {
        match self.store.delete(&Path::from(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// The keys of objects below a folder that were there before a moment, some at a time.
    pub fn list_before(&self, folder: &str, moment: DateTime<Utc>) -> BoxStream<'_, Result<Vec<String>>> {
        let old = self.store.list(Some(&Path::from(folder))).try_filter_map(move |it| {
            let is_old = it.last_modified < moment;
            async move { Ok(is_old.then(|| it.location.to_string())) }
        });
        old.try_chunks(500).map_err(|failed| unavailable(failed.1)).boxed()
    }

    /// Removes what a crash left of objects that were being written.
    pub async fn remove_unfinished(&self, moment: DateTime<Utc>) -> Result<usize> {
        if let Some(bucket) = &self.bucket {
            return self.abort_uploads(bucket, moment - LONGEST_UPLOAD).await;
        }
        let Some(folder) = self.folder.clone() else { return Ok(0) };
        let removed = tokio::task::spawn_blocking(move || writer::remove_staged(&folder, moment.into()));
        removed.await.map_err(Problem::internal)?.map_err(unavailable)
    }

    /// Calls off the uploads that were begun before a moment and are noted still.
    async fn abort_uploads(&self, bucket: &AmazonS3, moment: DateTime<Utc>) -> Result<usize> {
        let mut aborted = 0;
        let mut noted = self.list_before(writer::UPLOADS, moment);
        while let Some(notes) = noted.try_next().await? {
            for note in notes {
                let Some(key) = note.strip_prefix(writer::UPLOADS).and_then(|it| it.strip_prefix('/')) else {
                    continue;
                };
                let Some((_, pieces)) = self.find(&note).await? else { continue };
                let id: Vec<Bytes> = pieces.try_collect().await.map_err(unavailable)?;
                let id = String::from_utf8(id.concat()).map_err(Problem::internal)?;
                match bucket.abort_multipart(&Path::from(key), &id).await {
                    Ok(()) => aborted += 1,
                    // it was completed, or called off, by whoever had no time to say so
                    Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(unavailable(error)),
                }
                self.delete(&note).await?;
            }
        }
        Ok(aborted)
    }

    /// Bytes that its disk can still take, and can take at all. A bucket does not say.
    pub async fn room(&self) -> Result<Option<(u64, u64)>> {
        let Some(folder) = self.folder.clone() else { return Ok(None) };
        // a disk of the network may keep one waiting
        let asked = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&folder));
        let disk = asked.await.map_err(Problem::internal)?.map_err(unavailable)?;
        Ok(Some((disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)))
    }

    /// Whether files can be kept now: a folder is written to, a bucket is asked.
    pub async fn check(&self) -> Result<()> {
        let path = Path::from(PROBE);
        if self.folder.is_some() {
            self.store.put(&path, Bytes::from_static(b"ok").into()).await.map_err(unavailable)?;
            return Ok(());
        }
        match self.store.head(&path).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }
}

fn read_file(file: File, size: u64) -> Pieces {
    let pieces = try_unfold((file, size), |(file, left)| async move {
        let most = left.min(READ_AT_ONCE);
        if most == 0 {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = Vec::with_capacity(usize::try_from(most).unwrap_or_default());
            (&file).take(most).read_to_end(&mut piece)?;
            Ok::<_, std::io::Error>((piece, file))
        });
        let (piece, file) = read.await.map_err(std::io::Error::other)??;
        let left = left - piece.len() as u64;
        if piece.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((Bytes::from(piece), (file, left))))
    });
    pieces.boxed()
}

fn open_bucket(bucket: &Bucket, options: ClientOptions) -> object_store::Result<AmazonS3> {
    let options = options.with_allow_http(bucket.endpoint.starts_with("http://")).with_connect_timeout(CONNECTING);
    let retry = RetryConfig {
        backoff: BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: CONNECTING, base: 2.0 },
        max_retries: 3,
        retry_timeout: RETRYING,
    };
    AmazonS3Builder::new()
        .with_endpoint(&bucket.endpoint)
        .with_bucket_name(&bucket.name)
        .with_region(&bucket.region)
        .with_access_key_id(&bucket.access_key)
        .with_secret_access_key(bucket.secret_key.expose_secret())
        .with_virtual_hosted_style_request(bucket.is_virtual_host)
        .with_conditional_put(S3ConditionalPut::Disabled)
        // nothing is deleted by the hundred; an answer about many hides among them that one may not be
        .with_disable_bulk_delete(true)
        .with_client_options(options)
        .with_retry(retry)
        .build()
}

/// That there is no such object is no fault.
fn or_gone<T>(done: object_store::Result<T>) -> object_store::Result<()> {
    match done {
        Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether waiting would not help.
fn is_our_fault(error: &object_store::Error) -> bool {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
    match error {
        NotFound { .. } | PermissionDenied { .. } | Unauthenticated { .. } => true,
        // a list that is refused says it in words alone
        _ => error.to_string().contains("status code: 403"),
    }
}

/// Whether a server answered, by refusing.
fn says_status(error: &object_store::Error) -> bool {
    error.to_string().contains("status code: ")
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Problem {
    metrics::counter!("huntzen_storage_errors_total").increment(1);
    Problem::from(Error::StorageUnavailable).with_source(error)
}
