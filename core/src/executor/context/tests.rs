//! Which executor is found on a thread, in any order of guards.

use super::stack::{is_outside, with};
use super::*;
use std::cell::Cell;
use std::task::Waker;
use std::time::{Duration, Instant};

#[test]
fn contexts_nest_and_end() {
    assert!(Handle::current().is_none());
    let outer = reside(Handle::new(Nowhere));
    {
        let _inner = enter(Handle::new(Nowhere));
        assert!(Handle::current().is_some() && resident().is_some());
    }
    assert!(Handle::current().is_some());
    outside(|outside| {
        assert!(Handle::current().is_none() && resident().is_none());
        outside.inside(|| assert!(Handle::current().is_some() && resident().is_some()));
        assert!(Handle::current().is_none() && resident().is_none());
    });
    assert!(Handle::current().is_some() && resident().is_some());
    drop(outer);
    assert!(Handle::current().is_none() && resident().is_none());
}

/// An executor with a clock that identifies it.
struct At(Instant);

impl Executor for At {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        Nowhere.submit(task)
    }

    fn schedule(&self, task: Task) {
        drop(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        crate::executor::park_on(future);
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        Some(Arc::new(Stopped(self.0)))
    }
}

struct Stopped(Instant);

impl Clock for Stopped {
    fn now(&self) -> Instant {
        self.0
    }

    fn set(&self, _: Instant, _: &Waker) -> u64 {
        unimplemented!()
    }

    fn renew(&self, _: Instant, _: u64, _: &Waker) -> bool {
        unimplemented!()
    }

    fn cancel(&self, _: Instant, _: u64) -> Option<Waker> {
        unimplemented!()
    }
}

/// Which of the executors that were entered is the current one, and which is it by its clock.
fn current(begin: Instant) -> Option<u64> {
    let seconds = |now: Instant| now.duration_since(begin).as_secs();
    let by_clock = clock().map(|clock| seconds(clock.now()));
    let by_handle = Handle::current().and_then(|handle| handle.clock()).map(|clock| seconds(clock.now()));
    assert_eq!(by_clock, by_handle);
    by_handle
}

#[test]
fn guards_are_dropped_in_any_order() {
    let begin = Instant::now();
    let executor = |n| Handle::new(At(begin + Duration::from_secs(n)));
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut guards = [enter(executor(1)), reside(executor(2)), enter(executor(3))].map(Some);
        for dropped in order {
            assert_eq!(current(begin), guards.iter().rposition(Option::is_some).map(|last| last as u64 + 1));
            guards[dropped] = None;
        }
        assert_eq!(current(begin), None, "{order:?}");
        assert!(resident().is_none() && is_outside());
    }
}

#[test]
fn guards_are_dropped_while_their_contexts_are_put_aside() {
    let begin = Instant::now();
    let executor = |n| Handle::new(At(begin + Duration::from_secs(n)));
    let around = enter(executor(1));
    let (resides, within) = (reside(executor(2)), enter(executor(3)));
    let mut new = None;
    outside(|outside| {
        assert_eq!(current(begin), Some(1));
        drop(resides);
        new = Some(enter(executor(4)));
        assert_eq!(current(begin), Some(4));
        outside.inside(|| {
            assert_eq!((current(begin), resident().is_none()), (Some(3), true));
            new = None;
            drop(around);
            assert_eq!(current(begin), Some(3));
            new = Some(enter(executor(5)));
        });
        assert_eq!(current(begin), None);
    });
    assert_eq!(current(begin), Some(5));
    drop(new);
    assert_eq!(current(begin), Some(3));
    drop(within);
    assert!(Handle::current().is_none() && is_outside());
    assert!(!with(|stack| stack.has_dropped_aside()).unwrap());
}

#[test]
fn the_default_is_made_when_somebody_asks_for_it() {
    fn nowhere() -> Handle {
        MADE.set(MADE.get() + 1);
        Handle::new(Nowhere)
    }
    thread_local!(
        static MADE: Cell<usize> = const { Cell::new(0) };
    );

    assert_eq!(block_on_default(nowhere, async { MADE.get() }), 0);
    block_on_default(nowhere, async {
        assert!(Handle::current().is_some() && MADE.get() == 1 && is_outside());
        block_on_default(nowhere, async { assert!(Handle::current().is_some() && MADE.get() == 2) });
        assert!(Handle::current().is_some() && MADE.get() == 3);
        let _inner = enter(Handle::new(Nowhere));
        block_on_default(nowhere, async { assert!(Handle::current().is_some() && MADE.get() == 3) });
    });
    assert!(Handle::current().is_none());
    let panicked =
        std::panic::catch_unwind(|| block_on_default(nowhere, async { std::panic::resume_unwind(Box::new(())) }));
    assert!(panicked.is_err() && Handle::current().is_none());
}

#[test]
fn without_an_executor_a_spawn_resolves_as_rejected() {
    let error = crate::block_on(crate::spawn(async {})).unwrap_err();
    assert!(error.is_rejected() && !error.is_shutdown());
    assert!(format!("{error:?}").contains("no executor runs on this thread"), "{error:?}");
    assert!(error.task().location().file().ends_with("tests.rs"));
}
