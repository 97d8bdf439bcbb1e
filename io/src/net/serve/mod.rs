//! Serves connections: accepts them, limits their number, and shuts down gracefully. Speaks no protocol.

use std::future::{Pending, pending};
use std::time::Duration;

use polyexec_core::Handle;
use polyexec_futures::CancellationToken;

pub use listener::Listener;
pub use report::{Problem, Report, ServeError};

use server::{Server, Settings};

mod accept_error;
mod backoff;
mod connections;
mod listener;
mod report;
mod server;

/// Serves the connections of `listener`, each in a task of its own.
///
/// The methods of [`Serve`] set limits, [`run`](Serve::run) begins to accept.
///
/// # Examples
///
/// An echo server for a thousand connections. On Ctrl-C it accepts no more, and gives the open ones five seconds:
///
/// ```
/// use std::time::Duration;
///
/// use futures_lite::io::copy;
/// use polyexec_io::net::{TcpListener, serve};
///
/// # fn main() -> std::io::Result<()> {
/// # let pool = polyexec_pool::Pool::new()?;
/// # let ctrl_c = async {};
/// # pool.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let report = serve(listener)
///     .limit(1000)
///     .shutdown_on(ctrl_c)
///     .deadline(Duration::from_secs(5))
///     .run(|stream, peer| async move {
///         if let Err(error) = copy(&stream, &stream).await {
///             eprintln!("{peer}: {error}");
///         }
///     })
///     .await?;
/// println!("{report}");
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// None. A port in use is the error of [`TcpListener::bind`](super::TcpListener::bind).
pub fn serve<L: Listener>(listener: L) -> Serve<L> {
    Serve { listener, limit: usize::MAX, deadline: None, shutdown: pending(), on_problem: |_| {} }
}

/// A server that has not begun. Made by [`serve`].
///
/// # What dropping does
///
/// Closes the listener.
#[derive(Debug)]
#[must_use = "a server does nothing until it runs"]
pub struct Serve<L: Listener, S = Pending<()>, P = fn(Problem<'_, <L as Listener>::Address>)> {
    listener: L,
    limit: usize,
    deadline: Option<Duration>,
    shutdown: S,
    on_problem: P,
}

impl<L: Listener, S, P> Serve<L, S, P> {
    /// Serves `connections` at a time, at most. Further peers wait in the system's queue until one ends. The default is no
    /// limit.
    ///
    /// # Panics
    ///
    /// If `connections` is zero.
    #[track_caller]
    pub fn limit(self, connections: usize) -> Self {
        assert!(connections > 0, "a server with a limit of zero connections would serve none");
        Self { limit: connections, ..self }
    }

    /// Shuts down when `shutdown` is ready, whatever its output: closes the listener, cancels the token of
    /// [`run_with_shutdown`](Serve::run_with_shutdown), and waits for the connections. The default is never.
    ///
    /// A clone of the listener keeps it open, but this server accepts no more.
    pub fn shutdown_on<F: Future>(self, shutdown: F) -> Serve<L, F, P> {
        let Self { listener, limit, deadline, shutdown: _, on_problem } = self;
        Serve { listener, limit, deadline, shutdown, on_problem }
    }

    /// Aborts the connections that are still open this long after the shutdown began. The [`Report`] names their peers. The
    /// default is to wait until all have ended.
    ///
    /// A handler that blocks its thread can't be aborted. The server waits for it a second longer at most.
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// Calls `on_problem` for each [`Problem`], such as to log it. It should not block.
    pub fn on_problem<Q>(self, on_problem: Q) -> Serve<L, S, Q>
    where
        Q: FnMut(Problem<'_, L::Address>),
    {
        let Self { listener, limit, deadline, shutdown, on_problem: _ } = self;
        Serve { listener, limit, deadline, shutdown, on_problem }
    }

    /// Serves until the shutdown has ended. Each connection gets a task on the current executor, which runs `handler`.
    ///
    /// A handler that panics ends its own connection only.
    ///
    /// **If no connection can be accepted**, because too many files are open, say, the server tries again when one of its
    /// connections ends, and after 10 ms, 20 ms and so on, up to a second. Peers wait in the system's queue meanwhile. It does
    /// the same if the executor has no thread for a connection, and keeps that connection. A peer that leaves before it was
    /// accepted is no problem.
    ///
    /// # Errors
    ///
    /// The listener is broken, the executor has shut down, or there is no executor: the error has the report. Open connections
    /// are given the time of a shutdown.
    ///
    /// # Panics
    ///
    /// If the future of the shutdown, or `on_problem`, does.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it closes the listener and aborts the connections.
    pub async fn run<H, F>(self, handler: H) -> Result<Report<L::Address>, ServeError<L::Address>>
    where
        S: Future,
        P: FnMut(Problem<'_, L::Address>),
        H: Fn(L::Stream, L::Address) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.run_with_shutdown(move |stream, peer, _| handler(stream, peer)).await
    }

    /// As [`run`](Serve::run), for a `handler` that ends its connection by itself on a shutdown. Then its token is cancelled.
    ///
    /// # Examples
    ///
    /// Tells a waiting client of the shutdown:
    ///
    /// ```
    /// use futures_lite::{AsyncReadExt, AsyncWriteExt};
    /// use polyexec_futures::CancellationToken;
    /// use polyexec_io::net::{TcpListener, TcpStream, serve};
    ///
    /// async fn client(mut stream: TcpStream, shutdown: CancellationToken) -> std::io::Result<()> {
    ///     let mut request = [0; 1];
    ///     let asked = shutdown.run_until_cancelled(stream.read_exact(&mut request)).await;
    ///     let answer = if asked.transpose()?.is_some() { "an answer\n" } else { "good bye\n" };
    ///     stream.write_all(answer.as_bytes()).await
    /// }
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let pool = polyexec_pool::Pool::new()?;
    /// # let ctrl_c = async {};
    /// # pool.block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let server = serve(listener).shutdown_on(ctrl_c);
    /// let report = server.run_with_shutdown(|stream, _, shutdown| async { drop(client(stream, shutdown).await) }).await?;
    /// println!("{report}");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`run`](Serve::run).
    ///
    /// # Panics
    ///
    /// As for [`run`](Serve::run).
    ///
    /// # Cancel safety
    ///
    /// As for [`run`](Serve::run).
    pub async fn run_with_shutdown<H, F>(self, handler: H) -> Result<Report<L::Address>, ServeError<L::Address>>
    where
        S: Future,
        P: FnMut(Problem<'_, L::Address>),
        H: Fn(L::Stream, L::Address, CancellationToken) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { listener, limit, deadline, shutdown, on_problem } = self;
        let Some(executor) = Handle::current() else {
            return Err(ServeError::no_executor());
        };
        Server::new(executor, Settings { limit, deadline }, on_problem, handler).run(listener, shutdown).await
    }
}
