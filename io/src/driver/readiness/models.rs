//! Readiness under loom: an event wakes every waiter, which then sees what came before the event. Run by `verify/loom`.

use super::waiters::CROWD;
use super::*;

use std::sync::atomic::Ordering::Relaxed;

use futures_task::waker;
use loom::sync::Arc;
use loom::thread;
use polyexec_core::executor::Parker;
use polyexec_core::modelled::{AtomicBool, check};

/// `has_arrived` is data that only the readiness orders.
#[derive(Default)]
struct Source {
    has_arrived: AtomicBool,
    readiness: Readiness,
}

impl Source {
    fn arrive(&self) {
        self.has_arrived.store(true, Relaxed);
        let (mut report, mut woken) = (Report::default(), Vec::new());
        report.ready(Side::Read);
        self.readiness.announce(report, &mut woken);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Tries to read whenever the source seems ready, as the handle or future `id`. Parks in between.
    fn wait(&self, id: WaiterId) {
        let parker = std::sync::Arc::new(Parker::new());
        let waker = waker(parker.clone());
        let cx = Context::from_waker(&waker);
        loop {
            match self.readiness.poll(Side::Read, id, &cx) {
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
        source.wait(WaiterId::Handle(1));
        system.join().unwrap();
    });
}

#[test]
fn a_fruitless_attempt_and_something_arrives() {
    check("readiness: a fruitless attempt, and something arrives", || {
        let source = Arc::new(Source::default());
        source.readiness.assume_ready(Side::Read);
        let system = thread::spawn({
            let source = source.clone();
            move || source.arrive()
        });
        source.wait(WaiterId::Handle(1));
        system.join().unwrap();
    });
}

#[test]
fn two_wait_and_each_is_woken() {
    check("readiness: two wait, and each is woken", || {
        let source = Arc::new(Source::default());
        let other = thread::spawn({
            let source = source.clone();
            move || source.wait(WaiterId::Future(2))
        });
        source.arrive();
        source.wait(WaiterId::Future(1));
        other.join().unwrap();
    });
}

/// As two tasks that read through one reference.
#[test]
fn two_poll_one_handle_and_each_is_woken() {
    check("readiness: two poll one handle, and each is woken", || {
        let source = Arc::new(Source::default());
        let other = thread::spawn({
            let source = source.clone();
            move || source.wait(WaiterId::Handle(1))
        });
        let system = thread::spawn({
            let source = source.clone();
            move || source.arrive()
        });
        source.wait(WaiterId::Handle(1));
        other.join().unwrap();
        system.join().unwrap();
    });
}

/// Polls once, and not again.
fn give_up(readiness: &Readiness, id: WaiterId) {
    assert!(readiness.poll(Side::Read, id, &Context::from_waker(Waker::noop())).is_pending());
}

fn one_gives_up_and_the_other_is_woken(gives_up: fn(u64) -> WaiterId, waits: WaiterId) {
    let source = Arc::new(Source::default());
    give_up(&source.readiness, gives_up(2));
    let other = thread::spawn({
        let source = source.clone();
        move || source.wait(waits)
    });
    let system = thread::spawn({
        let source = source.clone();
        move || source.arrive()
    });
    source.readiness.forget(Side::Read, 2);
    other.join().unwrap();
    system.join().unwrap();
    let waiters = source.readiness.readers.lock();
    assert!(waiters.is_empty());
}

#[test]
fn a_future_gives_up_and_the_other_is_woken() {
    check("readiness: a future gives up, and the other is woken", || {
        one_gives_up_and_the_other_is_woken(WaiterId::Future, WaiterId::Future(1));
    });
}

#[test]
fn a_handle_is_dropped_and_the_other_is_woken() {
    check("readiness: a handle is dropped, and the other is woken", || {
        one_gives_up_and_the_other_is_woken(WaiterId::Handle, WaiterId::Handle(1));
    });
}

/// The list lacks one waker to be a crowd, so the second of the two polls clears it.
#[test]
fn a_crowd_makes_room_and_each_is_woken() {
    check("readiness: a crowd makes room, and each is woken", || {
        let source = Arc::new(Source::default());
        (0..CROWD as u64).for_each(|number| give_up(&source.readiness, WaiterId::Handle(number)));
        let other = thread::spawn({
            let source = source.clone();
            move || source.wait(WaiterId::Handle(100))
        });
        let system = thread::spawn({
            let source = source.clone();
            move || source.arrive()
        });
        source.wait(WaiterId::Handle(101));
        other.join().unwrap();
        system.join().unwrap();
    });
}
