//! Executors in each other's tasks.

#![cfg(all(feature = "pool", feature = "local"))]

use std::sync::Arc;
use std::sync::mpsc::channel;

use polyexec::{Executor, Local, Pool, block_in_place};

/// The only worker of a pool runs `task`, which waits for another task of the pool.
fn on_the_only_worker<F: Future<Output = i32> + Send + 'static>(task: impl FnOnce(Arc<dyn Executor>) -> F) -> i32 {
    let pool = Pool::builder().worker_threads(1).build().unwrap();
    pool.spawn(task(Arc::new(pool.handle()))).join().unwrap()
}

#[test]
fn a_local_executor_in_a_task_leaves_the_pool_at_strength() {
    let answer = on_the_only_worker(|pool| async move { Local::new().block_on(pool.spawn(async { 1 })).unwrap() });
    assert_eq!(answer, 1);
}

#[test]
fn so_does_what_blocks_in_place_in_there() {
    let answer = on_the_only_worker(|pool| async move {
        Local::new().block_on(async move {
            let (sender, receiver) = channel();
            drop(pool.spawn(async move { sender.send(2).unwrap() }));
            block_in_place(|| receiver.recv().unwrap())
        })
    });
    assert_eq!(answer, 2);
}
