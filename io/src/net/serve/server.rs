//! A running server: accepts connections until the shutdown, then waits for those that are open. Its parts decide about errors,
//! pauses and ends.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use polyexec_core::task::consume_budget;
use polyexec_core::{Executor, Handle, JoinError};
use polyexec_futures::CancellationToken;

use super::accept_error::{Concerns, concerns};
use super::backoff::Backoff;
use super::connections::Connections;
use super::{Listener, Problem, Report, ServeError};
use crate::time::timeout;

/// How long a server waits for the ends of connections that it has aborted. Only a handler that blocks its thread takes longer.
const ABORTED: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) limit: usize,
    pub(super) deadline: Option<Duration>,
}

/// # What dropping does
///
/// Aborts the connections.
pub(super) struct Server<A, P, H> {
    executor: Handle,
    settings: Settings,
    on_problem: P,
    handler: Arc<H>,
    open: Connections<A>,
    backoff: Backoff,
    /// Cancelled once the server shuts down.
    shutdown: CancellationToken,
    report: Report<A>,
}

enum Event<S, A> {
    Shutdown,
    Ended(A, Result<(), JoinError>),
    Accepted(io::Result<(S, A)>),
    /// The pause is over, and there is a connection that the executor refused.
    Retry,
}

/// A connection for which the executor has no thread now.
struct Refused<A> {
    /// In a box, so that the server's future isn't as large as this one.
    connection: Pin<Box<dyn Future<Output = ()> + Send>>,
    peer: A,
}

