//! Sockets and timers that are waited for by whatever thread has nothing else to do: a worker of a pool, the thread of a
//! task, the caller of a `block_on`. So an event is handled where its task will run, and no thread is woken for that.
//!
//! A process has one reactor, which starts with the first socket or timer. Executors know nothing of it: they wait in
//! [`polyexec_core::Parker`], and that waits here. Where nobody does, because all threads are busy or belong to executors that
//! know nothing of polyexec, a thread of the reactor's own steps in within a millisecond or two.
//!
//! Programs use `polyexec-futures`, whose `net` and `time` build on this. This crate is for those who bring sources of
//! events of their own.
//!
//! # Examples
//!
//! ```
//! use std::io::Read;
//!
//! use polyexec_reactor::Io;
//!
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let address = listener.local_addr()?;
//! # let peer = std::thread::spawn(move || std::io::Write::write_all(&mut listener.accept()?.0, b"hello"));
//! let stream = Io::new(mio::net::TcpStream::connect(address)?)?;
//! let mut greeting = [0; 5];
//! let read = polyexec_core::block_on(stream.read_with(|mut stream| stream.read(&mut greeting)))?;
//! assert_eq!(&greeting[..read], b"hello");
//! # peer.join().unwrap()?;
//! # Ok::<(), std::io::Error>(())
//! ```

#![forbid(unsafe_code)]

pub use io::Io;
pub use reactor::{clock, start, turns};

mod attendant;
mod io;
mod reactor;
mod readiness;
mod sync;
mod timers;
mod turn;
