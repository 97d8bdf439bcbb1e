//! The owner's drop while tasks block: whom they wait for is in a queue that nobody comes to any more.

use std::io::{Write, stderr};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use polyexec_conformance::probe::{Gate, OnDrop};
use polyexec_core::{Executor, block_in_place};
use polyexec_pool::Pool;

/// Longer than anything here takes, on whatever machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends the process if `body` hangs, since its thread can't be ended.
fn watched(body: impl FnOnce() + Send + 'static) {
    let (over, is_over) = channel::<()>();
    let thread = thread::spawn(move || {
        let _over = over;
        body();
    });
    if is_over.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        // Not `eprintln`, which the harness keeps until the test ends: this one won't.
        let _ = writeln!(stderr(), "{}: hung", thread::current().name().unwrap_or_default());
        std::process::exit(101);
    }
    thread.join().unwrap();
}

fn pool(workers: usize, spare_threads: usize) -> Pool {
    Pool::builder().worker_threads(workers).spare_threads(spare_threads).build().unwrap()
}

/// The task that waits still has its worker, with the other task in its queue, and no thread may take that any more.
#[test]
fn a_task_that_joins_while_the_pool_shuts_down_goes_on() {
    watched(|| {
        for workers in [1, 2].repeat(50) {
            let pool = pool(workers, 512);
            let (handle, spawned, is_over) = (pool.handle(), Gate::new(), Gate::new());
            let (open, opened) = (spawned.clone(), is_over.clone());
            let task = pool.spawn(async move {
                // Both of a worker's places for tasks; the last one is next.
                let children: Vec<_> = (0..3).map(|_| handle.spawn(async {})).collect();
                open.open();
                opened.wait();
                children.into_iter().map(|child| child.join()).collect::<Vec<_>>()
            });
            spawned.wait();
            // On one worker this waits, and is dropped when the shutdown takes what others have spawned.
            let last = OnDrop::new(move || is_over.open());
            drop(pool.spawn(async move { drop(last) }));
            drop(pool);
            task.join().expect("it is being polled when the pool shuts down, and ends as it would");
        }
    });
}

/// The worker of the task that waits has nowhere to go: there are no spare threads.
#[test]
fn a_task_that_joins_what_nobody_can_run_goes_on_when_the_pool_shuts_down() {
    watched(|| {
        let pool = pool(1, 0);
        let (handle, joins) = (pool.handle(), Gate::new());
        let open = joins.clone();
        let task = pool.spawn(async move {
            let children: Vec<_> = (0..3).map(|_| handle.spawn(async {})).collect();
            block_in_place(|| {
                open.open();
                children.into_iter().map(|child| child.join()).collect::<Vec<_>>()
            })
        });
        joins.wait();
        drop(pool);
        let ends = task.join().expect("it is being polled when the pool shuts down, and ends as it would");
        assert!(ends.into_iter().all(|end| end.unwrap_err().is_shutdown()));
    });
}
