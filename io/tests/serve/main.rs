//! Servers on every executor: limits, shutdowns and panics. What fails around them is in `failures`, and their times are in
//! `simulated_time`.

use std::collections::{BTreeSet, VecDeque};
use std::future::{Pending, pending, ready};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use polyexec_conformance::probe::{Gate, Tally, Trace};
use polyexec_conformance::watched;
use polyexec_core::{Executor, block_on, yield_now};
use polyexec_io::net::{Problem, Serve, TcpListener, TcpStream, serve};

use support::on_every_executor;

mod failures;
#[path = "../support/mod.rs"]
mod support;

on_every_executor! {
    many_clients_are_served
    no_more_than_the_limit_are_served_at_a_time
    a_panic_ends_its_own_connection_only
    open_connections_learn_of_the_shutdown
    what_is_cut_is_named
    dropping_a_server_aborts_its_connections
}

/// A server on a free port.
async fn server() -> (Serve<TcpListener>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (serve(listener), address)
}

/// Sends back all that comes.
async fn echo(stream: TcpStream) {
    let _ = futures_lite::io::copy(&stream, &stream).await;
}

/// Sends and receives a byte, so that the server has accepted.
async fn client(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    round_trip(&mut stream).await.unwrap();
    stream
}

async fn round_trip(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"x").await?;
    stream.read_exact(&mut [0]).await
}

/// Waits for the end of a connection, a reset or a regular one.
async fn end(mut stream: TcpStream) {
    let rest = stream.read(&mut [0]).await;
    assert!(matches!(rest, Ok(0)) || rest.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
}

/// Waits until `condition` holds, and lets other tasks run.
async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

fn many_clients_are_served(executor: impl Executor + Clone) {
    const CLIENTS: u64 = 100;
    watched!();
    let stop = Gate::new();
    executor.block_on(async {
        let (server, address) = server().await;
        let stopped = stop.clone();
        let server = server.shutdown_on(async move { stopped.opened().await });
        let server = executor.spawn(server.run(|stream, _| echo(stream)));
        let clients: Vec<_> = (0..CLIENTS).map(|_| executor.spawn(client(address))).collect();
        let mut peers = BTreeSet::new();
        for client in clients {
            peers.insert(client.await.unwrap().local_addr().unwrap());
        }
        assert_eq!(peers.len() as u64, CLIENTS);
        stop.open();
        let report = server.await.unwrap().unwrap();
        assert_eq!((report.accepted(), report.cut(), report.panicked()), (CLIENTS, &[][..], 0));
    });
}

fn no_more_than_the_limit_are_served_at_a_time(executor: impl Executor + Clone) {
    const LIMIT: usize = 3;
    const CLIENTS: usize = 20;
    watched!();
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (stop, go) = (Gate::new(), Gate::new());
    executor.block_on(async {
        let (server, address) = server().await;
        let stopped = stop.clone();
        let server = server.limit(LIMIT).shutdown_on(async move { stopped.opened().await });
        let server = executor.spawn(server.run({
            let (open, most, go) = (open.clone(), most.clone(), go.clone());
            move |mut stream, _| {
                let (open, most, go) = (open.clone(), most.clone(), go.clone());
                async move {
                    let now = open.fetch_add(1, Relaxed) + 1;
                    most.fetch_max(now, Relaxed);
                    go.opened().await;
                    let _ = stream.write_all(b"hello").await;
                    open.fetch_sub(1, Relaxed);
                }
            }
        }));
        let mut streams = VecDeque::new();
        for _ in 0..CLIENTS {
            streams.push_back(TcpStream::connect(address).await.unwrap());
        }
        until(|| open.load(Relaxed) == LIMIT).await;
        go.open();
        for mut stream in streams {
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "hello");
        }
        stop.open();
        assert_eq!(server.await.unwrap().unwrap().accepted(), CLIENTS as u64);
        assert_eq!(most.load(Relaxed), LIMIT);
    });
}

