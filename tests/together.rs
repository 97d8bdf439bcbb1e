//! Executors in each other's tasks.

#![cfg(all(feature = "pool", feature = "local"))]

use std::sync::mpsc::channel;

use polyexec::{Executor, Local, Pool, block_in_place};

#[test]
fn a_local_executor_in_a_task_leaves_the_pool_at_strength() {
    let pool = Pool::builder().worker_threads(1).build().unwrap();
    let handle = pool.handle();
    let task = pool.spawn(async move {
        let awaited = Local::new().block_on(handle.spawn(async { 1 })).unwrap();
        // Its tasks run in a task of the pool's, too.
        let blocked = Local::new().block_on(async move {
            let (sender, receiver) = channel();
            drop(handle.spawn(async move { sender.send(2).unwrap() }));
            block_in_place(|| receiver.recv().unwrap())
        });
        awaited + blocked
    });
    assert_eq!(task.join().unwrap(), 3);
}
