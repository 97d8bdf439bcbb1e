//! Sockets, timers, files, processes and signals, for the tasks of every executor.
//!
//! An idle thread waits for events itself: a worker of a pool, the thread of a task, the caller of a `block_on`. So the thread
//! that handles an event also runs its task, and no other thread is woken.
//!
//! A process has one driver, which starts with the first socket or timer; `src/driver/README.md` explains it. Executors don't
//! know it: they wait in [`polyexec_core::executor::Parker`], and that waits in the driver. If every thread is busy, or belongs
//! to an executor without polyexec's parker, then a fallback thread polls for events within a millisecond or two.
//!
//! What blocks, a lookup of a name or an operation on a file, runs on the threads for blocking work that the process shares
//! (`polyexec_threaded::blocking`).
//!
//! [`Io`] registers event sources that this crate has no type for.
//!
//! # Features
//!
//! | Feature | Module |
//! |---|---|
//! | (always) | [`time`]: sleeps, timeouts, intervals |
//! | `net` | `net`: TCP, UDP, Unix sockets; lookups of names |
//! | `fs` | `fs`: files and folders |
//! | `process` | `process`: child processes (Unix) |
//! | `signal` | `signal`: Ctrl-C and other signals (Unix) |
//! | `stdio` | `stdio`: standard input, output and error |
//! | `io` | `io`: copies both ways, and connections within the process |
//! | `hyper` | `hyper`: adapters for hyper 1 |
//! | `hyper-server` | `hyper::serve`: a server for HTTP/1 and HTTP/2 |
//! | `hyper-client` | `hyper::HyperConnector`, for hyper-util's client |
//!
//! # Examples
//!
//! ```
//! use std::io::Read;
//!
//! use polyexec_io::Io;
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

pub use driver::{Io, clock, polls, start};

#[cfg(any(feature = "fs", feature = "net"))]
mod blocking;
mod driver;
#[cfg(feature = "fs")]
pub mod fs;
#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(feature = "io")]
pub mod io;
#[cfg(feature = "net")]
pub mod net;
#[cfg(all(unix, feature = "process"))]
pub mod process;
#[cfg(all(unix, feature = "signal"))]
pub mod signal;
#[cfg(feature = "stdio")]
pub mod stdio;
pub mod time;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
