//! Turns a blocking reader or writer into a stream of `futures-io`. Leaves the threads to `blocking`.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};
use polyexec_core::{JoinError, JoinHandle};

use super::spawn_blocking;

/// The most bytes that one operation moves by default, as in tokio. A buffer grows only as large as the largest operation.
const CAPACITY: usize = 2 << 20;

/// Reads, writes and seeks a blocking value without blocking its task: standard input and output, a child's pipe, a device.
///
/// Each operation runs on a thread for blocking work, one after another. That adds some 10 µs, so gather many small operations
/// in a buffer, such as the `BufReader` and `BufWriter` of `futures`. A read never reads ahead.
///
/// A write is ready when the thread has the bytes. [`flush`](AsyncWrite::poll_flush) waits until they are written.
///
/// # Errors
///
/// A failed write is reported by the next operation. Unwritten bytes are kept, and each write and flush tries them again. So a
/// full disk is an error each time until it has room; then nothing is missing.
///
/// # What dropping does
///
/// Bytes that a write has accepted are still written, unless that fails, which goes unnoticed. Then the inner value is dropped,
/// on that thread. A read that has not begun is cancelled; one that has begun loses what it reads.
///
/// # Cancel safety
///
/// - A read that is dropped early goes on; the next read returns its bytes.
/// - A write that is dropped early has accepted nothing.
/// - A flush that is dropped early goes on.
/// - A seek that is dropped early goes on. If the next operation is a seek to the same position, it returns that seek's result,
///   and does not move again, even for a relative position.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use polyexec_threaded::blocking::Unblock;
///
/// # polyexec_core::block_on(async {
/// let (reader, writer) = std::io::pipe()?;
/// let (mut reader, mut writer) = (Unblock::new(reader), Unblock::new(writer));
/// writer.write_all(b"through a pipe").await?;
/// writer.close().await?;
/// let mut text = String::new();
/// reader.read_to_string(&mut text).await?;
/// assert_eq!(text, "through a pipe");
/// # std::io::Result::Ok(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Unblock<T> {
    state: State<T>,
    capacity: usize,
}

enum State<T> {
    Idle(Box<Inner<T>>),
    /// A thread has the inner value.
    Busy(Operation, JoinHandle<(Box<Inner<T>>, io::Result<u64>)>),
    /// Closed, or lost by a panic or a shutdown.
    Gone,
}

struct Inner<T> {
    io: T,
    /// Bytes that no caller has taken yet, from `begin` on.
    read: Vec<u8>,
    begin: usize,
    unwritten: Vec<u8>,
    /// Whether there may be bytes to flush.
    is_dirty: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Read,
    Write,
    Flush,
    Seek(SeekFrom),
    Other,
}

impl<T> Unblock<T> {
    /// Wraps a value that reads, writes or seeks.
    pub fn new(io: T) -> Self {
        Self::with_capacity(CAPACITY, io)
    }

    /// Like [`new`](Unblock::new), but moves at most `capacity` bytes in one operation. The default is 2 MiB.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    pub fn with_capacity(capacity: usize, io: T) -> Self {
        assert!(capacity > 0, "a capacity of zero moves no bytes");
        let inner = Inner { io, read: Vec::new(), begin: 0, unwritten: Vec::new(), is_dirty: false };
        Self { state: State::Idle(Box::new(inner)), capacity }
    }
}

impl<T: Send + 'static> Unblock<T> {
    /// Waits for the operation in progress, and lends the inner value.
    ///
    /// Unwritten bytes stay here for the next write.
    ///
    /// # Errors
    ///
    /// That operation's, or `NotConnected` after [`close`](AsyncWrite::poll_close).
    ///
    /// # Panics
    ///
    /// With the panic of that operation.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, except that an error is reported only once.
    pub async fn get_mut(&mut self) -> io::Result<&mut T> {
        std::future::poll_fn(|cx| self.poll_finish(cx)).await?;
        self.inner().map(|inner| &mut inner.io)
    }

    /// Runs `operation` on the inner value, on a thread where it may block.
    ///
    /// # Errors
    ///
    /// As for [`get_mut`](Unblock::get_mut).
    ///
    /// # Panics
    ///
    /// With the panic of `operation`, or as [`get_mut`](Unblock::get_mut). After a panic the inner value is gone.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after `operation` was queued, then it still runs, and its output is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_threaded::blocking::Unblock;
    ///
    /// # polyexec_core::block_on(async {
    /// # let path = std::env::current_exe()?;
    /// let mut file = Unblock::new(std::fs::File::open(path)?);
    /// let length = file.with_mut(|file| file.metadata()).await??.len();
    /// # assert!(length > 0);
    /// # std::io::Result::Ok(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn with_mut<R, F>(&mut self, operation: F) -> io::Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&mut T) -> R + Send + 'static,
    {
        std::future::poll_fn(|cx| self.poll_finish(cx)).await?;
        let (give, output) = std::sync::mpsc::sync_channel(1);
        self.begin(Operation::Other, move |inner| {
            // Fails if the caller was dropped.
            let _ = give.send(operation(&mut inner.io));
            Ok(0)
        })?;
        std::future::poll_fn(|cx| self.poll_finish(cx)).await?;
        output.recv().map_err(io::Error::other)
    }

    /// Waits for the operation in progress, and returns the inner value. Unwritten bytes are lost.
    ///
    /// # Errors
    ///
    /// As for [`get_mut`](Unblock::get_mut). An error drops the inner value.
    ///
    /// # Panics
    ///
    /// As for [`get_mut`](Unblock::get_mut).
    pub async fn into_inner(mut self) -> io::Result<T> {
        std::future::poll_fn(|cx| self.poll_finish(cx)).await?;
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(inner) => Ok(inner.io),
            _ => Err(gone()),
        }
    }

    fn inner(&mut self) -> io::Result<&mut Inner<T>> {
        match &mut self.state {
            State::Idle(inner) => Ok(inner),
            _ => Err(gone()),
        }
    }

    /// Hands the inner value to a thread that does `work`. Must be idle.
    fn begin(
        &mut self,
        operation: Operation,
        work: impl FnOnce(&mut Inner<T>) -> io::Result<u64> + Send + 'static,
    ) -> io::Result<()> {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(mut inner) => {
                let handle = spawn_blocking(move || {
                    let done = work(&mut inner);
                    (inner, done)
                });
                self.state = State::Busy(operation, handle);
                Ok(())
            }
            _ => Err(gone()),
        }
    }

    /// Waits until this is idle or gone. Returns the operation that has just ended, with its result.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<(Operation, u64)>>> {
        let State::Busy(operation, handle) = &mut self.state else { return Poll::Ready(Ok(None)) };
        let operation = *operation;
        let joined = ready!(Pin::new(handle).poll(cx));
        self.state = State::Gone;
        let (inner, done) = joined.map_err(lost)?;
        self.state = State::Idle(inner);
        Poll::Ready(done.map(|value| Some((operation, value))))
    }
}

