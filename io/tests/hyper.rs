//! hyper's clients and servers, with HTTP/1 and HTTP/2, on every executor.

use std::convert::Infallible;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1 as client1, http2 as client2};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Version};
use polyexec_conformance::probe::Gate;
use polyexec_conformance::watched;
use polyexec_core::Executor;
use polyexec_io::hyper::{HyperExecutor, HyperIo, HyperTimer};
use polyexec_io::net::{TcpListener, TcpStream};

use support::on_every_executor;

mod support;

/// More bytes than all buffers on the way hold.
const LARGE: usize = 9 << 20;

type Body = BoxBody<Bytes, hyper::Error>;

on_every_executor! {
    a_connection_is_kept_alive
    large_bodies_go_both_ways
    a_graceful_shutdown_lets_a_request_end
    a_graceful_shutdown_ends_an_idle_connection
    a_head_that_does_not_come_is_a_timeout
    the_end_is_sent_while_others_have_the_stream
    http_2_spawns_on_the_executor
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn connect(executor: &(impl Executor + Clone), address: SocketAddr) -> client1::SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = client1::handshake(HyperIo::new(stream)).await.unwrap();
    drop(executor.spawn(connection));
    sender
}

fn post(body: impl Into<Bytes>) -> Request<Body> {
    Request::builder().method(Method::POST).uri("/").header("host", "here").body(full(body)).unwrap()
}

/// Echoes the request's body as a stream.
async fn echo(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(request.into_body().boxed()))
}

async fn bytes(response: Response<Incoming>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

/// Bytes with a period that is no power of two.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

fn a_connection_is_kept_alive(executor: impl Executor + Clone) {
    watched!();
    executor.block_on(async {
        let (listener, address) = listen().await;
        let server = executor.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            drop(listener); // A second connection would be refused.
            http1::Builder::new().serve_connection(HyperIo::vectored(stream), service_fn(echo)).await
        });
        let mut sender = connect(&executor, address).await;
        for text in ["one", "two", "three"] {
            sender.ready().await.unwrap();
            assert_eq!(bytes(sender.send_request(post(text)).await.unwrap()).await, text);
        }
        drop(sender);
        server.await.unwrap().unwrap();
    });
}

fn large_bodies_go_both_ways(executor: impl Executor + Clone) {
    watched!();
    executor.block_on(async {
        for io in [HyperIo::new, HyperIo::vectored] {
            let (listener, address) = listen().await;
            let server = executor.spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                http1::Builder::new().serve_connection(io(stream), service_fn(echo)).await
            });
            let mut sender = connect(&executor, address).await;
            let response = sender.send_request(post(pattern(LARGE))).await.unwrap();
            assert!(bytes(response).await == pattern(LARGE), "what came back is not what was sent");
            drop(sender);
            server.await.unwrap().unwrap();
        }
    });
}

fn a_graceful_shutdown_lets_a_request_end(executor: impl Executor + Clone) {
    watched!();
    let (arrived, go) = (Gate::new(), Gate::new());
    executor.block_on(async {
        let (listener, address) = listen().await;
        let server = executor.spawn({
            let (arrived, go) = (arrived.clone(), go.clone());
            async move {
                let (stream, _) = listener.accept().await.unwrap();
                let service = service_fn(|request: Request<Incoming>| {
                    arrived.open();
                    let go = go.clone();
                    async move {
                        go.opened().await;
                        echo(request).await
                    }
                });
                let mut connection = pin!(http1::Builder::new().serve_connection(HyperIo::new(stream), service));
                future::or(async { connection.as_mut().await.unwrap() }, arrived.opened()).await;
                connection.as_mut().graceful_shutdown();
                go.open();
                connection.await
            }
        });
        let mut sender = connect(&executor, address).await;
        let response = sender.send_request(post("the last one")).await.unwrap();
        assert_eq!(response.headers()["connection"], "close");
        assert_eq!(bytes(response).await, "the last one");
        server.await.unwrap().unwrap();
        assert!(sender.ready().await.is_err(), "the connection is over");
    });
}

fn a_graceful_shutdown_ends_an_idle_connection(executor: impl Executor + Clone) {
    watched!();
    let stop = Gate::new();
    executor.block_on(async {
        let (listener, address) = listen().await;
        let server = executor.spawn({
            let stop = stop.clone();
            async move {
                let (stream, _) = listener.accept().await.unwrap();
                let mut connection =
                    pin!(http1::Builder::new().serve_connection(HyperIo::new(stream), service_fn(echo)));
                future::or(async { connection.as_mut().await.unwrap() }, stop.opened()).await;
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        });
        let mut sender = connect(&executor, address).await;
        assert_eq!(bytes(sender.send_request(post("first")).await.unwrap()).await, "first");
        stop.open();
        server.await.unwrap().unwrap();
    });
}

fn a_head_that_does_not_come_is_a_timeout(executor: impl Executor + Clone) {
    const PATIENCE: Duration = Duration::from_millis(60);
    watched!();
    executor.block_on(async {
        let (listener, address) = listen().await;
        let mut peer = std::net::TcpStream::connect(address).unwrap();
        peer.write_all(b"GET / HT").unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let begin = Instant::now();
        let served = http1::Builder::new()
            .timer(HyperTimer)
            .header_read_timeout(PATIENCE)
            .serve_connection(HyperIo::new(stream), service_fn(echo))
            .await;
        assert!(served.unwrap_err().is_timeout());
        assert!(begin.elapsed() >= PATIENCE, "{:?} of {PATIENCE:?}", begin.elapsed());
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "", "no request, no answer");
    });
}

