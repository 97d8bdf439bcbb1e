//! Ours: `Pool` and `Local`, spawning through their handles, on the static path; our sockets and timers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use polyexec::{
    Executor, JoinHandle,
    hyper::HyperIo,
    local::LocalHandle,
    net::{TcpListener, TcpStream},
    pool::PoolHandle,
    time::sleep,
};

use super::io::{Blocking, Io, LOOPBACK, Listener, LocalIo, Stream};
use super::{HandleOf, Local, Named, Pool, Spawn, Unwrapped};

pub struct OurPool(polyexec::Pool);

impl Named for OurPool {
    const NAME: &'static str = "polyexec Pool";
    const PACKAGE: &'static str = "polyexec";
}

impl Pool for OurPool {
    type Inside = PoolHandle;

    fn start(workers: usize) -> Self {
        Self(polyexec::Pool::builder().worker_threads(workers).build().expect("threads can be started"))
    }

    fn spawn<F>(&self, future: F) -> HandleOf<Self, F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
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

    fn spawn<F>(&self, future: F) -> Unwrapped<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(Executor::spawn(self, future))
    }

    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(Executor::spawn(self, future));
    }
}

impl Io for OurPool {
    type Listener = TcpListener;
    type Stream = TcpStream;

    async fn bind() -> io::Result<TcpListener> {
        TcpListener::bind(LOOPBACK).await
    }

    async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(to).await
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        sleep(time)
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
    type ForHyper = HyperIo<Self>;

    fn set_nodelay(&self) -> io::Result<()> {
        self.set_nodelay(true)
    }

    async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        AsyncReadExt::read(self, into).await
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        AsyncWriteExt::write_all(self, bytes).await
    }

    fn for_hyper(self) -> HyperIo<Self> {
        HyperIo::new(self)
    }
}

/// `polyexec::unblock`.
pub struct Unblock;

impl Named for Unblock {
    const NAME: &'static str = "polyexec unblock";
    const PACKAGE: &'static str = "polyexec";
}

impl Blocking for Unblock {
    type Pool = OurPool;

    fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> + Send {
        polyexec::unblock(work)
    }
}

pub struct OurLocal(polyexec::Local);

impl Named for OurLocal {
    const NAME: &'static str = "polyexec Local";
    const PACKAGE: &'static str = "polyexec";
}

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

    fn spawn<F>(&self, future: F) -> Unwrapped<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(self.spawn_local(future))
    }

    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.spawn_local(future));
    }
}
