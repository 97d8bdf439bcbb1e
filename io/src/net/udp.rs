//! UDP sockets.

use std::future::ready;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use crate::Io;
use mio::net;

use super::address::{ToSocketAddrs, first};
use super::socket::{conversions, descriptor, readiness};

/// A UDP socket. Clones share it, and any number of tasks may send and receive.
///
/// # What dropping does
///
/// Dropping the last clone closes the socket. Datagrams that were not received are lost.
///
/// # Cancel safety
///
/// A call that is dropped early has neither sent nor received a datagram.
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
    /// Binds to the first of the addresses that is free. With port 0 the system chooses a port.
    ///
    /// # Errors
    ///
    /// As for [`resolve`](super::resolve), or that of the last address, such as `AddrInUse`.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let bound = first(address, |address| ready(net::UdpSocket::bind(address))).await?;
        Ok(Self { io: Io::new(bound)? })
    }

    /// Connects to the first of the addresses that can be reached: [`send`](UdpSocket::send) sends to it, and only its datagrams
    /// are received.
    ///
    /// # Errors
    ///
    /// As for [`resolve`](super::resolve), or that of the last address.
    pub async fn connect(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        first(address, |address| ready(self.io.get_ref().connect(address))).await
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// The address that this is [connected](UdpSocket::connect) to.
    ///
    /// # Errors
    ///
    /// The system's, such as `NotConnected`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Sends a datagram to the first of the addresses. Returns the number of bytes sent.
    ///
    /// # Errors
    ///
    /// As for [`resolve`](super::resolve), or the system's, such as a datagram that is too long.
    pub async fn send_to(&self, bytes: &[u8], address: impl ToSocketAddrs) -> io::Result<usize> {
        first(address, |address| self.io.write_with(move |socket| socket.send_to(bytes, address))).await
    }

    /// Receives a datagram. Returns its length and its sender. Bytes beyond `buffer` are lost.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.read_with(|socket| socket.recv_from(buffer)).await
    }

    /// [`recv_from`](UdpSocket::recv_from) without removing the datagram.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.read_with(|socket| socket.peek_from(buffer)).await
    }

    /// Sends a datagram to the [connected](UdpSocket::connect) address.
    ///
    /// # Errors
    ///
    /// The system's, such as `NotConnected`, or `ConnectionRefused` for an earlier datagram.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.io.write_with(|socket| socket.send(bytes)).await
    }

    /// Receives a datagram from the [connected](UdpSocket::connect) address.
    ///
    /// # Errors
    ///
    /// As for [`send`](UdpSocket::send).
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.read_with(|socket| socket.recv(buffer)).await
    }

    /// [`recv`](UdpSocket::recv) without removing the datagram.
    ///
    /// # Errors
    ///
    /// As for [`send`](UdpSocket::send).
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.read_with(|socket| socket.peek(buffer)).await
    }

    /// Waits for a datagram. Returns its sender, without removing it.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        self.io.read_with(peek_sender).await
    }

    /// Sends a datagram without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room: [`writable`](UdpSocket::writable) waits for some. Otherwise as for
    /// [`send_to`](UdpSocket::send_to).
    pub fn try_send_to(&self, bytes: &[u8], address: SocketAddr) -> io::Result<usize> {
        self.io.try_write_with(|socket| socket.send_to(bytes, address))
    }

    /// [`recv_from`](UdpSocket::recv_from) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no datagram: [`readable`](UdpSocket::readable) waits for one. Otherwise the system's.
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.try_read_with(|socket| socket.recv_from(buffer))
    }

    /// [`peek_from`](UdpSocket::peek_from) without waiting.
    ///
    /// # Errors
    ///
    /// As for [`try_recv_from`](UdpSocket::try_recv_from).
    pub fn try_peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.try_read_with(|socket| socket.peek_from(buffer))
    }

    /// [`send`](UdpSocket::send) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room. Otherwise as for [`send`](UdpSocket::send).
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.io.try_write_with(|socket| socket.send(bytes))
    }

    /// [`recv`](UdpSocket::recv) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no datagram. Otherwise as for [`send`](UdpSocket::send).
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.try_read_with(|socket| socket.recv(buffer))
    }

    /// [`send_to`](UdpSocket::send_to) as a poll. The task is woken when there is room.
    ///
    /// # Errors
    ///
    /// The system's, such as a datagram that is too long.
    pub fn poll_send_to(&self, cx: &mut Context<'_>, bytes: &[u8], address: SocketAddr) -> Poll<io::Result<usize>> {
        self.io.poll_write_with(cx, |socket| socket.send_to(bytes, address))
    }

    /// [`recv_from`](UdpSocket::recv_from) as a poll. The task is woken when there is a datagram.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.io.poll_read_with(cx, |socket| socket.recv_from(buffer))
    }

    /// [`peek_from`](UdpSocket::peek_from) as a poll. The task is woken when there is a datagram.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn poll_peek_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.io.poll_read_with(cx, |socket| socket.peek_from(buffer))
    }

    /// [`peek_sender`](UdpSocket::peek_sender) as a poll. The task is woken when there is a datagram.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.io.poll_read_with(cx, peek_sender)
    }

    /// [`send`](UdpSocket::send) as a poll. The task is woken when there is room.
    ///
    /// # Errors
    ///
    /// As for [`send`](UdpSocket::send).
    pub fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.io.poll_write_with(cx, |socket| socket.send(bytes))
    }

    /// [`recv`](UdpSocket::recv) as a poll. The task is woken when there is a datagram.
    ///
    /// # Errors
    ///
    /// As for [`send`](UdpSocket::send).
    pub fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.io.poll_read_with(cx, |socket| socket.recv(buffer))
    }

    /// Whether this may send to broadcast addresses. The default is `false`.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.io.get_ref().broadcast()
    }

    /// Sets whether this may send to broadcast addresses.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.io.get_ref().set_broadcast(on)
    }

    /// The most routers that a datagram may pass (time to live).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get_ref().ttl()
    }

    /// Sets the most routers that a datagram may pass.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().set_ttl(ttl)
    }

    /// Joins a multicast group: receives its datagrams, too.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.io.get_ref().join_multicast_v4(&group, &interface)
    }

    /// Joins a multicast group: receives its datagrams, too. Interface 0 is any.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.get_ref().join_multicast_v6(group, interface)
    }

    /// Leaves a multicast group.
    ///
    /// # Errors
    ///
    /// The system's, such as for a group that was not joined.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.io.get_ref().leave_multicast_v4(&group, &interface)
    }

    /// Leaves a multicast group.
    ///
    /// # Errors
    ///
    /// The system's, such as for a group that was not joined.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.get_ref().leave_multicast_v6(group, interface)
    }

    /// Whether this machine also receives what this sends to a group. The default is `true`.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.io.get_ref().multicast_loop_v4()
    }

    /// Sets whether this machine also receives what this sends to a group. (On Windows, the receiver sets it.)
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.io.get_ref().set_multicast_loop_v4(on)
    }

    /// [`multicast_loop_v4`](UdpSocket::multicast_loop_v4) for IPv6.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.io.get_ref().multicast_loop_v6()
    }

    /// [`set_multicast_loop_v4`](UdpSocket::set_multicast_loop_v4) for IPv6.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.io.get_ref().set_multicast_loop_v6(on)
    }

    /// The most routers that a datagram to a group may pass. The default is one, so that it stays in its network.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.io.get_ref().multicast_ttl_v4()
    }

    /// Sets the most routers that a datagram to a group may pass.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().set_multicast_ttl_v4(ttl)
    }

    /// The type of service of IPv4 datagrams.
    ///
    /// # Errors
    ///
    /// The system's.
    #[cfg(not(any(target_os = "fuchsia", target_os = "redox", target_os = "solaris", target_os = "illumos")))]
    pub fn tos(&self) -> io::Result<u32> {
        socket2::SockRef::from(self).tos_v4()
    }

    /// Sets the type of service of IPv4 datagrams. (Windows ignores it.)
    ///
    /// # Errors
    ///
    /// The system's.
    #[cfg(not(any(target_os = "fuchsia", target_os = "redox", target_os = "solaris", target_os = "illumos")))]
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        socket2::SockRef::from(self).set_tos_v4(tos)
    }
}

/// Peeks through `socket2`, which maps Windows' error for a datagram longer than the buffer.
fn peek_sender(socket: &net::UdpSocket) -> io::Result<SocketAddr> {
    let sender = socket2::SockRef::from(socket).peek_sender()?;
    sender.as_socket().ok_or_else(|| io::Error::other("a datagram without a sender"))
}
