//! Threads that wait in a reactor: what came while they waited is handed on, whatever else ended the wait.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Wake, Waker};

use polyexec_core::Parker;
use polyexec_core::reactor::{Reactor, Turn, Wait, install};

static PARKER: Parker = Parker::new();

#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// An event comes in its only turn, and the thread that waits is called meanwhile.
struct EventAndCall(Waker);

impl Reactor for EventAndCall {
    fn turn(&self, _: Wait, begin: &mut dyn FnMut() -> bool, woken: &mut Vec<Waker>) -> Turn {
        assert!(begin());
        PARKER.unpark();
        woken.push(self.0.clone());
        Turn::Had
    }

    fn interrupt(&self) {}
}

#[test]
fn an_event_that_comes_with_a_call_is_not_lost() {
    let calls = Arc::new(Calls::default());
    assert!(install(Box::leak(Box::new(EventAndCall(calls.clone().into())))));
    PARKER.park();
    assert_eq!(calls.0.load(Relaxed), 1);
}
