//! What can be served: anything that accepts connections.

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use crate::net::{TcpListener, TcpStream};

/// Accepts connections for [`serve`](super::serve).
///
/// Implement it to serve another kind of socket, or to change the streams of one that exists: to set options, say.
///
/// # Examples
///
/// ```
/// use std::io;
/// use std::net::SocketAddr;
/// use std::task::{Context, Poll};
///
/// use polyexec_io::net::{Listener, TcpListener, TcpStream};
///
/// /// Its streams send small writes immediately.
/// struct Prompt(TcpListener);
///
/// impl Listener for Prompt {
///     type Stream = TcpStream;
///     type Address = SocketAddr;
///
///     fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
///         self.0.poll_accept(cx).map_ok(|(stream, peer)| {
///             // An error concerns this connection only, whose task will see it.
///             let _ = stream.set_nodelay(true);
///             (stream, peer)
///         })
///     }
/// }
/// ```
pub trait Listener {
    /// A connection.
    type Stream: Send + 'static;

    /// Names a peer.
    type Address: Clone + fmt::Debug + Send + Sync + 'static;

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// The kind decides what a server does. `ConnectionAborted`, `ConnectionReset`, `HostUnreachable`, `Interrupted`,
    /// `NetworkDown`, `NetworkUnreachable`, `PermissionDenied` and `TimedOut` concern one peer, and are ignored. `InvalidInput`
    /// and the system's `EBADF`, `ENOTSOCK` and `EFAULT` mean that the listener is broken: the server ends. All others are
    /// shortages, and may pass.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, Self::Address)>>;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Address = std::net::SocketAddr;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, Self::Address)>> {
        self.poll_accept(cx)
    }
}

#[cfg(unix)]
impl Listener for crate::net::unix::UnixListener {
    type Stream = crate::net::unix::UnixStream;
    type Address = std::os::unix::net::SocketAddr;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, Self::Address)>> {
        self.poll_accept(cx)
    }
}
