//! Panics: where they began, and which call stack they ended.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Once};

use futures_util::FutureExt;

thread_local! {
    /// How many watch what runs on this thread.
    static WATCHED: Cell<u32> = const { Cell::new(0) };
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// A panic, without its message: that may quote data.
#[derive(Debug, Default)]
pub struct Panic {
    /// File, line and column.
    pub place: String,
    pub stack: Option<Arc<Backtrace>>,
}

/// Has panics counted, and kept for whoever watches. What was done about them before is still done.
pub fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            metrics::counter!("huntzen_panics_total").increment(1);
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let it = Panic { place, stack: super::stack() };
            if WATCHED.get() > 0 {
                LAST.set(Some(it));
            } else {
                super::adopt(it);
            }
            before(panic);
        }));
    });
}

/// Runs something that may panic, which ends it alone.
pub async fn watch<F: Future>(work: F) -> Result<F::Output, Panic> {
    let mut work = pin!(AssertUnwindSafe(work).catch_unwind());
    let ended = poll_fn(|cx| {
        let _watching = Watching::new();
        work.as_mut().poll(cx)
    });
    // a panic is caught on the thread, and in the very poll, that it came up in
    ended.await.map_err(|_| LAST.take().unwrap_or_default())
}

struct Watching(());

impl Watching {
    fn new() -> Self {
        WATCHED.set(WATCHED.get() + 1);
        Self(())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        WATCHED.set(WATCHED.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_known_by_its_place_and_not_by_its_words() {
        note_panics();
        let panic = watch(async {
            tokio::task::yield_now().await;
            let words = "alice@people.test".to_owned();
            assert!(words.is_empty(), "{words}");
        });
        let panic = panic.await.unwrap_err();
        assert!(panic.place.starts_with("src/platform/telemetry/reports/panics.rs:"), "{panic:?}");
        assert!(!format!("{panic:?}").contains("alice"));
        assert_eq!(watch(async { 7 }).await.unwrap(), 7);
        assert_eq!(WATCHED.get(), 0);
    }
}
