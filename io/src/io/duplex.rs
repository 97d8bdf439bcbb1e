//! A connection within the process: two streams, each of which reads what the other one writes.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use futures_io::{AsyncRead, AsyncWrite};
use parking_lot::Mutex;
use polyexec_core::task::poll_proceed;

/// One end of a connection within the process. Made by [`duplex`].
///
/// # What dropping does
///
/// Closes it: the peer reads what is left and then the end, and its writes are `BrokenPipe`.
pub struct DuplexStream {
    reads: Arc<Pipe>,
    writes: Arc<Pipe>,
}

/// Makes a connection within the process. Each direction holds at most `size` bytes; beyond that, a writer waits for its reader.
///
/// For tests of protocols without sockets, and between tasks.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
///
/// # polyexec_core::block_on(async {
/// let (mut client, mut server) = polyexec_io::io::duplex(64);
/// client.write_all(b"ping").await?;
/// let mut message = [0; 4];
/// server.read_exact(&mut message).await?;
/// assert_eq!(&message, b"ping");
/// drop(client);
/// assert_eq!(server.read(&mut message).await?, 0);
/// # std::io::Result::Ok(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
///
/// If `size` is zero.
pub fn duplex(size: usize) -> (DuplexStream, DuplexStream) {
    assert!(size > 0, "a connection of zero bytes moves none");
    let (there, back) = (Arc::new(Pipe::new(size)), Arc::new(Pipe::new(size)));
    (DuplexStream { reads: back.clone(), writes: there.clone() }, DuplexStream { reads: there, writes: back })
}

/// One direction.
struct Pipe {
    size: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    /// The reader or the writer is gone.
    is_closed: bool,
    /// The reader's, which waits for bytes, or the writer's, which waits for room. They never wait at the same time.
    waiting: Option<Waker>,
}

// No user code runs under the lock.
impl UnwindSafe for DuplexStream {}
impl RefUnwindSafe for DuplexStream {}

impl Pipe {
    fn new(size: usize) -> Self {
        Self { size, state: Mutex::default() }
    }

    /// Does `operation`, and wakes the other side. If it can't be done yet, waits for the other side.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        operation: impl FnOnce(&mut State) -> Option<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let proceed = ready!(poll_proceed(cx));
        let waker = cx.waker().clone();
        let mut state = self.state.lock();
        let (done, before) = match operation(&mut state) {
            Some(done) => (Some(done), state.waiting.take()),
            None => (None, state.waiting.replace(waker)),
        };
        drop(state);
        let Some(done) = done else {
            drop(before);
            return Poll::Pending;
        };
        before.into_iter().for_each(Waker::wake);
        proceed.made_progress();
        Poll::Ready(done)
    }

    fn close(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.is_closed = true;
            state.waiting.take()
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl AsyncRead for DuplexStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.reads.poll(cx, |state| match state.bytes.is_empty() && !state.is_closed && !buffer.is_empty() {
            true => None,
            false => Some(state.bytes.read(buffer)),
        })
    }
}

impl AsyncWrite for DuplexStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let size = self.writes.size;
        self.writes.poll(cx, |state| {
            let length = bytes.len().min(size - state.bytes.len());
            if state.is_closed {
                return Some(Err(io::Error::new(io::ErrorKind::BrokenPipe, "an end of the connection was closed")));
            }
            if length == 0 && !bytes.is_empty() {
                return None;
            }
            state.bytes.extend(&bytes[..length]);
            Some(Ok(length))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes this direction. The other one goes on.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writes.close();
        Poll::Ready(Ok(()))
    }
}

impl Drop for DuplexStream {
    fn drop(&mut self) {
        self.writes.close();
        self.reads.close();
    }
}

impl fmt::Debug for DuplexStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DuplexStream").field("size", &self.reads.size).finish_non_exhaustive()
    }
}
