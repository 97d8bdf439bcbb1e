//! TCP connections and listeners.

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
/// Clones share the connection. Any number of tasks may read and write, through clones and references. All tasks that wait for
/// a side are woken when it is ready; the first that reads gets the bytes.
///
/// # What dropping does
///
/// Removes the wakers of this clone's polls. Dropping the last clone closes the connection; the system still sends what was
/// written.
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
/// A read or write that is dropped early has moved nothing. `read_exact`, `write_all` and the like consist of several, and forget
/// how far they have come. The next event may wake the task once more.
#[derive(Clone, Debug)]
pub struct TcpStream {
    io: Io<net::TcpStream>,
}

stream!(TcpStream, short_reads_tell: true);
readiness!(TcpStream);
conversions!(TcpStream, std::net::TcpStream);
descriptor!(TcpStream);

impl TcpStream {
    /// Connects to the first of the addresses that accepts.
    ///
    /// The only timeout is the system's, which may be minutes.
    ///
    /// # Errors
    ///
    /// As for [`resolve`](super::resolve), or that of the last address: `ConnectionRefused`, `TimedOut` and so on.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it abandons the attempt.
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        first(address, Self::connect_to).await
    }

    async fn connect_to(address: SocketAddr) -> io::Result<Self> {
        Self::connecting(net::TcpStream::connect(address)?).await
    }

    /// Waits until an attempt to connect has succeeded or failed.
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
        // Nothing is written yet, so there is room.
        io.assume_writable();
        Ok(Self { io })
    }

    /// The local address.
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
    /// The system's, such as `NotConnected`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Closes one or both sides of the connection, for all clones.
    ///
    /// # Errors
    ///
    /// The system's, such as `NotConnected`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get_ref().shutdown(how)
    }

    /// Reads without removing: the next read returns the same bytes.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.read_with(|stream| stream.peek(buffer)).await
    }

    /// Whether small writes are sent immediately, instead of being gathered (Nagle's algorithm).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.get_ref().nodelay()
    }

    /// Sends small writes immediately, or gathers them. The default is to gather.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.get_ref().set_nodelay(nodelay)
    }

    /// The most routers that a packet may pass (time to live).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get_ref().ttl()
    }

    /// Sets the most routers that a packet may pass.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().set_ttl(ttl)
    }
}

/// Listens for TCP connections. Clones share the listener.
///
/// # What dropping does
///
/// Dropping the last clone closes the listener. Connections that were not accepted are refused; others live on.
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
///     println!("{from} has connected: {stream:?}");
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
    /// Listens at the first of the addresses that is free. With port 0 the system chooses a port. Up to 4096 connections may
    /// wait to be accepted, if the system allows as many.
    ///
    /// # Errors
    ///
    /// As for [`resolve`](super::resolve), or that of the last address: `AddrInUse`, `PermissionDenied` and so on.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let bound = first(address, |address| future::ready(net::TcpListener::bind(address))).await?;
        socket2::SockRef::from(&bound).listen(BACKLOG)?;
        Ok(Self { io: Io::new(bound)? })
    }

    pub(super) fn from_io(io: Io<net::TcpListener>) -> Self {
        Self { io }
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// Waits for a connection. Returns it with the peer's address. If several tasks wait, one of them gets the connection.
    ///
    /// # Errors
    ///
    /// The system's. They concern the connection or the process, not the listener: too many open files may be fewer later.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped early, it has accepted no connection.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, from) = self.io.read_with(net::TcpListener::accept).await?;
        Ok((TcpStream::accepted(stream)?, from))
    }

    /// [`accept`](TcpListener::accept) as a poll.
    ///
    /// # Errors
    ///
    /// As for [`accept`](TcpListener::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let (stream, from) = ready!(self.io.poll_read_with(cx, net::TcpListener::accept))?;
        Poll::Ready(TcpStream::accepted(stream).map(|stream| (stream, from)))
    }

    /// The connections as an endless stream.
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
