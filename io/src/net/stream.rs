//! What TCP and Unix streams share: the traits of `futures-io`, over a shared source.

use std::io;
use std::task::{Context, Poll};

use polyexec_core::task::poll_proceed;

/// How many connections may wait to be accepted. Linux allows as many since 5.4. With the 128 of `std`, connections of a larger
/// burst try again after a second.
pub(super) const BACKLOG: i32 = 4096;

/// The most slices that one system call takes.
pub(super) const IOV_MAX: usize = 1024;

/// The room of an operation in bytes. Zero if a short result wouldn't mean that no more can be moved.
pub(super) fn room(lengths: impl ExactSizeIterator<Item = usize>) -> usize {
    if lengths.len() > IOV_MAX { 0 } else { lengths.sum() }
}

/// A read into an empty buffer, or a write of no bytes. Always ready, so it counts toward the budget.
pub(super) fn nothing(cx: &Context<'_>) -> Poll<io::Result<usize>> {
    poll_proceed(cx).map(|proceed| {
        proceed.made_progress();
        Ok(0)
    })
}

/// Implements `try_read` and so on, `AsyncRead` and `AsyncWrite`, for a stream with a field `io: Io<_>`, and for references to
/// it. `short_reads_tell`: a short read means that there are no more bytes.
macro_rules! stream {
    ($stream:ty, short_reads_tell: $tell:literal) => {
        impl $stream {
            /// Reads without waiting. Zero bytes are the end, unless `buffer` is empty.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if there are no bytes: [`readable`](Self::readable) waits for some. Otherwise the system's.
            pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.io.try_read_with(|stream| $crate::net::bytes::read(stream, buffer))
            }

            /// [`try_read`](Self::try_read) into several buffers.
            ///
            /// # Errors
            ///
            /// As for [`try_read`](Self::try_read).
            pub fn try_read_vectored(&self, buffers: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
                self.io.try_read_with(|stream| $crate::net::bytes::read_vectored(stream, buffers))
            }

            /// Writes without waiting. May write only some of the bytes.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if there is no room: [`writable`](Self::writable) waits for some. Otherwise the system's.
            pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
                self.io.try_write_with(|stream| $crate::net::bytes::write(stream, bytes))
            }

            /// [`try_write`](Self::try_write) from several buffers.
            ///
            /// # Errors
            ///
            /// As for [`try_write`](Self::try_write).
            pub fn try_write_vectored(&self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
                self.io.try_write_with(|stream| $crate::net::bytes::write_vectored(stream, slices))
            }
        }

        impl ::futures_io::AsyncRead for $stream {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
                Pin::new(&mut &*self).poll_read(cx, buffer)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [io::IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut &*self).poll_read_vectored(cx, buffers)
            }
        }

        impl ::futures_io::AsyncRead for &$stream {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
                if buffer.is_empty() {
                    return nothing(cx);
                }
                let room = if $tell { buffer.len() } else { 0 };
                self.io.poll_read_some(cx, room, |stream| $crate::net::bytes::read(stream, buffer))
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [io::IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                if buffers.iter().all(|buffer| buffer.is_empty()) {
                    return nothing(cx);
                }
                let room = if $tell { room(buffers.iter().map(|buffer| buffer.len())) } else { 0 };
                self.io.poll_read_some(cx, room, |stream| $crate::net::bytes::read_vectored(stream, buffers))
            }
        }

        impl ::futures_io::AsyncWrite for $stream {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                Pin::new(&mut &*self).poll_write(cx, bytes)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut &*self).poll_write_vectored(cx, slices)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut &*self).poll_flush(cx)
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut &*self).poll_close(cx)
            }
        }

        impl ::futures_io::AsyncWrite for &$stream {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                if bytes.is_empty() {
                    return nothing(cx);
                }
                self.io.poll_write_some(cx, bytes.len(), |stream| $crate::net::bytes::write(stream, bytes))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                if slices.iter().all(|slice| slice.is_empty()) {
                    return nothing(cx);
                }
                let room = room(slices.iter().map(|slice| slice.len()));
                self.io.poll_write_some(cx, room, |stream| $crate::net::bytes::write_vectored(stream, slices))
            }

            /// Ready at once: written bytes are the system's already.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Closes the writing side: the peer reads all that was written, then the end. Does nothing if closed already.
            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(match self.io.get_ref().shutdown(Shutdown::Write) {
                    Err(cause) if cause.kind() == io::ErrorKind::NotConnected => Ok(()),
                    closed => closed,
                })
            }
        }
    };
}

pub(super) use stream;
