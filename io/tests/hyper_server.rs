//! `hyper::serve` and the client's connector, with HTTP/1 and HTTP/2, on every executor.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::client::legacy::Client;
use polyexec_conformance::probe::{Gate, Tally};
use polyexec_conformance::watched;
use polyexec_core::{Executor, JoinHandle};
use polyexec_io::hyper::{
    HyperConnector, HyperExecutor, HyperIo, HyperServer, HyperTimer, from_tower, serve, serve_connection,
};
use polyexec_io::net::{self, Report, TcpListener, TcpStream};
use polyexec_io::time::sleep;
use tower_service::Service;

use support::on_every_executor;

mod support;

on_every_executor! {
    each_client_speaks_its_version
    what_has_begun_is_answered_and_what_is_idle_ends
    what_takes_too_long_is_cut
    a_client_that_says_nothing_is_cut
    a_panic_ends_its_connection_or_its_request
    a_service_of_tower_is_served_as_soon_as_it_is_ready
    an_upgraded_connection_belongs_to_its_service
    a_connection_may_begin_with_something_else
    hyper_utils_client_connects_with_us
}

type Served = JoinHandle<Report<SocketAddr>>;

/// Runs a server until the gate opens, for half a minute at most.
async fn start<S>(
    executor: &(impl Executor + Clone),
    service: S,
    set: impl FnOnce(HyperServer<TcpListener, S>) -> HyperServer<TcpListener, S>,
) -> (SocketAddr, Gate, Served)
where
    S: hyper::service::Service<
            Request<Incoming>,
            Response = Response<Full<Bytes>>,
            Error: Send,
            Future: Send + 'static,
        >,
    S: Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Gate::new();
    let stopped = stop.clone();
    let server = set(serve(listener, service)).shutdown_on(async move { stopped.opened().await });
    let served = executor.spawn(async { server.run().await.unwrap() });
    (address, stop, served)
}

/// The version and the path.
async fn tell(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!("{:?} {}", request.version(), request.uri().path());
    Ok(Response::new(Full::from(text)))
}

fn get(address: SocketAddr, path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://{address}{path}")).body(Empty::new()).unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A client of HTTP/1.
async fn client(executor: &(impl Executor + Clone), address: SocketAddr) -> http1::SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (one, connection) = http1::handshake(HyperIo::new(stream)).await.unwrap();
    drop(executor.spawn(connection));
    one
}

/// A client of each version.
async fn clients(
    executor: &(impl Executor + Clone),
    address: SocketAddr,
) -> (http1::SendRequest<Empty<Bytes>>, http2::SendRequest<Empty<Bytes>>) {
    let one = client(executor, address).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let (two, connection) =
        http2::Builder::new(HyperExecutor::new(executor.clone())).handshake(HyperIo::new(stream)).await.unwrap();
    drop(executor.spawn(connection));
    (one, two)
}

fn each_client_speaks_its_version(executor: impl Executor + Clone) {
    watched!();
    executor.block_on(async {
        let (address, stop, served) = start(&executor, service_fn(tell), |server| server.limit(2)).await;
        let (mut one, mut two) = clients(&executor, address).await;
        for _ in 0..3 {
            one.ready().await.unwrap();
            assert_eq!(text(one.send_request(get(address, "/one")).await.unwrap()).await, "HTTP/1.1 /one");
            assert_eq!(text(two.send_request(get(address, "/two")).await.unwrap()).await, "HTTP/2.0 /two");
        }
        stop.open();
        let report = served.await.unwrap();
        assert_eq!((report.accepted(), report.cut()), (2, &[][..]));
    });
}

