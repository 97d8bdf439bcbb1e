//! Copies both ways, and connections within the process: ends, errors, and streams that make no progress.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::future::{or, poll_once, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use polyexec_conformance::watched;
use polyexec_core::{block_on, yield_now};
use polyexec_io::io::{copy_bidirectional, copy_bidirectional_with_sizes, duplex, join};
use polyexec_io::net::{TcpListener, TcpStream};

/// Both ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, server) = zip(TcpStream::connect(listener.local_addr().unwrap()), listener.accept()).await;
    (client.unwrap(), server.unwrap().0)
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

#[test]
fn a_half_close_is_passed_on_and_the_answer_comes_back() {
    watched!();
    block_on(async {
        let ((mut client, mut near), (mut far, mut server)) = (pair().await, pair().await);
        let proxy = copy_bidirectional(&mut near, &mut far);
        let asks = async {
            client.write_all(&bytes(500_000)).await?;
            client.close().await?;
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await?;
            io::Result::Ok(answer)
        };
        let answers = async {
            let mut question = Vec::new();
            // To its end: only then does it answer.
            server.read_to_end(&mut question).await?;
            server.write_all(&question[..300_000]).await?;
            server.close().await?;
            io::Result::Ok(question)
        };
        let ((copied, answer), question) = zip(zip(proxy, asks), answers).await;
        assert_eq!(copied.unwrap(), (500_000, 300_000));
        assert!(question.unwrap() == bytes(500_000) && answer.unwrap() == bytes(300_000));
    });
}

/// Holds what is written until it is flushed, as a compressor does.
struct Holds<S>(S, Vec<u8>);

impl<S: AsyncRead + Unpin> AsyncRead for Holds<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Holds<S> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.1.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Holds(stream, held) = self.get_mut();
        while !held.is_empty() {
            let length = std::task::ready!(Pin::new(&mut *stream).poll_write(cx, held))?;
            held.drain(..length);
        }
        Pin::new(stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.0).poll_close(cx)
    }
}

#[test]
fn what_was_read_is_flushed_before_the_copy_waits() {
    watched!();
    for size in [1, 7, 8192] {
        block_on(async {
            let ((mut client, near), (far, mut server)) = (duplex(5), duplex(5));
            let (mut near, mut far) = (Holds(near, Vec::new()), Holds(far, Vec::new()));
            let proxy = copy_bidirectional_with_sizes(&mut near, &mut far, size, size);
            let talk = async {
                for n in 0..100_u32 {
                    client.write_all(&n.to_be_bytes()).await?;
                    let mut number = [0; 4];
                    server.read_exact(&mut number).await?;
                    assert_eq!(u32::from_be_bytes(number), n);
                    server.write_all(&number).await?;
                    client.read_exact(&mut number).await?;
                }
                client.close().await?;
                server.close().await
            };
            let (copied, talked) = zip(proxy, talk).await;
            talked.unwrap();
            assert_eq!(copied.unwrap(), (400, 400), "with {size} bytes");
        });
    }
}

/// Fails, or ends, where it is told to.
struct Fails {
    read: fn() -> Poll<io::Result<usize>>,
    write: fn(usize) -> Poll<io::Result<usize>>,
}

impl AsyncRead for Fails {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        (self.read)()
    }
}

