//! A source of events, and operations on it that wait until they can be done.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use mio::Token;
use mio::event::Source;

use crate::reactor::{Shared, started};
use crate::readiness::{Readiness, Seen, Side};
use std::sync::Arc;

/// Whether an operation that has moved less than there was room for has emptied the source, or filled it, as epoll(7) and
/// kqueue have it.
const SHORT_IS_ALL: bool =
    cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "freebsd"));

/// A socket or another source of events, registered with the reactor.
///
/// Operations are tried when the system has said that they can be done; if they can't after all, they wait until it says so
/// again. Those that `poll` share one place to wait: of two tasks that poll the same side, the one that came last is woken.
/// Of the others, which are futures, any number may wait.
///
/// # What dropping does
///
/// Deregisters the source, and drops it.
///
/// # Examples
///
/// ```
/// use polyexec_reactor::Io;
///
/// let socket = Io::new(mio::net::UdpSocket::bind("127.0.0.1:0".parse().unwrap())?)?;
/// let address = socket.get_ref().local_addr()?;
/// polyexec_core::block_on(async {
///     socket.write_with(|socket| socket.send_to(b"to myself", address)).await?;
///     let mut buffer = [0; 16];
///     let (length, from) = socket.read_with(|socket| socket.recv_from(&mut buffer)).await?;
///     assert_eq!((&buffer[..length], from), (&b"to myself"[..], address));
///     Ok(())
/// })
/// # as std::io::Result<()>
/// # ;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Io<S: Source> {
    source: S,
    reactor: &'static Shared,
    token: Token,
    readiness: Arc<Readiness>,
}

impl<S: Source> Io<S> {
    /// Registers `source`, and starts the reactor if need be.
    ///
    /// # Errors
    ///
    /// The system's: there are no file descriptors or threads left for the reactor, or `source` can't be registered.
    pub fn new(mut source: S) -> io::Result<Self> {
        let reactor = started()?;
        let (token, readiness) = reactor.register(&mut source)?;
        Ok(Self { source, reactor, token, readiness })
    }

    /// The source.
    pub fn get_ref(&self) -> &S {
        &self.source
    }

    /// Takes the source to be ready for writing, as a new connection's is, instead of waiting for the system to say so.
    pub fn assume_writable(&self) {
        self.readiness.assume_ready(Side::Write);
    }

    /// Tries `operation`, which reads, when the source is ready for that.
    ///
    /// # Errors
    ///
    /// Those of `operation`, but for `WouldBlock`, upon which this waits, and `Interrupted`, upon which it tries again.
    pub fn poll_read_with<T>(
        &self,
        cx: &mut Context<'_>,
        operation: impl FnMut(&S) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.poll_with(Side::Read, |readiness, side| readiness.poll(side, cx), operation).map_ok(|(_, value)| value)
    }

    /// As [`poll_read_with`](Io::poll_read_with), for an operation that writes.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_write_with<T>(
        &self,
        cx: &mut Context<'_>,
        operation: impl FnMut(&S) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.poll_with(Side::Write, |readiness, side| readiness.poll(side, cx), operation).map_ok(|(_, value)| value)
    }

    /// As [`poll_read_with`](Io::poll_read_with), for a stream from which `operation` reads at most `room` bytes, and fewer only
    /// where there are no more: then the next one waits without having to try. With a `room` of zero a short read says
    /// nothing.
    ///
    /// TCP is such a stream, urgent data or not, as long as no more slices are read into than the system takes at once. One
    /// that brings file descriptors isn't.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_read_some(
        &self,
        cx: &mut Context<'_>,
        room: usize,
        operation: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll_some(Side::Read, cx, room, operation)
    }

    /// As [`poll_write_with`](Io::poll_write_with), for a stream to which `operation` writes at most `room` bytes, and fewer only
    /// where there is no room for more: then the next one waits without having to try. With a `room` of zero a short write
    /// says nothing.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_write_some(
        &self,
        cx: &mut Context<'_>,
        room: usize,
        operation: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll_some(Side::Write, cx, room, operation)
    }

    /// Tries `operation`, which reads, when the source is ready for that.
    ///
    /// # Errors
    ///
    /// As for [`poll_read_with`](Io::poll_read_with).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, `operation` wasn't done.
    pub async fn read_with<T>(&self, operation: impl FnMut(&S) -> io::Result<T>) -> io::Result<T> {
        self.wait_with(Side::Read, operation).await
    }

    /// As [`read_with`](Io::read_with), for an operation that writes.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn write_with<T>(&self, operation: impl FnMut(&S) -> io::Result<T>) -> io::Result<T> {
        self.wait_with(Side::Write, operation).await
    }

    fn poll_some(
        &self,
        side: Side,
        cx: &mut Context<'_>,
        room: usize,
        operation: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let (seen, moved) = ready!(self.poll_with(side, |readiness, side| readiness.poll(side, cx), operation))?;
        if SHORT_IS_ALL && 0 < moved && moved < room {
            self.readiness.exhausted(side, seen);
        }
        Poll::Ready(Ok(moved))
    }

    async fn wait_with<T>(&self, side: Side, mut operation: impl FnMut(&S) -> io::Result<T>) -> io::Result<T> {
        let mut waiter = None;
        poll_fn(|cx| {
            let wait = |readiness: &Readiness, side| {
                let waiter = waiter.get_or_insert_with(|| Waiter::new(&self.readiness, side));
                readiness.poll_as(side, waiter.number, cx)
            };
            self.poll_with(side, wait, &mut operation).map_ok(|(_, value)| value)
        })
        .await
    }

    fn poll_with<T>(
        &self,
        side: Side,
        mut wait: impl FnMut(&Readiness, Side) -> Poll<Seen>,
        mut operation: impl FnMut(&S) -> io::Result<T>,
    ) -> Poll<io::Result<(Seen, T)>> {
        loop {
            let seen = ready!(wait(&self.readiness, side));
            match operation(&self.source) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => self.readiness.would_block(side, seen),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => (),
                result => return Poll::Ready(result.map(|value| (seen, value))),
            }
        }
    }
}

impl<S: Source> Drop for Io<S> {
    fn drop(&mut self) {
        self.reactor.deregister(&mut self.source, self.token);
    }
}

impl<S: Source + std::fmt::Debug> std::fmt::Debug for Io<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Io").field(&self.source).finish()
    }
}

/// One of many that wait for a side. Dropped, it leaves no waker behind.
struct Waiter<'a> {
    readiness: &'a Readiness,
    side: Side,
    number: u64,
}

impl<'a> Waiter<'a> {
    fn new(readiness: &'a Readiness, side: Side) -> Self {
        Self { readiness, side, number: readiness.number(side) }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.readiness.forget(self.side, self.number);
    }
}
