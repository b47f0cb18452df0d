//! The stream under a WebSocket: it gives up whoever takes nothing, and can be cut from elsewhere.
//!
//! A packet that waits for a reader cannot be taken back, and what would close the connection waits behind it: only an
//! error of the stream ends that.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use socketioxide::socket::Sid;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A reader who takes nothing for so long, while something waits, is given up.
const PATIENCE: Duration = if cfg!(test) { Duration::from_millis(400) } else { Duration::from_secs(15) };

/// Cuts a stream.
#[derive(Default)]
pub(super) struct Cut {
    is_over: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Cut {
    /// From now on whoever reads or writes gets an error, also where they wait already.
    pub fn cut(&self) {
        self.is_over.store(true, Ordering::Release);
        self.reader.wake();
        self.writer.wake();
    }

    fn check(&self) -> Result<()> {
        if self.is_over.load(Ordering::Acquire) { Err(ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

/// Connections which began by polling: the streams that belong to them, and how they are closed.
#[derive(Default)]
pub(super) struct Lines {
    streams: Mutex<HashMap<Sid, Vec<Arc<Cut>>>>,
    closing: OnceLock<Closing>,
}

/// Closes a connection that polls as its client could; does nothing to others.
pub(super) type Closing = Box<dyn Fn(Sid) + Send + Sync>;

impl Lines {
    fn all(&self) -> MutexGuard<'_, HashMap<Sid, Vec<Arc<Cut>>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_closing(&self, closing: Closing) {
        let _ = self.closing.set(closing);
    }

    pub fn close(&self, sid: Sid) {
        if let Some(close) = self.closing.get() {
            close(sid);
        }
    }

    pub fn add(&self, sid: Sid, cut: Arc<Cut>) {
        self.all().entry(sid).or_insert_with(|| Vec::with_capacity(1)).push(cut);
    }

    pub fn remove(&self, sid: Sid, cut: &Arc<Cut>) {
        let mut all = self.all();
        if let Some(cuts) = all.get_mut(&sid) {
            cuts.retain(|it| !Arc::ptr_eq(it, cut));
            if cuts.is_empty() {
                all.remove(&sid);
            }
        }
    }

    pub fn cut(&self, sid: Sid) {
        self.all().get(&sid).into_iter().flatten().for_each(|it| it.cut());
    }
}

/// What is done when a stream is gone.
pub(super) type AtEnd = Box<dyn FnOnce() + Send>;

pub(super) struct Line<S> {
    stream: S,
    cut: Arc<Cut>,
    /// Boxed, for nearly nobody ever waits.
    stalled: Option<Pin<Box<Sleep>>>,
    at_end: Option<AtEnd>,
}

impl<S> Line<S> {
    pub fn new(stream: S, cut: Arc<Cut>, at_end: Option<AtEnd>) -> Self {
        Self { stream, cut, stalled: None, at_end }
    }

    /// Whoever writes waits; not for ever.
    fn wait<T>(&mut self, cx: &mut Context<'_>, written: Poll<Result<T>>) -> Poll<Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        ready!(stalled.as_mut().poll(cx));
        // whoever reads as well: that is what closes the connection
        self.cut.cut();
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "nobody reads")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        self.cut.reader.register(cx.waker());
        self.cut.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.cut.writer.register(cx.waker());
        self.cut.check()?;
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wait(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.cut.writer.register(cx.waker());
        self.cut.check()?;
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.wait(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.wait(cx, shut)
    }
}

impl<S> Drop for Line<S> {
    fn drop(&mut self) {
        if let Some(at_end) = self.at_end.take() {
            at_end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
    use tokio::time::Instant;

    use super::*;

    fn line() -> (Line<DuplexStream>, DuplexStream, Arc<Cut>) {
        let (here, there) = duplex(1024);
        let cut = Arc::<Cut>::default();
        (Line::new(here, cut.clone(), None), there, cut)
    }

    #[tokio::test]
    async fn whoever_takes_nothing_is_given_up_by_reader_and_writer_alike() {
        let (line, _there, _) = line();
        let (mut reads, mut writes) = split(line);
        let reading = tokio::spawn(async move { reads.read_u8().await.map_err(|error| error.kind()) });
        let since = Instant::now();
        let error = writes.write_all(&[7; 5000]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(since.elapsed() >= PATIENCE, "{:?}", since.elapsed());
        assert_eq!(reading.await.unwrap(), Err(ErrorKind::ConnectionAborted));
        // and nothing waits any more
        let since = Instant::now();
        assert_eq!(writes.write_all(&[7]).await.unwrap_err().kind(), ErrorKind::ConnectionAborted);
        assert_eq!(writes.flush().await.unwrap_err().kind(), ErrorKind::ConnectionAborted);
        assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());
    }

    #[tokio::test]
    async fn whoever_takes_something_now_and_then_is_not() {
        let (mut line, mut there, _) = line();
        let reading = tokio::spawn(async move {
            let mut taken = 0;
            let mut some = [0; 1000];
            let mut now_and_then = tokio::time::interval(PATIENCE / 2);
            while taken < 5000 {
                now_and_then.tick().await;
                taken += there.read(&mut some).await.unwrap();
            }
            taken
        });
        let since = Instant::now();
        line.write_all(&[7; 5000]).await.unwrap();
        assert!(since.elapsed() > PATIENCE, "{:?}", since.elapsed());
        assert_eq!(reading.await.unwrap(), 5000);
    }

    #[tokio::test]
    async fn a_cut_ends_whoever_waits_on_either_side_and_the_end_is_told_once() {
        let (here, _there) = duplex(1024);
        let cut = Arc::<Cut>::default();
        let ends = Arc::new(AtomicU32::new(0));
        let told = ends.clone();
        let at_end: AtEnd = Box::new(move || {
            told.fetch_add(1, Ordering::Relaxed);
        });
        let (lines, sid) = (Lines::default(), Sid::new());
        lines.add(sid, cut.clone());
        let (mut reads, mut writes) = split(Line::new(here, cut.clone(), Some(at_end)));
        let reading = tokio::spawn(async move { reads.read_u8().await.map_err(|error| error.kind()) });
        let writing = tokio::spawn(async move { writes.write_all(&[7; 5000]).await.map_err(|error| error.kind()) });
        while cut.reader.take().map(Waker::wake).is_none() {
            tokio::task::yield_now().await;
        }
        lines.cut(sid);
        assert_eq!(reading.await.unwrap(), Err(ErrorKind::ConnectionAborted));
        assert_eq!(writing.await.unwrap(), Err(ErrorKind::ConnectionAborted));
        assert_eq!(ends.load(Ordering::Relaxed), 1);
        lines.remove(sid, &cut);
        assert!(lines.all().is_empty());
    }
}
