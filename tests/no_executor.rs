//! The facade without any executor: nothing is there to run tasks, and it says so.

#![cfg(not(any(feature = "pool", feature = "threaded", feature = "local")))]

use std::error::Error;
use std::io::ErrorKind;

use polyexec::{DefaultExecutor, block_on, spawn, try_spawn, yield_now};
use polyexec_futures::count;

#[test]
fn block_on_polls_here() {
    assert_eq!(block_on(count(10)), 10);
    block_on(yield_now());
}

#[test]
fn spawn_resolves_as_rejected() {
    let error = block_on(spawn(count(1))).unwrap_err();
    assert!(error.is_rejected(), "{error}");
    assert!(error.task().location().file().ends_with("no_executor.rs"), "{error}");
    assert!(error.source().unwrap().to_string().contains("enable a feature of `polyexec`"), "{error}");
    assert_eq!(DefaultExecutor.start().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn try_spawn_gives_the_future_back() {
    let refused = try_spawn(count(2)).unwrap_err();
    assert_eq!(block_on(refused.into_future()), 2);
}
