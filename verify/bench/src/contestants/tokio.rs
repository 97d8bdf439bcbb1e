//! tokio: its multi-threaded runtime, with its drivers and sockets or without, its single-threaded one with them, and a
//! `LocalSet` on that.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, LocalSet};

use super::io::{Blocking, Io, LOOPBACK, Listener, LocalIo, Stream};
use super::{HandleOf, Local, Named, Pool, Spawn, Unwrapped};

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

    fn spawn<F>(&self, future: F) -> HandleOf<Self, F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
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

    fn spawn<F>(&self, future: F) -> Unwrapped<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(tokio::spawn(future))
    }

    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(tokio::spawn(future));
    }
}

impl Io for TokioWithDrivers {
    type Listener = TcpListener;
    type Stream = TcpStream;

    async fn bind() -> io::Result<TcpListener> {
        TcpListener::bind(LOOPBACK).await
    }

    async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(to).await
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(time)
    }
}

impl Listener<TcpStream> for TcpListener {
    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    async fn accept(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Stream for TcpStream {
    type ForHyper = TokioIo<Self>;

    fn set_nodelay(&self) -> io::Result<()> {
        self.set_nodelay(true)
    }

    async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        AsyncReadExt::read(self, into).await
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        AsyncWriteExt::write_all(self, bytes).await
    }

    fn for_hyper(self) -> TokioIo<Self> {
        TokioIo::new(self)
    }
}

/// `tokio::task::spawn_blocking`.
pub struct SpawnBlocking;

impl Named for SpawnBlocking {
    const NAME: &'static str = "tokio spawn_blocking";
    const PACKAGE: &'static str = "tokio";
}

impl Blocking for SpawnBlocking {
    type Pool = Tokio;

    fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> + Send {
        Unwrapped(tokio::task::spawn_blocking(work))
    }
}

/// Its tasks are spawned with `tokio::spawn`: a `LocalSet` would make them slower.
pub struct TokioCurrentThread(Runtime);

impl Named for TokioCurrentThread {
    const NAME: &'static str = "tokio current_thread";
    const PACKAGE: &'static str = "tokio";
}

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

impl Named for TokioLocal {
    const NAME: &'static str = "tokio LocalSet";
    const PACKAGE: &'static str = "tokio";
}

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

    fn spawn<F>(&self, future: F) -> Unwrapped<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(tokio::task::spawn_local(future))
    }

    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(tokio::task::spawn_local(future));
    }
}
