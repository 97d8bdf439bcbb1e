//! TCP, UDP and, on Unix, Unix sockets: on every executor, and on threads that have none.
//!
//! Streams implement [`AsyncRead`](futures_io::AsyncRead) and [`AsyncWrite`](futures_io::AsyncWrite) of `futures-io`, and so do references to them: any number
//! of tasks may read and write. The extension traits of `futures` and `futures-lite` have the rest (`read_exact`,
//! `write_all`, `split`, `lines`). The types and their methods are called as in `std::net` and `async-net`.
//!
//! Names are looked up on other threads (those of the `blocking` crate), since the system has no other way; addresses that are
//! written in digits need none.
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
//! # Waiting for a side
//!
//! `readable` and `writable` wait until an operation may succeed, and `try_read`, `try_write` and so on do it at once or not at all.
//! So a server needs no buffer for a client that says nothing:
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
//! Each read, write, accept and so on that is ready counts to the [budget](polyexec_core::task::poll_proceed) of its task's poll. After
//! 128 of them the task lets others run, however fast its peers send.
//!
//! # Errors
//!
//! Those of the system, as in `std::net`. An error of `accept` says nothing of the listener: where there are too many open
//! files, it can accept again when there are fewer, and a server waits a while until then.

pub use address::{Addresses, ToSocketAddrs, resolve};
pub use tcp::{Incoming, TcpListener, TcpStream};
pub use tcp_socket::TcpSocket;
pub use udp::UdpSocket;

mod address;
mod bytes;
mod socket;
mod stream;
mod tcp;
mod tcp_socket;
mod udp;
#[cfg(unix)]
pub mod unix;
