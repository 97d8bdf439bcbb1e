//! What reads, writes and seeks in a blocking way, as a stream of `futures-io`: each operation is one of blocking work.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};
use polyexec_core::{JoinError, JoinHandle};

use super::spawn_blocking;

/// Bytes that one operation moves at most, unless told otherwise: as many as tokio's. A buffer is no larger than the reads
/// and writes that have come.
const CAPACITY: usize = 2 << 20;

/// Reads, writes and seeks on threads for blocking work what would block: standard input and output, a pipe of a child, a
/// device.
///
/// Each operation is handed to such a thread, one after another. So it costs some 10 µs more, and many small ones are better
/// gathered in a buffer, by the `BufReader` and `BufWriter` of `futures`, say. A read reads no further than it was asked to.
///
/// A write is done when the thread has the bytes. [`flush`](AsyncWrite::poll_flush) waits until they are written.
///
/// # Errors
///
/// If a write fails, the next operation says so. What isn't written yet is kept, and each write and flush tries again. So a full
/// disk is an error each time until there is room, and then nothing is missing.
///
/// # What dropping does
///
/// What was written goes on its way, and then the inner value is dropped, on that thread; if it fails, nobody hears of it. A
/// read that hasn't begun is cancelled; one that has takes what comes, and that is lost.
///
/// # Cancel safety
///
/// A read that is dropped before it is ready goes on, and the next one gets what it brings. A write has taken nothing. A flush
/// goes on. So does a seek; the next operation, if it is a seek to the same position, gets its result and moves no further, even
/// where that position is relative.
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
    /// A thread has it.
    Busy(Operation, JoinHandle<(Box<Inner<T>>, io::Result<u64>)>),
    /// Closed; or lost, by a panic or a shutdown.
    Gone,
}

struct Inner<T> {
    io: T,
    /// What a read has brought and nobody has asked for yet, from `begin` on.
    read: Vec<u8>,
    begin: usize,
    unwritten: Vec<u8>,
    /// There may be something to flush.
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
    /// Wraps what reads, writes or seeks.
    pub fn new(io: T) -> Self {
        Self::with_capacity(CAPACITY, io)
    }

    /// As [`new`](Unblock::new), with so many bytes at a time, at most. By default they are 2 MiB.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    pub fn with_capacity(capacity: usize, io: T) -> Self {
        assert!(capacity > 0, "no byte can be moved with a capacity of zero");
        let inner = Inner { io, read: Vec::new(), begin: 0, unwritten: Vec::new(), is_dirty: false };
        Self { state: State::Idle(Box::new(inner)), capacity }
    }
}

impl<T: Send + 'static> Unblock<T> {
    /// Waits for the operation that goes on, and lends the inner value.
    ///
    /// What a write could not write is still kept here, for the next one.
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
    /// Cancel safe, but for an error, which is told once.
    pub async fn get_mut(&mut self) -> io::Result<&mut T> {
        std::future::poll_fn(|cx| self.poll_finish(cx)).await?;
        self.inner().map(|inner| &mut inner.io)
    }

    /// Runs `operation` on the inner value, on a thread for blocking work.
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
    /// Dropped before it is ready, `operation` runs nevertheless, if it has come to that. Its output is dropped.
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
            // Nobody may wait for it any more.
            let _ = give.send(operation(&mut inner.io));
            Ok(0)
        })?;
        std::future::poll_fn(|cx| self.poll_finish(cx)).await?;
        output.recv().map_err(io::Error::other)
    }

    /// Waits for the operation that goes on, and gives the inner value back. What a write could not write is lost.
    ///
    /// # Errors
    ///
    /// As for [`get_mut`](Unblock::get_mut). The inner value is dropped then.
    ///
    /// # Panics
    ///
    /// As there.
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

    /// Hands the inner value to a thread, which does this with it. For an idle one.
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

    /// Waits until it is idle, or gone. What was done at last, and what came of it.
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
    /// Writes what there is, and keeps what can't be written.
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

    /// Flushes, and drops the inner value, which closes it: the child whose standard input it is sees the end. Closed already,
    /// this does nothing.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.state = State::Gone;
        Poll::Ready(Ok(()))
    }
}

/// Writes what is behind first, so `T` has to write. [`with_mut`](Unblock::with_mut) seeks in what can only be read.
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
                // Counted from what was asked for, not from what was read.
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
        // All else runs to its end.
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
    io::Error::new(io::ErrorKind::NotConnected, "it was closed")
}

/// The inner value went with the work. A panic goes on here.
fn lost(error: JoinError) -> io::Error {
    match error.try_into_panic() {
        Ok(payload) => resume_unwind(payload),
        Err(error) => error.into(),
    }
}
