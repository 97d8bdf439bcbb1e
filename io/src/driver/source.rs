//! A source of events, and operations on it that wait until they can be done.

use std::future::poll_fn;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::{Context, Poll, ready};

use mio::Token;
use mio::event::Source;
use polyexec_core::executor::process::Process;
use polyexec_core::task::{Proceed, poll_proceed};

use crate::driver::readiness::{Readiness, Seen, Side, WaiterId};
use crate::driver::{IoDriver, started};
use std::sync::Arc;

/// Whether an operation that has moved less than there was room for has emptied the source, or filled it, as epoll(7) and
/// kqueue have it.
const SHORT_IS_ALL: bool =
    cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "freebsd"));

/// Why an operation can't wait.
const FORKED: &str = "the socket was registered before a fork: the events of it come to the parent process";

/// A socket or another source of events, registered with the driver.
///
/// Operations are tried when the system has said that they can be done; if they can't after all, they wait until it says so
/// again. Clones are handles of the same source.
///
/// Any number of tasks may wait for either side, by futures or by polls, through one handle or several: an event wakes them all.
/// A future that is dropped leaves no waker behind. A poll that is not repeated leaves its waker in the list of its side. It
/// stays there until the next event, or until its handle is dropped. Many such wakers, some dozens, are woken when another task
/// polls, and forgotten.
///
/// An operation that was done counts to the [budget](poll_proceed) of its task's poll: a peer that sends fast doesn't keep a
/// task from yielding.
///
/// # What dropping does
///
/// Forgets the wakers of this handle's polls. The last handle's drop deregisters the source, and drops it.
///
/// # Examples
///
/// ```
/// use polyexec_io::Io;
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
    registered: Arc<Registered<S>>,
    /// The handle's.
    number: u64,
}

struct Registered<S: Source> {
    source: S,
    driver: &'static IoDriver,
    token: Token,
    readiness: Arc<Readiness>,
}

// No code of anybody's runs while what is known of the source is changed.
impl<S: Source + UnwindSafe> UnwindSafe for Io<S> {}
impl<S: Source + RefUnwindSafe> RefUnwindSafe for Io<S> {}

impl<S: Source> Io<S> {
    /// Registers `source`, and starts the driver if need be.
    ///
    /// # Errors
    ///
    /// The system's: there are no file descriptors or threads left for the driver, or `source` can't be registered.
    pub fn new(mut source: S) -> io::Result<Self> {
        // Here a child notices that it is one.
        Process::current();
        let driver = started()?;
        let (token, readiness) = driver.register(&mut source)?;
        let number = readiness.number();
        Ok(Self { registered: Arc::new(Registered { source, driver, token, readiness }), number })
    }

    /// The source.
    pub fn get_ref(&self) -> &S {
        &self.registered.source
    }

    fn readiness(&self) -> &Arc<Readiness> {
        &self.registered.readiness
    }

    /// Takes the source to be ready for writing, as a new connection's is, instead of waiting for the system to say so.
    pub fn assume_writable(&self) {
        self.readiness().assume_ready(Side::Write);
    }

