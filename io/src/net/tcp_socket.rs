//! A TCP socket to configure before it connects or listens.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::Io;
use mio::net;
use socket2::{Domain, Protocol, Socket, Type};

use super::{TcpListener, TcpStream};

/// A TCP socket that neither is connected nor listens yet, so that its options can be set before.
///
/// If no option has to be set before, use [`TcpStream::connect`] or [`TcpListener::bind`].
///
/// # What dropping does
///
/// Closes the socket.
///
/// # Examples
///
/// A server that restarts at the address of one that has just ended, and a client with its own address:
///
/// ```
/// use polyexec_io::net::TcpSocket;
///
/// # polyexec_core::block_on(async {
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseaddr(true)?;
/// socket.bind("127.0.0.1:0".parse().unwrap())?;
/// let listener = socket.listen(1024)?;
///
/// # if cfg!(target_os = "linux") {
/// let socket = TcpSocket::new_v4()?;
/// socket.bind("127.0.0.2:0".parse().unwrap())?;
/// let client = socket.connect(listener.local_addr()?).await?;
/// let (server, from) = listener.accept().await?;
/// assert_eq!(from, client.local_addr()?);
/// # drop(server);
/// # }
/// # std::io::Result::Ok(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TcpSocket {
    socket: Socket,
}

