//! Contents on their way: into the storage, sealed where they are to be; out of it, opened again.

use aws_lc_rs::digest::{Context as Digest, SHA256};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt};

use crate::platform::crypto::entropy::Entropy;
use crate::platform::crypto::pieces::{FileKey, PIECE_BYTES, PIECE_OVERHEAD};
use crate::platform::crypto::seal::SealError;
use crate::platform::storage::{Pieces, Writer};
use crate::platform::{Problem, Result};

/// Writes a content to its object.
pub struct Sink {
    object: Writer,
    digest: Digest,
    seal: Option<(FileKey, Entropy)>,
    number: u64,
    /// Not yet a whole piece, or the last one.
    held: Vec<u8>,
    bytes: u64,
}

/// What was written.
pub struct Written {
    /// Of the content.
    pub bytes: u64,
    /// Of the object.
    pub digest: Vec<u8>,
}

impl Sink {
    pub fn new(object: Writer, seal: Option<(FileKey, Entropy)>) -> Self {
        Self { object, digest: Digest::new(&SHA256), seal, number: 0, held: Vec::new(), bytes: 0 }
    }

    pub async fn write(&mut self, content: &[u8]) -> Result<()> {
        self.bytes += content.len() as u64;
        if self.seal.is_none() {
            return self.put(content).await;
        }
        let mut rest = content;
        while !rest.is_empty() {
            // a whole one stays until more comes: it may be the last
            if self.held.len() == PIECE_BYTES {
                let mut piece = std::mem::take(&mut self.held);
                self.put_sealed(&piece, false).await?;
                piece.clear();
                self.held = piece;
            }
            let (now, later) = rest.split_at(rest.len().min(PIECE_BYTES - self.held.len()));
            self.held.extend_from_slice(now);
            rest = later;
        }
        Ok(())
    }

    /// Puts the object in its place.
    pub async fn finish(mut self) -> Result<Written> {
        if self.seal.is_some() {
            let last = std::mem::take(&mut self.held);
            self.put_sealed(&last, true).await?;
        }
        let Self { object, digest, bytes, .. } = self;
        object.finish().await?;
        Ok(Written { bytes, digest: digest.finish().as_ref().to_vec() })
    }

    async fn put_sealed(&mut self, piece: &[u8], is_last: bool) -> Result<()> {
        let Some((key, entropy)) = &self.seal else { return Ok(()) };
        let sealed = key.seal(self.number, is_last, piece, entropy)?;
        self.number += 1;
        self.put(&sealed).await
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.digest.update(bytes);
        self.object.write(bytes).await
    }
}

struct Opening {
    object: Pieces,
    key: FileKey,
    number: u64,
    held: BytesMut,
    is_over: bool,
}

/// The content of a sealed object. It ends with an error where a piece does not open, or the last one is missing.
pub fn opened(object: Pieces, key: FileKey) -> Pieces {
    let opening = Opening { object, key, number: 0, held: BytesMut::new(), is_over: false };
    futures_util::stream::try_unfold(
        opening,
        |mut it| async move { Ok(it.next_piece().await?.map(|piece| (piece, it))) },
    )
    .boxed()
}

impl Opening {
    async fn next_piece(&mut self) -> std::io::Result<Option<Bytes>> {
        const WHOLE: usize = PIECE_BYTES + PIECE_OVERHEAD;
        if self.is_over {
            return Ok(None);
        }
        // one byte more than a piece tells that another follows
        while self.held.len() <= WHOLE {
            match self.object.try_next().await? {
                Some(bytes) => self.held.extend_from_slice(&bytes),
                None => break,
            }
        }
        let is_last = self.held.len() <= WHOLE;
        let mut sealed = self.held.split_to(WHOLE.min(self.held.len()));
        let range = self.key.open(self.number, is_last, &mut sealed).map_err(std::io::Error::other)?;
        self.number += 1;
        self.is_over = is_last;
        Ok(Some(sealed.freeze().slice(range)))
    }
}

fn damage(error: &std::io::Error) -> Option<SealError> {
    error.get_ref().and_then(|error| error.downcast_ref::<SealError>()).copied()
}

/// Whether a content broke off because it does not open, and not because the storage is away.
pub fn is_damage(error: &std::io::Error) -> bool {
    damage(error).is_some()
}

/// A content whose first piece is there, so that what does not open is known before anything is answered.
pub async fn begun(mut pieces: Pieces) -> Result<Result<Pieces, SealError>> {
    let first = match pieces.try_next().await {
        Ok(first) => first,
        Err(error) => match damage(&error) {
            Some(seal) => return Ok(Err(seal)),
            None => return Err(Problem::from(crate::platform::problem::Error::StorageUnavailable).with_source(error)),
        },
    };
    Ok(Ok(futures_util::stream::iter(first.map(Ok)).chain(pieces).boxed()))
}
