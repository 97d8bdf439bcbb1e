//! What TCP's and Unix's streams have in common: `futures-io` on top of a source that is shared; and their listeners.

use std::io;
use std::task::{Context, Poll};

use polyexec_core::task::poll_proceed;

/// Connections that may wait to be accepted, if the system lets them (Linux does, since 5.4). With the 128 of `std`, a burst
/// of more has to try again after a second.
pub(super) const BACKLOG: i32 = 4096;

/// Slices that the system takes at once, at most.
pub(super) const IOV_MAX: usize = 1024;

/// For how many bytes an operation has room; or for none, if it says nothing that it has moved fewer than that.
pub(super) fn room(lengths: impl ExactSizeIterator<Item = usize>) -> usize {
    if lengths.len() > IOV_MAX { 0 } else { lengths.sum() }
}

/// Reads into no room, or writes nothing. That is ready at once, and so it counts to the budget as others do.
pub(super) fn nothing(cx: &Context<'_>) -> Poll<io::Result<usize>> {
    poll_proceed(cx).map(|proceed| {
        proceed.made_progress();
        Ok(0)
    })
}

/// Implements reads and writes, `AsyncRead` and `AsyncWrite`, for a stream with a field `io: Io<_>`, and for references to it. A short read
/// says that there is no more, or it says nothing.
macro_rules! stream {
    ($stream:ty, short_reads_tell: $tell:literal) => {
        impl $stream {
            /// Reads at once, or not at all. Zero bytes are the end, unless `buffer` has no room.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if there is nothing to read: [`readable`](Self::readable) waits for that. Else the system's.
            pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.io.try_read_with(|stream| $crate::net::bytes::read(stream, buffer))
            }

            /// As [`try_read`](Self::try_read), into several buffers.
            ///
            /// # Errors
            ///
            /// As there.
            pub fn try_read_vectored(&self, buffers: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
                self.io.try_read_with(|stream| $crate::net::bytes::read_vectored(stream, buffers))
            }

            /// Writes at once, or not at all. It may write less than all.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if there is no room: [`writable`](Self::writable) waits for that. Else the system's.
            pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
                self.io.try_write_with(|stream| $crate::net::bytes::write(stream, bytes))
            }

            /// As [`try_write`](Self::try_write), from several buffers.
            ///
            /// # Errors
            ///
            /// As there.
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

            /// There is nothing to flush: what was written is the system's.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// The peer reads to the end of what was written, and then that it is the end. Closed already, this does
            /// nothing.
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
