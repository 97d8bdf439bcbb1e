//! A futures-io stream as hyper sees one. Reads and writes nothing by itself.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec::Vec;

use ::hyper::rt;
use futures_io::{AsyncRead, AsyncWrite};
use pin_project_lite::pin_project;

/// What a read may bring at most, in bytes. hyper begins with 8 KiB and asks for more as bodies fill that; beyond 64 KiB
/// a system call costs little beside what it copies.
const ROOM: usize = 64 * 1024;

std::thread_local! {
    /// Where a read's bytes arrive, on their way to hyper's buffer: its place may be uninitialized, and to say how much
    /// of it was filled takes unsafe code, or a copy. Read from only as far as a stream says that it wrote to.
    static ARRIVALS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pin_project! {
    /// A stream of futures-io as one of hyper's.
    ///
    /// What is read is copied once more, from a buffer that each thread has one of, to hyper's. A connection that waits
    /// has no buffer here.
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
    /// hyper shall see `inner`, and give it one buffer at a time to write.
    pub fn new(inner: T) -> Self {
        Self { inner, vectored: false }
    }

    /// As [`new`](Self::new), for a stream whose `poll_write_vectored` writes several buffers at once, as sockets do: hyper
    /// then gives it heads and bodies as they are, instead of copying them into one buffer.
    ///
    /// A stream that writes the first buffer only works too, with more calls.
    pub fn vectored(inner: T) -> Self {
        Self { inner, vectored: true }
    }

    /// The stream within.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The stream within.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// The stream within, once hyper has given this back: after an upgrade, say.
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
        // Taken, not borrowed: a stream that reads from another one of these, in its own read, finds none and makes one.
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
