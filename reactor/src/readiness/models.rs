//! Readiness under loom: whoever waits is woken by what the system says, and sees what came before that. Run by `ci/loom`.

use super::*;

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use futures_task::waker;
use loom::sync::Arc;
use loom::thread;
use polyexec_core::Parker;
use polyexec_core::modelled::{AtomicBool, check};

/// What has arrived is data: only readiness orders it.
#[derive(Default)]
struct Source {
    has_arrived: AtomicBool,
    readiness: Readiness,
}

impl Source {
    fn arrive(&self) {
        self.has_arrived.store(true, Relaxed);
        let (mut said, mut woken) = (Said::default(), Vec::new());
        said.ready(Side::Read);
        self.readiness.announce(said, &mut woken);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Tries to read whenever the source seems to be ready, as who has this number; parks in between.
    fn wait(&self, number: u64) {
        let parker = std::sync::Arc::new(Parker::new());
        let waker = waker(parker.clone());
        let cx = Context::from_waker(&waker);
        loop {
            match self.readiness.poll_as(Side::Read, number, &cx) {
                Poll::Ready(_) if self.has_arrived.load(Relaxed) => return,
                Poll::Ready(seen) => self.readiness.would_block(Side::Read, seen),
                Poll::Pending => parker.park(),
            }
        }
    }
}

#[test]
fn one_waits_and_something_arrives() {
    check("readiness: one waits, and something arrives", || {
        let source = Arc::new(Source::default());
        let system = thread::spawn({
            let source = source.clone();
            move || source.arrive()
        });
        source.wait(POLLER);
        system.join().unwrap();
    });
}

#[test]
fn an_attempt_in_vain_and_something_arrives() {
    check("readiness: an attempt in vain, and something arrives", || {
        let source = Arc::new(Source::default());
        source.readiness.assume_ready(Side::Read);
        let system = thread::spawn({
            let source = source.clone();
            move || source.arrive()
        });
        source.wait(POLLER);
        system.join().unwrap();
    });
}

#[test]
fn two_wait_and_each_is_woken() {
    check("readiness: two wait, and each is woken", || {
        let source = Arc::new(Source::default());
        let other = thread::spawn({
            let source = source.clone();
            move || source.wait(2)
        });
        source.arrive();
        source.wait(1);
        other.join().unwrap();
    });
}

#[test]
fn one_gives_up_and_the_other_is_woken() {
    check("readiness: one gives up, and the other is woken", || {
        let source = Arc::new(Source::default());
        let gave_up = source.readiness.poll_as(Side::Read, 2, &Context::from_waker(Waker::noop()));
        assert!(gave_up.is_pending());
        let other = thread::spawn({
            let source = source.clone();
            move || source.wait(1)
        });
        let system = thread::spawn({
            let source = source.clone();
            move || source.arrive()
        });
        source.readiness.forget(Side::Read, 2);
        other.join().unwrap();
        system.join().unwrap();
        assert!(source.readiness.readers.lock().others.is_empty());
        assert!(source.has_arrived.load(SeqCst));
    });
}
