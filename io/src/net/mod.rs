//! TCP, UDP and Unix sockets, for every executor, and for threads without one.
//!
//! Streams and references to them implement [`AsyncRead`](futures_io::AsyncRead) and [`AsyncWrite`](futures_io::AsyncWrite) of
//! `futures-io`, so any number of tasks may read and write. `read_exact`, `write_all`, `split`, `lines` and so on are in the
//! extension traits of `futures` and `futures-lite`. Types and methods have the names of `std::net` and `async-net`.
//!
//! Names are looked up on the process's threads for blocking work, since the system's lookup blocks. Numeric addresses need no
//! thread.
//!
//! # Examples
//!
//! ```
//! use polyexec_io::net::{TcpListener, TcpStream};
//! use futures_lite::{AsyncReadExt, AsyncWriteExt};
//!
//! # polyexec_core::block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let mut client = TcpStream::connect(listener.local_addr()?).await?;
//! let (mut server, _) = listener.accept().await?;
//!
//! client.write_all(b"hello").await?;
//! client.close().await?;
//! let mut text = String::new();
//! server.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # std::io::Result::Ok(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Servers
//!
//! [`serve`] accepts connections, limits their number, waits while the process is out of files, and shuts down gracefully. It
//! serves any [`Listener`].
//!
//! # Waiting for a side
//!
//! `readable` and `writable` wait until an operation may succeed. `try_read`, `try_write` and so on never wait. So a server needs
//! no buffer for an idle client:
//!
//! ```
//! use std::io::ErrorKind;
//!
//! use polyexec_io::net::TcpStream;
//!
//! async fn read(stream: &TcpStream) -> std::io::Result<Vec<u8>> {
//!     loop {
//!         stream.readable().await?;
//!         let mut buffer = vec![0; 4096];
//!         match stream.try_read(&mut buffer) {
//!             Err(cause) if cause.kind() == ErrorKind::WouldBlock => continue,
//!             read => {
//!                 buffer.truncate(read?);
//!                 return Ok(buffer);
//!             }
//!         }
//!     }
//! }
//! # polyexec_core::block_on(async {
//! # let listener = polyexec_io::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let client = TcpStream::connect(listener.local_addr()?).await?;
//! # let (server, _) = listener.accept().await?;
//! # client.try_write(b"hello")?;
//! # assert_eq!(read(&server).await?, b"hello");
//! # std::io::Result::Ok(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Fairness
//!
//! Each completed operation counts toward the [budget](polyexec_core::task::poll_proceed) of its task's poll. After 128 of them
//! the task yields, however fast its peers send.
//!
//! # Errors
//!
//! The system's, as in `std::net`. An error of `accept` doesn't mean that the listener is broken. If too many files are open, it
//! can accept again once there are fewer, so a server should wait a while. [`serve`] does.

pub use address::{Addresses, ToSocketAddrs, resolve};
pub use serve::{Listener, Problem, Report, Serve, ServeError, serve};
pub use tcp::{Incoming, TcpListener, TcpStream};
pub use tcp_socket::TcpSocket;
pub use udp::UdpSocket;

mod address;
mod bytes;
mod serve;
mod socket;
mod stream;
mod tcp;
mod tcp_socket;
mod udp;
#[cfg(unix)]
pub mod unix;
