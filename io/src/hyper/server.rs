//! Serves HTTP/1 and HTTP/2 over any listener, with hyper. [`net::serve`] accepts and shuts down.

use std::error::Error;
use std::future::{Pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use ::hyper::body::{Body, Incoming};
use ::hyper::service::Service;
use ::hyper::{Request, Response};
use futures_io::{AsyncRead, AsyncWrite};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use polyexec_futures::CancellationToken;

use super::{HyperExecutor, HyperIo, HyperTimer};
use crate::net::{self, Listener, Problem, Report, ServeError};
use crate::time::{Sleep, sleep};

type BoxError = Box<dyn Error + Send + Sync>;

/// How long a client may take to send the head of a request, if the program doesn't say. hyper's own default.
const HEADER: Duration = Duration::from_secs(30);

/// Serves `service` to the connections of `listener`, over HTTP/1 or HTTP/2, as each client speaks.
///
/// For a service of tower, such as an axum router, see [`from_tower`].
///
/// # Examples
///
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
///
/// use hyper::body::Incoming;
/// use hyper::service::service_fn;
/// use hyper::{Request, Response};
/// use polyexec_io::hyper::serve;
/// use polyexec_io::net::TcpListener;
///
/// async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
///     Ok(Response::new(format!("hello {}\n", request.uri().path())))
/// }
///
/// # fn main() -> std::io::Result<()> {
/// # let pool = polyexec_pool::Pool::new()?;
/// # let ctrl_c = async {};
/// # pool.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let server = serve(listener, service_fn(hello));
/// let report = server.limit(1000).shutdown_on(ctrl_c).deadline(Duration::from_secs(5)).run().await?;
/// println!("{report}");
/// # Ok(())
/// # })
/// # }
/// ```
pub fn serve<L: Listener, S>(listener: L, service: S) -> HyperServer<L, S> {
    let mut http = auto::Builder::new(HyperExecutor::default());
    http.http1().timer(HyperTimer).header_read_timeout(HEADER);
    http.http2().timer(HyperTimer);
    HyperServer { server: net::serve(listener), service, http, header: HEADER }
}

/// Makes a service of tower, such as an axum router, one of hyper.
///
/// # Examples
///
/// ```
/// use polyexec_io::hyper::{from_tower, serve};
///
/// # fn example<Router>(router: Router, listener: polyexec_io::net::TcpListener) {
/// let server = serve(listener, from_tower(router));
/// # drop(server);
/// # }
/// ```
pub fn from_tower<S>(service: S) -> TowerToHyperService<S> {
    TowerToHyperService::new(service)
}

/// A server for HTTP that has not begun. Made by [`serve`].
///
/// # What dropping does
///
/// Closes the listener.
#[derive(Debug)]
#[must_use = "a server does nothing until it runs"]
pub struct HyperServer<L: Listener, S, F = Pending<()>, P = fn(Problem<'_, <L as Listener>::Address>)> {
    server: net::Serve<L, F, P>,
    service: S,
    http: auto::Builder<HyperExecutor>,
    header: Duration,
}

impl<L: Listener, S, F, P> HyperServer<L, S, F, P> {
    /// Serves `connections` at a time, at most: see [`net::Serve::limit`].
    ///
    /// # Panics
    ///
    /// If `connections` is zero.
    #[track_caller]
    pub fn limit(self, connections: usize) -> Self {
        Self { server: self.server.limit(connections), ..self }
    }

    /// Shuts down when `shutdown` is ready: see [`net::Serve::shutdown_on`]. Requests that have begun are answered, and idle
    /// connections are closed.
    pub fn shutdown_on<G: Future>(self, shutdown: G) -> HyperServer<L, S, G, P> {
        let Self { server, service, http, header } = self;
        HyperServer { server: server.shutdown_on(shutdown), service, http, header }
    }

    /// Aborts the requests that are not answered this long after the shutdown began: see [`net::Serve::deadline`].
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { server: self.server.deadline(deadline), ..self }
    }

    /// Calls `on_problem` for each problem: see [`net::Serve::on_problem`].
    pub fn on_problem<Q>(self, on_problem: Q) -> HyperServer<L, S, F, Q>
    where
        Q: FnMut(Problem<'_, L::Address>),
    {
        let Self { server, service, http, header } = self;
        HyperServer { server: server.on_problem(on_problem), service, http, header }
    }

    /// How long a client may take to send the head of its first request, and with HTTP/1 of each. Then its connection is closed.
    /// The default is 30 seconds.
    pub fn header_read_timeout(mut self, timeout: Duration) -> Self {
        self.http.http1().header_read_timeout(timeout);
        Self { header: timeout, ..self }
    }

    /// Calls `configure` with hyper's settings for HTTP/1 and HTTP/2. They have this crate's timer and executor.
    ///
    /// # Examples
    ///
    /// ```
    /// # use polyexec_io::{hyper::HyperServer, net::TcpListener};
    /// # fn example<S>(server: HyperServer<TcpListener, S>) -> HyperServer<TcpListener, S> {
    /// server.http(|http| {
    ///     http.http1().half_close(true).max_buf_size(64 * 1024);
    ///     http.http2().max_concurrent_streams(100);
    /// })
    /// # }
    /// ```
    pub fn http(mut self, configure: impl FnOnce(&mut auto::Builder<HyperExecutor>)) -> Self {
        configure(&mut self.http);
        self
    }

    /// Serves until the shutdown has ended, as [`net::Serve::run`] does.
    ///
    /// A client that leaves, is too slow or doesn't speak HTTP is no problem; hyper has answered if it could. A service that
    /// panics ends its connection with HTTP/1, and its request with HTTP/2; the report counts the first. A connection that was
    /// upgraded, to a WebSocket say, is the service's: neither limit nor shutdown concern it.
    ///
    /// # Errors
    ///
    /// As for [`net::Serve::run`].
    ///
    /// # Panics
    ///
    /// As for [`net::Serve::run`].
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it closes the listener and aborts the connections.
    pub async fn run<B>(self) -> Result<Report<L::Address>, ServeError<L::Address>>
    where
        L::Stream: AsyncRead + AsyncWrite + Unpin,
        F: Future,
        P: FnMut(Problem<'_, L::Address>),
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let Self { server, service, http, header } = self;
        let http = Arc::new(http);
        server
            .run_with_shutdown(move |stream, _, shutdown| {
                let (http, service) = (http.clone(), service.clone());
                async move { drop(connection(stream, service, &http, header, shutdown).await) }
            })
            .await
    }
}

/// Serves one connection: for a program whose connections begin with something else, such as TLS.
///
/// Once `shutdown` is cancelled, it answers the requests that have begun, and closes the connection.
///
/// # Examples
///
/// ```
/// # use std::io;
/// # use polyexec_io::net::TcpStream;
/// # async fn accept_tls(stream: TcpStream) -> io::Result<TcpStream> { Ok(stream) }
/// # fn main() -> io::Result<()> {
/// # use std::convert::Infallible;
/// # use hyper::{Request, Response, body::Incoming};
/// # let ctrl_c = async {};
/// use hyper::service::service_fn;
/// use polyexec_io::hyper::serve_connection;
/// use polyexec_io::net::{TcpListener, serve};
///
/// # async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> { Ok(Response::default()) }
/// # polyexec_pool::Pool::new()?.block_on(async {
/// let server = serve(TcpListener::bind("127.0.0.1:0").await?).shutdown_on(ctrl_c);
/// server
///     .run_with_shutdown(|stream, peer, shutdown| async move {
///         let Ok(stream) = accept_tls(stream).await else { return };
///         if let Err(error) = serve_connection(stream, service_fn(hello), shutdown).await {
///             eprintln!("{peer}: {error}");
///         }
///     })
///     .await?;
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// hyper's, or the timeout of a client that sends no request.
///
/// # Panics
///
/// If the service does, with HTTP/1.
///
/// # Cancel safety
///
/// Dropped early, it closes the connection.
pub async fn serve_connection<T, S, B>(stream: T, service: S, shutdown: CancellationToken) -> Result<(), BoxError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let mut http = auto::Builder::new(HyperExecutor::default());
    http.http1().timer(HyperTimer).header_read_timeout(HEADER);
    http.http2().timer(HyperTimer);
    connection(stream, service, &http, HEADER, shutdown).await
}

