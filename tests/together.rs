//! Executors beside each other, and in each other's tasks.

#![cfg(all(feature = "pool", feature = "local"))]

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use polyexec::{Executor, Local, Pool, block_in_place};

/// The only worker of a pool runs `task`, which waits for another task of the pool.
fn on_the_only_worker<F: Future<Output = i32> + Send + 'static>(task: impl FnOnce(Arc<dyn Executor>) -> F) -> i32 {
    let pool = Pool::builder().worker_threads(1).build().unwrap();
    pool.spawn(task(Arc::new(pool.handle()))).join().unwrap()
}

/// A program that owns its executor changes one line, also in functions that don't import [`Executor`].
mod owners {
    macro_rules! same_methods {
        ($($test:ident: $owner:expr,)*) => { $(
            #[test]
            fn $test() {
                polyexec_conformance::watched!();
                let owner = $owner;
                let (task, tried) = (owner.spawn(async { 1 }), owner.try_spawn(async { 2 }).unwrap());
                assert_eq!(owner.block_on(async { task.await.unwrap() + tried.await.unwrap() }), 3);
                let (text, mut length) = ("borrowed".to_owned(), 0);
                owner.scope(|s| drop(s.spawn(async { length = text.len() })));
                assert_eq!(length, 8);
                drop(polyexec::Handle::new(owner.handle()));
            }
        )* };
    }

    same_methods! {
        pool: polyexec::Pool::new().unwrap(),
        local: polyexec::Local::new(),
    }
    #[cfg(feature = "threaded")]
    same_methods! { threaded: polyexec::Threaded::new(), }
    #[cfg(feature = "smol")]
    same_methods! { smol: polyexec::Smol::new().unwrap(), }
    #[cfg(feature = "tokio")]
    same_methods! {
        tokio: polyexec::Tokio::new().unwrap(),
        tokio_current_thread: polyexec::Tokio::current_thread().unwrap(),
    }
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

#[test]
fn while_one_waits_in_the_other_each_is_in_its_own_context() {
    let (pool, local) = (Pool::builder().worker_threads(1).build().unwrap(), Local::new());
    let (handle, home) = (local.handle(), thread::current().id());
    let where_spawned = || async { polyexec::spawn(async { thread::current().id() }).await.unwrap() };
    let task = local.spawn_local(async move {
        // Runs in here, while this task waits in the pool's `block_on`.
        let in_local = handle.spawn(where_spawned());
        let in_pool = pool.block_on(async {
            let in_local = in_local.await.unwrap();
            assert_eq!(in_local, home);
            where_spawned().await
        });
        assert_ne!(in_pool, home);
    });
    local.block_on(task).unwrap();
}