fn what_has_begun_is_answered_and_what_is_idle_ends(executor: impl Executor + Clone) {
    watched!();
    let (begun, go) = (Tally::new(), Gate::new());
    executor.block_on(async {
        let slow = {
            let (begun, go) = (begun.clone(), go.clone());
            service_fn(move |request: Request<Incoming>| {
                let (begun, go) = (begun.clone(), go.clone());
                async move {
                    if request.uri().path() == "/slow" {
                        begun.add();
                        go.opened().await;
                    }
                    tell(request).await
                }
            })
        };
        let (address, stop, served) = start(&executor, slow, |server| server).await;
        let (mut idle_one, mut idle_two) = clients(&executor, address).await;
        idle_one.send_request(get(address, "/")).await.unwrap();
        idle_two.send_request(get(address, "/")).await.unwrap();
        let (mut one, mut two) = clients(&executor, address).await;
        let one = executor.spawn(one.send_request(get(address, "/slow")));
        let two = executor.spawn(two.send_request(get(address, "/slow")));
        let mut silent = TcpStream::connect(address).await.unwrap();
        // The silent one is accepted, too: its successors are served.
        let (mut last_one, mut last_two) = clients(&executor, address).await;
        last_one.send_request(get(address, "/")).await.unwrap();
        last_two.send_request(get(address, "/")).await.unwrap();
        while begun.get() < 2 {
            polyexec_core::yield_now().await;
        }
        stop.open();
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0, "it is closed without an answer");
        go.open();
        assert_eq!(text(one.await.unwrap().unwrap()).await, "HTTP/1.1 /slow");
        assert_eq!(text(two.await.unwrap().unwrap()).await, "HTTP/2.0 /slow");
        let report = served.await.unwrap();
        assert_eq!((report.accepted(), report.cut()), (7, &[][..]), "{report:?}");
        // Their connections are tasks, which see the end of the server a moment later.
        while idle_one.ready().await.is_ok() || idle_two.ready().await.is_ok() {
            polyexec_core::yield_now().await;
        }
    });
}

fn what_takes_too_long_is_cut(executor: impl Executor + Clone) {
    watched!();
    let begun = Gate::new();
    executor.block_on(async {
        let never = {
            let begun = begun.clone();
            service_fn(move |request: Request<Incoming>| {
                begun.open();
                async move {
                    std::future::pending::<()>().await;
                    tell(request).await
                }
            })
        };
        let server = start(&executor, never, |server| server.deadline(Duration::from_millis(20)));
        let (address, stop, served) = server.await;
        // Alone: the end of another connection might take longer than the deadline.
        let mut one = client(&executor, address).await;
        let request = executor.spawn(one.send_request(get(address, "/")));
        begun.opened().await;
        stop.open();
        assert!(request.await.unwrap().is_err());
        assert_eq!(served.await.unwrap().cut().len(), 1);
    });
}

fn a_client_that_says_nothing_is_cut(executor: impl Executor + Clone) {
    const PATIENCE: Duration = Duration::from_millis(250);
    watched!();
    executor.block_on(async {
        let begin = Instant::now();
        let server = start(&executor, service_fn(tell), |server| server.header_read_timeout(PATIENCE));
        let (address, stop, served) = server.await;
        // Nothing; a part of HTTP/1; a part of what may be either; a part of HTTP/2; one request, and a part of another.
        let parts = [
            ("", 0),
            ("GET / HTTP/1.1\r\nHost:", 0),
            ("P", 0),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0),
            ("GET / HTTP/1.1\r\nHost: here\r\n\r\nGET / HTTP/1.1\r\nHost:", 1),
        ];
        let clients_of_parts = parts.map(|(part, answers)| {
            executor.spawn(async move {
                let begin = Instant::now();
                let mut stream = TcpStream::connect(address).await.unwrap();
                // On a machine under load this may come too late.
                let _ = stream.write_all(part.as_bytes()).await;
                let in_time = begin.elapsed() < PATIENCE / 2;
                let mut heard = Vec::new();
                let _ = stream.read_to_end(&mut heard).await;
                let heard = String::from_utf8_lossy(&heard);
                let answered = heard.matches("HTTP/1.1 200 ").count();
                assert!(answered == answers || answered == 0 && !in_time, "{heard:?} for {part:?}");
            })
        });
        for client in clients_of_parts {
            client.await.unwrap();
        }
        assert!(begin.elapsed() >= PATIENCE, "{:?}", begin.elapsed());
        // A connection of HTTP/2 stays after its first request. That may come too late, too: then another one tries.
        let mut two = loop {
            let (_, mut two) = clients(&executor, address).await;
            if let Ok(response) = two.send_request(get(address, "/")).await {
                assert_eq!(text(response).await, "HTTP/2.0 /");
                break two;
            }
        };
        sleep(2 * PATIENCE).await;
        assert_eq!(text(two.send_request(get(address, "/")).await.unwrap()).await, "HTTP/2.0 /");
        stop.open();
        assert_eq!(served.await.unwrap().cut(), []);
    });
}

