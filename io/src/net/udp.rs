//! UDP: datagrams to and from anywhere.

use std::future::ready;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use crate::Io;
use mio::net;

use super::address::{ToSocketAddrs, first};
use super::socket::{conversions, descriptor, readiness};

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
/// use polyexec_io::net::UdpSocket;
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

readiness!(UdpSocket);
conversions!(UdpSocket, std::net::UdpSocket);
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

    /// As [`recv`](UdpSocket::recv), and leaves the datagram there.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.read_with(|socket| socket.peek(buffer)).await
    }

    /// Waits for a datagram, says from where it comes, and leaves it there.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        self.io.read_with(peek_sender).await
    }

    /// Sends a datagram, at once or not at all.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room: [`writable`](UdpSocket::writable) waits for that. Else as for
    /// [`send_to`](UdpSocket::send_to).
    pub fn try_send_to(&self, bytes: &[u8], address: SocketAddr) -> io::Result<usize> {
        self.io.try_write_with(|socket| socket.send_to(bytes, address))
    }

    /// Receives a datagram that is there already, and says from where it comes.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none: [`readable`](UdpSocket::readable) waits for one. Else the system's.
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.try_read_with(|socket| socket.recv_from(buffer))
    }

    /// As [`try_recv_from`](UdpSocket::try_recv_from), and leaves the datagram there.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.try_read_with(|socket| socket.peek_from(buffer))
    }

    /// Sends a datagram to where this is [connected](UdpSocket::connect), at once or not at all.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room. Else as for [`send`](UdpSocket::send).
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.io.try_write_with(|socket| socket.send(bytes))
    }

    /// Receives a datagram that is there already, from where this is [connected](UdpSocket::connect).
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none. Else as for [`send`](UdpSocket::send).
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.try_read_with(|socket| socket.recv(buffer))
    }

    /// As [`send_to`](UdpSocket::send_to) an address, as a poll. The task is woken when there is room.
    ///
    /// # Errors
    ///
    /// The system's: it is too long, say.
    pub fn poll_send_to(&self, cx: &mut Context<'_>, bytes: &[u8], address: SocketAddr) -> Poll<io::Result<usize>> {
        self.io.poll_write_with(cx, |socket| socket.send_to(bytes, address))
    }

    /// As [`recv_from`](UdpSocket::recv_from), as a poll. The task is woken when there is a datagram.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.io.poll_read_with(cx, |socket| socket.recv_from(buffer))
    }

    /// As [`peek_from`](UdpSocket::peek_from), as a poll. The task is woken when there is a datagram.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_peek_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.io.poll_read_with(cx, |socket| socket.peek_from(buffer))
    }

    /// As [`peek_sender`](UdpSocket::peek_sender), as a poll. The task is woken when there is a datagram.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.io.poll_read_with(cx, peek_sender)
    }

    /// As [`send`](UdpSocket::send), as a poll. The task is woken when there is room.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.io.poll_write_with(cx, |socket| socket.send(bytes))
    }

    /// As [`recv`](UdpSocket::recv), as a poll. The task is woken when there is a datagram.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.io.poll_read_with(cx, |socket| socket.recv(buffer))
    }

    /// Whether this may send to broadcast addresses. At first it may not.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.io.get_ref().broadcast()
    }

    /// Lets this send to broadcast addresses.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.io.get_ref().set_broadcast(on)
    }

    /// How many routers a datagram may pass.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get_ref().ttl()
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

    /// Undoes [`join_multicast_v4`](UdpSocket::join_multicast_v4).
    ///
    /// # Errors
    ///
    /// The system's: this isn't in the group, say.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.io.get_ref().leave_multicast_v4(&group, &interface)
    }

    /// Undoes [`join_multicast_v6`](UdpSocket::join_multicast_v6).
    ///
    /// # Errors
    ///
    /// The system's: this isn't in the group, say.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.get_ref().leave_multicast_v6(group, interface)
    }

    /// Whether what this sends to a group comes to this machine's members, too. At first it does.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.io.get_ref().multicast_loop_v4()
    }

    /// Says whether what this sends to a group comes to this machine's members, too. (On Windows the receiver says so.)
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.io.get_ref().set_multicast_loop_v4(on)
    }

    /// As [`multicast_loop_v4`](UdpSocket::multicast_loop_v4), for IPv6.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.io.get_ref().multicast_loop_v6()
    }

    /// As [`set_multicast_loop_v4`](UdpSocket::set_multicast_loop_v4), for IPv6.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.io.get_ref().set_multicast_loop_v6(on)
    }

    /// How many routers a datagram to a group may pass. At first that is one, so that it stays in its network.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.io.get_ref().multicast_ttl_v4()
    }

    /// Sets how many routers a datagram to a group may pass.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().set_multicast_ttl_v4(ttl)
    }

    /// The type of service that datagrams ask for, in IPv4.
    ///
    /// # Errors
    ///
    /// The system's.
    #[cfg(not(any(target_os = "fuchsia", target_os = "redox", target_os = "solaris", target_os = "illumos")))]
    pub fn tos(&self) -> io::Result<u32> {
        socket2::SockRef::from(self).tos_v4()
    }

    /// Sets the type of service that datagrams ask for, in IPv4. (Windows takes it and does nothing.)
    ///
    /// # Errors
    ///
    /// The system's.
    #[cfg(not(any(target_os = "fuchsia", target_os = "redox", target_os = "solaris", target_os = "illumos")))]
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        socket2::SockRef::from(self).set_tos_v4(tos)
    }
}

/// By way of `socket2`, which knows that Windows calls a datagram too long for no room.
fn peek_sender(socket: &net::UdpSocket) -> io::Result<SocketAddr> {
    let sender = socket2::SockRef::from(socket).peek_sender()?;
    sender.as_socket().ok_or_else(|| io::Error::other("a datagram without a sender"))
}
