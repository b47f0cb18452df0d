//! A ZIP that is written as it is sealed and stored: what is in memory of it is a piece of the file, and the list of its
//! entries for its end.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

use crate::domain::files::Sink;
use crate::platform::{Problem, Result};

/// What waits to be stored before more is taken.
const MOST_WAITING: usize = 64 << 10;

/// Where the archive writes to; emptied into the storage.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<Vec<u8>>>);

impl Waiting {
    fn with<T>(&self, f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Waiting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.with(|waiting| waiting.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub struct Archive {
    zip: ZipWriter<StreamWriter<Waiting>>,
    waiting: Waiting,
    sink: Sink,
    bytes: u64,
}

impl Archive {
    pub fn new(sink: Sink) -> Self {
        let waiting = Waiting::default();
        Self { zip: ZipWriter::new_stream(waiting.clone()), waiting, sink, bytes: 0 }
    }

    /// Begins an entry; texts are packed, files of people are so already.
    pub async fn begin(&mut self, name: &str, is_packed: bool) -> Result<()> {
        let method = if is_packed { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        // sizes are told after each entry, in 64 bits: nobody knows them before
        let options = SimpleFileOptions::default().compression_method(method).large_file(true);
        self.zip.start_file(name, options).map_err(Problem::internal)?;
        self.store(0).await
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(MOST_WAITING) {
            self.zip.write_all(piece).map_err(Problem::internal)?;
            self.store(MOST_WAITING).await?;
        }
        Ok(())
    }

    pub async fn text(&mut self, name: &str, text: &str) -> Result<()> {
        self.begin(name, false).await?;
        self.write(text.as_bytes()).await
    }

    /// Puts the file in its place; how many bytes the archive has.
    pub async fn finish(self) -> Result<u64> {
        let Self { zip, waiting, mut sink, bytes } = self;
        zip.finish().map_err(Problem::internal)?;
        let rest = waiting.with(std::mem::take);
        sink.write(&rest).await?;
        sink.finish().await?;
        Ok(bytes + rest.len() as u64)
    }

    /// Hands on what waits, where there is more of it.
    async fn store(&mut self, most: usize) -> Result<()> {
        if self.waiting.with(|waiting| waiting.len() <= most) {
            return Ok(());
        }
        let piece = self.waiting.with(std::mem::take);
        self.bytes += piece.len() as u64;
        self.sink.write(&piece).await
    }
}