fn a_panic_ends_its_connection_or_its_request(executor: impl Executor + Clone) {
    watched!();
    executor.block_on(async {
        let service = service_fn(|request: Request<Incoming>| async move {
            assert_ne!(request.uri().path(), "/panic", "this is a test");
            tell(request).await
        });
        let (address, stop, served) = start(&executor, service, |server| server).await;
        let (mut one, mut two) = clients(&executor, address).await;
        assert!(one.send_request(get(address, "/panic")).await.is_err());
        assert!(two.send_request(get(address, "/panic")).await.is_err());
        assert_eq!(text(two.send_request(get(address, "/")).await.unwrap()).await, "HTTP/2.0 /");
        let mut one = client(&executor, address).await;
        assert_eq!(text(one.send_request(get(address, "/")).await.unwrap()).await, "HTTP/1.1 /");
        stop.open();
        let report = served.await.unwrap();
        assert_eq!(report.panicked(), 1, "{report}");
    });
}

/// A service of tower that must be ready before each call.
#[derive(Clone, Default)]
struct Shy {
    asked: bool,
    ready: bool,
}

impl Service<Request<Incoming>> for Shy {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if !std::mem::replace(&mut self.asked, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        assert!(self.ready, "it was not asked whether it is ready");
        Box::pin(tell(request))
    }
}

fn a_service_of_tower_is_served_as_soon_as_it_is_ready(executor: impl Executor + Clone) {
    watched!();
    executor.block_on(async {
        let (address, stop, served) = start(&executor, from_tower(Shy::default()), |server| server).await;
        let (mut one, mut two) = clients(&executor, address).await;
        assert_eq!(text(one.send_request(get(address, "/")).await.unwrap()).await, "HTTP/1.1 /");
        assert_eq!(text(two.send_request(get(address, "/")).await.unwrap()).await, "HTTP/2.0 /");
        stop.open();
        assert_eq!(served.await.unwrap().cut(), []);
    });
}

fn an_upgraded_connection_belongs_to_its_service(executor: impl Executor + Clone) {
    watched!();
    executor.block_on(async {
        let upgrade = service_fn(|request: Request<Incoming>| async move {
            drop(polyexec_core::spawn(async move {
                let mut upgraded = hyper::upgrade::on(request).await.unwrap();
                let mut room = [0; 1];
                let mut byte = hyper::rt::ReadBuf::new(&mut room);
                future::poll_fn(|cx| hyper::rt::Read::poll_read(Pin::new(&mut upgraded), cx, byte.unfilled()))
                    .await
                    .unwrap();
                let byte = byte.filled().to_vec();
                future::poll_fn(|cx| hyper::rt::Write::poll_write(Pin::new(&mut upgraded), cx, &byte)).await.unwrap();
            }));
            let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS).header("upgrade", "echo");
            response.header("connection", "upgrade").body(Full::<Bytes>::default())
        });
        let (address, stop, served) = start(&executor, upgrade, |server| server).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = "GET / HTTP/1.1\r\nHost: here\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{:?}", String::from_utf8_lossy(&head));
        stop.open();
        assert_eq!(served.await.unwrap().cut(), []);
        // After the server's end.
        stream.write_all(b"x").await.unwrap();
        let mut echo = Vec::new();
        stream.read_to_end(&mut echo).await.unwrap();
        assert_eq!(echo, b"x");
    });
}

