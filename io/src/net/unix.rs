//! Unix sockets: connections and datagrams between processes of one machine, at places in the file system.

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

/// A connection on this machine. Clones are the same connection, for any number of tasks, as for
/// [`TcpStream`](super::TcpStream).
///
/// # What dropping does
///
/// The last clone's drop closes the connection.
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

// A read ends where a message brings file descriptors, though there is more.
stream!(UnixStream, short_reads_tell: false);
readiness!(UnixStream);
conversions!(UnixStream, std::os::unix::net::UnixStream);
descriptor!(UnixStream);

impl UnixStream {
    /// Connects to who listens at `path`.
    ///
    /// # Errors
    ///
    /// The system's: `NotFound`, `ConnectionRefused` if nobody listens there any more, or `WouldBlock` if too many
    /// connections wait there to be accepted.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::connecting(net::UnixStream::connect(path)?).await
    }

    /// Connects to who listens at an address: a path, or on Linux a name in no file system.
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

    /// Two streams that are connected to each other.
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
        // Nothing was written yet.
        io.assume_writable();
        Ok(Self { io })
    }

    /// The address on this side, which mostly has no name.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// The address on the other side.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Closes one side of the connection or both, for all clones.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get_ref().shutdown(how)
    }
}

/// Listens for connections at a place in the file system. Clones listen at the same place.
///
/// # What dropping does
///
/// The last clone's drop ends the listening. The place stays in the file system, and is to be removed before somebody listens
/// there again.
#[derive(Clone, Debug)]
pub struct UnixListener {
    io: Io<net::UnixListener>,
}

conversions!(UnixListener, std::os::unix::net::UnixListener);
descriptor!(UnixListener);

impl UnixListener {
    /// Listens at `path`, where there must be nothing yet. As many connections may wait to be accepted as the system allows,
    /// up to 4096.
    ///
    /// # Errors
    ///
    /// The system's: `AddrInUse`, `PermissionDenied` and so on.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::listening(net::UnixListener::bind(path)?)
    }

    /// Listens at an address: a path, or on Linux a name in no file system.
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

    /// Where this listens.
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
    /// Dropped before it is ready, it has accepted none.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (stream, from) = self.io.read_with(net::UnixListener::accept).await?;
        Ok((UnixStream::connected(stream)?, from))
    }

    /// As [`accept`](UnixListener::accept), for those who poll.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let (stream, from) = ready!(self.io.poll_read_with(cx, net::UnixListener::accept))?;
        Poll::Ready(UnixStream::connected(stream).map(|stream| (stream, from)))
    }
}

/// A peer that is gone is an error, and no signal: see `bytes.rs`.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: SendFlags = SendFlags::empty();

/// How long a datagram waits for room at its receiver until the next attempt, at first and at most.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(64);

/// Datagrams between processes of this machine. Clones are the same socket.
///
/// # What dropping does
///
/// The last clone's drop closes the socket. Its place, if it has one, stays in the file system.
///
/// # Cancel safety
///
/// A call that is dropped before it is ready has neither sent nor received anything.
#[derive(Clone, Debug)]
pub struct UnixDatagram {
    io: Io<net::UnixDatagram>,
}

readiness!(UnixDatagram);
conversions!(UnixDatagram, std::os::unix::net::UnixDatagram);
descriptor!(UnixDatagram);

impl UnixDatagram {
    /// A socket at `path`, where there must be nothing yet.
    ///
    /// # Errors
    ///
    /// The system's: `AddrInUse`, `PermissionDenied` and so on.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::new(net::UnixDatagram::bind(path)?)
    }

    /// A socket at an address: a path, or on Linux a name in no file system.
    ///
    /// # Errors
    ///
    /// As for [`bind`](UnixDatagram::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        Self::new(net::UnixDatagram::bind_addr(address)?)
    }

    /// A socket without a place, which can send.
    ///
    /// # Errors
    ///
    /// The system's: too many open files.
    pub fn unbound() -> io::Result<Self> {
        Self::new(net::UnixDatagram::unbound()?)
    }

    /// Two sockets that are connected to each other.
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

    /// From now on [`send`](UnixDatagram::send) sends to who is at `path`.
    ///
    /// # Errors
    ///
    /// The system's: `NotFound`, say.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.io.get_ref().connect(path)
    }

    /// As [`connect`](UnixDatagram::connect), to an address: a path, or on Linux a name in no file system.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        Ok(rustix::net::connect(self, &named(address)?)?)
    }

    /// The address of this socket, which may have no name.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// To which address it is [connected](UnixDatagram::connect).
    ///
    /// # Errors
    ///
    /// The system's: `NotConnected`, say.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Closes one side of the socket or both, for all clones.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get_ref().shutdown(how)
    }

    /// Sends a datagram to who is at `path`. If there is no room for it, this tries again every so many milliseconds: the system
    /// doesn't say when there is.
    ///
    /// # Errors
    ///
    /// The system's: `NotFound`, say.
    pub async fn send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        insist(|| self.try_send_to(bytes, &path)).await
    }

    /// As [`send_to`](UnixDatagram::send_to), to an address: a path, or on Linux a name in no file system.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn send_to_addr(&self, bytes: &[u8], address: &SocketAddr) -> io::Result<usize> {
        let address = named(address)?;
        insist(|| uninterrupted(|| Ok(sendto(self, bytes, NO_SIGNAL, &address)?))).await
    }

    /// Sends a datagram to who is at `path`, at once or not at all.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room for it at the receiver or here. The system doesn't say when there is room at a receiver
    /// to which this isn't connected, so [`writable`](UnixDatagram::writable) doesn't wait for it. Else as for
    /// [`send_to`](UnixDatagram::send_to).
    pub fn try_send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        // The room that is missing may be the receiver's: then this socket is as writable as before.
        uninterrupted(|| self.io.get_ref().send_to(bytes, &path))
    }

    /// Receives a datagram that is there already, and says from where it comes.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none: [`readable`](UnixDatagram::readable) waits for one. Else the system's.
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.try_read_with(|socket| socket.recv_from(buffer))
    }

    /// Sends a datagram to where this is [connected](UnixDatagram::connect), at once or not at all.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room: [`writable`](UnixDatagram::writable) waits for that. Else as for
    /// [`send`](UnixDatagram::send).
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.io.try_write_with(|socket| socket.send(bytes))
    }

    /// Receives a datagram that is there already.
    ///
    /// # Errors
    ///
    /// As for [`try_recv_from`](UnixDatagram::try_recv_from).
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.try_read_with(|socket| socket.recv(buffer))
    }

    /// Receives a datagram, and says from where it comes. What `buffer` has no room for is lost.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.read_with(|socket| socket.recv_from(buffer)).await
    }

    /// Sends a datagram to where this is [connected](UnixDatagram::connect).
    ///
    /// # Errors
    ///
    /// The system's: `NotConnected`, say.
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

/// Tries again where a signal has interrupted the system.
fn uninterrupted<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Tries again every so many milliseconds, as long as there is no room.
async fn insist(mut send: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    // Before anything is sent: dropped here, it has sent nothing.
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

/// The address as the system has it. That of a socket without a name is no address to send to.
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
