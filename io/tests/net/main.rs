//! Sockets as a program sees them: the order of bytes, and errors.

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt, future::zip};
use polyexec_conformance::probe::{file_limits, leave_out};
use polyexec_conformance::watched;
use polyexec_core::block_on;
use polyexec_io::net::{TcpListener, TcpStream, UdpSocket, resolve};
use polyexec_io::time::timeout;

#[cfg(unix)]
mod unix;

/// Both ends of a connection.
async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (client, server) = zip(TcpStream::connect(listener.local_addr()?), listener.accept()).await;
    Ok((client?, server?.0))
}

/// An address without a listener.
fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 % 251) as u8).collect()
}

#[test]
fn much_goes_both_ways_at_once_through_little_room() {
    watched!();
    block_on(async {
        let sent = bytes(8 << 20);
        let (client, server) = pair().await?;
        let send = async |stream: &TcpStream| {
            let mut stream = stream;
            stream.write_all(&sent).await?;
            stream.close().await
        };
        let receive = async |stream: &TcpStream| {
            let (mut stream, mut received) = (stream, Vec::new());
            stream.read_to_end(&mut received).await?;
            assert!(received == sent, "other bytes have arrived than were sent");
            io::Result::Ok(())
        };
        let there = zip(send(&client), receive(&server));
        let back = zip(send(&server), receive(&client));
        let ((one, two), (three, four)) = zip(there, back).await;
        one.and(two).and(three).and(four)
    })
    .unwrap();
}

