//! Adapts a stream of futures-io for hyper.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec::Vec;

use ::hyper::rt;
use futures_io::{AsyncRead, AsyncWrite};
use pin_project_lite::pin_project;

/// The most bytes of one read. hyper begins with 8 KiB, and asks for more if bodies fill that. Beyond 64 KiB, a system call
/// costs little compared to its copying.
const ROOM: usize = 64 * 1024;

std::thread_local! {
    /// Receives a read's bytes before they are copied to hyper's buffer. That one may be uninitialized, and to fill it directly
    /// takes unsafe code. Only bytes that the stream says it has written are read from here.
    static ARRIVALS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pin_project! {
    /// Adapts a stream of futures-io for hyper.
    ///
    /// Each thread has one buffer for reads, whose bytes are copied once more, to hyper's buffer. A connection that waits has
    /// none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use futures_lite::io::Cursor;
    /// use polyexec_io::hyper::HyperIo;
    ///
    /// # let stream = Cursor::new(Vec::new());
    /// let io = HyperIo::new(stream); // for hyper's `serve_connection`, or `handshake`
    /// # let _: Cursor<Vec<u8>> = io.into_inner();
    /// ```
    #[derive(Clone, Debug)]
    pub struct HyperIo<T> {
        #[pin]
        inner: T,
        vectored: bool,
    }
}

impl<T> HyperIo<T> {
    /// Adapts `inner`. hyper gives it one buffer at a time to write.
    pub fn new(inner: T) -> Self {
        Self { inner, vectored: false }
    }

    /// Like [`new`](Self::new), for a stream whose `poll_write_vectored` writes several buffers at once, as sockets do. hyper
    /// then passes heads and bodies as they are, instead of copying them into one buffer.
    ///
    /// Also works for a stream that writes only the first buffer, with more calls.
    pub fn vectored(inner: T) -> Self {
        Self { inner, vectored: true }
    }

    /// The inner stream.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The inner stream.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Returns the inner stream, such as after an upgrade.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: AsyncRead> rt::Read for HyperIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // Taken, not borrowed: if the stream itself reads from another `HyperIo`, that one finds none, and makes one.
        let mut arrivals = ARRIVALS.try_with(Cell::take).unwrap_or_default();
        arrivals.resize(ROOM, 0);
        let room = buffer.remaining().min(ROOM);
        let read = self.project().inner.poll_read(cx, &mut arrivals[..room]);
        if let Poll::Ready(Ok(length)) = read {
            buffer.put_slice(&arrivals[..length]);
        }
        let _ = ARRIVALS.try_with(|place| place.set(arrivals));
        read.map_ok(drop)
    }
}

impl<T: AsyncWrite> rt::Write for HyperIo<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write(cx, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, buffers)
    }
}