/// A getter and a setter of an option.
macro_rules! option {
    (
        $(#[cfg($cfg:meta)])?
        $(#[doc = $get_doc:literal])+
        $get:ident, $get_socket:ident;
        $(#[doc = $set_doc:literal])+
        $set:ident, $set_socket:ident: $type:ty
    ) => {
        $(#[doc = $get_doc])+
        ///
        /// # Errors
        ///
        /// The system's.
        $(#[cfg($cfg)])?
        pub fn $get(&self) -> io::Result<$type> {
            self.socket.$get_socket()
        }

        $(#[doc = $set_doc])+
        ///
        /// # Errors
        ///
        /// The system's.
        $(#[cfg($cfg)])?
        pub fn $set(&self, value: $type) -> io::Result<()> {
            self.socket.$set_socket(value)
        }
    };
}

impl TcpSocket {
    /// A socket for IPv4.
    ///
    /// # Errors
    ///
    /// The system's, such as too many open files.
    pub fn new_v4() -> io::Result<Self> {
        Self::new(Domain::IPV4)
    }

    /// A socket for IPv6.
    ///
    /// # Errors
    ///
    /// The system's, such as too many open files, or no IPv6.
    pub fn new_v6() -> io::Result<Self> {
        Self::new(Domain::IPV6)
    }

    fn new(domain: Domain) -> io::Result<Self> {
        Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?.try_into()
    }

    option! {
        /// Whether an address may be reused immediately after a connection has used it.
        reuseaddr, reuse_address;
        /// Sets whether an address may be reused immediately after a connection has used it. (On Windows, another socket may then
        /// take it away.)
        set_reuseaddr, set_reuse_address: bool
    }

    option! {
        #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
        /// Whether several sockets may listen at the address.
        reuseport, reuse_port;
        /// Sets whether several sockets may listen at the address. On Linux they share the connections.
        set_reuseport, set_reuse_port: bool
    }

    option! {
        /// The size of the send buffer in bytes.
        send_buffer_size, send_buffer_size;
        /// Sets the size of the send buffer in bytes. Linux doubles it.
        set_send_buffer_size, set_send_buffer_size: usize
    }

    option! {
        /// The size of the receive buffer in bytes.
        recv_buffer_size, recv_buffer_size;
        /// Sets the size of the receive buffer in bytes. Linux doubles it. Before a connection, it also limits how much the
        /// peer may send unacknowledged.
        set_recv_buffer_size, set_recv_buffer_size: usize
    }

    option! {
        /// Whether the system probes a silent peer from time to time.
        keepalive, keepalive;
        /// Sets whether the system probes a silent peer from time to time.
        set_keepalive, set_keepalive: bool
    }

    option! {
        /// Whether small writes are sent immediately, instead of being gathered (Nagle's algorithm).
        nodelay, tcp_nodelay;
        /// Sends small writes immediately, or gathers them. The default is to gather.
        set_nodelay, set_tcp_nodelay: bool
    }

    option! {
        /// How long the system may keep sending after the socket was closed. `None` is the system's default.
        linger, linger;
        /// Sets how long the system may keep sending after the socket was closed. With zero, unsent bytes are lost, and the
        /// peer sees a reset. With more, closing blocks its thread on some systems.
        set_linger, set_linger: Option<Duration>
    }

    option! {
        #[cfg(not(any(target_os = "fuchsia", target_os = "redox", target_os = "solaris", target_os = "illumos")))]
        /// The type of service of IPv4 packets.
        tos, tos_v4;
        /// Sets the type of service of IPv4 packets. (Windows ignores it.)
        set_tos, set_tos_v4: u32
    }

    /// Uses only this network interface, whatever the address. `None` is any.
    ///
    /// # Errors
    ///
    /// The system's, such as an unknown interface.
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        self.socket.bind_device(interface)
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?;
        address.as_socket().ok_or_else(|| io::Error::other("the socket's address is not a TCP address"))
    }

    /// Binds to an address, to listen there or to connect from there.
    ///
    /// # Errors
    ///
    /// The system's: `AddrInUse`, `AddrNotAvailable`, `PermissionDenied` and so on.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.socket.bind(&address.into())
    }

    /// Connects to `address`.
    ///
    /// # Errors
    ///
    /// As for [`TcpStream::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it abandons the attempt.
    pub async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        if let Err(cause) = self.socket.connect(&address.into())
            && !is_on_its_way(&cause)
        {
            return Err(cause);
        }
        TcpStream::connecting(net::TcpStream::from_std(self.socket.into())).await
    }

    /// Listens for connections. Up to `backlog` may wait to be accepted, if the system allows as many.
    ///
    /// # Errors
    ///
    /// The system's, such as `AddrInUse`.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.socket.listen(backlog.try_into().unwrap_or(i32::MAX))?;
        Ok(TcpListener::from_io(Io::new(net::TcpListener::from_std(self.socket.into()))?))
    }
}

/// Whether the attempt goes on in the background.
fn is_on_its_way(cause: &io::Error) -> bool {
    #[cfg(unix)]
    let is_in_progress = cause.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error());
    #[cfg(not(unix))]
    let is_in_progress = false;
    is_in_progress || cause.kind() == io::ErrorKind::WouldBlock
}

/// Takes a socket of `socket2` that neither is connected nor listens. Makes it non-blocking.
impl TryFrom<Socket> for TcpSocket {
    type Error = io::Error;

    fn try_from(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }
}

#[cfg(unix)]
mod descriptor {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

    use super::TcpSocket;

    impl AsFd for TcpSocket {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.socket.as_fd()
        }
    }

    impl AsRawFd for TcpSocket {
        fn as_raw_fd(&self) -> RawFd {
            self.socket.as_raw_fd()
        }
    }

    /// Takes the descriptor of a socket that neither is connected nor listens. Makes it non-blocking.
    impl TryFrom<OwnedFd> for TcpSocket {
        type Error = std::io::Error;

        fn try_from(descriptor: OwnedFd) -> std::io::Result<Self> {
            socket2::Socket::from(descriptor).try_into()
        }
    }

    impl From<TcpSocket> for OwnedFd {
        fn from(socket: TcpSocket) -> Self {
            socket.socket.into()
        }
    }
}

#[cfg(windows)]
mod handle {
    use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket, RawSocket};

    use super::TcpSocket;

    impl AsSocket for TcpSocket {
        fn as_socket(&self) -> BorrowedSocket<'_> {
            self.socket.as_socket()
        }
    }

    impl AsRawSocket for TcpSocket {
        fn as_raw_socket(&self) -> RawSocket {
            self.socket.as_raw_socket()
        }
    }
}
