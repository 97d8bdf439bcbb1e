//! The facade's functions, with whichever executors are compiled in.

#![cfg(any(feature = "pool", feature = "threaded", feature = "local"))]

use std::cell::RefCell;
use std::future::pending;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;

use polyexec::{DefaultExecutor, Executor, Handle, JoinHandle, block_on, spawn, task, try_spawn, yield_now};
use polyexec_futures::count;

#[test]
fn outside_of_executors_tasks_run_on_the_default_one() {
    assert!(Handle::current().is_none());
    let task = spawn(async {
        yield_now().await;
        (Handle::current().is_some(), count(10).await)
    });
    assert_eq!(task.join().unwrap(), (true, 10));
    assert!(Handle::current().is_none());
}

#[test]
fn starting_the_default_executor_twice_is_once() {
    DefaultExecutor.start().unwrap();
    DefaultExecutor.start().unwrap();
    assert_eq!(DefaultExecutor.block_on(DefaultExecutor.spawn(count(3))).unwrap(), 3);
}

#[test]
fn the_first_tasks_may_come_from_many_threads_at_once() {
    let together = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (1..=8)
        .map(|n| {
            let together = together.clone();
            thread::spawn(move || {
                together.wait();
                spawn(count(n)).join().unwrap()
            })
        })
        .collect();
    let sum: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(sum, 36);
}

#[test]
fn block_on_polls_here_and_spawns_elsewhere() {
    let here = thread::current().id();
    let (outer, inner) = block_on(async move {
        let inner = spawn(async move { thread::current().id() != here });
        (thread::current().id() == here, inner.await.unwrap())
    });
    assert!(outer && inner);
}

#[test]
fn inside_block_on_the_default_executor_is_the_current_one() {
    block_on(async {
        let executor = Handle::current().expect("the default executor");
        assert_eq!(executor.spawn(count(2)).await.unwrap(), 2);
        assert_eq!(polyexec::spawn(count(3)).await.unwrap(), 3);
    });
}

#[test]
fn block_on_nests_inside_tasks_and_inside_itself() {
    let task =
        spawn(async { block_on(async { block_on(spawn(count(5))).unwrap() + spawn(count(6)).join().unwrap() }) });
    assert_eq!(task.join().unwrap(), 11);
}

#[test]
fn a_task_that_panics_tells_where_it_was_spawned() {
    let error = spawn(async { panic!("on purpose") }).join().unwrap_err();
    assert!(error.is_panic());
    assert!(error.task().location().file().ends_with("facade.rs"), "{error}");
    let named = task::Builder::new().name("doomed").spawn_on(&DefaultExecutor, async { panic!("on purpose") });
    assert_eq!(named.join().unwrap_err().task().name(), Some("doomed"));
}

#[test]
fn a_thread_local_destructor_may_spawn() {
    struct SpawnsAtTheEnd(Sender<JoinHandle<u64>>);

    impl Drop for SpawnsAtTheEnd {
        fn drop(&mut self) {
            let _ = self.0.send(spawn(count(4)));
        }
    }

    thread_local!(static LAST: RefCell<Option<SpawnsAtTheEnd>> = const { RefCell::new(None) });

    let (send, receive) = channel();
    thread::spawn(move || LAST.set(Some(SpawnsAtTheEnd(send)))).join().unwrap();
    assert_eq!(receive.recv().unwrap().join().unwrap(), 4);
}

/// `start` makes an executor other than the default one. Whose a task is shows when that executor is shut down.
fn spawn_finds_the_executor_of<O>(start: fn() -> O, block_on_it: fn(&O) -> [JoinHandle<()>; 3]) {
    let executor = start();
    let tasks = block_on_it(&executor);
    let elsewhere = spawn(count(7));
    drop(executor);
    for task in tasks {
        assert!(task.join().unwrap_err().is_shutdown());
    }
    assert_eq!(elsewhere.join().unwrap(), 7);
}

/// Spawns in an executor's `block_on`, in a task, and in a `block_on` in a task.
async fn three_tasks() -> [JoinHandle<()>; 3] {
    let first = spawn(pending());
    let [second] = spawn(async { [spawn(pending())] }).await.unwrap();
    let [third] = spawn(async { block_on(async { [try_spawn(pending()).unwrap()] }) }).await.unwrap();
    [first, second, third]
}

#[cfg(feature = "pool")]
#[test]
fn inside_a_pool_spawn_finds_that_pool() {
    spawn_finds_the_executor_of(|| polyexec::Pool::new().unwrap(), |pool| pool.block_on(three_tasks()));
}

#[cfg(feature = "threaded")]
#[test]
fn inside_a_threaded_spawn_finds_that_threaded() {
    spawn_finds_the_executor_of(polyexec::Threaded::new, |threaded| threaded.block_on(three_tasks()));
}

#[cfg(feature = "local")]
#[test]
fn inside_a_local_spawn_finds_that_local() {
    spawn_finds_the_executor_of(polyexec::Local::new, |local| local.block_on(three_tasks()));
}

/// In a process whose threads would need stacks larger than the address space, so that none can be started.
#[cfg(target_os = "linux")]
#[test]
fn without_threads_tasks_are_rejected_and_nothing_panics() {
    const CHILD: &str = "POLYEXEC_TEST_WITHOUT_THREADS";
    const TOO_LARGE: u64 = 1 << 47;
    if std::env::var_os(CHILD).is_none() {
        let name = "without_threads_tasks_are_rejected_and_nothing_panics";
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--test-threads=1"])
            .env(CHILD, "1")
            .env("RUST_MIN_STACK", TOO_LARGE.to_string())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    for _ in 0..2 {
        let error = spawn(count(1)).join().unwrap_err();
        assert!(error.is_rejected(), "{error}");
    }
    let refused = try_spawn(count(2)).unwrap_err();
    assert!(!refused.is_shutdown());
    assert_eq!(block_on(refused.into_future()), 2);
}
