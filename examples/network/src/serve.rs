//! Accepts connections, one task each. On a stop, accepts no more, and lets open ones finish. Speaks no protocol.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use futures_lite::{StreamExt, future};
use futures_util::stream::FuturesUnordered;
use polyexec::{
    AbortOnDrop, Executor, JoinError,
    net::{TcpListener, TcpStream},
    time::{timeout, timeout_at},
};

use crate::{Stop, Stopper};

/// How long a server waits if it can't accept, unless one of its connections ends before. Another process may have caused the
/// shortage, so the end of that is not noticed.
const RETRY: Duration = Duration::from_secs(1);

/// Longer than any server runs: thirty years.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// How often a lasting shortage is reported.
const REMIND: Duration = Duration::from_secs(10);

/// After this many connections in a row, other tasks run, if they share the thread.
const BURST: u32 = 16;

/// How the connections ended that were open at the stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// How many finished in time.
    pub finished: usize,
    /// How many were dropped.
    pub cut: usize,
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} finished, {} cut", self.finished, self.cut)
    }
}

/// Serves until `stop`: each peer gets a task on `executor` that runs `connection`. Then it accepts no more peers, notifies the
/// open connections through their [`Stop`], and gives them `patience` to finish. `report` receives each problem as a line.
///
/// **If it can't accept**, for example because too many files are open (`EMFILE`), the server reports that, and waits until one
/// of its connections ends, or for a second. Peers wait in the system's queue meanwhile. It never spins. A peer that leaves
/// before it was accepted is no problem. A connection for which the executor has no thread is closed.
///
/// # What dropping does
///
/// Aborts the connections' tasks.
pub async fn serve<E, F>(
    executor: &E,
    listener: TcpListener,
    stop: &Stop,
    patience: Duration,
    report: impl Fn(String),
    connection: impl Fn(TcpStream, SocketAddr, Stop) -> F,
) -> Drained
where
    E: Executor + Clone,
    F: Future<Output = ()> + Send + 'static,
{
    let mut open = Connections { tasks: FuturesUnordered::new(), report };
    // A separate `Stop` for the connections, so that none ends before the open ones are counted.
    let (stopper, theirs) = Stop::new();
    let mut stopped = pin!(stop.requested());
    let mut shortage = Shortage::default();
    let mut burst = 0;
    loop {
        match open.next_event(&listener, stopped.as_mut()).await {
            Event::Stop => break,
            Event::Ended => continue,
            Event::Peer(Ok((stream, peer))) => match executor.try_spawn(connection(stream, peer, theirs.clone())) {
                Ok(task) => open.tasks.push(task.abort_on_drop()),
                Err(refused) => shortage.report(&open, &refused),
            },
            Event::Peer(Err(error)) if is_the_peers(&error) => {}
            Event::Peer(Err(error)) => {
                shortage.report(&open, &error);
                if open.wait_for_an_end(stopped.as_mut()).await.is_break() {
                    break;
                }
            }
        }
        burst += 1;
        if burst % BURST == 0 {
            future::yield_now().await;
        }
    }
    // From here on, new peers are refused.
    drop(listener);
    open.drain(stopper, patience).await
}

/// Whether accepting failed for a reason that concerns only that peer.
fn is_the_peers(error: &io::Error) -> bool {
    use ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown, NetworkUnreachable, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
    )
}

enum Event {
    Stop,
    /// The task of a connection has ended.
    Ended,
    Peer(io::Result<(TcpStream, SocketAddr)>),
}

/// Open connections, and the receiver of their problems.
struct Connections<R> {
    tasks: FuturesUnordered<AbortOnDrop<()>>,
    report: R,
}

impl<R: Fn(String)> Connections<R> {
    async fn next_event(&mut self, listener: &TcpListener, stopped: Pin<&mut impl Future<Output = ()>>) -> Event {
        let stop = async {
            stopped.await;
            Event::Stop
        };
        let peer = async { Event::Peer(listener.accept().await) };
        let ended = async {
            match self.next_end().await {
                Some(_) => Event::Ended,
                None => future::pending().await,
            }
        };
        future::or(stop, future::or(ended, peer)).await
    }

    /// Waits until a connection ends, or for a while. Breaks on a stop.
    async fn wait_for_an_end(&mut self, stopped: Pin<&mut impl Future<Output = ()>>) -> std::ops::ControlFlow<()> {
        let stop = async {
            stopped.await;
            std::ops::ControlFlow::Break(())
        };
        let end = async {
            let end = async {
                if self.next_end().await.is_none() {
                    future::pending::<()>().await;
                }
            };
            let _ = timeout(RETRY, end).await;
            std::ops::ControlFlow::Continue(())
        };
        future::or(stop, end).await
    }

    /// Waits for the end of a connection; `None` if none is open. Reports a panic.
    async fn next_end(&mut self) -> Option<Result<(), JoinError>> {
        let end = self.tasks.next().await?;
        if let Err(error) = &end
            && !error.is_cancelled()
        {
            (self.report)(format!("a connection's {error}"));
        }
        Some(end)
    }

    async fn drain(mut self, stopper: Stopper, patience: Duration) -> Drained {
        // Connections that have ended, but were not noticed yet.
        while let Some(Some(_)) = future::poll_once(self.next_end()).await {}
        stopper.stop();
        let mut drained = Drained::default();
        // A deadline beyond what `Instant` can hold is none.
        let deadline = Instant::now().checked_add(patience).unwrap_or_else(|| Instant::now() + FOREVER);
        while let Ok(Some(end)) = timeout_at(deadline, self.next_end()).await {
            drained.count(&end);
        }
        self.tasks.iter().for_each(|task| task.abort());
        while let Some(end) = self.next_end().await {
            drained.count(&end);
        }
        drained
    }
}

impl Drained {
    fn count(&mut self, end: &Result<(), JoinError>) {
        match end {
            Err(error) if error.is_cancelled() => self.cut += 1,
            // A panic also counts as finished, and was reported.
            _ => self.finished += 1,
        }
    }
}

/// Reports shortages, but not too often.
#[derive(Default)]
struct Shortage {
    said: Option<Instant>,
}

impl Shortage {
    fn report(&mut self, open: &Connections<impl Fn(String)>, error: &dyn fmt::Display) {
        let now = Instant::now();
        if self.said.is_none_or(|said| now.saturating_duration_since(said) >= REMIND) {
            self.said = Some(now);
            let open_now = open.tasks.len();
            (open.report)(format!(
                "can't take more connections: {error}; {open_now} are open, the next is taken when one of them ends"
            ));
        }
    }
}
