//! An event source that is registered with the driver, and operations that wait until they succeed.

use std::future::poll_fn;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use mio::Token;
use mio::event::Source;
use polyexec_core::executor::process::Process;
use polyexec_core::task::{Proceed, poll_proceed};

use crate::driver::readiness::{Readiness, Seen, Side, WaiterId};
use crate::driver::{IoDriver, started};

/// On these systems, a short read or write means that the source is empty, or full: see epoll(7).
const SHORT_IS_ALL: bool =
    cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "freebsd"));

/// The error of an operation that would wait in a forked child.
const FORKED: &str = "the socket was registered before a fork, and its events go to the parent process";

/// A socket or another source of events, registered with the driver.
///
/// An operation is tried when the system has reported the source ready. If it would block after all, it waits for the next
/// report. Clones are handles of the same source.
///
/// Any number of tasks may wait for either side, through futures or polls, and through one handle or several: an event wakes
/// them all. A future that is dropped leaves no waker behind. A poll that is not repeated leaves its waker until the next event,
/// or until its handle is dropped. If some dozens of wakers wait, then another poll wakes and removes them.
///
/// Each completed operation counts toward the [budget](poll_proceed) of its task's poll. So a task yields even to a peer that
/// always has more to send.
/// # What dropping does
///
/// Removes the wakers of this handle's polls. Dropping the last handle deregisters the source, and drops it.
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
    /// The handle's number.
    number: u64,
}

struct Registered<S: Source> {
    source: S,
    driver: &'static IoDriver,
    token: Token,
    readiness: Arc<Readiness>,
}

// No user code runs while what is known of the source changes.
impl<S: Source + UnwindSafe> UnwindSafe for Io<S> {}
impl<S: Source + RefUnwindSafe> RefUnwindSafe for Io<S> {}

impl<S: Source> Io<S> {
    /// Registers `source` with the driver, which the first call starts.
    ///
    /// # Errors
    ///
    /// The system has no file descriptor or thread for the driver, or `source` can't be registered.
    pub fn new(mut source: S) -> io::Result<Self> {
        // Lets a forked child notice that it is one.
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

    /// Marks the source ready for writing, as a new connection is, without waiting for the system to report it.
    pub fn assume_writable(&self) {
        self.readiness().assume_ready(Side::Write);
    }

    /// Ready when a read may succeed: there are bytes, an end, or an error. Otherwise the task is woken then.
    ///
    /// Stays ready until an operation of this crate finds nothing to read. So call [`try_read_with`](Io::try_read_with) next.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_ready(Side::Read, cx)
    }

    /// Like [`poll_readable`](Io::poll_readable), for writing.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_ready(Side::Write, cx)
    }

    /// Waits until a read may succeed. See [`poll_readable`](Io::poll_readable).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped early, it leaves no trace.
    pub async fn readable(&self) {
        self.wait_ready(Side::Read).await;
    }

    /// Waits until a write may succeed. See [`poll_writable`](Io::poll_writable).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped early, it leaves no trace.
    pub async fn writable(&self) {
        self.wait_ready(Side::Write).await;
    }

    /// Tries `operation`, which reads, once. Never waits.
    ///
    /// # Errors
    ///
    /// Those of `operation`, except `Interrupted`, which is retried. After `WouldBlock`, [`readable`](Io::readable) waits for the
    /// next event.
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

    /// Like [`try_read_with`](Io::try_read_with), for an operation that writes.
    ///
    /// # Errors
    ///
    /// As for [`try_read_with`](Io::try_read_with).
    pub fn try_write_with<T>(&self, operation: impl FnMut(&S) -> io::Result<T>) -> io::Result<T> {
        self.try_with(Side::Write, operation)
    }

    /// Tries `operation`, which reads, once the source is ready.
    ///
    /// # Errors
    ///
    /// Those of `operation`, except `WouldBlock`, which waits for the next event, and `Interrupted`, which is retried.
    pub fn poll_read_with<T>(
        &self,
        cx: &mut Context<'_>,
        operation: impl FnMut(&S) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.poll_with(Side::Read, cx, |cx| self.poll_seen(Side::Read, cx), operation).map_ok(|(_, value)| value)
    }

    /// Like [`poll_read_with`](Io::poll_read_with), for an operation that writes.
    ///
    /// # Errors
    ///
    /// As for [`poll_read_with`](Io::poll_read_with).
    pub fn poll_write_with<T>(
        &self,
        cx: &mut Context<'_>,
        operation: impl FnMut(&S) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.poll_with(Side::Write, cx, |cx| self.poll_seen(Side::Write, cx), operation).map_ok(|(_, value)| value)
    }

    /// Like [`poll_read_with`](Io::poll_read_with), for a stream. Knows from a short read that the next one would block.
    ///
    /// `operation` reads at most `room` bytes, and fewer only if there are no more. Pass a `room` of zero if a short read doesn't
    /// mean that. It does for TCP, even with urgent data, unless the read has more slices than the system takes at once. It
    /// doesn't for streams that carry file descriptors.
    ///
    /// # Errors
    ///
    /// As for [`poll_read_with`](Io::poll_read_with).
    pub fn poll_read_some(
        &self,
        cx: &mut Context<'_>,
        room: usize,
        operation: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll_some(Side::Read, cx, room, operation)
    }

    /// Like [`poll_write_with`](Io::poll_write_with), for a stream. Knows from a short write that the next one would block.
    ///
    /// `operation` writes at most `room` bytes, and fewer only if the system has no room for more. Pass a `room` of zero if a
    /// short write doesn't mean that.
    ///
    /// # Errors
    ///
    /// As for [`poll_read_with`](Io::poll_read_with).
    pub fn poll_write_some(
        &self,
        cx: &mut Context<'_>,
        room: usize,
        operation: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll_some(Side::Write, cx, room, operation)
    }

    /// Waits until the source is ready and `operation`, which reads, has not blocked.
    ///
    /// # Errors
    ///
    /// As for [`poll_read_with`](Io::poll_read_with).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped early, `operation` has not succeeded.
    pub async fn read_with<T>(&self, operation: impl FnMut(&S) -> io::Result<T>) -> io::Result<T> {
        self.wait_with(Side::Read, operation).await
    }

    /// Like [`read_with`](Io::read_with), for an operation that writes.
    ///
    /// # Errors
    ///
    /// As for [`poll_read_with`](Io::poll_read_with).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped early, `operation` has not succeeded.
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

    /// Whether the parent of this forked process has registered the source, as far as is known.
    fn is_parents(&self) -> bool {
        !self.registered.driver.process.is_known()
    }

    fn poll_ready(&self, side: Side, cx: &Context<'_>) -> Poll<()> {
        self.poll_counted(cx, |cx| self.poll_seen(side, cx))
    }

    /// Polls for a side. Being ready counts as an operation: its caller may go on without one that does.
    fn poll_counted(&self, cx: &Context<'_>, wait: impl FnOnce(&Context<'_>) -> Poll<Seen>) -> Poll<()> {
        // In a forked child, ready: the operation that follows returns the error.
        if wait(cx).is_pending() && !self.is_parents() {
            return Poll::Pending;
        }
        poll_proceed(cx).map(Proceed::made_progress)
    }

    /// Polls for a side as this handle.
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

/// Makes another handle of the source. Its polls wait apart from this handle's.
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

/// A future's wait for a side.
///
/// # What dropping does
///
/// Removes its waker.
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
