//! TCP: connections, and what listens for them.

use std::future;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::Io;
use futures_core::Stream;
use mio::net;

use super::address::{ToSocketAddrs, first};
use super::socket::{conversions, descriptor, readiness};
use super::stream::{BACKLOG, nothing, room, stream};

/// A TCP connection.
///
/// Clones are the same connection. Any number of tasks may read and write, through clones and references: each is woken when its
/// side is ready, and the bytes go to the first that reads.
///
/// # What dropping does
///
/// The last clone's drop closes the connection. What was written goes on its way all the same. A clone's drop forgets the tasks
/// that have polled it.
///
/// # Examples
///
/// ```no_run
/// use polyexec_io::net::TcpStream;
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
///
/// # async fn f() -> std::io::Result<()> {
/// let mut stream = TcpStream::connect("example.org:80").await?;
/// stream.write_all(b"GET / HTTP/1.0\r\nHost: example.org\r\n\r\n").await?;
/// let mut page = String::new();
/// stream.read_to_string(&mut page).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
///
/// A read or a write that is dropped before it is ready has moved nothing. `read_exact`, `write_all` and the like are made of
/// several, and forget how far they have come. Its task may be woken once more, by the next event.
#[derive(Clone, Debug)]
pub struct TcpStream {
    io: Io<net::TcpStream>,
}

stream!(TcpStream, short_reads_tell: true);
readiness!(TcpStream);
conversions!(TcpStream, std::net::TcpStream);
descriptor!(TcpStream);

impl TcpStream {
    /// Connects to the first of the addresses that takes the connection.
    ///
    /// There is no limit of time but the system's, which may be minutes.
    ///
    /// # Errors
    ///
    /// As for [`resolve`](super::resolve), or those of the last address that was tried: `ConnectionRefused`, `TimedOut` and
    /// so on.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the attempt is given up.
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        first(address, Self::connect_to).await
    }

    async fn connect_to(address: SocketAddr) -> io::Result<Self> {
        Self::connecting(net::TcpStream::connect(address)?).await
    }

    /// Waits for the end of an attempt.
    pub(super) async fn connecting(stream: net::TcpStream) -> io::Result<Self> {
        let io = Io::new(stream)?;
        io.write_with(|stream| {
            if let Some(failed) = stream.take_error()? {
                return Err(failed);
            }
            match stream.peer_addr() {
                Err(cause) if cause.kind() == io::ErrorKind::NotConnected => Err(io::ErrorKind::WouldBlock.into()),
                connected => connected,
            }
        })
        .await?;
        Ok(Self { io })
    }

    fn accepted(stream: net::TcpStream) -> io::Result<Self> {
        let io = Io::new(stream)?;
        // Nothing was written yet.
        io.assume_writable();
        Ok(Self { io })
    }

    /// The address on this side.
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
    /// The system's: `NotConnected`, say.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Closes one side of the connection or both, for all clones.
    ///
    /// # Errors
    ///
    /// The system's: `NotConnected`, say.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get_ref().shutdown(how)
    }

    /// Reads what the next read will, and leaves it there.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.read_with(|stream| stream.peek(buffer)).await
    }

    /// Whether small writes are sent at once, instead of being gathered (Nagle's algorithm).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.get_ref().nodelay()
    }

    /// Sends small writes at once, or gathers them. By default the system gathers.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_nodelay(&self, at_once: bool) -> io::Result<()> {
        self.io.get_ref().set_nodelay(at_once)
    }

    /// How many routers a packet may pass.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get_ref().ttl()
    }

    /// Sets how many routers a packet may pass.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().set_ttl(ttl)
    }
}

/// Listens for TCP connections. Clones listen at the same place.
///
/// # What dropping does
///
/// The last clone's drop ends the listening. Connections that nobody has accepted are refused; others live on.
///
/// # Examples
///
/// ```no_run
/// use polyexec_io::net::TcpListener;
///
/// # async fn f() -> std::io::Result<()> {
/// let listener = TcpListener::bind(("0.0.0.0", 8080)).await?;
/// loop {
///     let (stream, from) = listener.accept().await?;
///     println!("{from} is here: {stream:?}");
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TcpListener {
    io: Io<net::TcpListener>,
}

conversions!(TcpListener, std::net::TcpListener);
descriptor!(TcpListener);

impl TcpListener {
    /// Listens at the first of the addresses that is free. Port 0 is one that the system chooses. As many connections may wait
    /// to be accepted as the system allows, up to 4096.
    ///
    /// # Errors
    ///
    /// As for [`resolve`](super::resolve), or those of the last address that was tried: `AddrInUse`, `PermissionDenied` and
    /// so on.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let bound = first(address, |address| future::ready(net::TcpListener::bind(address))).await?;
        socket2::SockRef::from(&bound).listen(BACKLOG)?;
        Ok(Self { io: Io::new(bound)? })
    }

    pub(super) fn from_io(io: Io<net::TcpListener>) -> Self {
        Self { io }
    }

    /// The address at which this listens.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// Waits for a connection, and says from where it comes. Of several that wait, one has it.
    ///
    /// # Errors
    ///
    /// The system's. They are the connection's or the process's, not the listener's: too many open files, say, of which there
    /// may be fewer later.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has accepted none.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, from) = self.io.read_with(net::TcpListener::accept).await?;
        Ok((TcpStream::accepted(stream)?, from))
    }

    /// As [`accept`](TcpListener::accept), for those who poll.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let (stream, from) = ready!(self.io.poll_read_with(cx, net::TcpListener::accept))?;
        Poll::Ready(TcpStream::accepted(stream).map(|stream| (stream, from)))
    }

    /// The connections as a stream, which has no end.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }
}

/// The connections that a [`TcpListener`] accepts.
#[derive(Debug)]
#[must_use = "a stream does nothing until it is polled"]
pub struct Incoming<'a>(&'a TcpListener);

impl Stream for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<TcpStream>>> {
        self.0.poll_accept(cx).map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}
