//! Unix sockets: streams and datagrams between processes of one machine.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::Io;
use mio::net;
use polyexec_core::task::consume_budget;
use rustix::net::{SendFlags, SocketAddrUnix, sendto};

use crate::time::sleep;

use super::socket::{conversions, descriptor, readiness};
use super::stream::{BACKLOG, nothing, room, stream};

/// A connection between processes of one machine. Clones share it, as for [`TcpStream`](super::TcpStream).
///
/// # What dropping does
///
/// Dropping the last clone closes the connection.
///
/// # Cancel safety
///
/// As for [`TcpStream`](super::TcpStream).
///
/// # Examples
///
/// ```
/// use polyexec_io::net::unix::UnixStream;
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
///
/// # polyexec_core::block_on(async {
/// let (mut here, mut there) = UnixStream::pair()?;
/// here.write_all(b"hello").await?;
/// let mut greeting = [0; 5];
/// there.read_exact(&mut greeting).await?;
/// assert_eq!(&greeting, b"hello");
/// # std::io::Result::Ok(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct UnixStream {
    io: Io<net::UnixStream>,
}

// A read stops where a message carries file descriptors, even if more bytes follow.
stream!(UnixStream, short_reads_tell: false);
readiness!(UnixStream);
conversions!(UnixStream, std::os::unix::net::UnixStream);
descriptor!(UnixStream);

impl UnixStream {
    /// Connects to the listener at `path`.
    ///
    /// # Errors
    ///
    /// The system's: `NotFound`, `ConnectionRefused` if the listener is gone, or `WouldBlock` if too many connections wait
    /// there to be accepted.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::connecting(net::UnixStream::connect(path)?).await
    }

    /// Connects to the listener at an address: a path, or on Linux an abstract name.
    ///
    /// # Errors
    ///
    /// As for [`connect`](UnixStream::connect).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # polyexec_core::block_on(async {
    /// use std::os::linux::net::SocketAddrExt;
    /// use std::os::unix::net::SocketAddr;
    ///
    /// use polyexec_io::net::unix::{UnixListener, UnixStream};
    ///
    /// let name = format!("an example of process {}", std::process::id());
    /// let address = SocketAddr::from_abstract_name(name)?;
    /// let listener = UnixListener::bind_addr(&address)?;
    /// let client = UnixStream::connect_addr(&address).await?;
    /// let (server, _) = listener.accept().await?;
    /// # drop((client, server));
    /// # std::io::Result::Ok(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<Self> {
        Self::connecting(net::UnixStream::connect_addr(address)?).await
    }

    async fn connecting(stream: net::UnixStream) -> io::Result<Self> {
        let io = Io::new(stream)?;
        io.write_with(|stream| match stream.take_error()? {
            Some(failed) => Err(failed),
            None => Ok(()),
        })
        .await?;
        Ok(Self { io })
    }

    /// A pair of streams that are connected to each other.
    ///
    /// # Errors
    ///
    /// The system's: too many open files.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixStream::pair()?;
        Ok((Self::connected(one)?, Self::connected(other)?))
    }

    fn connected(stream: net::UnixStream) -> io::Result<Self> {
        let io = Io::new(stream)?;
        // Nothing is written yet, so there is room.
        io.assume_writable();
        Ok(Self { io })
    }

    /// The local address, which is mostly unnamed.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// The peer's address.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Closes one or both sides of the connection, for all clones.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get_ref().shutdown(how)
    }
}

/// Listens for connections at a path. Clones share the listener.
///
/// # What dropping does
///
/// Dropping the last clone closes the listener. The path stays in the file system: remove it before the next listener binds to
/// it.
#[derive(Clone, Debug)]
pub struct UnixListener {
    io: Io<net::UnixListener>,
}

conversions!(UnixListener, std::os::unix::net::UnixListener);
descriptor!(UnixListener);

impl UnixListener {
    /// Listens at `path`, which must not exist yet. Up to 4096 connections may wait to be accepted, if the system allows as many.
    ///
    /// # Errors
    ///
    /// The system's: `AddrInUse`, `PermissionDenied` and so on.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::listening(net::UnixListener::bind(path)?)
    }

    /// Listens at an address: a path, or on Linux an abstract name.
    ///
    /// # Errors
    ///
    /// As for [`bind`](UnixListener::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        Self::listening(net::UnixListener::bind_addr(address)?)
    }

    fn listening(bound: net::UnixListener) -> io::Result<Self> {
        socket2::SockRef::from(&bound).listen(BACKLOG)?;
        Ok(Self { io: Io::new(bound)? })
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// As for [`TcpListener::accept`](super::TcpListener::accept).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped early, it has accepted no connection.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (stream, from) = self.io.read_with(net::UnixListener::accept).await?;
        Ok((UnixStream::connected(stream)?, from))
    }

    /// [`accept`](UnixListener::accept) as a poll.
    ///
    /// # Errors
    ///
    /// As for [`accept`](UnixListener::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let (stream, from) = ready!(self.io.poll_read_with(cx, net::UnixListener::accept))?;
        Poll::Ready(UnixStream::connected(stream).map(|stream| (stream, from)))
    }
}

/// A peer that is gone causes an error, and no signal: see `bytes.rs`.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: SendFlags = SendFlags::empty();

/// The first and the longest time between two attempts to send to a receiver without room.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(64);

/// Datagrams between processes of one machine. Clones share the socket.
///
/// # What dropping does
///
/// Dropping the last clone closes the socket. Its path, if any, stays in the file system.
///
/// # Cancel safety
///
/// A call that is dropped early has neither sent nor received a datagram.
#[derive(Clone, Debug)]
pub struct UnixDatagram {
    io: Io<net::UnixDatagram>,
}

