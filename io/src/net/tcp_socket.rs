//! A TCP socket that is set up before it connects or listens.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::Io;
use mio::net;
use socket2::{Domain, Protocol, Socket, Type};

use super::{TcpListener, TcpStream};

/// A TCP socket that neither is connected nor listens yet, for what has to be set before.
///
/// [`TcpStream::connect`] and [`TcpListener::bind`] do for the rest.
///
/// # What dropping does
///
/// Closes the socket.
///
/// # Examples
///
/// A server that starts again where another one has just ended, and a client with an address of its own:
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

/// A method that asks for an option, and one that sets it.
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
    /// The system's: too many open files, say.
    pub fn new_v4() -> io::Result<Self> {
        Self::new(Domain::IPV4)
    }

    /// A socket for IPv6.
    ///
    /// # Errors
    ///
    /// The system's: too many open files, or no IPv6, say.
    pub fn new_v6() -> io::Result<Self> {
        Self::new(Domain::IPV6)
    }

    fn new(domain: Domain) -> io::Result<Self> {
        Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?.try_into()
    }

    option! {
        /// Whether an address can be used again at once that a connection has used before.
        reuseaddr, reuse_address;
        /// Says whether an address can be used again at once that a connection has used before. (On Windows another socket
        /// may take it away.)
        set_reuseaddr, set_reuse_address: bool
    }

    option! {
        #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
        /// Whether several sockets may listen at the address.
        reuseport, reuse_port;
        /// Says whether several sockets may listen at the address: on Linux they share what comes.
        set_reuseport, set_reuse_port: bool
    }

    option! {
        /// The size of the buffer for what is sent, in bytes.
        send_buffer_size, send_buffer_size;
        /// Sets the size of the buffer for what is sent, in bytes. Linux doubles it.
        set_send_buffer_size, set_send_buffer_size: usize
    }

    option! {
        /// The size of the buffer for what has come, in bytes.
        recv_buffer_size, recv_buffer_size;
        /// Sets the size of the buffer for what has come, in bytes. Linux doubles it. Set before the connection, it also says
        /// how much the peer may send at once.
        set_recv_buffer_size, set_recv_buffer_size: usize
    }

    option! {
        /// Whether the system looks from time to time whether a silent peer is still there.
        keepalive, keepalive;
        /// Says whether the system looks from time to time whether a silent peer is still there.
        set_keepalive, set_keepalive: bool
    }

    option! {
        /// Whether small writes are sent at once, instead of being gathered (Nagle's algorithm).
        nodelay, tcp_nodelay;
        /// Sends small writes at once, or gathers them. At first the system gathers.
        set_nodelay, set_tcp_nodelay: bool
    }

    option! {
        /// How long what was written may be on its way after the socket was closed. `None`: as the system has it.
        linger, linger;
        /// Says how long what was written may be on its way after the socket was closed. With zero it is lost, and the peer sees
        /// a reset. With more than that, closing blocks its thread on some systems.
        set_linger, set_linger: Option<Duration>
    }

    option! {
        #[cfg(not(any(target_os = "fuchsia", target_os = "redox", target_os = "solaris", target_os = "illumos")))]
        /// The type of service that packets ask for, in IPv4.
        tos, tos_v4;
        /// Sets the type of service that packets ask for, in IPv4. (Windows takes it and does nothing.)
        set_tos, set_tos_v4: u32
    }

    /// Uses this network interface only, whatever the address. `None`: any.
    ///
    /// # Errors
    ///
    /// The system's: there is no such interface, say.
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        self.socket.bind_device(interface)
    }

    /// The address of this socket.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?;
        address.as_socket().ok_or_else(|| io::Error::other("the socket's address isn't one of TCP"))
    }

    /// Takes this address: to listen there, or to connect from there.
    ///
    /// # Errors
    ///
    /// The system's: `AddrInUse`, `AddrNotAvailable`, `PermissionDenied` and so on.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.socket.bind(&address.into())
    }

    /// Connects to who listens at `address`.
    ///
    /// # Errors
    ///
    /// As for [`TcpStream::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the attempt is given up.
    pub async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        if let Err(cause) = self.socket.connect(&address.into())
            && !is_on_its_way(&cause)
        {
            return Err(cause);
        }
        TcpStream::connecting(net::TcpStream::from_std(self.socket.into())).await
    }

    /// Listens for connections. As many may wait to be accepted as the system allows, up to `backlog`.
    ///
    /// # Errors
    ///
    /// The system's: `AddrInUse`, say.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.socket.listen(backlog.try_into().unwrap_or(i32::MAX))?;
        Ok(TcpListener::from_io(Io::new(net::TcpListener::from_std(self.socket.into()))?))
    }
}

/// Whether the system connects in the background.
fn is_on_its_way(cause: &io::Error) -> bool {
    #[cfg(unix)]
    let is_in_progress = cause.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error());
    #[cfg(not(unix))]
    let is_in_progress = false;
    is_in_progress || cause.kind() == io::ErrorKind::WouldBlock
}

/// A socket of `socket2`'s that neither is connected nor listens. It is set not to block.
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

    /// A descriptor of a socket that neither is connected nor listens. It is set not to block.
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
