//! tokio: its multi-threaded runtime, with its drivers and sockets or without, its single-threaded one with them, and a
//! `LocalSet` on that.

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, LocalSet};

use super::io::{Blocking, LocalIo, sockets};
use super::{HandleOf, Job, Local, Named, Pool, Spawn, Unwrapped, named};

pub struct TokioPool<const DRIVERS: bool>(Runtime);

/// Without drivers, which some rows don't need.
pub type Tokio = TokioPool<false>;

/// With its drivers for I/O and time, which its workers wait in.
pub type TokioWithDrivers = TokioPool<true>;

/// `tokio::spawn`, which finds the runtime of the task that calls it.
#[derive(Clone)]
pub struct InTask;

impl<const DRIVERS: bool> Named for TokioPool<DRIVERS> {
    const NAME: &'static str = "tokio";
    const PACKAGE: &'static str = "tokio";
}

impl<const DRIVERS: bool> Pool for TokioPool<DRIVERS> {
    type Inside = InTask;

    fn start(workers: usize) -> Self {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(workers);
        if DRIVERS {
            builder.enable_all();
        }
        Self(builder.build().expect("threads can be started"))
    }

    fn spawn<F: Job>(&self, future: F) -> HandleOf<Self, F::Output> {
        Unwrapped(self.0.spawn(future))
    }

    fn inside(&self) -> InTask {
        InTask
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

impl Spawn for InTask {
    type Handle<T: Send + 'static> = Unwrapped<JoinHandle<T>>;

    fn spawn<F: Job>(&self, future: F) -> Unwrapped<JoinHandle<F::Output>> {
        Unwrapped(tokio::spawn(future))
    }

    fn detach(&self, future: impl Job<Output = ()>) {
        drop(tokio::spawn(future));
    }
}

sockets!(TokioWithDrivers, TokioIo, tokio::time::sleep);

/// `tokio::task::spawn_blocking`.
pub struct SpawnBlocking;

named!(SpawnBlocking: "tokio spawn_blocking", "tokio");

impl Blocking for SpawnBlocking {
    type Pool = Tokio;

    fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> + Send {
        Unwrapped(tokio::task::spawn_blocking(work))
    }
}

/// Its tasks are spawned with `tokio::spawn`: a `LocalSet` would make them slower.
pub struct TokioCurrentThread(Runtime);

named!(TokioCurrentThread: "tokio current_thread", "tokio");

impl Local for TokioCurrentThread {
    type Inside = InTask;

    fn start() -> Self {
        Self(Builder::new_current_thread().enable_all().build().expect("files may be opened"))
    }

    fn inside(&self) -> InTask {
        InTask
    }

    fn run<F: Future>(&mut self, root: F) -> F::Output {
        self.0.block_on(root)
    }
}

impl LocalIo for TokioCurrentThread {
    type Family = TokioWithDrivers;
}

pub struct TokioLocal {
    // In this order: the set's tasks are dropped while their runtime lives.
    tasks: LocalSet,
    runtime: Runtime,
}

/// `tokio::task::spawn_local`, which finds the set of the task that calls it.
pub struct InSet;

named!(TokioLocal: "tokio LocalSet", "tokio");

impl Local for TokioLocal {
    type Inside = InSet;

    fn start() -> Self {
        let runtime = Builder::new_current_thread().build().expect("needs no threads");
        Self { tasks: LocalSet::new(), runtime }
    }

    fn inside(&self) -> InSet {
        InSet
    }

    fn run<F: Future>(&mut self, root: F) -> F::Output {
        self.tasks.block_on(&self.runtime, root)
    }
}

impl Spawn for InSet {
    type Handle<T: Send + 'static> = Unwrapped<JoinHandle<T>>;

    fn spawn<F: Job>(&self, future: F) -> Unwrapped<JoinHandle<F::Output>> {
        Unwrapped(tokio::task::spawn_local(future))
    }

    fn detach(&self, future: impl Job<Output = ()>) {
        drop(tokio::task::spawn_local(future));
    }
}