readiness!(UnixDatagram);
conversions!(UnixDatagram, std::os::unix::net::UnixDatagram);
descriptor!(UnixDatagram);

impl UnixDatagram {
    /// Binds to `path`, which must not exist yet.
    ///
    /// # Errors
    ///
    /// The system's: `AddrInUse`, `PermissionDenied` and so on.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::new(net::UnixDatagram::bind(path)?)
    }

    /// Binds to an address: a path, or on Linux an abstract name.
    ///
    /// # Errors
    ///
    /// As for [`bind`](UnixDatagram::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        Self::new(net::UnixDatagram::bind_addr(address)?)
    }

    /// An unnamed socket, which can send.
    ///
    /// # Errors
    ///
    /// The system's: too many open files.
    pub fn unbound() -> io::Result<Self> {
        Self::new(net::UnixDatagram::unbound()?)
    }

    /// A pair of sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// The system's: too many open files.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((Self::new(one)?, Self::new(other)?))
    }

    fn new(socket: net::UnixDatagram) -> io::Result<Self> {
        Ok(Self { io: Io::new(socket)? })
    }

    /// Connects to `path`: [`send`](UnixDatagram::send) sends there.
    ///
    /// # Errors
    ///
    /// The system's, such as `NotFound`.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.io.get_ref().connect(path)
    }

    /// Connects to an address: a path, or on Linux an abstract name.
    ///
    /// # Errors
    ///
    /// As for [`connect`](UnixDatagram::connect).
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        Ok(rustix::net::connect(self, &named(address)?)?)
    }

    /// The local address, which may be unnamed.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// The address that this is [connected](UnixDatagram::connect) to.
    ///
    /// # Errors
    ///
    /// The system's, such as `NotConnected`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Closes one or both sides of the socket, for all clones.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get_ref().shutdown(how)
    }

    /// Sends a datagram to `path`. If the receiver has no room, tries again every few milliseconds, since the system doesn't
    /// report when it has.
    ///
    /// # Errors
    ///
    /// The system's, such as `NotFound`.
    pub async fn send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        insist(|| self.try_send_to(bytes, &path)).await
    }

    /// [`send_to`](UnixDatagram::send_to) an address: a path, or on Linux an abstract name.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](UnixDatagram::send_to).
    pub async fn send_to_addr(&self, bytes: &[u8], address: &SocketAddr) -> io::Result<usize> {
        let address = named(address)?;
        insist(|| uninterrupted(|| Ok(sendto(self, bytes, NO_SIGNAL, &address)?))).await
    }

    /// [`send_to`](UnixDatagram::send_to) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the receiver or this socket has no room. [`writable`](UnixDatagram::writable) doesn't wait for a
    /// receiver that this isn't connected to: the system doesn't report its room. Otherwise as for
    /// [`send_to`](UnixDatagram::send_to).
    pub fn try_send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        // The receiver may lack the room: then this socket is as writable as before.
        uninterrupted(|| self.io.get_ref().send_to(bytes, &path))
    }

    /// [`recv_from`](UnixDatagram::recv_from) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no datagram: [`readable`](UnixDatagram::readable) waits for one. Otherwise the system's.
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.try_read_with(|socket| socket.recv_from(buffer))
    }

    /// [`send`](UnixDatagram::send) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room: [`writable`](UnixDatagram::writable) waits for some. Otherwise as for
    /// [`send`](UnixDatagram::send).
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.io.try_write_with(|socket| socket.send(bytes))
    }

    /// [`recv`](UnixDatagram::recv) without waiting.
    ///
    /// # Errors
    ///
    /// As for [`try_recv_from`](UnixDatagram::try_recv_from).
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.try_read_with(|socket| socket.recv(buffer))
    }

    /// Receives a datagram. Returns its length and its sender. Bytes beyond `buffer` are lost.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.read_with(|socket| socket.recv_from(buffer)).await
    }

    /// Sends a datagram to the [connected](UnixDatagram::connect) address.
    ///
    /// # Errors
    ///
    /// The system's, such as `NotConnected`.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.io.write_with(|socket| socket.send(bytes)).await
    }

    /// Receives a datagram.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.read_with(|socket| socket.recv(buffer)).await
    }
}

/// Retries a call that a signal has interrupted.
fn uninterrupted<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Retries every few milliseconds while the receiver has no room.
async fn insist(mut send: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    // Before the call: dropped here, it has sent nothing.
    consume_budget().await;
    let mut wait = SHORTEST_WAIT;
    loop {
        match send() {
            Err(full) if full.kind() == io::ErrorKind::WouldBlock => sleep(wait).await,
            sent => return sent,
        }
        wait = LONGEST_WAIT.min(2 * wait);
    }
}

/// The address in the system's form. An unnamed address can't be sent to.
fn named(address: &SocketAddr) -> io::Result<SocketAddrUnix> {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    if let Some(name) = abstract_name(address) {
        return Ok(SocketAddrUnix::new_abstract_name(name)?);
    }
    let nameless = || io::Error::new(io::ErrorKind::InvalidInput, "the address has no name");
    Ok(SocketAddrUnix::new(address.as_pathname().ok_or_else(nameless)?)?)
}

#[cfg(any(target_os = "android", target_os = "linux"))]
fn abstract_name(address: &SocketAddr) -> Option<&[u8]> {
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;

    address.as_abstract_name()
}
