//! Unix sockets: connections and datagrams between processes of one machine, at places in the file system.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use mio::net;
use polyexec_reactor::Io;

use crate::time::sleep;

use super::stream::{BACKLOG, descriptor, room, stream};

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
/// use polyexec_futures::net::unix::UnixStream;
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
descriptor!(UnixStream);

impl UnixStream {
    /// Connects to who listens at `path`.
    ///
    /// # Errors
    ///
    /// The system's: `NotFound`, `ConnectionRefused` if nobody listens there any more, or `WouldBlock` if too many
    /// connections wait there to be accepted.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        let io = Io::new(net::UnixStream::connect(path)?)?;
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

/// A connection of `std`'s.
impl TryFrom<std::os::unix::net::UnixStream> for UnixStream {
    type Error = io::Error;

    fn try_from(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { io: Io::new(net::UnixStream::from_std(stream))? })
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

descriptor!(UnixListener);

impl UnixListener {
    /// Listens at `path`, where there must be nothing yet. As many connections may wait to be accepted as the system allows,
    /// up to 4096.
    ///
    /// # Errors
    ///
    /// The system's: `AddrInUse`, `PermissionDenied` and so on.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        let bound = net::UnixListener::bind(path)?;
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

    /// Sends a datagram to who is at `path`. If there is no room for it, this tries again every so many milliseconds: the system
    /// doesn't say when there is.
    ///
    /// # Errors
    ///
    /// The system's: `NotFound`, say.
    pub async fn send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let mut wait = SHORTEST_WAIT;
        loop {
            match self.io.get_ref().send_to(bytes, &path) {
                Err(full) if full.kind() == io::ErrorKind::WouldBlock => sleep(wait).await,
                sent => return sent,
            }
            wait = LONGEST_WAIT.min(2 * wait);
        }
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
