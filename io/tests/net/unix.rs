//! Unix sockets as a program sees them.

use super::*;

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use polyexec_io::net::unix::{UnixDatagram, UnixListener, UnixStream};

/// A folder that is removed in the end.
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

/// A handler notices the signal, which `std` ignores.
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
        // The peer's end has to be noticed first.
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
