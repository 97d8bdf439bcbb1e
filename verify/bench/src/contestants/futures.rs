//! futures: `ThreadPool` and `LocalPool`, with handles made by `spawn_with_handle`.

use std::sync::mpsc::{Receiver, channel};

use futures::executor::{LocalPool, LocalSpawner, ThreadPool, block_on};
use futures::future::RemoteHandle;
use futures::task::{LocalSpawnExt, SpawnExt};

use super::{HandleOf, Job, Local, Pool, Spawn, named};

pub struct FuturesPool {
    /// Taken by the drop.
    pool: Option<ThreadPool>,
    workers: usize,
    /// Each worker's last word. The pool itself doesn't wait for its threads, which would disturb the next contestant.
    ended: Receiver<()>,
}

named!(FuturesPool: "futures ThreadPool", "futures");

impl Pool for FuturesPool {
    type Inside = ThreadPool;

    fn start(workers: usize) -> Self {
        let (end, ended) = channel();
        let pool = ThreadPool::builder()
            .pool_size(workers)
            .before_stop(move |_| {
                let _ = end.send(());
            })
            .create()
            .expect("threads can be started");
        Self { pool: Some(pool), workers, ended }
    }

    fn spawn<F: Job>(&self, future: F) -> HandleOf<Self, F::Output> {
        Spawn::spawn(self.pool.as_ref().expect("not dropped"), future)
    }

    fn inside(&self) -> ThreadPool {
        self.pool.clone().expect("not dropped")
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
    }
}

impl Drop for FuturesPool {
    fn drop(&mut self) {
        self.pool.take();
        for _ in 0..self.workers {
            let _ = self.ended.recv();
        }
    }
}

impl Spawn for ThreadPool {
    type Handle<T: Send + 'static> = RemoteHandle<T>;

    fn spawn<F: Job>(&self, future: F) -> RemoteHandle<F::Output> {
        self.spawn_with_handle(future).expect("not shut down")
    }

    fn detach(&self, future: impl Job<Output = ()>) {
        self.spawn_ok(future);
    }
}

pub struct FuturesLocal(LocalPool);

named!(FuturesLocal: "futures LocalPool", "futures");

impl Local for FuturesLocal {
    type Inside = LocalSpawner;

    fn start() -> Self {
        Self(LocalPool::new())
    }

    fn inside(&self) -> LocalSpawner {
        self.0.spawner()
    }

    fn run<F: Future>(&mut self, root: F) -> F::Output {
        self.0.run_until(root)
    }
}

impl Spawn for LocalSpawner {
    type Handle<T: Send + 'static> = RemoteHandle<T>;

    fn spawn<F: Job>(&self, future: F) -> RemoteHandle<F::Output> {
        self.spawn_local_with_handle(future).expect("not shut down")
    }

    fn detach(&self, future: impl Job<Output = ()>) {
        self.spawn_local(future).expect("not shut down");
    }
}