fn a_connection_may_begin_with_something_else(executor: impl Executor + Clone) {
    watched!();
    let stop = Gate::new();
    executor.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = stop.clone();
        let server = net::serve(listener).shutdown_on(async move { stopped.opened().await });
        let served = executor.spawn(server.run_with_shutdown(|mut stream, _, shutdown| async move {
            stream.read_exact(&mut [0]).await.unwrap();
            serve_connection(stream, service_fn(tell), shutdown).await.unwrap();
        }));
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(b"!").await.unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"!").await.unwrap();
        let (mut one, connection) = http1::handshake(HyperIo::new(stream)).await.unwrap();
        let connection = executor.spawn(connection);
        assert_eq!(text(one.send_request(get(address, "/")).await.unwrap()).await, "HTTP/1.1 /");
        stop.open();
        let report = served.await.unwrap().unwrap();
        assert_eq!((report.finished(), report.panicked()), (2, 0), "{:?}", report.first_panic());
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
        connection.await.unwrap().unwrap();
    });
}

fn hyper_utils_client_connects_with_us(executor: impl Executor + Clone) {
    watched!();
    executor.block_on(async {
        let (address, stop, served) = start(&executor, service_fn(tell), |server| server).await;
        let client: Client<_, Empty<Bytes>> =
            Client::builder(HyperExecutor::default()).pool_timer(HyperTimer).build(HyperConnector::new());
        for path in ["/one", "/two"] {
            let response = client.request(get(address, path)).await.unwrap();
            assert_eq!(response.version(), Version::HTTP_11);
            assert_eq!(text(response).await, format!("HTTP/1.1 {path}"));
        }
        let two: Client<_, Empty<Bytes>> =
            Client::builder(HyperExecutor::default()).http2_only(true).build(HyperConnector::new());
        assert_eq!(text(two.request(get(address, "/two")).await.unwrap()).await, "HTTP/2.0 /two");
        drop((client, two));
        stop.open();
        assert_eq!(served.await.unwrap().cut(), []);
    });
}

#[test]
#[should_panic(expected = "a server with a limit of zero connections would serve none")]
fn a_limit_of_zero_is_a_panic() {
    let listener = polyexec_core::block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let _ = serve(listener, service_fn(tell)).limit(0);
}

async fn connect(connector: &mut HyperConnector, uri: &str) -> io::Result<HyperIo<TcpStream>> {
    future::poll_fn(|cx| connector.poll_ready(cx)).await?;
    connector.call(uri.parse::<Uri>().unwrap()).await
}

#[test]
fn a_connector_says_what_is_wrong_with_an_address() {
    watched!();
    polyexec_core::block_on(async {
        for (uri, why) in [
            ("https://127.0.0.1/", "https://127.0.0.1/: this connector speaks no TLS"),
            ("ftp://127.0.0.1/", "ftp://127.0.0.1/: this connector speaks http only"),
            ("/path", "/path: this connector speaks http only"),
        ] {
            let error = connect(&mut HyperConnector::new(), uri).await.unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::InvalidInput, why.to_owned()));
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        for scheme in ["http", "https"] {
            let stream = connect(&mut HyperConnector::for_tls(), &format!("{scheme}://{address}/")).await.unwrap();
            assert_eq!(stream.get_ref().peer_addr().unwrap(), address);
            assert!(stream.get_ref().nodelay().unwrap());
        }
        // The brackets are no part of the address. Not every system has IPv6.
        if let Ok(listener) = TcpListener::bind("[::1]:0").await {
            let address = listener.local_addr().unwrap();
            connect(&mut HyperConnector::new(), &format!("http://{address}/")).await.unwrap();
        }
    });
}
