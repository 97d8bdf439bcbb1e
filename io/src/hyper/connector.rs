//! Connects hyper-util's client over this crate's sockets. Speaks no TLS.

use std::boxed::Box;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::hyper::Uri;
use ::hyper::http::uri::Scheme;
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

use super::HyperIo;
use crate::net::TcpStream;

/// Connects hyper-util's client over this crate's sockets. Its connections send small writes immediately.
///
/// # Examples
///
/// ```
/// use http_body_util::Empty;
/// use hyper::body::Bytes;
/// use hyper_util::client::legacy::Client;
/// use polyexec_io::hyper::{HyperConnector, HyperExecutor, HyperTimer};
///
/// let client: Client<_, Empty<Bytes>> =
///     Client::builder(HyperExecutor::default()).pool_timer(HyperTimer).build(HyperConnector::new());
/// # let _ = client;
/// ```
///
/// # Errors
///
/// The address isn't of the form `http://host` or `http://host:port`, or [`TcpStream::connect`] fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperConnector {
    with_tls: bool,
}

impl HyperConnector {
    /// Connects to addresses of the scheme `http`.
    pub const fn new() -> Self {
        Self { with_tls: false }
    }

    /// Connects to addresses of the scheme `https`, too, at port 443 if they have none. For a connector that wraps this one, and
    /// adds TLS.
    pub const fn for_tls() -> Self {
        Self { with_tls: true }
    }
}

impl Service<Uri> for HyperConnector {
    type Response = HyperIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<HyperIo<TcpStream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(connect(uri, self.with_tls))
    }
}

async fn connect(uri: Uri, with_tls: bool) -> io::Result<HyperIo<TcpStream>> {
    let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{uri}: {why}"));
    let port = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => 80,
        Some(scheme) if *scheme == Scheme::HTTPS && with_tls => 443,
        Some(scheme) if *scheme == Scheme::HTTPS => return Err(invalid("this connector speaks no TLS")),
        _ => return Err(invalid("this connector speaks http only")),
    };
    let host = uri.host().ok_or_else(|| invalid("there is no host"))?;
    // An address of IPv6 is in brackets.
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(port))).await?;
    stream.set_nodelay(true)?;
    Ok(HyperIo::vectored(stream))
}

/// Tells hyper-util's client nothing about the stream, so it speaks HTTP/1 unless it is told otherwise.
impl<T> Connection for HyperIo<T> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
