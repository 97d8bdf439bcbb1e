//! Options of all servers, and a server that runs with them. Speaks no protocol.

use std::net::SocketAddr;
use std::time::Duration;

use lexopt::Parser;
use polyexec::{Executor, net::TcpStream};
use polyexec_network_examples::{Stop, listen, on_signal, serve};

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
    drain: Duration,
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

    /// Serves until a signal comes. Each peer gets a task that runs `connection`.
    pub(crate) fn serve<F>(&self, connection: impl Fn(TcpStream, SocketAddr, Stop) -> F) -> Result<(), Failure>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = executors::choose(self.executor.as_deref())?.start()?;
        let executor = &running.handle;
        let stop = on_signal().map_err(|error| Failure::failed(format_args!("can't wait for Ctrl-C: {error}")))?;
        executor.block_on(async {
            let listener = listen(&self.listen).await.map_err(|error| match error.is_unknown() {
                true => Failure::usage(error),
                false => Failure::failed(error),
            })?;
            say(format_args!("listening on {}", listener.local_addr().map_err(Failure::failed)?));
            let drained = serve(executor, listener, &stop, self.drain, cli::report, connection).await;
            say(format_args!("stopped; of the open connections: {drained}"));
            Ok(())
        })
    }
}
