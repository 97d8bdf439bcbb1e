//! UDP: datagrams to and from anywhere.

use std::future::ready;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net;
use polyexec_reactor::Io;

use super::address::{ToSocketAddrs, first};
use super::stream::descriptor;

/// A UDP socket. Clones are the same socket, and any number of tasks may send and receive.
///
/// # What dropping does
///
/// The last clone's drop closes the socket. Datagrams that nobody has received are lost.
///
/// # Cancel safety
///
/// A call that is dropped before it is ready has neither sent nor received anything.
///
/// # Examples
///
/// ```
/// use polyexec_futures::net::UdpSocket;
///
/// # polyexec_core::block_on(async {
/// let [here, there] = [UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?];
/// here.send_to(b"ping", there.local_addr()?).await?;
/// let mut buffer = [0; 16];
/// let (length, from) = there.recv_from(&mut buffer).await?;
/// assert_eq!((&buffer[..length], from), (&b"ping"[..], here.local_addr()?));
/// # std::io::Result::Ok(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct UdpSocket {
    io: Io<net::UdpSocket>,
}

descriptor!(UdpSocket);

impl UdpSocket {
    /// A socket at the first of the addresses that is free. Port 0 is one that the system chooses.
    ///
    /// # Errors
    ///
    /// As for [`resolve`](super::resolve), or those of the last address that was tried: `AddrInUse`, say.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let bound = first(address, |address| ready(net::UdpSocket::bind(address))).await?;
        Ok(Self { io: Io::new(bound)? })
    }

    /// From now on this is about the first of the addresses that can be reached: [`send`](UdpSocket::send) sends to it, and
    /// what others send isn't received.
    ///
    /// # Errors
    ///
    /// As for [`resolve`](super::resolve), or those of the last address that was tried.
    pub async fn connect(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        first(address, |address| ready(self.io.get_ref().connect(address))).await
    }

    /// The address of this socket.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// To which address it is [connected](UdpSocket::connect).
    ///
    /// # Errors
    ///
    /// The system's: `NotConnected`, say.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Sends a datagram to the first of the addresses. How many bytes were sent.
    ///
    /// # Errors
    ///
    /// As for [`resolve`](super::resolve), or the system's: it is too long, say.
    pub async fn send_to(&self, bytes: &[u8], address: impl ToSocketAddrs) -> io::Result<usize> {
        first(address, |address| self.io.write_with(move |socket| socket.send_to(bytes, address))).await
    }

    /// Receives a datagram, and says from where it comes. What `buffer` has no room for is lost.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.read_with(|socket| socket.recv_from(buffer)).await
    }

    /// As [`recv_from`](UdpSocket::recv_from), and leaves the datagram there.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.read_with(|socket| socket.peek_from(buffer)).await
    }

    /// Sends a datagram to where this is [connected](UdpSocket::connect).
    ///
    /// # Errors
    ///
    /// The system's: `NotConnected`, or `ConnectionRefused` for one that was sent before, say.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.io.write_with(|socket| socket.send(bytes)).await
    }

    /// Receives a datagram from where this is [connected](UdpSocket::connect).
    ///
    /// # Errors
    ///
    /// As for [`send`](UdpSocket::send).
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.read_with(|socket| socket.recv(buffer)).await
    }

    /// Lets this send to broadcast addresses.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.io.get_ref().set_broadcast(on)
    }

    /// Sets how many routers a datagram may pass.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().set_ttl(ttl)
    }

    /// Receives what is sent to a group, too.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.io.get_ref().join_multicast_v4(&group, &interface)
    }

    /// Receives what is sent to a group, too. Interface 0 is any.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.get_ref().join_multicast_v6(group, interface)
    }
}

/// A socket of `std`'s, or of `socket2`'s by way of that.
impl TryFrom<std::net::UdpSocket> for UdpSocket {
    type Error = io::Error;

    fn try_from(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { io: Io::new(net::UdpSocket::from_std(socket))? })
    }
}