impl<A, P, H> Server<A, P, H>
where
    A: Clone + Send + 'static,
    P: FnMut(Problem<'_, A>),
    H: Send + Sync + 'static,
{
    pub(super) fn new(executor: Handle, settings: Settings, on_problem: P, handler: H) -> Self {
        Self {
            executor,
            settings,
            on_problem,
            handler: Arc::new(handler),
            open: Connections::new(),
            backoff: Backoff::new(),
            shutdown: CancellationToken::new(),
            report: Report::new(),
        }
    }

    pub(super) async fn run<L, F>(mut self, listener: L, shutdown: impl Future) -> Result<Report<A>, ServeError<A>>
    where
        L: Listener<Address = A>,
        H: Fn(L::Stream, A, CancellationToken) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let accepted = self.accept(&listener, shutdown).await;
        // From here on, new peers are refused.
        drop(listener);
        let report = self.drain().await;
        match accepted {
            Ok(()) => Ok(report),
            Err(error) => Err(ServeError::new(error, report)),
        }
    }

    /// Accepts connections until `shutdown`, or until the listener or the executor fails.
    async fn accept<L, F>(&mut self, listener: &L, shutdown: impl Future) -> io::Result<()>
    where
        L: Listener<Address = A>,
        H: Fn(L::Stream, A, CancellationToken) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut shutdown = pin!(shutdown);
        let mut refused: Option<Refused<A>> = None;
        loop {
            let retry = refused.is_some();
            match poll_fn(|cx| self.poll_event(cx, listener, shutdown.as_mut(), retry)).await {
                Event::Shutdown => {
                    self.report.cut.extend(refused.map(|refused| refused.peer));
                    return Ok(());
                }
                Event::Ended(peer, end) => self.ended(peer, end),
                Event::Accepted(Ok((stream, peer))) => {
                    self.report.accepted += 1;
                    let connection = connection(self.handler.clone(), stream, peer.clone(), self.shutdown.clone());
                    refused = self.spawn(connection, peer)?;
                }
                Event::Retry => {
                    let Refused { connection, peer } = refused.take().expect("only then is there such an event");
                    refused = self.spawn(connection, peer)?;
                }
                Event::Accepted(Err(error)) => match concerns(&error) {
                    // A listener that fails each time keeps no other task from running.
                    Concerns::Peer => consume_budget().await,
                    Concerns::Shortage => self.pause(&error),
                    Concerns::Listener => return Err(error),
                },
            }
        }
    }

    /// Spawns a connection's task, or returns it if the executor has no thread for it now.
    fn spawn<C>(&mut self, connection: C, peer: A) -> io::Result<Option<Refused<A>>>
    where
        C: Future<Output = ()> + Send + 'static,
    {
        match self.executor.try_spawn(connection) {
            Ok(task) => {
                self.backoff.reset();
                self.open.insert(peer, task);
                Ok(None)
            }
            Err(error) if error.is_shutdown() => {
                self.report.cut.push(peer);
                Err(io::Error::other("the executor has shut down"))
            }
            Err(error) => {
                self.pause(&io::Error::other(with_cause(&error)));
                Ok(Some(Refused { connection: Box::pin(error.into_future()), peer }))
            }
        }
    }

    fn poll_event<L: Listener<Address = A>>(
        &mut self,
        cx: &mut Context<'_>,
        listener: &L,
        shutdown: Pin<&mut impl Future>,
        retry: bool,
    ) -> Poll<Event<L::Stream, A>> {
        if shutdown.poll(cx).is_ready() {
            return Poll::Ready(Event::Shutdown);
        }
        if let Poll::Ready(Some((peer, end))) = self.open.poll_end(cx) {
            return Poll::Ready(Event::Ended(peer, end));
        }
        if self.open.len() >= self.settings.limit {
            return Poll::Pending;
        }
        ready!(self.backoff.poll_over(cx));
        match retry {
            true => Poll::Ready(Event::Retry),
            false => listener.poll_accept(cx).map(Event::Accepted),
        }
    }

    fn pause(&mut self, error: &io::Error) {
        if self.backoff.begin(error.raw_os_error()) {
            (self.on_problem)(Problem::Shortage { error, open: self.open.len() });
        }
    }

    /// Shuts down: notifies the open connections, and waits for them.
    async fn drain(mut self) -> Report<A> {
        // Those that have ended before, but were not noticed yet.
        while let Some((peer, end)) = poll_fn(|cx| Poll::Ready(at_once(self.open.poll_end(cx)))).await {
            self.ended(peer, end);
        }
        self.shutdown.cancel();
        self.wait_for_ends(self.settings.deadline).await;
        self.open.abort_all();
        self.wait_for_ends(Some(ABORTED)).await;
        self.report.still_running = self.open.len();
        self.report.cut.extend(self.open.into_peers());
        self.report
    }

    /// Waits until no connection is open, or for `time`.
    async fn wait_for_ends(&mut self, time: Option<Duration>) {
        let ends = async {
            while let Some((peer, end)) = poll_fn(|cx| self.open.poll_end(cx)).await {
                self.ended(peer, end);
            }
        };
        match time {
            None => ends.await,
            Some(time) => drop(timeout(time, ends).await),
        }
    }

    /// Counts the end of a connection.
    fn ended(&mut self, peer: A, end: Result<(), JoinError>) {
        // Whatever it was short of, there may be some now.
        self.backoff.end();
        let shuts_down = self.shutdown.is_cancelled();
        match end {
            Err(error) if error.is_panic() => {
                (self.on_problem)(Problem::Panic { peer: &peer, error: &error });
                self.report.panicked += 1;
                self.report.first_panic.get_or_insert((peer, error));
            }
            Ok(()) => {}
            Err(_) => {
                self.report.cut.push(peer);
                return;
            }
        }
        self.report.finished += usize::from(shuts_down);
    }
}

/// The whole of a connection's task: a handler that panics before it returns its future does so in here.
async fn connection<S, A, H, F>(handler: Arc<H>, stream: S, peer: A, shutdown: CancellationToken)
where
    H: Fn(S, A, CancellationToken) -> F,
    F: Future<Output = ()>,
{
    handler(stream, peer, shutdown).await;
}

fn with_cause(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn at_once<T>(poll: Poll<Option<T>>) -> Option<T> {
    match poll {
        Poll::Ready(ready) => ready,
        Poll::Pending => None,
    }
}
