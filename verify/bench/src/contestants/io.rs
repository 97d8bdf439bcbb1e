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

/// Takes work that blocks off a pool's threads.
pub trait Blocking: Named + 'static {
    /// Whose tasks wait for it.
    type Pool: Pool;

    /// Called in a task.
    fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> + Send;
}
