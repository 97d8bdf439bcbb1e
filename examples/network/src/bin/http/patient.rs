//! A stream that limits how long its peer may not read. Doesn't limit its writes: hyper does.

use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite};
use polyexec::net::{Listener, TcpListener, TcpStream};
use polyexec::time::{Sleep, sleep};

/// Accepts connections whose writes fail if the peer doesn't read for as long as `idle`.
pub(crate) struct Patiently {
    pub(crate) listener: TcpListener,
    pub(crate) idle: Duration,
}

impl Listener for Patiently {
    type Stream = Patient<TcpStream>;
    type Address = SocketAddr;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Patient<TcpStream>, SocketAddr)>> {
        self.listener.poll_accept(cx).map_ok(|(stream, peer)| (Patient::new(stream, self.idle), peer))
    }
}

/// Writes fail with `TimedOut` if the peer doesn't read for this long.
pub(crate) struct Patient<T> {
    stream: T,
    patience: Duration,
    /// Runs while a write waits.
    waits: Option<Sleep>,
}

impl<T> Patient<T> {
    pub(crate) fn new(stream: T, patience: Duration) -> Self {
        Self { stream, patience, waits: None }
    }

    /// The result of a write, or a timeout if it has waited too long.
    fn in_time<O>(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<O>>) -> Poll<io::Result<O>> {
        if write.is_ready() {
            self.waits = None;
            return write;
        }
        let waits = self.waits.get_or_insert_with(|| sleep(self.patience));
        pin!(waits).poll(cx).map(|()| Err(ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        pin!(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let write = pin!(&mut self.stream).poll_write(cx, buffer);
        self.in_time(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = pin!(&mut self.stream).poll_write_vectored(cx, buffers);
        self.in_time(cx, write)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = pin!(&mut self.stream).poll_flush(cx);
        self.in_time(cx, flush)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let close = pin!(&mut self.stream).poll_close(cx);
        self.in_time(cx, close)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use futures_lite::{AsyncReadExt, AsyncWriteExt, future, io::Cursor};

    use super::*;

    /// Accepts no bytes.
    struct Stuck;

    impl AsyncWrite for Stuck {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[test]
    fn a_write_that_is_stuck_fails() {
        const PATIENCE: Duration = Duration::from_millis(30);
        let begin = Instant::now();
        let written = future::block_on(Patient::new(Stuck, PATIENCE).write(b"any"));
        assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(begin.elapsed() >= PATIENCE);
    }

    #[test]
    fn what_goes_on_is_let_through() {
        future::block_on(async {
            let mut stream = Patient::new(Cursor::new(Vec::new()), Duration::ZERO);
            stream.write_all(b"all").await.unwrap();
            let mut stream = Patient::new(Cursor::new(stream.stream.into_inner()), Duration::ZERO);
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "all");
        });
    }
}
