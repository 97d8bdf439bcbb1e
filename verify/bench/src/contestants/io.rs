//! What the rows about I/O, time and blocking work ask of an executor beyond tasks. The adapters are in its own file.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use super::{Local, Named, Pool};

/// Where all listen: on this machine, and on a port that is free.
pub const LOOPBACK: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// A pool with sockets and timers, by the family's own types. All of these are called in its tasks.
pub trait Io: Pool {
    type Listener: Listener<Self::Stream>;
    type Stream: Stream;

    /// To [`LOOPBACK`].
    fn bind() -> impl Future<Output = io::Result<Self::Listener>> + Send;

    fn connect(to: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;
}

/// A local executor whose thread waits for events, too.
pub trait LocalIo: Local {
    /// Has the sockets: a family's are the same on its pool and here.
    type Family: Io;
}

pub trait Listener<S>: Send + Sync + 'static {
    fn address(&self) -> io::Result<SocketAddr>;

    fn accept(&self) -> impl Future<Output = io::Result<S>> + Send;
}

pub trait Stream: Send + 'static {
    /// As hyper wants it, by the adapter that this family's users take.
    type ForHyper: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static;

    /// Small messages go out at once.
    fn set_nodelay(&self) -> io::Result<()>;

    /// As much as there is; 0 at the end.
    fn read(&mut self, into: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;

    fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    fn for_hyper(self) -> Self::ForHyper;
}

/// Makes a pool's family one with sockets: each has a `TcpListener` and a `TcpStream` in scope, with the same methods.
macro_rules! sockets {
    ($pool:ident, $for_hyper:ident, $sleep:path) => {
        impl $crate::contestants::io::Io for $pool {
            type Listener = TcpListener;
            type Stream = TcpStream;

            async fn bind() -> std::io::Result<TcpListener> {
                TcpListener::bind($crate::contestants::io::LOOPBACK).await
            }

            async fn connect(to: std::net::SocketAddr) -> std::io::Result<TcpStream> {
                TcpStream::connect(to).await
            }

            fn sleep(time: std::time::Duration) -> impl Future<Output = ()> + Send {
                $sleep(time)
            }
        }

        impl $crate::contestants::io::Listener<TcpStream> for TcpListener {
            fn address(&self) -> std::io::Result<std::net::SocketAddr> {
                self.local_addr()
            }

            async fn accept(&self) -> std::io::Result<TcpStream> {
                self.accept().await.map(|(stream, _)| stream)
            }
        }

        impl $crate::contestants::io::Stream for TcpStream {
            type ForHyper = $for_hyper<Self>;

            fn set_nodelay(&self) -> std::io::Result<()> {
                self.set_nodelay(true)
            }

            async fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                AsyncReadExt::read(self, into).await
            }

            async fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
                AsyncWriteExt::write_all(self, bytes).await
            }

            fn for_hyper(self) -> $for_hyper<Self> {
                $for_hyper::new(self)
            }
        }
    };
}
pub(crate) use sockets;

/// Takes work that blocks off a pool's threads.
pub trait Blocking: Named + 'static {
    /// Whose tasks wait for it.
    type Pool: Pool;

    /// Called in a task.
    fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> + Send;
}
