//! Futures of 192 KiB, and outputs, pass through every function that takes one on a stack of 2 MiB, which is a thread's by
//! default.

use std::future::{pending, ready};
use std::hint::black_box;
use std::sync::Arc;
use std::thread;

use polyexec::{
    DefaultExecutor, Executor, Handle, JoinHandle, JoinSet, Local, Pool, Scope, TaskTracker, Threaded, block_on, scope,
    spawn, spawn_blocking, task, try_spawn, unblock,
};

const SIZE: usize = 192 << 10;

/// A future of that size, and a bit.
#[allow(clippy::manual_async_fn, reason = "an async fn of no arguments, but it says that it is `Send`")]
fn large() -> impl Future<Output = u8> + Send {
    async {
        let state = [7; SIZE];
        ready(()).await;
        black_box(&state)[SIZE / 2]
    }
}

/// Each call of a large future's function is in one of its own: all that are in one function are on its stack at once.
macro_rules! on_a_threads_stack {
    ($($what:expr;)*) => {$({
        fn alone() -> u8 {
            $what
        }
        let thread = thread::Builder::new().stack_size(2 << 20).spawn(alone);
        assert_eq!(thread.unwrap().join().unwrap(), 7, "{}", stringify!($what));
    })*};
}

fn output<T>(task: JoinHandle<T>) -> T {
    task.join().unwrap()
}

#[test]
fn of_the_default_executor() {
    on_a_threads_stack! {
        output(polyexec::spawn(large()));
        output(try_spawn(large()).unwrap());
        output(DefaultExecutor.spawn(large()));
        polyexec::block_on(large());
        DefaultExecutor.block_on(large());
    }
}

#[test]
fn of_core() {
    on_a_threads_stack! {
        block_on(large());
        polyexec::block_on(async { spawn(large()).await.unwrap() });
        polyexec::block_on(async { task::Builder::new().spawn(large()).await.unwrap() });
        output(task::Builder::new().name("large").spawn_on(&DefaultExecutor, large()));
        output(task::Builder::new().try_spawn_on(&DefaultExecutor, large()).unwrap());
        output(Handle::new(DefaultExecutor).spawn(large()));
        output((Arc::new(DefaultExecutor) as Arc<dyn Executor>).spawn(large()));
        (Arc::new(DefaultExecutor) as Arc<dyn Executor>).block_on(large());
        DefaultExecutor.scope(|s| s.spawn(large()).join().unwrap());
    }
}

#[test]
fn of_sets_and_trackers() {
    on_a_threads_stack! {
        polyexec::block_on(async {
            let mut set = JoinSet::new();
            set.spawn(large());
            set.join_next().await.unwrap().unwrap()
        });
        polyexec::block_on(async {
            let mut set = JoinSet::with_limit(1);
            set.spawn_on(&DefaultExecutor, large());
            set.join_next().await.unwrap().unwrap()
        });
        polyexec::block_on(async { TaskTracker::new().spawn(large()).await.unwrap() });
        output(TaskTracker::new().spawn_on(&DefaultExecutor, large()));
        polyexec::block_on(scope(async |s: Scope| s.spawn(large()).await.unwrap())).unwrap();
        polyexec::block_on(scope(async |s: Scope| s.spawn_on(&DefaultExecutor, large()).await.unwrap())).unwrap();
    }
}

#[test]
fn of_a_pool() {
    fn pool() -> Pool {
        Pool::builder().worker_threads(1).build().unwrap()
    }
    on_a_threads_stack! {
        output(pool().spawn(large()));
        output(pool().try_spawn(large()).unwrap());
        pool().block_on(large());
        output(pool().handle().spawn(large()));
        pool().handle().block_on(large());
        pool().spawn(async { polyexec::spawn(large()).await.unwrap() }).join().unwrap();
        pool().spawn(async { polyexec::block_on(large()) }).join().unwrap();
    }
}

#[test]
fn of_a_threaded() {
    on_a_threads_stack! {
        output(Threaded::new().spawn(large()));
        output(Threaded::new().try_spawn(large()).unwrap());
        Threaded::new().block_on(large());
        Threaded::new().handle().block_on(large());
        Threaded::new().spawn(async { polyexec::block_on(large()) }).join().unwrap();
    }
}

#[test]
fn of_a_local() {
    fn run(spawn: fn(&Local) -> JoinHandle<u8>) -> u8 {
        let local = Local::new();
        let task = spawn(&local);
        local.block_on(task).unwrap()
    }
    on_a_threads_stack! {
        run(|local| local.spawn(large()));
        run(|local| local.try_spawn(large()).unwrap());
        run(|local| local.spawn_local(large()));
        run(|local| local.handle().spawn(large()));
        run(|local| local.handle().spawn_local(large()));
        Local::new().block_on(large());
        Local::new().handle().block_on(large());
        run(|local| local.spawn(async { polyexec::block_on(large()) }));
    }
}

/// A closure may be large, too.
#[test]
fn of_blocking_work() {
    fn large() -> impl FnOnce() -> u8 + Send {
        let state = [7; SIZE];
        move || black_box(&state)[SIZE / 2]
    }
    on_a_threads_stack! {
        output(spawn_blocking(large()));
        block_on(unblock(large()));
    }
}

#[test]
fn that_are_given_back() {
    fn refused() -> u8 {
        let handle = Local::new().handle();
        let error = handle.try_spawn(large()).unwrap_err();
        assert!(error.is_shutdown());
        block_on(error.into_future())
    }
    on_a_threads_stack! {
        refused();
    }
}

#[test]
fn that_are_aborted_or_shut_down() {
    #[allow(clippy::manual_async_fn, reason = "as above")]
    fn rests() -> impl Future<Output = ()> + Send {
        async {
            let state = [7; SIZE];
            pending::<()>().await;
            black_box(&state);
        }
    }
    fn aborted() -> u8 {
        let task = polyexec::spawn(rests());
        task.abort();
        if task.join().unwrap_err().is_cancelled() { 7 } else { 0 }
    }
    fn shut_down() -> u8 {
        let pool = Pool::new().unwrap();
        let task = pool.spawn(rests());
        drop(pool);
        if task.join().unwrap_err().is_shutdown() { 7 } else { 0 }
    }
    on_a_threads_stack! {
        aborted();
        shut_down();
    }
}

/// An output moves to its receiver without a detour through the task's memory.
#[test]
fn and_outputs() {
    async fn large() -> [u8; SIZE / 2] {
        [7; SIZE / 2]
    }
    fn middle(output: [u8; SIZE / 2]) -> u8 {
        output[SIZE / 4]
    }
    on_a_threads_stack! {
        middle(output(polyexec::spawn(large())));
        middle(polyexec::block_on(async { polyexec::spawn(large()).await.unwrap() }));
        middle(output(Pool::new().unwrap().spawn(large())));
    }
}