    /// Ready when a read may succeed: there is something to read, or an end, or an error. Otherwise the task is woken then.
    ///
    /// It stays ready until an operation of this crate finds that there is nothing to read, so follow it by
    /// [`try_read_with`](Io::try_read_with).
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_ready(Side::Read, cx)
    }

    /// As [`poll_readable`](Io::poll_readable), for a write.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_ready(Side::Write, cx)
    }

    /// Waits until a read may succeed, as [`poll_readable`](Io::poll_readable).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it leaves no trace.
    pub async fn readable(&self) {
        self.wait_ready(Side::Read).await;
    }

    /// Waits until a write may succeed, as [`poll_writable`](Io::poll_writable).
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn writable(&self) {
        self.wait_ready(Side::Write).await;
    }

    /// Tries `operation`, which reads, once and at once.
    ///
    /// # Errors
    ///
    /// Those of `operation`, but for `Interrupted`, upon which it tries again. After `WouldBlock`,
    /// [`readable`](Io::readable) waits for the next event.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::ErrorKind;
    ///
    /// use polyexec_io::Io;
    ///
    /// let socket = Io::new(mio::net::UdpSocket::bind("127.0.0.1:0".parse().unwrap())?)?;
    /// let mut buffer = [0; 16];
    /// let nothing = socket.try_read_with(|socket| socket.recv(&mut buffer));
    /// assert_eq!(nothing.unwrap_err().kind(), ErrorKind::WouldBlock);
    ///
    /// socket.get_ref().send_to(b"to myself", socket.get_ref().local_addr()?)?;
    /// polyexec_core::block_on(async {
    ///     loop {
    ///         socket.readable().await;
    ///         match socket.try_read_with(|socket| socket.recv(&mut buffer)) {
    ///             Err(cause) if cause.kind() == ErrorKind::WouldBlock => continue,
    ///             received => return received,
    ///         }
    ///     }
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_read_with<T>(&self, operation: impl FnMut(&S) -> io::Result<T>) -> io::Result<T> {
        self.try_with(Side::Read, operation)
    }

    /// As [`try_read_with`](Io::try_read_with), for an operation that writes.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_write_with<T>(&self, operation: impl FnMut(&S) -> io::Result<T>) -> io::Result<T> {
        self.try_with(Side::Write, operation)
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
        self.poll_with(Side::Read, cx, |cx| self.poll_seen(Side::Read, cx), operation).map_ok(|(_, value)| value)
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
        self.poll_with(Side::Write, cx, |cx| self.poll_seen(Side::Write, cx), operation).map_ok(|(_, value)| value)
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
        let (seen, moved) = ready!(self.poll_with(side, cx, |cx| self.poll_seen(side, cx), operation))?;
        if SHORT_IS_ALL && 0 < moved && moved < room {
            self.readiness().exhausted(side, seen);
        }
        Poll::Ready(Ok(moved))
    }

    async fn wait_with<T>(&self, side: Side, mut operation: impl FnMut(&S) -> io::Result<T>) -> io::Result<T> {
        let mut waiter = Waiter::new(self.readiness(), side);
        poll_fn(|cx| self.poll_with(side, cx, |cx| waiter.poll(cx), &mut operation).map_ok(|(_, value)| value)).await
    }

    async fn wait_ready(&self, side: Side) {
        let mut waiter = Waiter::new(self.readiness(), side);
        poll_fn(|cx| self.poll_counted(cx, |cx| waiter.poll(cx))).await
    }

    /// Whether it was registered by the process that this one was forked from, as far as is known.
    fn is_parents(&self) -> bool {
        !self.registered.driver.process.is_known()
    }

    fn poll_ready(&self, side: Side, cx: &Context<'_>) -> Poll<()> {
        self.poll_counted(cx, |cx| self.poll_seen(side, cx))
    }

    /// That a side is ready counts as an operation: what is told so may go on without another one that does.
    fn poll_counted(&self, cx: &Context<'_>, wait: impl FnOnce(&Context<'_>) -> Poll<Seen>) -> Poll<()> {
        // An operation says why.
        if wait(cx).is_pending() && !self.is_parents() {
            return Poll::Pending;
        }
        poll_proceed(cx).map(Proceed::made_progress)
    }

    /// As this handle.
    fn poll_seen(&self, side: Side, cx: &Context<'_>) -> Poll<Seen> {
        self.readiness().poll(side, WaiterId::Handle(self.number), cx)
    }

    fn poll_with<T>(
        &self,
        side: Side,
        cx: &Context<'_>,
        mut wait: impl FnMut(&Context<'_>) -> Poll<Seen>,
        mut operation: impl FnMut(&S) -> io::Result<T>,
    ) -> Poll<io::Result<(Seen, T)>> {
        loop {
            let seen = match wait(cx) {
                Poll::Ready(seen) => seen,
                Poll::Pending if self.is_parents() => return Poll::Ready(Err(io::Error::other(FORKED))),
                Poll::Pending => return Poll::Pending,
            };
            let proceed = ready!(poll_proceed(cx));
            match operation(self.get_ref()) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => self.readiness().would_block(side, seen),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => (),
                result => {
                    proceed.made_progress();
                    return Poll::Ready(result.map(|value| (seen, value)));
                }
            }
        }
    }

    fn try_with<T>(&self, side: Side, mut operation: impl FnMut(&S) -> io::Result<T>) -> io::Result<T> {
        let seen = self.readiness().seen(side);
        loop {
            match operation(self.get_ref()) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => (),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.readiness().would_block(side, seen);
                    return Err(if self.is_parents() { io::Error::other(FORKED) } else { cause });
                }
                result => return result,
            }
        }
    }
}

/// The clone is another handle: what polls it waits, too.
impl<S: Source> Clone for Io<S> {
    fn clone(&self) -> Self {
        Self { registered: self.registered.clone(), number: self.readiness().number() }
    }
}

impl<S: Source> Drop for Io<S> {
    fn drop(&mut self) {
        [Side::Read, Side::Write].into_iter().for_each(|side| self.readiness().forget(side, self.number));
    }
}

impl<S: Source> Drop for Registered<S> {
    fn drop(&mut self) {
        self.driver.deregister(&mut self.source, self.token);
    }
}

impl<S: Source + std::fmt::Debug> std::fmt::Debug for Io<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Io").field(self.get_ref()).finish()
    }
}

/// A future's wait for a side. Dropped, it leaves no waker behind.
struct Waiter<'a> {
    readiness: &'a Readiness,
    side: Side,
    number: u64,
    has_waited: bool,
}

impl<'a> Waiter<'a> {
    fn new(readiness: &'a Readiness, side: Side) -> Self {
        Self { readiness, side, number: readiness.number(), has_waited: false }
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Seen> {
        let seen = self.readiness.poll(self.side, WaiterId::Future(self.number), cx);
        self.has_waited |= seen.is_pending();
        seen
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.has_waited {
            self.readiness.forget(self.side, self.number);
        }
    }
}