/// hyper shuts the stream down when it is done, instead of leaving that to the last clone's drop.
fn the_end_is_sent_while_others_have_the_stream(executor: impl Executor + Clone) {
    watched!();
    executor.block_on(async {
        let (listener, address) = listen().await;
        let mut peer = TcpStream::connect(address).await.unwrap();
        peer.write_all(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let clone = stream.clone();
        http1::Builder::new().serve_connection(HyperIo::new(stream), service_fn(echo)).await.unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        drop(clone);
    });
}

fn http_2_spawns_on_the_executor(executor: impl Executor + Clone) {
    const REQUESTS: usize = 20;
    watched!();
    let served = Arc::new(AtomicUsize::new(0));
    executor.block_on(async {
        let (listener, address) = listen().await;
        let server = executor.spawn({
            let (executor, served) = (HyperExecutor::new(executor.clone()), served.clone());
            async move {
                let (stream, _) = listener.accept().await.unwrap();
                let service = service_fn(move |request: Request<Incoming>| {
                    assert_eq!(request.version(), Version::HTTP_2);
                    served.fetch_add(1, Relaxed);
                    echo(request)
                });
                http2::Builder::new(executor)
                    .timer(HyperTimer)
                    .serve_connection(HyperIo::vectored(stream), service)
                    .await
            }
        });
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = client2::Builder::new(HyperExecutor::new(executor.clone()))
            .timer(HyperTimer)
            .handshake(HyperIo::vectored(stream))
            .await
            .unwrap();
        let connection = executor.spawn(connection);
        let requests: Vec<_> = (0..REQUESTS)
            .map(|n| {
                let mut sender = sender.clone();
                executor.spawn(async move {
                    let body = pattern(10_000 * n);
                    let request = Request::post("http://here/").body(full(body.clone())).unwrap();
                    bytes(sender.send_request(request).await.unwrap()).await == body
                })
            })
            .collect();
        for request in requests {
            assert!(request.await.unwrap());
        }
        assert_eq!(served.load(Relaxed), REQUESTS);
        drop(sender);
        connection.await.unwrap().unwrap();
        server.await.unwrap().unwrap();
    });
}

/// An executor that has shut down drops what hyper spawns; nothing hangs, nothing panics.
#[test]
fn an_executor_that_has_shut_down_drops_what_hyper_spawns() {
    watched!();
    let handle = polyexec_local::Local::new().handle();
    let (dropped, is_dropped) = std::sync::mpsc::channel::<()>();
    hyper::rt::Executor::execute(&HyperExecutor::new(handle), async move {
        let _dropped = dropped;
        std::future::pending::<()>().await;
    });
    assert!(is_dropped.recv().is_err(), "the future is gone");
}

/// hyper's calls reach the stream, and its errors reach hyper.
#[test]
fn reads_fill_what_there_is_room_for() {
    use hyper::rt::{Read, ReadBuf};

    let mut io = HyperIo::new(futures_lite::io::Cursor::new(b"more than there is room for".to_vec()));
    let mut text = Vec::new();
    loop {
        let mut room = [std::mem::MaybeUninit::uninit(); 10];
        let mut buffer = ReadBuf::uninit(&mut room);
        future::block_on(future::poll_fn(|cx| pin!(&mut io).poll_read(cx, buffer.unfilled()))).unwrap();
        match buffer.filled() {
            [] => break,
            read => text.extend_from_slice(read),
        }
    }
    assert_eq!(text, b"more than there is room for");
}

/// A stream may read from another one in its own read, on the same thread, in the same poll.
#[test]
fn a_read_within_a_read_has_a_buffer_of_its_own() {
    use std::task::{Context, Poll};

    use futures_io::AsyncRead;
    use hyper::rt::{Read, ReadBuf};

    struct Outer(HyperIo<futures_lite::io::Cursor<Vec<u8>>>);

    impl AsyncRead for Outer {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            buffer[..5].copy_from_slice(b"outer");
            let mut inner = [0; 5];
            let mut inner = ReadBuf::new(&mut inner);
            let read = pin!(&mut self.0).poll_read(cx, inner.unfilled());
            assert!(read.is_ready());
            buffer[5..10].copy_from_slice(inner.filled());
            Poll::Ready(Ok(10))
        }
    }

    let mut io = HyperIo::new(Outer(HyperIo::new(futures_lite::io::Cursor::new(b"inner".to_vec()))));
    let mut room = [0; 64];
    let mut buffer = ReadBuf::new(&mut room);
    future::block_on(future::poll_fn(|cx| pin!(&mut io).poll_read(cx, buffer.unfilled()))).unwrap();
    assert_eq!(buffer.filled(), b"outerinner");
}
