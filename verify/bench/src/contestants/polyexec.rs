//! Ours: `Pool` and `Local`, spawning through their handles, on the static path; our sockets and timers.

use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use polyexec::{
    Executor, JoinHandle,
    hyper::HyperIo,
    local::LocalHandle,
    net::{TcpListener, TcpStream},
    pool::PoolHandle,
    time::sleep,
};

use super::io::{Blocking, LocalIo, sockets};
use super::{HandleOf, Job, Local, Pool, Spawn, Unwrapped, named};

pub struct OurPool(polyexec::Pool);

named!(OurPool: "polyexec Pool", "polyexec");

impl Pool for OurPool {
    type Inside = PoolHandle;

    fn start(workers: usize) -> Self {
        Self(polyexec::Pool::builder().worker_threads(workers).build().expect("threads can be started"))
    }

    fn spawn<F: Job>(&self, future: F) -> HandleOf<Self, F::Output> {
        Unwrapped(self.0.spawn(future))
    }

    fn inside(&self) -> PoolHandle {
        self.0.handle()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

impl Spawn for PoolHandle {
    type Handle<T: Send + 'static> = Unwrapped<JoinHandle<T>>;

    fn spawn<F: Job>(&self, future: F) -> Unwrapped<JoinHandle<F::Output>> {
        Unwrapped(Executor::spawn(self, future))
    }

    fn detach(&self, future: impl Job<Output = ()>) {
        drop(Executor::spawn(self, future));
    }
}

sockets!(OurPool, HyperIo, sleep);

/// `polyexec::unblock`.
pub struct Unblock;

named!(Unblock: "polyexec unblock", "polyexec");

impl Blocking for Unblock {
    type Pool = OurPool;

    fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> + Send {
        polyexec::unblock(work)
    }
}

pub struct OurLocal(polyexec::Local);

named!(OurLocal: "polyexec Local", "polyexec");

impl Local for OurLocal {
    type Inside = LocalHandle;

    fn start() -> Self {
        Self(polyexec::Local::new())
    }

    fn inside(&self) -> LocalHandle {
        self.0.handle()
    }

    fn run<F: Future>(&mut self, root: F) -> F::Output {
        self.0.block_on(root)
    }
}

impl LocalIo for OurLocal {
    type Family = OurPool;
}

impl Spawn for LocalHandle {
    type Handle<T: Send + 'static> = Unwrapped<JoinHandle<T>>;

    fn spawn<F: Job>(&self, future: F) -> Unwrapped<JoinHandle<F::Output>> {
        Unwrapped(self.spawn_local(future))
    }

    fn detach(&self, future: impl Job<Output = ()>) {
        drop(self.spawn_local(future));
    }
}
