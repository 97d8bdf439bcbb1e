//! Sockets without waiting operations: readiness, attempts, options, and conversions from and to `std`.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use futures_lite::future::{poll_fn, poll_once, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use polyexec_conformance::watched;
use polyexec_core::block_on;
use polyexec_io::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

/// Both ends of a connection.
async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (client, server) = zip(TcpStream::connect(listener.local_addr()?), listener.accept()).await;
    Ok((client?, server?.0))
}

async fn two() -> io::Result<[UdpSocket; 2]> {
    Ok([UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?])
}

/// Counts its calls.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn would_block<T: std::fmt::Debug>(attempt: io::Result<T>) -> bool {
    attempt.is_err_and(|cause| cause.kind() == ErrorKind::WouldBlock)
}

/// Checks what all streams share, on both ends of a connection.
macro_rules! streams {
    ($here:expr, $there:expr) => {{
        let (mut here, mut there) = ($here, $there);
        let mut buffer = [0; 16];

        assert!(would_block(there.try_read(&mut buffer)));
        {
            let mut readable = pin!(there.readable());
            assert!(poll_once(&mut readable).await.is_none(), "there is nothing to read");
            here.writable().await?;
            assert_eq!(here.try_write(b"some ")?, 5);
            readable.await?;
        }
        poll_fn(|cx| there.poll_read_ready(cx)).await?;
        let parts = [IoSlice::new(b"more "), IoSlice::new(b"bytes")];
        assert_eq!(here.try_write_vectored(&parts)?, 10);
        assert_eq!(there.try_read(&mut buffer[..5])?, 5);
        let (begin, end) = buffer[5..].split_at_mut(4);
        let mut buffers = [IoSliceMut::new(begin), IoSliceMut::new(end)];
        assert_eq!(there.try_read_vectored(&mut buffers)?, 10);
        assert_eq!(&buffer[..15], b"some more bytes");
        assert!(would_block(there.try_read(&mut buffer)));

        // A failed attempt clears the readiness, so the wait is for the next event. That of the bytes may come late.
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(calls.clone());
        while there.poll_read_ready(&mut Context::from_waker(&waker)).is_ready() {
            assert!(would_block(there.try_read(&mut buffer)));
        }
        here.write_all(b"x").await?;
        there.readable().await?;
        assert_eq!(calls.0.load(Relaxed), 1);
        assert_eq!(there.read(&mut buffer).await?, 1);

        // Until there is no room.
        let mut written = 0;
        while let Ok(length) = here.try_write(&[7; 1 << 16]) {
            written += length;
        }
        assert!(would_block(here.try_write(b"x")));
        assert!(poll_once(poll_fn(|cx| here.poll_write_ready(cx))).await.is_none(), "there is room");
        let read_all = async {
            let (mut read, mut buffer) = (0, vec![0; 1 << 16]);
            while read < written {
                there.readable().await?;
                match there.try_read(&mut buffer) {
                    Err(cause) if cause.kind() == ErrorKind::WouldBlock => (),
                    length => read += length?,
                }
            }
            io::Result::Ok(read)
        };
        let (writable, read) = zip(here.writable(), read_all).await;
        writable?;
        assert_eq!(read?, written);

        drop(here);
        there.readable().await?;
        assert_eq!(there.try_read(&mut buffer)?, 0, "it is the end");
        assert!(there.take_error()?.is_none());
    }};
}

