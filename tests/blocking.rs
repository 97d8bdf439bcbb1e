//! Blocking work of every executor's tasks, through the facade.

#![cfg(feature = "blocking")]

use polyexec::{Handle, StillRunning, block_on, spawn_blocking, unblock};
use polyexec_conformance::watched;

#[test]
fn without_any_executor_there_is_blocking_work_all_the_same() {
    watched!();
    assert_eq!(block_on(unblock(|| 6 * 7)), 42);
    assert!(spawn_blocking(|| Handle::current().is_none()).join().unwrap());
}

/// The types are there to be named.
#[test]
fn what_still_runs_can_be_passed_on() {
    let _configure: fn(polyexec::blocking::Builder) -> std::io::Result<()> = polyexec::blocking::configure;
    let none = StillRunning::new(Vec::new(), 0);
    assert!(none.tasks().is_empty());
}

#[cfg(any(feature = "pool", feature = "threaded", feature = "local"))]
mod inside {
    use std::future::pending;
    use std::thread;

    use polyexec::{Executor, JoinHandle, spawn};

    use super::*;

    /// In a task and in a `block_on`, blocking work spawns on `executor`, whose shutdown ends that.
    fn spawns_on_its_caller<E: Executor + Clone>(executor: &E, shut_down: impl FnOnce()) {
        let handle = executor.clone();
        let tasks: [JoinHandle<()>; 3] = executor.block_on(async move {
            let in_task = handle.spawn(async { unblock(|| [spawn(pending())]).await });
            let [first] = in_task.await.unwrap();
            let [second] = unblock(|| [spawn(pending())]).await;
            // It may drive its caller's executor, and wait for its tasks, without being in their way.
            let ([third], sum) = unblock(|| {
                let here = Handle::current().expect("the caller's");
                let answer = here.block_on(async { spawn(async { 6 * 7 }).await.unwrap() });
                let answer = answer + spawn(async { 1 }).join().unwrap() + block_on(spawn(async { 1 })).unwrap();
                let deeper = spawn_blocking(|| [spawn(pending())]);
                (deeper.join().unwrap(), answer)
            })
            .await;
            assert_eq!(sum, 44);
            [first, second, third]
        });
        shut_down();
        for task in tasks {
            assert!(task.join().unwrap_err().is_shutdown());
        }
    }

    #[cfg(feature = "pool")]
    #[test]
    fn on_a_pool() {
        watched!();
        let pool = polyexec::Pool::builder().worker_threads(1).build().unwrap();
        spawns_on_its_caller(&pool.handle(), || drop(pool));
    }

    #[cfg(feature = "threaded")]
    #[test]
    fn on_a_threaded() {
        watched!();
        let threaded = polyexec::Threaded::new();
        spawns_on_its_caller(&threaded.handle(), || drop(threaded));
    }

    #[cfg(feature = "local")]
    #[test]
    fn on_a_local() {
        watched!();
        let local = polyexec::Local::new();
        spawns_on_its_caller(&local.handle(), || drop(local));
    }

    #[test]
    fn outside_of_executors_it_spawns_on_the_default_one() {
        watched!();
        let is_default = spawn_blocking(|| {
            let name = || thread::current().name().map(str::to_owned);
            let task = polyexec::spawn(async move { name() });
            (task.join().unwrap(), name(), polyexec::block_on(async { Handle::current().is_some() }))
        });
        let (task, here, driven) = is_default.join().unwrap();
        assert!(driven && here.as_ref().is_some_and(|name| name.starts_with("blocking-")), "{here:?}");
        assert!(!task.as_ref().is_none_or(|name| name.starts_with("blocking-")), "{task:?}");
    }
}
