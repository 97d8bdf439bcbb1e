//! Options of all servers, and a server that runs with them. Speaks no protocol.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use lexopt::Parser;
use polyexec::net::{self, Report, ServeError, TcpListener, TcpStream};
use polyexec::{CancellationToken, Executor};
use polyexec_network_examples::{listen, on_signal};

use crate::support::cli::{self, Failure, say};
use crate::support::{executors, seconds, text};

/// The help text for the common options.
macro_rules! help_of_options {
    () => {
        "\
  --executor NAME  pool, threaded or local, if compiled in; the default is the first of them
  --listen ADDRESS host and port to listen on (default 127.0.0.1:0); port 0 is a free one
  --drain SECONDS  how long open connections may go on after Ctrl-C or SIGTERM (default 5); a second Ctrl-C
                   doesn't wait"
    };
}
pub(crate) use help_of_options;

/// Options of all servers.
pub(crate) struct Common {
    executor: Option<String>,
    listen: String,
    pub(crate) drain: Duration,
}

impl Default for Common {
    fn default() -> Self {
        Self { executor: None, listen: "127.0.0.1:0".to_owned(), drain: Duration::from_secs(5) }
    }
}

impl Common {
    /// Takes the value of the option `name`, if it is one of these.
    pub(crate) fn take(&mut self, name: &str, parser: &mut Parser) -> Result<bool, Failure> {
        match name {
            "executor" => self.executor = Some(text(parser)?),
            "listen" => self.listen = text(parser)?,
            "drain" => self.drain = seconds(parser, "--drain")?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Runs `connection` for each peer until a signal comes.
    #[allow(dead_code, reason = "hyper serves for the program `http`")]
    pub(crate) fn serve<F>(
        &self,
        connection: impl Fn(TcpStream, SocketAddr, CancellationToken) -> F + Send + Sync + 'static,
    ) -> Result<(), Failure>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.run(async |listener, stop| {
            let server = net::serve(listener).shutdown_on(stop.cancelled()).deadline(self.drain);
            server.on_problem(|problem| cli::report(problem)).run_with_shutdown(connection).await
        })
    }

    /// Runs `server`, on a listener and until a signal.
    pub(crate) fn run(
        &self,
        server: impl AsyncFnOnce(TcpListener, CancellationToken) -> Result<Report<SocketAddr>, ServeError<SocketAddr>>,
    ) -> Result<(), Failure> {
        let running = executors::choose(self.executor.as_deref())?.start()?;
        let stop = on_signal().map_err(|error| Failure::failed(format_args!("can't wait for Ctrl-C: {error}")))?;
        running.handle.block_on(async {
            let listener = listen(&self.listen).await.map_err(|error| match error.is_unknown() {
                true => Failure::usage(error),
                false => Failure::failed(error),
            })?;
            say(format_args!("listening on {}", listener.local_addr().map_err(Failure::failed)?));
            let report = server(listener, stop).await.map_err(|error| Failure::failed(io::Error::from(error)))?;
            let (finished, cut) = (report.finished(), report.cut().len());
            say(format_args!("stopped; of the open connections: {finished} finished, {cut} cut"));
            Ok(())
        })
    }
}
