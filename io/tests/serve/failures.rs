//! Servers whose listener, executor or port fails.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::future;
use polyexec_conformance::probe::{Gate, Tally, Trace};
use polyexec_conformance::watched;
use polyexec_core::executor::{Rejected, Task};
use polyexec_core::{Executor, block_on};
use polyexec_io::net::{Listener, TcpListener, TcpStream, serve};

use crate::support::on_every_executor;
use crate::{client, echo, end, server};

on_every_executor! {
    errors_of_peers_and_shortages_end_no_server
    a_broken_listener_ends_the_server
    an_executor_without_a_thread_keeps_the_connection
    an_executor_that_has_shut_down_ends_the_server
}

/// Fails as a test says, and then accepts as a listener.
struct Failing {
    listener: TcpListener,
    errors: Mutex<VecDeque<io::Error>>,
}

impl Failing {
    fn new(listener: TcpListener, errors: impl IntoIterator<Item = io::Error>) -> Self {
        Self { listener, errors: Mutex::new(errors.into_iter().collect()) }
    }
}

impl Listener for Failing {
    type Stream = TcpStream;
    type Address = SocketAddr;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        match self.errors.lock().unwrap().pop_front() {
            Some(error) => Poll::Ready(Err(error)),
            None => self.listener.poll_accept(cx),
        }
    }
}

fn errors_of_peers_and_shortages_end_no_server(executor: impl Executor + Clone) {
    watched!();
    let (stop, trace) = (Gate::new(), Trace::new());
    executor.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let aborted = || ErrorKind::ConnectionAborted.into();
        let errors = [aborted(), io::Error::other("no file"), aborted(), io::Error::other("no file"), aborted()];
        let (stopped, problems) = (stop.clone(), trace.clone());
        let server = serve(Failing::new(listener, errors))
            .shutdown_on(async move { stopped.opened().await })
            .on_problem(move |problem| problems.log(problem.to_string()));
        let server = executor.spawn(server.run(|stream, _| echo(stream)));
        drop(client(address).await);
        stop.open();
        assert_eq!(server.await.unwrap().unwrap().accepted(), 1);
        assert_eq!(trace, ["can't take more connections: no file; 0 are open"]);
    });
}

fn a_broken_listener_ends_the_server(executor: impl Executor + Clone) {
    watched!();
    executor.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stuck = TcpStream::connect(address).await.unwrap();
        let broken = |cx: &mut Context<'_>, listener: &TcpListener, calls: &Tally| match calls.get() {
            0 => listener.poll_accept(cx).map_ok(|accepted| {
                calls.add();
                accepted
            }),
            _ => Poll::Ready(Err(io::Error::new(ErrorKind::InvalidInput, "it listens no more"))),
        };
        struct Breaking<F>(TcpListener, Tally, F);
        impl<F> Listener for Breaking<F>
        where
            F: Fn(&mut Context<'_>, &TcpListener, &Tally) -> Poll<io::Result<(TcpStream, SocketAddr)>>,
        {
            type Stream = TcpStream;
            type Address = SocketAddr;
            fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
                (self.2)(cx, &self.0, &self.1)
            }
        }
        let server = serve(Breaking(listener, Tally::new(), broken)).deadline(Duration::from_millis(20));
        let error = executor.spawn(server.run(|stream, _| echo(stream))).await.unwrap().unwrap_err();
        assert_eq!(error.report().accepted(), 1);
        assert_eq!(error.report().cut(), [stuck.local_addr().unwrap()]);
        end(stuck).await;
        let error = io::Error::from(error);
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::InvalidInput, "it listens no more".to_owned()));
    });
}

/// Refuses some tasks.
#[derive(Clone)]
struct Sparing<E> {
    executor: E,
    refuses: Arc<AtomicUsize>,
    shut_down: bool,
}

impl<E: Executor + Clone> Executor for Sparing<E> {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        let refuses = self.refuses.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        match (refuses, self.shut_down) {
            (false, _) => self.executor.submit(task),
            (true, false) => Err(Rejected::unable(task, "no thread")),
            (true, true) => Err(Rejected::shut_down(task)),
        }
    }

    fn schedule(&self, task: Task) {
        self.executor.schedule(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let _context = polyexec_core::executor::context::enter(polyexec_core::Handle::new(self.clone()));
        block_on(future);
    }
}

fn an_executor_without_a_thread_keeps_the_connection(executor: impl Executor + Clone) {
    watched!();
    let trace = Trace::new();
    let refuses = Arc::new(AtomicUsize::new(3));
    let sparing = Sparing { executor: executor.clone(), refuses, shut_down: false };
    executor.block_on(async {
        let (server, address) = server().await;
        let problems = trace.clone();
        let run = server.on_problem(move |problem| problems.log(problem.to_string())).run(|stream, _| echo(stream));
        let server = on(&sparing, run);
        future::or(async { drop(client(address).await) }, async { drop(server.await) }).await;
        let text = "can't take more connections: the executor couldn't take the task: no thread; 0 are open";
        assert_eq!(trace, [text]);
    });
}

fn an_executor_that_has_shut_down_ends_the_server(executor: impl Executor + Clone) {
    watched!();
    let sparing = Sparing { executor: executor.clone(), refuses: Arc::new(AtomicUsize::new(1)), shut_down: true };
    executor.block_on(async {
        let (server, address) = server().await;
        let stream = TcpStream::connect(address).await.unwrap();
        let error = on(&sparing, server.run(|stream, _| echo(stream))).await.unwrap_err();
        assert_eq!(error.report().cut(), [stream.local_addr().unwrap()]);
        assert_eq!(io::Error::from(error).to_string(), "the executor has shut down");
        end(stream).await;
    });
}

/// Polls `future` where `executor` is the current one.
async fn on<F: Future>(executor: &(impl Executor + Clone), future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| {
        let _context = polyexec_core::executor::context::enter(polyexec_core::Handle::new(executor.clone()));
        future.as_mut().poll(cx)
    })
    .await
}

#[test]
fn without_an_executor_the_error_says_so() {
    watched!();
    let served = block_on(async { server().await.0.run(|stream, _| echo(stream)).await });
    let error = served.unwrap_err();
    assert_eq!(error.report().accepted(), 0);
    assert!(format!("{error:?}").contains("no executor runs on this thread"), "{error:?}");
    assert_eq!(io::Error::from(error).kind(), ErrorKind::Unsupported);
}

#[test]
fn a_second_server_on_the_port_can_not_bind() {
    watched!();
    let pool = polyexec_pool::Pool::new().unwrap();
    pool.block_on(async {
        let (server, address) = server().await;
        let server = pool.spawn(server.run(|stream, _| echo(stream)));
        let stream = client(address).await;
        assert_eq!(TcpListener::bind(address).await.unwrap_err().kind(), ErrorKind::AddrInUse);
        server.abort();
        end(stream).await;
    });
}