/// Both in its future and before that.
fn a_panic_ends_its_own_connection_only(executor: impl Executor + Clone) {
    watched!();
    let (stop, trace) = (Gate::new(), Trace::new());
    executor.block_on(async {
        let (server, address) = server().await;
        let (stopped, problems) = (stop.clone(), trace.clone());
        let server = server.shutdown_on(async move { stopped.opened().await }).on_problem(move |problem| {
            let Problem::Panic { peer, error, .. } = problem else { panic!("{problem}") };
            assert!(error.is_panic());
            problems.log(peer.to_string());
        });
        let served = Tally::new();
        let server = executor.spawn(server.run(move |mut stream, _| {
            served.add();
            let number = served.get();
            assert!(number != 2, "before its future");
            async move {
                assert!(number != 3, "in its future");
                while round_trip(&mut stream).await.is_ok() {}
            }
        }));
        // The server of this test begins.
        let mut first = TcpStream::connect(address).await.unwrap();
        first.read_exact(&mut [0]).await.unwrap();
        let mut gone = Vec::new();
        for panics in 1..=2 {
            let stream = TcpStream::connect(address).await.unwrap();
            gone.push(stream.local_addr().unwrap());
            end(stream).await;
            until(|| trace.events().len() == panics).await;
        }
        let mut last = TcpStream::connect(address).await.unwrap();
        for stream in [&mut first, &mut last] {
            stream.write_all(b"x").await.unwrap();
            stream.read_exact(&mut [0]).await.unwrap();
        }
        drop((first, last));
        stop.open();
        let report = server.await.unwrap().unwrap();
        assert_eq!(trace.take(), gone.iter().map(SocketAddr::to_string).collect::<Vec<_>>());
        assert_eq!((report.accepted(), report.panicked()), (4, 2));
        let (peer, error) = report.first_panic().unwrap();
        assert_eq!(*peer, gone[0]);
        assert!(error.to_string().ends_with("panicked: before its future"), "{error}");
        assert!(report.to_string().ends_with("; 2 panicked"), "{report}");
    });
}

fn open_connections_learn_of_the_shutdown(executor: impl Executor + Clone) {
    const CLIENTS: usize = 10;
    watched!();
    let stop = Gate::new();
    executor.block_on(async {
        let (server, address) = server().await;
        let stopped = stop.clone();
        let server = server.shutdown_on(async move { stopped.opened().await });
        let server = executor.spawn(server.run_with_shutdown(|mut stream, _, shutdown| async move {
            assert!(!shutdown.is_cancelled());
            // One wait that is given up, and one by a clone, whose waker changes.
            assert!(future::poll_once(shutdown.cancelled()).await.is_none());
            let clone = shutdown.clone();
            let signal = async {
                clone.cancelled().await;
                true
            };
            let served = async {
                while round_trip(&mut stream).await.is_ok() {}
                false
            };
            if future::or(served, signal).await {
                shutdown.cancelled().await;
                assert!(shutdown.is_cancelled());
                stream.write_all(b"bye").await.unwrap();
            }
        }));
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.read_exact(&mut [0]).await.unwrap();
            clients.push(stream);
        }
        stop.open();
        for mut stream in clients {
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "bye");
        }
        let report = server.await.unwrap().unwrap();
        assert_eq!((report.finished(), report.cut()), (CLIENTS, &[][..]));
    });
}

fn what_is_cut_is_named(executor: impl Executor + Clone) {
    watched!();
    let (stop, dropped) = (Gate::new(), Tally::new());
    executor.block_on(async {
        let (server, address) = server().await;
        let (stopped, drops) = (stop.clone(), dropped.clone());
        let server = server.shutdown_on(async move { stopped.opened().await }).deadline(Duration::from_millis(30));
        let server = executor.spawn(server.run(move |stream, _| {
            let dropped = drops.on_drop();
            async move {
                let _dropped = dropped;
                echo(stream).await;
            }
        }));
        let (one, two, three) = (client(address).await, client(address).await, client(address).await);
        let stay = BTreeSet::from([one.local_addr().unwrap(), three.local_addr().unwrap()]);
        drop(two);
        until(|| dropped.get() == 1).await;
        stop.open();
        let report = server.await.unwrap().unwrap();
        assert_eq!(report.cut().iter().copied().collect::<BTreeSet<_>>(), stay);
        assert_eq!((report.finished(), report.still_running(), dropped.get()), (0, 0, 3), "{report:?}");
        end(one).await;
        end(three).await;
    });
}

