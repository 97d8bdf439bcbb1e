//! The pipes to a child's standard streams.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use mio::unix::pipe::{Receiver, Sender};

use crate::Io;

/// The pipe to a child's standard input.
///
/// # What dropping does
///
/// Closes the pipe: the child sees the end of its input. So does [`close`](AsyncWrite::poll_close).
///
/// # Errors
///
/// A write to a child that has closed its end is `BrokenPipe`. In a program that doesn't ignore `SIGPIPE`, as Rust's do, it ends the
/// process.
pub struct ChildStdin(Option<Io<Sender>>);

impl ChildStdin {
    pub(super) fn new(pipe: std::process::ChildStdin) -> io::Result<Self> {
        let pipe = Sender::from(pipe);
        pipe.set_nonblocking(true)?;
        Ok(Self(Some(Io::new(pipe)?)))
    }

    fn poll_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        operation: impl FnMut(&Sender) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        match &self.0 {
            Some(pipe) => pipe.poll_write_with(cx, operation),
            None => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the pipe to the child was closed here")))
            }
        }
    }
}

impl AsyncWrite for ChildStdin {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |mut pipe| pipe.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |mut pipe| pipe.write_vectored(slices))
    }

    /// A pipe has no buffer on this side.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}

/// Passes the pipe on, such as to another process whose output it becomes.
///
/// # Errors
///
/// `BrokenPipe` if it was closed. Or too many files are open, since there is one more for a moment.
impl TryFrom<ChildStdin> for Stdio {
    type Error = io::Error;

    fn try_from(stream: ChildStdin) -> io::Result<Self> {
        let pipe = stream.0.as_ref().ok_or(io::ErrorKind::BrokenPipe)?.get_ref();
        pipe.set_nonblocking(false)?;
        Ok(pipe.as_fd().try_clone_to_owned()?.into())
    }
}

impl fmt::Debug for ChildStdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChildStdin").field(&self.0).finish()
    }
}

/// The pipe from a child's standard output.
///
/// Ends when the child, and each process that has inherited it, has closed it.
///
/// # What dropping does
///
/// Closes the pipe: a write of the child fails, or ends it by `SIGPIPE`.
pub struct ChildStdout(Io<Receiver>);

/// The pipe from a child's standard error.
///
/// Ends when the child, and each process that has inherited it, has closed it.
///
/// # What dropping does
///
/// Closes the pipe: a write of the child fails, or ends it by `SIGPIPE`.
pub struct ChildStderr(Io<Receiver>);

macro_rules! output {
    ($stream:ident) => {
        impl $stream {
            pub(super) fn new(pipe: std::process::$stream) -> io::Result<Self> {
                let pipe = Receiver::from(pipe);
                pipe.set_nonblocking(true)?;
                Ok(Self(Io::new(pipe)?))
            }
        }

        impl AsyncRead for $stream {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
                self.0.poll_read_with(cx, |mut pipe| pipe.read(buffer))
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_read_with(cx, |mut pipe| pipe.read_vectored(buffers))
            }
        }

        impl AsFd for $stream {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.get_ref().as_fd()
            }
        }

        /// Passes the pipe on, such as to another process whose input it becomes.
        ///
        /// # Errors
        ///
        /// Too many files are open: there is one more for a moment.
        impl TryFrom<$stream> for Stdio {
            type Error = io::Error;

            fn try_from(stream: $stream) -> io::Result<Self> {
                let pipe = stream.0.get_ref();
                pipe.set_nonblocking(false)?;
                Ok(pipe.as_fd().try_clone_to_owned()?.into())
            }
        }

        impl fmt::Debug for $stream {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($stream)).field(&self.0).finish()
            }
        }
    };
}

output!(ChildStdout);
output!(ChildStderr);
