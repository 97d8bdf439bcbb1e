//! A panic that is the caller's fault names the caller's line.

#![cfg(feature = "pool")]

use std::cell::Cell;
use std::future::{pending, ready};
use std::panic::{self, AssertUnwindSafe, Location, catch_unwind};
use std::pin::pin;
use std::sync::Once;
use std::task::{Context, Waker};

use polyexec::JoinHandle;

thread_local! {
    /// Where this thread has panicked last: the file, and the line.
    static BLAMED: Cell<Option<(String, u32)>> = const { Cell::new(None) };
}

/// Expects that `guilty` panics, and that the panic names the line of its call, which must be in the line of this call or
/// in the one after it.
#[track_caller]
fn blames_its_caller(guilty: impl FnOnce()) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        panic::set_hook(Box::new(|info| {
            let place = info.location().expect("a panic has a place");
            BLAMED.set(Some((place.file().to_owned(), place.line())));
        }));
    });
    BLAMED.set(None);
    let here = Location::caller();
    assert!(catch_unwind(AssertUnwindSafe(guilty)).is_err(), "{here}: no panic");
    let (file, line) = BLAMED.take().expect("it has panicked");
    assert!(file == here.file() && (here.line()..=here.line() + 1).contains(&line), "{here}: blamed is {file}:{line}");
}

/// A handle that has given its result away.
fn used_up() -> JoinHandle<u32> {
    let mut handle = polyexec::spawn(ready(7));
    assert_eq!(polyexec::block_on(&mut handle).unwrap(), 7);
    handle
}

#[test]
fn of_a_payload_that_there_is_not() {
    let task = polyexec::spawn(pending::<()>());
    task.abort();
    let error = task.join().unwrap_err();
    blames_its_caller(|| drop(error.into_panic()));
}

#[test]
fn of_a_result_that_was_taken() {
    let handle = used_up();
    blames_its_caller(|| drop(handle.join()));

    let mut handle = pin!(used_up());
    let mut cx = Context::from_waker(Waker::noop());
    blames_its_caller(|| drop(handle.as_mut().poll(&mut cx)));
    let mut handle = pin!(used_up().abort_on_drop());
    blames_its_caller(|| drop(handle.as_mut().poll(&mut cx)));

    let handle = used_up();
    blames_its_caller(|| {
        polyexec::block_on(async { drop(handle.await) }); // This line awaits.
    });
}

#[cfg(feature = "time")]
#[test]
fn of_a_period_of_zero() {
    use polyexec::time::{interval, interval_at, now};
    use std::time::Duration;

    blames_its_caller(|| drop(interval(Duration::ZERO)));
    blames_its_caller(|| drop(interval_at(now(), Duration::ZERO)));
}

#[cfg(feature = "local")]
#[test]
fn of_a_local_task_on_another_thread() {
    let handle = polyexec::Local::new().handle();
    std::thread::spawn(move || blames_its_caller(|| drop(handle.spawn_local(async {})))).join().unwrap();
}

#[cfg(feature = "blocking")]
#[test]
fn of_blocking_work_that_can_not_run() {
    let executor = polyexec::blocking::shutdown_timeout(std::time::Duration::ZERO);
    executor.expect("it has not begun");
    let mut work = pin!(polyexec::unblock(|| ()));
    // It is refused at once.
    let mut cx = Context::from_waker(Waker::noop());
    blames_its_caller(|| assert!(work.as_mut().poll(&mut cx).is_ready()));
}