fn dropping_a_server_aborts_its_connections(executor: impl Executor + Clone) {
    watched!();
    let dropped = Tally::new();
    executor.block_on(async {
        let (server, address) = server().await;
        let drops = dropped.clone();
        let server = executor.spawn(server.run(move |stream, _| {
            let dropped = drops.on_drop();
            async move {
                let _dropped = dropped;
                echo(stream).await;
            }
        }));
        let streams = [client(address).await, client(address).await];
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
        for stream in streams {
            end(stream).await;
        }
        until(|| dropped.get() == 2).await;
    });
}

#[test]
#[should_panic(expected = "a server with a limit of zero connections would serve none")]
fn a_limit_of_zero_is_a_panic() {
    let _ = block_on(server()).0.limit(0);
}

#[test]
fn a_shutdown_before_the_beginning_accepts_none() {
    watched!();
    let pool = polyexec_pool::Pool::new().unwrap();
    pool.block_on(async {
        let (server, address) = server().await;
        let stream = TcpStream::connect(address).await.unwrap();
        let report = server.shutdown_on(ready("any output")).run(|stream, _| echo(stream)).await.unwrap();
        assert_eq!((report.accepted(), report.finished(), report.cut()), (0, 0, &[][..]));
        end(stream).await;
    });
}

/// Nothing can abort it. The server reports it, and goes on.
#[test]
fn a_handler_that_blocks_its_thread_does_not_block_the_shutdown() {
    watched!();
    let pool = polyexec_pool::Pool::builder().worker_threads(2).build().unwrap();
    let (blocks, go, stop) = (Gate::new(), Gate::new(), Gate::new());
    pool.block_on(async {
        let (server, address) = server().await;
        let stopped = stop.clone();
        let server = server.shutdown_on(async move { stopped.opened().await }).deadline(Duration::ZERO);
        let (blocks, go) = (blocks.clone(), go.clone());
        let server = pool.spawn(server.run({
            let (blocks, go) = (blocks.clone(), go.clone());
            move |_, _| {
                let (blocks, go) = (blocks.clone(), go.clone());
                async move {
                    blocks.open();
                    go.wait();
                }
            }
        }));
        let stream = TcpStream::connect(address).await.unwrap();
        blocks.opened().await;
        stop.open();
        let report = server.await.unwrap().unwrap();
        assert_eq!((report.cut(), report.still_running()), (&[stream.local_addr().unwrap()][..], 1));
        go.open();
        end(stream).await;
    });
}

/// A handler's future that is large is no burden for the server's.
#[test]
fn what_a_server_needs_does_not_depend_on_its_handlers() {
    let large = |stream: TcpStream, _| async move {
        let buffer = [0; 100_000];
        yield_now().await;
        drop((stream, buffer));
    };
    let server = block_on(server()).0.run(large);
    assert!(size_of_val(&server) < 2_000, "{} bytes", size_of_val(&server));
}

#[cfg(unix)]
#[test]
fn unix_sockets_are_served_too() {
    use polyexec_io::net::unix::{UnixListener, UnixStream};

    watched!();
    let path = std::env::temp_dir().join(format!("polyexec-serve-{}", std::process::id()));
    let pool = polyexec_pool::Pool::new().unwrap();
    let stop = Gate::new();
    pool.block_on(async {
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(UnixListener::bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        let stopped = stop.clone();
        let server = serve(listener).shutdown_on(async move { stopped.opened().await }).deadline(Duration::ZERO);
        let server = pool.spawn(server.run(|stream: UnixStream, peer| async move {
            assert!(peer.is_unnamed());
            let _ = futures_lite::io::copy(&stream, &stream).await;
        }));
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        stop.open();
        let report = server.await.unwrap().unwrap();
        assert_eq!(report.to_string(), "1 accepted; of those open at the shutdown, 0 finished and 1 was cut");
    });
    std::fs::remove_file(path).unwrap();
}

/// The defaults have a type that a program can name.
#[test]
fn a_server_has_a_name() {
    fn built(server: Serve<TcpListener>) -> Serve<TcpListener, Pending<()>> {
        server.limit(1)
    }
    drop(built(block_on(server()).0).shutdown_on(pending::<()>()));
}