async fn connection<T, S, B>(
    stream: T,
    service: S,
    http: &auto::Builder<HyperExecutor>,
    header: Duration,
    shutdown: CancellationToken,
) -> Result<(), BoxError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let begun = Arc::new(AtomicBool::new(false));
    let service = Begins { service, begun: begun.clone() };
    let mut connection = pin!(http.serve_connection_with_upgrades(HyperIo::vectored(stream), service));
    let mut shutdown = pin!(shutdown.cancelled());
    let mut shuts_down = false;
    // hyper's own timeout begins only after it knows the version.
    let mut silence = Some(sleep(header));
    poll_fn(|cx| {
        // Before the signal: a request that has arrived is answered.
        if let Poll::Ready(end) = connection.as_mut().poll(cx) {
            return Poll::Ready(end);
        }
        if !shuts_down && shutdown.as_mut().poll(cx).is_ready() {
            shuts_down = true;
            connection.as_mut().graceful_shutdown();
            if let Poll::Ready(end) = connection.as_mut().poll(cx) {
                // Closed before the first request: that is no error.
                return Poll::Ready(if begun.load(Relaxed) { end } else { Ok(()) });
            }
        }
        if begun.load(Relaxed) {
            silence = None;
        }
        poll_silence(&mut silence, cx)
    })
    .await
}

/// An error once the timeout is over, if there is one.
fn poll_silence(silence: &mut Option<Sleep>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
    match silence {
        Some(silence) => Pin::new(silence).poll(cx).map(|()| {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the client has sent no request");
            Err(error.into())
        }),
        None => Poll::Pending,
    }
}

/// A service that knows whether it was called.
struct Begins<S> {
    service: S,
    /// Set and read in polls of the same connection, so any ordering will do.
    begun: Arc<AtomicBool>,
}

impl<R, S: Service<R>> Service<R> for Begins<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: R) -> S::Future {
        self.begun.store(true, Relaxed);
        self.service.call(request)
    }
}
