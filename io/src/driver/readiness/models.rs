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

/// Polls once, and not again.
fn give_up(readiness: &Readiness, id: WaiterId) {
    assert!(readiness.poll(Side::Read, id, &Context::from_waker(Waker::noop())).is_pending());
}

fn elsewhere(source: &Arc<Source>, act: impl FnOnce(&Source) + 'static) -> thread::JoinHandle<()> {
    let source = source.clone();
    thread::spawn(move || act(&source))
}

/// Something arrives on one thread, `others` wait on a thread each, and this one does `here`.
fn something_arrives(name: &str, before: fn(&Source), others: &'static [WaiterId], here: fn(&Source)) {
    check(name, move || {
        let source = Arc::new(Source::default());
        before(&source);
        let mut threads: Vec<_> = others.iter().map(|id| elsewhere(&source, |source| source.wait(*id))).collect();
        threads.push(elsewhere(&source, Source::arrive));
        here(&source);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(source.readiness.readers.lock().is_empty());
    });
}

#[test]
fn one_waits_and_something_arrives() {
    something_arrives(
        "readiness: one waits, and something arrives",
        |_| (),
        &[],
        |source| {
            source.wait(WaiterId::Handle(1));
        },
    );
}

#[test]
fn a_fruitless_attempt_and_something_arrives() {
    let assumes = |source: &Source| source.readiness.assume_ready(Side::Read);
    something_arrives("readiness: a fruitless attempt, and something arrives", assumes, &[], |source| {
        source.wait(WaiterId::Handle(1));
    });
}

#[test]
fn two_wait_and_each_is_woken() {
    check("readiness: two wait, and each is woken", || {
        let source = Arc::new(Source::default());
        let other = elsewhere(&source, |source| source.wait(WaiterId::Future(2)));
        source.arrive();
        source.wait(WaiterId::Future(1));
        other.join().unwrap();
    });
}

/// As two tasks that read through one reference.
#[test]
fn two_poll_one_handle_and_each_is_woken() {
    let others = &[WaiterId::Handle(1)];
    something_arrives(
        "readiness: two poll one handle, and each is woken",
        |_| (),
        others,
        |source| {
            source.wait(WaiterId::Handle(1));
        },
    );
}

#[test]
fn a_future_gives_up_and_the_other_is_woken() {
    let gives_up = |source: &Source| give_up(&source.readiness, WaiterId::Future(2));
    let others = &[WaiterId::Future(1)];
    something_arrives("readiness: a future gives up, and the other is woken", gives_up, others, |source| {
        source.readiness.forget(Side::Read, 2);
    });
}

#[test]
fn a_handle_is_dropped_and_the_other_is_woken() {
    let gives_up = |source: &Source| give_up(&source.readiness, WaiterId::Handle(2));
    let others = &[WaiterId::Handle(1)];
    something_arrives("readiness: a handle is dropped, and the other is woken", gives_up, others, |source| {
        source.readiness.forget(Side::Read, 2);
    });
}

/// The list lacks one waker to be a crowd, so the second of the two polls clears it.
#[test]
fn a_crowd_makes_room_and_each_is_woken() {
    let crowd =
        |source: &Source| (0..CROWD as u64).for_each(|number| give_up(&source.readiness, WaiterId::Handle(number)));
    let others = &[WaiterId::Handle(100)];
    something_arrives("readiness: a crowd makes room, and each is woken", crowd, others, |source| {
        source.wait(WaiterId::Handle(101));
    });
}
