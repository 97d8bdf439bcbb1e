//! Sockets as a program sees them: what arrives, in which order, and what is said when something is wrong.

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

/// Both ends of a connection.
async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (client, server) = zip(TcpStream::connect(listener.local_addr()?), listener.accept()).await;
    Ok((client?, server?.0))
}

/// A place where nobody listens.
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
            // A write says so in the end, and doesn't wait for ever.
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
        // Reserved for names that there are not (RFC 6761).
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
    // Two a connection, and those of the tests beside this one.
    if let Some((files, _)) = file_limits().filter(|(files, _)| *files < 1_500) {
        return leave_out(format_args!("it takes a thousand open files, and {files} are allowed"));
    }
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut waiting = Vec::new();
        // More than the 128 that `std` allows: then the system lets the next one try again, a second later or three.
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
        // Nothing has come yet.
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

#[cfg(unix)]
mod unix {
    use super::*;

    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;

    use polyexec_io::net::unix::{UnixDatagram, UnixListener, UnixStream};

    /// A folder that is gone in the end.
    fn folder(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("polyexec-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    struct Folder(std::path::PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn connections() {
        watched!();
        let folder = folder("stream");
        let path = folder.0.join("socket");
        block_on(async {
            let absent = UnixStream::connect(&path).await.unwrap_err();
            assert_eq!(absent.kind(), ErrorKind::NotFound);
            let listener = UnixListener::bind(&path)?;
            let taken = UnixListener::bind(&path).unwrap_err();
            assert_eq!(taken.kind(), ErrorKind::AddrInUse);
            let (client, server) = zip(UnixStream::connect(&path), listener.accept()).await;
            let (mut client, mut server) = (client?, server?.0);
            assert_eq!(client.peer_addr()?.as_pathname(), Some(&*path));
            let sent = bytes(1 << 20);
            let send = async {
                client.write_all(&sent).await?;
                client.close().await
            };
            let mut received = Vec::new();
            let (sent_all, read_all) = zip(send, server.read_to_end(&mut received)).await;
            sent_all.and(read_all)?;
            assert!(received == sent);
            drop(listener);
            let refused = UnixStream::connect(&path).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            io::Result::Ok(())
        })
        .unwrap();
    }

    /// The test notices the signal by a handler of its own, in place of `std`, which ignores it.
    #[test]
    fn a_peer_that_is_gone_is_an_error_and_no_signal() {
        watched!();
        let raised = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGPIPE, raised.clone()).unwrap();
        block_on(async {
            let slices = [IoSlice::new(b"one "), IoSlice::new(b"other")];
            let (mut stream, there) = UnixStream::pair()?;
            drop(there);
            assert_eq!(stream.write(b"bytes").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(stream.write_vectored(&slices).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            let (mut stream, there) = pair().await?;
            drop(there);
            // The peer has to say first that it is gone.
            while stream.write(b"bytes").await.is_ok() {}
            assert_eq!(stream.write_vectored(&slices).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            let (here, there) = UnixDatagram::pair()?;
            drop(there);
            assert!(here.send(b"bytes").await.is_err());
            io::Result::Ok(())
        })
        .unwrap();
        assert!(!raised.load(Relaxed), "SIGPIPE was raised");
    }

    #[test]
    fn datagrams() {
        watched!();
        let folder = folder("datagram");
        let path = folder.0.join("socket");
        block_on(async {
            let there = UnixDatagram::bind(&path)?;
            let here = UnixDatagram::unbound()?;
            here.send_to(b"to a place", &path).await?;
            here.connect(&path)?;
            here.send(b"to the same").await?;
            let mut buffer = [0; 16];
            assert_eq!(there.recv_from(&mut buffer).await?.0, 10);
            assert_eq!(there.recv(&mut buffer).await?, 11);
            let (one, other) = UnixDatagram::pair()?;
            one.send(b"pair").await?;
            assert_eq!(other.recv(&mut buffer).await?, 4);
            io::Result::Ok(())
        })
        .unwrap();
    }

    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    #[test]
    fn a_message_with_file_descriptors_is_in_the_way_of_no_other() {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        watched!();
        let (peer, stream) = std::os::unix::net::UnixStream::pair().unwrap();
        block_on(async {
            let mut stream = UnixStream::try_from(stream)?;
            // A cmsghdr of SOL_SOCKET and SCM_RIGHTS, and one descriptor, padded to a word.
            let mut control = [20_usize.to_ne_bytes(), [0; 8], [0; 8]].concat();
            control[8..12].copy_from_slice(&1_i32.to_ne_bytes());
            control[12..16].copy_from_slice(&1_i32.to_ne_bytes());
            control[16..20].copy_from_slice(&peer.as_raw_fd().to_ne_bytes());
            let bytes = [IoSlice::new(b"abc")];
            let message = socket2::MsgHdr::new().with_buffers(&bytes).with_control(&control);
            socket2::SockRef::from(&peer).sendmsg(&message, 0)?;
            (&peer).write_all(b"def")?;
            let (mut read, mut buffer) = (Vec::new(), [0; 64]);
            while read.len() < 6 {
                let length = stream.read(&mut buffer).await?;
                read.extend_from_slice(&buffer[..length]);
            }
            assert_eq!(read, b"abcdef");
            io::Result::Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_datagram_waits_for_room() {
        watched!();
        let folder = folder("full");
        let path = folder.0.join("socket");
        block_on(async {
            let there = UnixDatagram::bind(&path)?;
            let flood = std::os::unix::net::UnixDatagram::unbound()?;
            flood.set_nonblocking(true)?;
            let queued = (0..).take_while(|_| flood.send_to(b"flood", &path).is_ok()).count();
            let here = UnixDatagram::unbound()?;
            let mut last = pin!(here.send_to(b"last", &path));
            assert!(futures_lite::future::poll_once(&mut last).await.is_none(), "there is room yet");
            let receive = async {
                let mut buffer = [0; 16];
                for _ in 0..queued {
                    assert_eq!(there.recv(&mut buffer).await?, 5);
                }
                there.recv(&mut buffer).await
            };
            let (sent, received) = zip(last, receive).await;
            assert_eq!((sent?, received?), (4, 4));
            io::Result::Ok(())
        })
        .unwrap();
    }
}