impl AsyncWrite for Fails {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        (self.write)(bytes.len())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn the_first_error_of_either_side_ends_the_copy() {
    watched!();
    let reset = || Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
    block_on(async {
        for swapped in [false, true] {
            for (mut fails, kind) in [
                (Fails { read: reset, write: |_| Poll::Pending }, ErrorKind::ConnectionReset),
                (Fails { read: || Poll::Pending, write: |_| Poll::Ready(Ok(0)) }, ErrorKind::WriteZero),
                (
                    Fails { read: || Poll::Pending, write: |_| Poll::Ready(Err(ErrorKind::BrokenPipe.into())) },
                    ErrorKind::BrokenPipe,
                ),
            ] {
                let (mut peer, mut here) = duplex(10);
                peer.write_all(b"bytes").await.unwrap();
                let copied = match swapped {
                    false => copy_bidirectional(&mut here, &mut fails).await,
                    true => copy_bidirectional(&mut fails, &mut here).await,
                };
                assert_eq!(copied.unwrap_err().kind(), kind);
            }
        }
    });
    assert!(std::panic::catch_unwind(|| duplex(0)).is_err());
}

/// Neither side ever waits.
#[test]
fn a_copy_that_never_waits_lets_others_run() {
    watched!();
    let always = || Fails { read: || Poll::Ready(Ok(1)), write: |length| Poll::Ready(Ok(length)) };
    let local = polyexec_local::Local::new();
    let copies = local.spawn_local(async move { copy_bidirectional(&mut always(), &mut always()).await });
    local.block_on(async {
        for _ in 0..100 {
            yield_now().await;
        }
    });
    copies.abort();
}

#[test]
fn a_connection_within_the_process_ends_as_a_socket_does() {
    watched!();
    block_on(async {
        let (mut a, mut b) = duplex(4);
        assert_eq!(a.write(b"123456").await.unwrap(), 4);
        assert_eq!(a.write(b"").await.unwrap(), 0);
        assert!(poll_once(a.write(b"5")).await.is_none(), "no room");
        let mut buffer = [0; 10];
        assert_eq!(b.read(&mut buffer[..3]).await.unwrap(), 3);
        assert_eq!(a.write(b"567").await.unwrap(), 3);
        a.close().await.unwrap();
        assert_eq!(a.write(b"8").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(b.read(&mut buffer).await.unwrap(), 4);
        assert_eq!(&buffer[..4], b"4567");
        assert_eq!(b.read(&mut buffer).await.unwrap(), 0);
        // The other direction goes on.
        b.write_all(b"back").await.unwrap();
        drop(b);
        let mut rest = Vec::new();
        a.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"back");

        // Dropping an end wakes the peer.
        let (mut a, b) = duplex(1);
        a.write_all(b"1").await.unwrap();
        let (written, ()) = zip(a.write(b"2"), async {
            yield_now().await;
            drop(b);
        })
        .await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
        let (mut a, b) = duplex(1);
        let (read, ()) = zip(a.read(&mut buffer), async {
            yield_now().await;
            drop(b);
        })
        .await;
        assert_eq!(read.unwrap(), 0);
    });
}

#[test]
fn a_connection_within_the_process_works_between_threads() {
    watched!();
    let pool = polyexec_pool::Pool::builder().worker_threads(2).build().unwrap();
    for (size, length) in [(1, 100), (100, 2_000)] {
        let (a, b) = duplex(size);
        let echo = pool.spawn(async move {
            let (reader, mut writer) = futures_lite::io::split(b);
            let copied = futures_lite::io::copy(reader, &mut writer).await?;
            writer.close().await?;
            io::Result::Ok(copied)
        });
        let (mut reader, mut writer) = futures_lite::io::split(a);
        let writes = pool.spawn(async move {
            writer.write_all(&bytes(length)).await?;
            writer.close().await
        });
        let mut read = Vec::new();
        block_on(reader.read_to_end(&mut read)).unwrap();
        assert!(read == bytes(length));
        assert_eq!(echo.join().unwrap().unwrap(), length as u64);
        writes.join().unwrap().unwrap();
    }
}

/// A joined pair of pipes is a stream like another one.
#[test]
fn a_joined_stream_is_copied() {
    watched!();
    block_on(async {
        let (mut outside, mut inside) = duplex(100);
        let mut child = polyexec_io::process::Command::new("tr")
            .args(["a-z", "A-Z"])
            .stdin(polyexec_io::process::Stdio::piped())
            .stdout(polyexec_io::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipes = join(child.take_stdout().unwrap(), child.take_stdin().unwrap());
        let talk = async {
            outside.write_all(b"quietly").await?;
            outside.close().await?;
            let mut answer = String::new();
            outside.read_to_string(&mut answer).await?;
            io::Result::Ok(answer)
        };
        let (copied, answer) = zip(copy_bidirectional(&mut inside, &mut pipes), talk).await;
        assert_eq!((copied.unwrap(), &*answer.unwrap()), ((7, 7), "QUIETLY"));
        assert!(child.wait().await.unwrap().success());
        // Given up, neither stream is touched any more.
        let (mut a, mut b) = (duplex(1).0, duplex(1).0);
        or(async { drop(copy_bidirectional(&mut a, &mut b).await) }, yield_now()).await;
    });
}
