//! Accepts connections, a task each; told to stop, accepts no more and sees the open ones to their end. Speaks no
//! protocol.

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

/// How long a server waits that can't accept, unless a connection ends before: it may not be the one that has what is
/// short, so that no end of its own connections would tell.
const RETRY: Duration = Duration::from_secs(1);

/// Longer than any server runs: thirty years.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// How often a shortage is spoken of while it lasts.
const REMIND: Duration = Duration::from_secs(10);

/// After so many connections at once the other tasks have their turn, if they share the thread.
const BURST: u32 = 16;

/// How the connections ended that were open when the server was told to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Those that came to their end in time.
    pub finished: usize,
    /// Those that didn't, and were dropped.
    pub cut: usize,
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} finished, {} cut", self.finished, self.cut)
    }
}

/// Serves with `connection` until `stop`, each peer in a task on `executor`; then accepts no more, tells those that are
/// open by the [`Stop`] that they were given, and gives them `patience` to finish. `report` is told in a line what goes
/// wrong.
///
/// **When nothing can be accepted**, since too many files are open (`EMFILE`), say: the server says so, and waits until one
/// of its connections ends, or a second is over. Peers wait in the system's queue meanwhile. It doesn't spin. A peer
/// that is gone before it was accepted is nobody's trouble. A connection that the executor has no thread for is closed.
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
    // Theirs is not ours: none of them is to end by it before we know how many are open.
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
    // From here on, who connects is refused.
    drop(listener);
    open.drain(stopper, patience).await
}

/// Whether accepting failed for a reason that went away with the peer.
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
    /// A connection's task did.
    Ended,
    Peer(io::Result<(TcpStream, SocketAddr)>),
}

/// Those that are open, and who is told what goes wrong with them.
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

    /// Or for a while, should none end. Breaks if the server is to stop.
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

    /// `None` if none is open. A panic is reported.
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
        // What has ended by itself already, and was only not seen yet.
        while let Some(Some(_)) = future::poll_once(self.next_end()).await {}
        stopper.stop();
        let mut drained = Drained::default();
        // A patience without end is none that can be added.
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
            // A panic is an end of its own, too, and was reported.
            _ => self.finished += 1,
        }
    }
}

/// Speaks of what is short, not too often.
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
