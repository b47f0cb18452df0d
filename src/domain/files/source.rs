//! A file while it comes: what it is, and into its object with it.

use aws_lc_rs::digest::{Context as Digest, SHA256};
use bytes::Bytes;

use super::error::Error;
use super::model::{MediaType, too_large};
use super::sniff::{self, PdfWatch};
use super::stream::{Sink, Written};
use crate::platform::http::upload::IncomingFile;
use crate::platform::images::{Fault, Images, Kind, Picture, Shape};
use crate::platform::problem::Error as Refusal;
use crate::platform::{Problem, Result};

pub struct Source<'a> {
    file: &'a mut IncomingFile,
    /// What came and was not taken yet.
    held: Vec<u8>,
    has_more: bool,
    /// Of everything that was taken.
    seen: Digest,
}

impl<'a> Source<'a> {
    /// Waits until what it is can be told.
    pub async fn begin(file: &'a mut IncomingFile) -> Result<Self> {
        let mut it = Self { file, held: Vec::new(), has_more: true, seen: Digest::new(&SHA256) };
        while it.has_more && it.held.len() < sniff::HEAD_BYTES {
            it.read().await?;
        }
        if it.held.is_empty() { Err(Problem::from(Refusal::Invalid).at("/file", "empty_file")) } else { Ok(it) }
    }

    pub fn media_type(&self) -> Option<MediaType> {
        sniff::media_type(&self.held)
    }

    /// A hash of what came, in hexadecimal digits.
    pub fn digest(self) -> String {
        hex::encode(self.seen.finish())
    }

    /// Takes all of a picture, and writes it anew; what it is then.
    pub async fn picture(
        &mut self,
        images: &Images,
        kind: Kind,
        shape: Shape,
        limit: u64,
        mut sink: Sink,
    ) -> Result<(Written, MediaType)> {
        // until it is written anew
        let mut room = images.room(1)?;
        while self.has_more {
            self.read().await?;
            if self.held.len() as u64 > limit {
                return Err(too_large(limit));
            }
            images.fit(&mut room, self.held.len())?;
        }
        let whole = std::mem::take(&mut self.held);
        self.seen.update(&whole);
        let rewritten = images.rewrite(kind, Bytes::from(whole), shape).await?;
        let Picture { kind, bytes } = rewritten.map_err(|fault| match fault {
            Fault::Unreadable => Error::FileUnreadable,
            Fault::TooLarge => Error::PictureTooLarge,
        })?;
        drop(room);
        sink.write(&bytes).await?;
        Ok((sink.finish().await?, kind.into()))
    }

    /// Passes a PDF on as it comes.
    pub async fn document(&mut self, limit: u64, mut sink: Sink) -> Result<Written> {
        let mut watch = PdfWatch::default();
        let mut bytes = 0;
        loop {
            bytes += self.held.len() as u64;
            if bytes > limit {
                return Err(too_large(limit));
            }
            self.seen.update(&self.held);
            watch.see(&self.held);
            sink.write(&self.held).await?;
            if !self.has_more {
                break;
            }
            self.held.clear();
            self.read().await?;
        }
        if watch.is_whole() { sink.finish().await } else { Err(Error::FileUnreadable.into()) }
    }

    async fn read(&mut self) -> Result<()> {
        self.has_more = self.file.read(&mut self.held).await?;
        Ok(())
    }
}