#[test]
fn scattered_bytes_arrive_in_order() {
    watched!();
    block_on(async {
        let (mut client, mut server) = pair().await?;
        let parts = [IoSlice::new(b"one "), IoSlice::new(b"trait, "), IoSlice::new(b"many executors")];
        assert_eq!(client.write_vectored(&parts).await?, 25);
        let (mut begin, mut end) = ([0; 11], [0; 64]);
        let mut buffers = [IoSliceMut::new(&mut begin), IoSliceMut::new(&mut end)];
        assert_eq!(server.read_vectored(&mut buffers).await?, 25);
        assert_eq!((&begin, &end[..14]), (b"one trait, ", &b"many executors"[..]));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn more_slices_than_the_system_takes_at_once_arrive_in_order() {
    watched!();
    block_on(async {
        let (mut client, mut server) = pair().await?;
        let sent = bytes(5_000);
        let mut written = 0;
        while written < sent.len() {
            let slices: Vec<_> = sent[written..].chunks(1).map(IoSlice::new).collect();
            written += client.write_vectored(&slices).await?;
        }
        client.close().await?;
        let mut received = Vec::new();
        server.read_to_end(&mut received).await?;
        assert!(received == sent, "other bytes have arrived than were sent");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_peer_that_closes_its_side_can_still_read() {
    watched!();
    block_on(async {
        let (mut client, mut server) = pair().await?;
        client.write_all(b"question").await?;
        client.shutdown(Shutdown::Write)?;
        let mut question = String::new();
        server.read_to_string(&mut question).await?;
        server.write_all(b"answer").await?;
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        assert_eq!((&*question, &*answer), ("question", "answer"));
        assert_eq!(client.read(&mut [0; 8]).await?, 0, "the end stays the end");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_peer_that_resets_is_an_error_and_not_an_end() {
    watched!();
    block_on(async {
        for _ in 0..100 {
            let (client, mut server) = pair().await?;
            socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
            let mut buffer = [0; 8];
            let read = pin!(server.read(&mut buffer));
            let (read, ()) = zip(read, async { drop(client) }).await;
            assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
            // A write returns the error in the end, and doesn't wait for ever.
            let written = server.write_all(&bytes(1 << 20)).await.unwrap_err();
            assert!(matches!(written.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{written}");
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn what_cannot_be_done_is_an_error_that_says_why() {
    watched!();
    block_on(async {
        let refused = TcpStream::connect(nobody()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let taken = TcpListener::bind(listener.local_addr()?).await.unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        let wrong = TcpListener::bind("127.0.0.1").await.unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::InvalidInput);
        let none = TcpStream::connect(&[][..]).await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::InvalidInput);
        // Reserved for names that don't exist (RFC 6761).
        let unknown = resolve("nobody.invalid:80").await.unwrap_err();
        assert!(unknown.to_string().contains("nobody.invalid"), "{unknown}");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn the_next_address_is_tried_where_one_fails() {
    watched!();
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addresses = [nobody(), listener.local_addr()?];
        let (stream, accepted) = zip(TcpStream::connect(addresses), listener.accept()).await;
        assert_eq!(stream?.local_addr()?, accepted?.1);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_name_is_looked_up() {
    watched!();
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let connect = TcpStream::connect(("localhost", listener.local_addr()?.port()));
        let (stream, _) = zip(connect, listener.accept()).await;
        stream?.peer_addr()
    })
    .unwrap();
}

#[test]
fn hundreds_may_wait_to_be_accepted() {
    watched!();
    let allowed =
        std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok().and_then(|most| most.trim().parse().ok());
    if allowed.is_none_or(|most: u32| most < 500) {
        return leave_out(format_args!("the system lets {allowed:?} wait, or doesn't say"));
    }
    // Two files per connection, and those of concurrent tests.
    if let Some((files, _)) = file_limits().filter(|(files, _)| *files < 1_500) {
        return leave_out(format_args!("it takes a thousand open files, and {files} are allowed"));
    }
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut waiting = Vec::new();
        // More than the 128 of `std`, beyond which a client tries again a second or three later.
        for _ in 0..500 {
            let connected = TcpStream::connect(listener.local_addr()?);
            waiting.push(timeout(Duration::from_millis(900), connected).await.expect("there is no room to wait")?);
        }
        for _ in &waiting {
            listener.accept().await?;
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn connections_come_as_a_stream() {
    watched!();
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let connect = async {
            let mut streams = Vec::new();
            for _ in 0..5 {
                streams.push(TcpStream::connect(address).await?);
            }
            io::Result::Ok(streams)
        };
        let accepted = listener.incoming().take(5).try_collect::<_, _, Vec<_>>();
        let (connected, accepted) = zip(connect, accepted).await;
        for (connected, accepted) in connected?.iter().zip(accepted?) {
            assert_eq!(connected.local_addr()?, accepted.peer_addr()?);
        }
        io::Result::Ok(())
    })
    .unwrap();
}

struct Nothing;

impl Wake for Nothing {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_dropped_read_has_taken_nothing() {
    watched!();
    block_on(async {
        let (mut client, mut server) = pair().await?;
        let waker = Waker::from(Arc::new(Nothing));
        for _ in 0..100 {
            let mut buffer = [0; 4];
            let given_up = pin!(server.read(&mut buffer)).poll(&mut Context::from_waker(&waker));
            assert!(given_up.is_pending());
            client.write_all(b"ping").await?;
            server.read_exact(&mut buffer).await?;
            assert_eq!(&buffer, b"ping");
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_dropped_accept_has_accepted_nothing() {
    watched!();
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let given_up = pin!(listener.accept()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(given_up.is_pending());
        let (stream, accepted) = zip(TcpStream::connect(listener.local_addr()?), listener.accept()).await;
        assert_eq!(stream?.local_addr()?, accepted?.1);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_write_waits_where_there_is_no_room_and_a_reader_makes_some() {
    watched!();
    block_on(async {
        let (client, mut server) = pair().await?;
        let chunk = bytes(64 << 10);
        let mut written = 0;
        // Until the buffers of the system are full.
        poll_fn(|cx| {
            while let Poll::Ready(more) = pin!(&client).poll_write(cx, &chunk) {
                written += more.unwrap();
            }
            Poll::Ready(())
        })
        .await;
        assert!(written > 0);
        let read = async {
            let mut buffer = vec![0; 64 << 10];
            let mut read = 0;
            while read < written {
                read += server.read(&mut buffer).await?;
            }
            io::Result::Ok(read)
        };
        let last_word = async { (&client).write_all(b"!").await };
        let (read, last_word) = zip(read, last_word).await;
        last_word?;
        assert!(read? >= written);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn more_slices_than_the_system_takes_at_once_are_moved_by_and_by() {
    watched!();
    block_on(async {
        let (mut client, mut server) = pair().await?;
        let sent = bytes(5000);
        let mut slices = sent.chunks(1).map(IoSlice::new).collect::<Vec<_>>();
        let mut left = &mut slices[..];
        while !left.is_empty() {
            let written = client.write_vectored(left).await?;
            IoSlice::advance_slices(&mut left, written);
        }
        let mut received = vec![0; 5000];
        let mut filled = 0;
        while filled < 5000 {
            let mut slices = received[filled..].chunks_mut(1).map(IoSliceMut::new).collect::<Vec<_>>();
            filled += server.read_vectored(&mut slices).await?;
        }
        assert!(received == sent);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn urgent_data_is_in_the_way_of_no_other() {
    watched!();
    block_on(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let mut stream = TcpStream::connect(listener.local_addr()?).await?;
        let peer = socket2::Socket::from(listener.accept()?.0);
        peer.set_tcp_nodelay(true)?;
        for _ in 0..100 {
            peer.send(b"abc")?;
            peer.send_out_of_band(b"!")?;
            peer.send(b"def")?;
            let (mut read, mut buffer) = (Vec::new(), [0; 64]);
            while read.len() < 6 {
                let length = stream.read(&mut buffer).await?;
                read.extend_from_slice(&buffer[..length]);
            }
            assert_eq!(read, b"abcdef");
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn an_empty_read_and_an_empty_write_are_nothing() {
    watched!();
    block_on(async {
        let (client, mut server) = pair().await?;
        // No bytes have come yet.
        assert_eq!(server.read(&mut []).await?, 0);
        assert_eq!(server.read_vectored(&mut []).await?, 0);
        assert_eq!(poll_fn(|cx| pin!(&client).poll_write(cx, &[])).await?, 0);
        (&client).write_all(b"x").await?;
        assert_eq!(poll_fn(|cx| pin!(&server).poll_read(cx, &mut [])).await?, 0);
        assert_eq!(server.read(&mut [0; 8]).await?, 1);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn sockets_of_std_are_taken_over() {
    watched!();
    block_on(async {
        let listener = TcpListener::try_from(std::net::TcpListener::bind("127.0.0.1:0")?)?;
        let stream = std::net::TcpStream::connect(listener.local_addr()?)?;
        let mut stream = TcpStream::try_from(stream)?;
        let (mut accepted, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        assert!(stream.nodelay()?);
        stream.write_all(b"from std").await?;
        let mut text = [0; 8];
        assert_eq!(accepted.peek(&mut text).await?, 8);
        accepted.read_exact(&mut text).await?;
        assert_eq!(&text, b"from std");
        let udp = UdpSocket::try_from(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
        udp.local_addr()
    })
    .unwrap();
}

#[test]
fn datagrams_go_where_they_are_sent() {
    watched!();
    block_on(async {
        let [here, there] = [UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?];
        here.connect(there.local_addr()?).await?;
        assert_eq!(here.peer_addr()?, there.local_addr()?);
        let mut buffer = [0; 4];
        for datagram in ["one", "two", "longer than the buffer"] {
            here.send(datagram.as_bytes()).await?;
            assert_eq!(there.peek_from(&mut buffer).await?.1, here.local_addr()?);
            let (length, from) = there.recv_from(&mut buffer).await?;
            assert_eq!(&buffer[..length], &datagram.as_bytes()[..datagram.len().min(4)]);
            there.send_to(b"ok", from).await?;
            assert_eq!(here.recv(&mut buffer).await?, 2);
        }
        io::Result::Ok(())
    })
    .unwrap();
}
