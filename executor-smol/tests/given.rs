//! An executor of the program's, which runs beside its own tasks on the threads that the program gives it.

use std::sync::Arc;
use std::thread;

use async_executor::Executor as AsyncExecutor;
use polyexec_conformance::watched;
use polyexec_core::{Executor, yield_now};
use polyexec_smol::{Smol, SmolHandle};

async fn three(n: u64) -> u64 {
    yield_now().await;
    3 * n
}

#[test]
fn block_on_runs_the_tasks_of_both() {
    watched!();
    let smol = Arc::new(AsyncExecutor::new());
    let executor = SmolHandle::new(&smol);
    let theirs = smol.spawn(async { thread::current().id() });
    let ours = executor.spawn(async { thread::current().id() });
    let here = thread::current().id();
    assert_eq!(executor.block_on(async { (theirs.await, ours.await.unwrap()) }), (here, here));
}

#[test]
fn a_task_that_blocks_runs_the_others_inside_it() {
    watched!();
    let executor = SmolHandle::new(&Arc::new(AsyncExecutor::new()));
    assert!(executor.spawn(async {}).join().unwrap_err().is_shutdown(), "its executor is gone");

    let smol = Arc::new(AsyncExecutor::new());
    let executor = SmolHandle::new(&smol);
    let inner = executor.clone();
    let joins = executor.spawn(async move { inner.spawn(three(1)).join().unwrap() });
    assert_eq!(executor.block_on(joins).unwrap(), 3);
    // In what is driven, too.
    assert_eq!(executor.block_on(async { executor.spawn(three(2)).join().unwrap() }), 6);
}

#[test]
fn dropping_the_executor_ends_idle_and_queued_tasks() {
    watched!();
    let smol = Arc::new(AsyncExecutor::new());
    let executor = SmolHandle::new(&smol);
    let idle = executor.spawn(std::future::pending::<()>());
    executor.block_on(yield_now());
    let queued = executor.spawn(std::future::pending::<()>());
    let dropped = Arc::new(());
    let theirs = dropped.clone();
    smol.spawn(async move {
        let _theirs = theirs;
        std::future::pending::<()>().await;
    })
    .detach();
    drop(smol);
    assert!(idle.join().unwrap_err().is_shutdown() && queued.join().unwrap_err().is_shutdown());
    assert_eq!(Arc::strong_count(&dropped), 1, "no handle keeps the executor alive");
    assert!(executor.try_spawn(async {}).unwrap_err().is_shutdown());
}

#[test]
fn zero_threads_are_an_error() {
    assert_eq!(Smol::with_threads(0).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}