impl<T: Write> Inner<T> {
    /// Writes all unwritten bytes. After an error, keeps the rest.
    fn write(&mut self) -> io::Result<u64> {
        let (mut written, mut done) = (0, Ok(0));
        while written < self.unwritten.len() && done.is_ok() {
            match self.io.write(&self.unwritten[written..]) {
                Ok(0) => done = Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => written += length,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => (),
                Err(cause) => done = Err(cause),
            }
        }
        self.unwritten.drain(..written);
        done
    }
}

impl<T: Read + Send + 'static> AsyncRead for Unblock<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let finished = ready!(self.poll_finish(cx))?;
            let room = buffer.len().min(self.capacity);
            let inner = self.inner()?;
            let unread = &inner.read[inner.begin..];
            if !unread.is_empty() || buffer.is_empty() {
                let length = unread.len().min(buffer.len());
                buffer[..length].copy_from_slice(&unread[..length]);
                inner.begin += length;
                return Poll::Ready(Ok(length));
            }
            if finished == Some((Operation::Read, 0)) {
                return Poll::Ready(Ok(0));
            }
            self.begin(Operation::Read, move |inner| {
                inner.begin = 0;
                inner.read.resize(room, 0);
                let read = inner.io.read(&mut inner.read);
                inner.read.truncate(*read.as_ref().unwrap_or(&0));
                read.map(|length| length as u64)
            })?;
        }
    }
}

impl<T: Write + Send + 'static> AsyncWrite for Unblock<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_finish(cx))?;
            let length = bytes.len().min(self.capacity);
            let inner = self.inner()?;
            let is_behind = !inner.unwritten.is_empty();
            if !is_behind {
                inner.unwritten.extend_from_slice(&bytes[..length]);
                inner.is_dirty = true;
            }
            self.begin(Operation::Write, Inner::write)?;
            if !is_behind {
                return Poll::Ready(Ok(length));
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_finish(cx))?;
            match &self.state {
                State::Idle(inner) if inner.is_dirty => (),
                _ => return Poll::Ready(Ok(())),
            }
            self.begin(Operation::Flush, |inner| {
                inner.write()?;
                inner.io.flush()?;
                inner.is_dirty = false;
                Ok(0)
            })?;
        }
    }

    /// Flushes, then drops the inner value, which closes it: a child sees the end of its standard input. Does nothing if closed
    /// already.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.state = State::Gone;
        Poll::Ready(Ok(()))
    }
}

/// Seeks after writing unwritten bytes, so `T` has to be a writer. To seek in a mere reader, use
/// [`with_mut`](Unblock::with_mut).
impl<T: Write + Seek + Send + 'static> AsyncSeek for Unblock<T> {
    fn poll_seek(mut self: Pin<&mut Self>, cx: &mut Context<'_>, position: SeekFrom) -> Poll<io::Result<u64>> {
        loop {
            match ready!(self.poll_finish(cx))? {
                Some((Operation::Seek(sought), at)) if sought == position => return Poll::Ready(Ok(at)),
                _ => (),
            }
            self.begin(Operation::Seek(position), move |inner| {
                inner.write()?;
                let unread = (inner.read.len() - inner.begin) as i64;
                // Relative to what the caller has taken, not to what was read.
                let target = match position {
                    SeekFrom::Current(distance) => SeekFrom::Current(distance - unread),
                    from => from,
                };
                let at = inner.io.seek(target)?;
                inner.read.clear();
                inner.begin = 0;
                Ok(at)
            })?;
        }
    }
}

impl<T> Drop for Unblock<T> {
    fn drop(&mut self) {
        // Any other operation runs to its end.
        if let State::Busy(Operation::Read, handle) = &self.state {
            handle.abort();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Unblock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Idle(inner) => f.debug_tuple("Unblock").field(&inner.io).finish(),
            State::Busy(..) => f.write_str("Unblock(<busy>)"),
            State::Gone => f.write_str("Unblock(<closed>)"),
        }
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the value was closed, or lost by a panic or a shutdown")
}

/// The inner value is lost with the work. Resumes the work's panic.
fn lost(error: JoinError) -> io::Error {
    match error.try_into_panic() {
        Ok(payload) => resume_unwind(payload),
        Err(error) => error.into(),
    }
}
