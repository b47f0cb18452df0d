//! Files under random keys, in a local folder.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};

use crate::platform::config::Config;
use crate::platform::problem::{Problem, Result};

/// Where files are kept.
#[derive(Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
}

impl Storage {
    /// Opens `STORAGE_URL`: `file:/path`, made when missing.
    pub fn open(config: &Config) -> Result<Self> {
        let path =
            config.storage_url.to_file_path().map_err(|()| Problem::internal("STORAGE_URL is not a file: URL"))?;
        std::fs::create_dir_all(&path).map_err(Problem::internal)?;
        let store = object_store::local::LocalFileSystem::new_with_prefix(path).map_err(Problem::internal)?;
        Ok(Self { store: Arc::new(store) })
    }

    /// A file to write piece by piece, at constant memory. Nothing can be read before it is finished.
    pub async fn create(&self, key: &str) -> Result<WriteMultipart> {
        let upload = self.store.put_multipart(&Path::from(key)).await.map_err(Problem::internal)?;
        Ok(WriteMultipart::new(upload))
    }

    /// The bytes of a file, and how many.
    pub async fn read(&self, key: &str) -> Result<(u64, BoxStream<'static, std::io::Result<Bytes>>)> {
        let got = self.store.get(&Path::from(key)).await.map_err(Problem::internal)?;
        let size = got.meta.size;
        Ok((size, got.into_stream().map(|piece| piece.map_err(std::io::Error::other)).boxed()))
    }

    /// Removes a file; one that is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<()> {
        match self.store.delete(&Path::from(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Problem::internal(error)),
        }
    }

    /// Whether files can be written now.
    pub async fn check(&self) -> Result<()> {
        let path = Path::from("health/probe");
        self.store.put(&path, Bytes::from_static(b"ok").into()).await.map_err(Problem::internal)?;
        Ok(())
    }
}