#[test]
fn a_stream_is_tried_when_it_is_ready() {
    watched!();
    block_on(async {
        let (here, there) = pair().await?;
        streams!(here, there);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn datagrams_are_tried_peeked_and_polled() {
    watched!();
    block_on(async {
        let [here, there] = two().await?;
        let (from, to) = (here.local_addr()?, there.local_addr()?);
        let mut buffer = [0; 16];
        assert!(would_block(there.try_recv_from(&mut buffer)));
        assert!(would_block(there.try_peek_from(&mut buffer)));
        assert!(poll_once(there.readable()).await.is_none());
        assert!(poll_once(poll_fn(|cx| there.poll_recv_from(cx, &mut buffer))).await.is_none());

        here.writable().await?;
        assert_eq!(here.try_send_to(b"tried", to)?, 5);
        there.readable().await?;
        assert_eq!(there.peek_sender().await?, from);
        assert_eq!(there.peek_from(&mut buffer).await?, (5, from));
        assert_eq!(poll_fn(|cx| there.poll_peek_sender(cx)).await?, from);
        assert_eq!(poll_fn(|cx| there.poll_peek_from(cx, &mut buffer)).await?, (5, from));
        assert_eq!(there.try_peek_from(&mut buffer)?, (5, from));
        assert_eq!(there.try_recv_from(&mut buffer)?, (5, from));
        assert!(would_block(there.try_recv_from(&mut buffer)), "all but the last have left it there");

        assert_eq!(poll_fn(|cx| here.poll_send_to(cx, b"polled", to)).await?, 6);
        assert_eq!(poll_fn(|cx| there.poll_recv_from(cx, &mut buffer)).await?, (6, from));

        here.connect(to).await?;
        there.connect(from).await?;
        assert_eq!(here.try_send(b"one")?, 3);
        assert_eq!(there.peek(&mut buffer).await?, 3);
        assert_eq!(there.try_recv(&mut buffer)?, 3);
        assert_eq!(poll_fn(|cx| here.poll_send(cx, b"four")).await?, 4);
        assert_eq!(poll_fn(|cx| there.poll_recv(cx, &mut buffer)).await?, 4);
        assert!(would_block(there.try_recv(&mut buffer)));
        assert_eq!(&buffer[..4], b"four");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn what_is_set_on_a_udp_socket_is_there() {
    watched!();
    block_on(async {
        let [socket, _] = two().await?;
        assert!(!socket.broadcast()?);
        socket.set_broadcast(true)?;
        assert!(socket.broadcast()?);
        socket.set_ttl(7)?;
        assert_eq!(socket.ttl()?, 7);
        // Expedited forwarding (RFC 3246).
        socket.set_tos(0xb8)?;
        assert_eq!(socket.tos()?, 0xb8);

        assert!(socket.multicast_loop_v4()?);
        socket.set_multicast_loop_v4(false)?;
        assert!(!socket.multicast_loop_v4()?);
        socket.set_multicast_ttl_v4(3)?;
        assert_eq!(socket.multicast_ttl_v4()?, 3);
        // All hosts of the network, by the loopback device.
        let group = Ipv4Addr::new(224, 0, 0, 251);
        assert!(socket.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).is_err(), "it isn't in the group yet");
        socket.join_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
        socket.leave_multicast_v4(group, Ipv4Addr::LOCALHOST)?;

        let Ok(socket) = UdpSocket::bind("[::1]:0").await else {
            println!("left out: there is no IPv6 here");
            return Ok(());
        };
        assert!(socket.multicast_loop_v6()?);
        socket.set_multicast_loop_v6(false)?;
        assert!(!socket.multicast_loop_v6()?);
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
        assert!(socket.leave_multicast_v6(&group, 0).is_err(), "it isn't in the group yet");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn what_is_set_before_a_connection_is_there_after_it() {
    watched!();
    block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        assert!(socket.reuseaddr()?);
        socket.bind("127.0.0.1:0".parse().unwrap())?;
        let address = socket.local_addr()?;
        let listener = socket.listen(u32::MAX)?;
        assert_eq!(listener.local_addr()?, address);

        let socket = TcpSocket::new_v4()?;
        socket.set_nodelay(true)?;
        socket.set_keepalive(true)?;
        socket.set_linger(Some(Duration::ZERO))?;
        socket.set_tos(0x10)?;
        socket.set_send_buffer_size(20_000)?;
        socket.set_recv_buffer_size(30_000)?;
        assert!(socket.nodelay()? && socket.keepalive()?);
        assert_eq!((socket.linger()?, socket.tos()?), (Some(Duration::ZERO), 0x10));
        // Linux doubles them.
        assert!([20_000, 40_000].contains(&socket.send_buffer_size()?));
        assert!([30_000, 60_000].contains(&socket.recv_buffer_size()?));
        socket.bind("127.0.0.1:0".parse().unwrap())?;
        let own = socket.local_addr()?;
        let (client, accepted) = zip(socket.connect(address), listener.accept()).await;
        let (client, (mut server, from)) = (client?, accepted?);
        assert_eq!((client.local_addr()?, from, client.nodelay()?), (own, own, true));
        assert!([20_000, 40_000].contains(&socket2::SockRef::from(&client).send_buffer_size()?));
        drop(client);
        let reset = server.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn what_a_socket_cannot_do_is_an_error_that_says_why() {
    watched!();
    block_on(async {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let refused = TcpSocket::new_v4()?.connect(nobody).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let taken = TcpSocket::new_v4()?.bind(listener.local_addr()?).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        assert!(TcpSocket::new_v4()?.bind((Ipv6Addr::LOCALHOST, 0).into()).is_err());
        #[cfg(target_os = "linux")]
        assert!(TcpSocket::new_v4()?.bind_device(Some(b"no such device")).is_err());
        io::Result::Ok(())
    })
    .unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn several_may_listen_at_an_address_that_is_shared() {
    watched!();
    block_on(async {
        let shared = |address| {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseport(true)?;
            assert!(socket.reuseport()?);
            socket.bind(address)?;
            socket.listen(8)
        };
        let one = shared("127.0.0.1:0".parse().unwrap())?;
        let other = shared(one.local_addr()?)?;
        let _client = TcpStream::connect(one.local_addr()?).await?;
        futures_lite::future::race(one.accept(), other.accept()).await?;
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_socket_becomes_one_of_std_and_comes_back() {
    use std::io::{Read, Write};

    watched!();
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let listener = listener.into_std()?;
        assert_eq!(listener.local_addr()?, address);
        let listener = TcpListener::try_from(listener)?;

        let (client, accepted) = zip(TcpStream::connect(address), listener.accept()).await;
        let (client, mut server) = (client?, accepted?.0);
        let clone = client.clone();
        let mut client = client.into_std()?;
        assert!(would_block(client.read(&mut [0])), "it doesn't block");
        client.write_all(b"from std, ")?;
        // The clone goes on, still registered.
        (&clone).write_all(b"from a clone").await?;
        drop(clone);
        let mut client = TcpStream::try_from(client)?;
        client.write_all(b", and back").await?;
        client.close().await?;
        let mut text = String::new();
        server.read_to_string(&mut text).await?;
        assert_eq!(text, "from std, from a clone, and back");

        let [here, there] = two().await?;
        let here = UdpSocket::try_from(here.into_std()?)?;
        here.send_to(b"datagram", there.local_addr()?).await?;
        assert_eq!(there.recv(&mut [0; 16]).await?, 8);
        io::Result::Ok(())
    })
    .unwrap();
}

#[cfg(unix)]
mod unix {
    use super::*;

    use std::os::fd::{AsFd, AsRawFd, OwnedFd};
    use std::os::unix::net::SocketAddr;

    use polyexec_io::net::unix::{UnixDatagram, UnixListener, UnixStream};

    #[test]
    fn a_stream_is_tried_when_it_is_ready() {
        watched!();
        block_on(async {
            let (here, there) = UnixStream::pair()?;
            streams!(here, there);
            io::Result::Ok(())
        })
        .unwrap();
    }

    #[test]
    fn datagrams_are_tried() {
        watched!();
        block_on(async {
            let (here, there) = UnixDatagram::pair()?;
            let mut buffer = [0; 16];
            assert!(would_block(there.try_recv(&mut buffer)));
            assert!(poll_once(there.readable()).await.is_none());
            here.writable().await?;
            assert_eq!(here.try_send(b"one")?, 3);
            there.readable().await?;
            assert_eq!(there.try_recv(&mut buffer)?, 3);
            assert!(would_block(there.try_recv_from(&mut buffer)));
            let mut sent = 0;
            while here.try_send(&[1; 1024]).is_ok() {
                sent += 1;
            }
            assert!(would_block(here.try_send(b"x")) && sent > 0);
            assert!(here.peer_addr()?.is_unnamed() && here.local_addr()?.is_unnamed());
            let (here, _there) = UnixDatagram::pair()?;
            here.shutdown(std::net::Shutdown::Write)?;
            assert_eq!(here.send(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            io::Result::Ok(())
        })
        .unwrap();
    }

    /// As a service manager passes them: made elsewhere, and blocking.
    #[test]
    fn sockets_of_std_and_their_descriptors_come_in_and_go_out() {
        watched!();
        let path = std::env::temp_dir().join(format!("polyexec-activated-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        block_on(async {
            let listener = UnixListener::try_from(std::os::unix::net::UnixListener::bind(&path)?)?;
            assert!(poll_once(listener.accept()).await.is_none(), "it doesn't block");
            let descriptor = OwnedFd::try_from(listener)?;
            let listener = UnixListener::try_from(descriptor)?;
            let (client, accepted) = zip(UnixStream::connect(&path), listener.accept()).await;
            let (client, mut server) = (client?, accepted?.0);
            let mut client = UnixStream::try_from(OwnedFd::from(client.into_std()?))?;
            client.write_all(b"hello").await?;
            client.close().await?;
            let mut text = String::new();
            server.read_to_string(&mut text).await?;
            assert_eq!(text, "hello");

            let (here, there) = std::os::unix::net::UnixDatagram::pair()?;
            let (here, there) = (UnixDatagram::try_from(here)?, UnixDatagram::try_from(there)?);
            let mut buffer = [0; 8];
            let (received, sent) = zip(there.recv(&mut buffer), here.send(b"hello")).await;
            assert_eq!((received?, sent?), (5, 5));
            let here = UnixDatagram::try_from(here.into_std()?)?;
            assert_eq!(here.as_fd().as_raw_fd(), here.as_raw_fd());

            let (client, _) = pair().await?;
            let descriptor = OwnedFd::try_from(client)?;
            assert!(TcpStream::try_from(descriptor)?.peer_addr()?.ip().is_loopback());
            let socket = TcpSocket::try_from(OwnedFd::from(TcpSocket::new_v4()?))?;
            socket.bind("127.0.0.1:0".parse().unwrap())?;
            io::Result::Ok(())
        })
        .unwrap();
        std::fs::remove_file(path).unwrap();
    }

    /// By a path, and on Linux by an abstract name.
    fn addresses() -> Vec<SocketAddr> {
        let name = format!("polyexec-address-{}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        let _ = std::fs::remove_file(&path);
        let addresses = vec![SocketAddr::from_pathname(path).unwrap()];
        #[cfg(target_os = "linux")]
        let addresses = {
            use std::os::linux::net::SocketAddrExt;
            addresses.into_iter().chain([SocketAddr::from_abstract_name(name).unwrap()]).collect()
        };
        addresses
    }

    fn remove(address: &SocketAddr) {
        address.as_pathname().into_iter().for_each(|path| std::fs::remove_file(path).unwrap());
    }

    #[test]
    fn an_address_need_not_be_a_path() {
        watched!();
        block_on(async {
            for address in addresses() {
                assert!(UnixStream::connect_addr(&address).await.is_err());
                let listener = UnixListener::bind_addr(&address)?;
                assert_eq!(UnixListener::bind_addr(&address).unwrap_err().kind(), ErrorKind::AddrInUse);
                let (client, accepted) = zip(UnixStream::connect_addr(&address), listener.accept()).await;
                accepted?;
                let peer = client?.peer_addr()?;
                assert_eq!(format!("{peer:?}"), format!("{address:?}"));
                remove(&address);
            }
            for address in addresses() {
                let there = UnixDatagram::bind_addr(&address)?;
                let here = UnixDatagram::unbound()?;
                assert_eq!(here.send_to_addr(b"to an address", &address).await?, 13);
                here.connect_addr(&address)?;
                assert_eq!(here.send(b"to the same").await?, 11);
                let mut buffer = [0; 16];
                assert_eq!(there.recv_from(&mut buffer).await?.0, 13);
                assert_eq!(there.recv(&mut buffer).await?, 11);
                // It is unnamed, so it can't be sent to.
                let nameless = here.local_addr()?;
                let error = there.send_to_addr(b"x", &nameless).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert_eq!(there.connect_addr(&nameless).unwrap_err().kind(), ErrorKind::InvalidInput);
                remove(&address);
            }
            io::Result::Ok(())
        })
        .unwrap();
    }
}
