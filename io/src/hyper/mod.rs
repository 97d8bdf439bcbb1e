//! hyper 1 on any executor: an executor, a timer and streams for it. Contains no HTTP.
//!
//! hyper has no runtime, and asks its user for three things. [`HyperExecutor`] spawns on any
//! [`Executor`](polyexec_core::Executor). [`HyperTimer`] sleeps on this crate's [timers](crate::time). [`HyperIo`] adapts any
//! stream that implements `AsyncRead` and `AsyncWrite` of futures-io.
//!
//! With the feature `hyper-server`, `serve` accepts connections, speaks HTTP/1 and HTTP/2, and shuts down gracefully. With
//! `hyper-client`, `HyperConnector` connects hyper-util's client.
//!
//! # Examples
//!
//! Serves a connection. The client has five seconds to send the head of a request:
//!
//! ```
//! # use std::convert::Infallible;
//! use std::time::Duration;
//!
//! use futures_io::{AsyncRead, AsyncWrite};
//! use hyper::body::Incoming;
//! use hyper::server::conn::http1;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//! use polyexec_io::hyper::{HyperIo, HyperTimer};
//!
//! async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin) -> hyper::Result<()> {
//!     http1::Builder::new()
//!         .timer(HyperTimer)
//!         .header_read_timeout(Duration::from_secs(5))
//!         .serve_connection(HyperIo::new(stream), service_fn(hello))
//!         .await
//! }
//!
//! async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     Ok(Response::new("Hello!\n".to_owned()))
//! }
//! # let served = polyexec_core::block_on(serve(futures_lite::io::Cursor::new(b"GET /".to_vec())));
//! # assert!(served.unwrap_err().is_incomplete_message());
//! ```

#[cfg(feature = "hyper-client")]
pub use connector::HyperConnector;
pub use executor::{CurrentExecutor, HyperExecutor};
pub use io::HyperIo;
#[cfg(feature = "hyper-server")]
pub use server::{HyperServer, from_tower, serve, serve_connection};
pub use timer::HyperTimer;

#[cfg(feature = "hyper-client")]
mod connector;
mod executor;
mod io;
#[cfg(feature = "hyper-server")]
mod server;
mod timer;
