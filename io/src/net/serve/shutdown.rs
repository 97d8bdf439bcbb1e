//! Notifies the connections of a server that it shuts down. Ends none of them.

use std::fmt;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use polyexec_core::executor::driver::wake_all;
use slab::Slab;

/// Notifies a connection that its server shuts down. Clones share it.
///
/// [`run_with_signal`](super::Serve::run_with_signal) passes it to the handler.
///
/// # What dropping does
///
/// Nothing to the server.
#[derive(Clone, Default)]
pub struct ShutdownSignal(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    sent: bool,
    waiting: Slab<Waker>,
}

impl ShutdownSignal {
    /// Waits until the server shuts down. Ready at once from then on.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped early, it leaves no trace.
    pub async fn received(&self) {
        Received { signal: self, key: None }.await;
    }

    /// Whether the server shuts down.
    pub fn is_received(&self) -> bool {
        self.0.lock().sent
    }

    /// Wakes all that wait, now and later.
    pub(super) fn send(&self) {
        let waiting = {
            let mut state = self.0.lock();
            state.sent = true;
            mem::take(&mut state.waiting)
        };
        wake_all(waiting.into_iter().map(|(_, waker)| waker));
    }
}

/// Wakers are called outside of the lock, so a panic leaves nothing half-changed.
impl UnwindSafe for ShutdownSignal {}
impl RefUnwindSafe for ShutdownSignal {}

impl fmt::Debug for ShutdownSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShutdownSignal").field("is_received", &self.is_received()).finish()
    }
}

struct Received<'a> {
    signal: &'a ShutdownSignal,
    /// Where the waker is.
    key: Option<usize>,
}

impl Future for Received<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let signal = self.signal;
        // Cloned and dropped outside of the lock.
        let mut waker = cx.waker().clone();
        let mut state = signal.0.lock();
        if state.sent {
            drop(state);
            return Poll::Ready(());
        }
        match self.key {
            Some(key) => mem::swap(&mut state.waiting[key], &mut waker),
            None => self.key = Some(state.waiting.insert(waker)),
        }
        Poll::Pending
    }
}

impl Drop for Received<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        // After the signal, none is left. Dropped after the lock: it may be any code.
        let _waker = self.signal.0.lock().waiting.try_remove(key);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::Wake;

    use super::*;

    /// Counts its calls.
    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn is_pending(wait: Pin<&mut impl Future>, calls: &Arc<Calls>) -> bool {
        wait.poll(&mut Context::from_waker(&calls.clone().into())).is_pending()
    }

    #[test]
    fn the_newest_waker_is_called_and_that_of_a_dropped_wait_is_gone() {
        let signal = ShutdownSignal::default();
        let (old, new) = (Arc::new(Calls::default()), Arc::new(Calls::default()));
        let mut wait = pin!(signal.received());
        assert!(is_pending(wait.as_mut(), &old) && is_pending(wait.as_mut(), &new));
        assert_eq!(Arc::strong_count(&old), 1, "the new one has replaced it");
        {
            let given_up = pin!(signal.received());
            assert!(is_pending(given_up, &old));
        }
        assert_eq!(Arc::strong_count(&old), 1, "the wait was dropped");
        signal.send();
        assert_eq!((old.0.load(Relaxed), new.0.load(Relaxed)), (0, 1));
        assert!(!is_pending(wait, &new) && !is_pending(pin!(signal.clone().received()), &new));
    }
}
