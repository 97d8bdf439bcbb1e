//! Opens many connections at once, and sends messages to and fro: with its own echo server, or another one. Measures what they
//! cost.
//!
//!     cargo run --release -p polyexec-network-examples --bin crowd -- --connections 5000

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use lexopt::{Arg, Parser};
use polyexec::{
    Executor, Handle,
    net::{TcpListener, TcpStream, resolve},
    time::timeout,
};

use support::cli::{self, Failure, number, row, say};
use support::{executors, seconds, text};

#[path = "../support.rs"]
mod support;

const HELP: &str = "\
Opens many connections at once, and sends a message to and fro on each, round after round.

Usage: crowd [--connections N] [--rounds N] [--connect ADDRESS] [--patience SECONDS] [--executor NAME]

  --connections N    how many connections (default 5000). Each takes one open file, and two without --connect
  --connect ADDRESS  the address of an echo server; by default this program is also the server
  --executor NAME    pool, threaded or local, if compiled in; the default is the first of them
  --patience SECONDS the longest that a connection or an answer may take (default 30)
  --rounds N         how many messages per connection (default 10)
  --help             print this

Exit code: 0, 1 if a connection failed, or 2 if the options are invalid.";

/// The message, which has to come back.
const MESSAGE: [u8; 64] = [b'.'; 64];

/// How many connections are opened at once. A server with a shorter queue lets the others try again a second later.
const OPENING: usize = 100;

/// How many files the process has open besides the connections.
const OTHER_FILES: u64 = 64;

fn main() -> ExitCode {
    cli::run(program)
}

fn program(parser: &mut Parser) -> Result<(), Failure> {
    let (mut executor, mut connect) = (None, None);
    let (mut connections, mut rounds, mut patience) = (5000, 10, Duration::from_secs(30));
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => {
                say(HELP);
                return Ok(());
            }
            Arg::Long("connect") => connect = Some(text(parser)?),
            Arg::Long("connections") => connections = number(parser, "--connections", 1..=1_000_000)?,
            Arg::Long("executor") => executor = Some(text(parser)?),
            Arg::Long("patience") => patience = seconds(parser, "--patience")?,
            Arg::Long("rounds") => rounds = number(parser, "--rounds", 1..=1_000_000)?,
            other => return Err(other.unexpected().into()),
        }
    }
    let files = connections * if connect.is_some() { 1 } else { 2 } + OTHER_FILES;
    let may_have = rlimit::increase_nofile_limit(files).map_err(Failure::failed)?;
    if may_have < files {
        let needs = format_args!("{connections} connections take {files} open files, and {may_have} are allowed");
        return Err(Failure::failed(needs));
    }

    let choice = executors::choose(executor.as_deref())?;
    let running = choice.start()?;
    let crowd = Crowd { connections: connections as usize, rounds: rounds as usize, patience };
    let figures = running.handle.block_on(crowd.gather(&running.handle, connect.as_deref()))?;
    row("executor", choice.name);
    figures.say(&crowd);
    Ok(())
}

#[derive(Clone, Copy)]
struct Crowd {
    connections: usize,
    rounds: usize,
    patience: Duration,
}

struct Figures {
    opening: Duration,
    /// Of all rounds of all connections together.
    rounds: Duration,
    /// Of each round trip, in order.
    trips: Vec<Duration>,
    /// Of the process, while all were open, if the system tells.
    memory: Option<u64>,
}

impl Crowd {
    /// Opens all connections, lets them talk at the same time, and closes them.
    async fn gather(&self, executor: &Handle, connect: Option<&str>) -> Result<Figures, Failure> {
        let address = match connect {
            Some(address) => resolve(address).await.map_err(Failure::usage)?,
            None => vec![serve(executor).await.map_err(Failure::failed)?],
        };
        let (address, begin) = (Arc::new(address), Instant::now());
        let (may_open, permits) = async_channel::bounded(OPENING);
        let (is_open, opened) = async_channel::unbounded::<()>();
        let (start, started) = async_channel::bounded::<()>(1);
        let peers: Vec<_> = (0..self.connections)
            .map(|_| {
                let gate = Gate { may_open: may_open.clone(), permits: permits.clone(), started: started.clone() };
                executor.spawn(self.peer(address.clone(), gate, is_open.clone()))
            })
            .collect();
        drop(is_open);
        // Each connection reports that it is open, or has failed.
        let mut open = 0;
        while open < self.connections && opened.recv().await.is_ok() {
            open += 1;
        }
        let (opening, memory) = (begin.elapsed(), resident_memory());
        let begin = Instant::now();
        drop(start);
        let mut trips = Vec::new();
        let mut failed = Vec::new();
        for peer in peers {
            match peer.await.map_err(Failure::failed)? {
                Ok(times) => trips.extend(times),
                Err(cause) => failed.push(cause),
            }
        }
        if let Some(first) = failed.first() {
            let of = self.connections;
            return Err(Failure::failed(format_args!(
                "{} of {of} connections failed, the first one: {first}",
                failed.len()
            )));
        }
        let rounds = begin.elapsed();
        trips.sort_unstable();
        Ok(Figures { opening, rounds, trips, memory })
    }

    /// Runs one connection. Returns the time of each round trip.
    fn peer(
        &self,
        address: Arc<Vec<std::net::SocketAddr>>,
        gate: Gate,
        is_open: Sender<()>,
    ) -> impl Future<Output = io::Result<Vec<Duration>>> + use<> {
        let Crowd { rounds, patience, .. } = *self;
        async move {
            let _ = gate.may_open.send(()).await;
            let connected = in_time(patience, TcpStream::connect(&**address)).await;
            let _ = gate.permits.recv().await;
            let mut stream = connected?;
            stream.set_nodelay(true)?;
            let _ = is_open.send(()).await;
            drop(is_open);
            // An error: the channel is closed when all are open.
            let _ = gate.started.recv().await;
            let mut times = Vec::new();
            for _ in 0..rounds {
                let begin = Instant::now();
                let mut back = [0; MESSAGE.len()];
                in_time(patience, async {
                    stream.write_all(&MESSAGE).await?;
                    stream.read_exact(&mut back).await
                })
                .await?;
                if back != MESSAGE {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "something else came back"));
                }
                times.push(begin.elapsed());
            }
            Ok(times)
        }
    }
}

/// Limits how many connections are opened at once.
struct Gate {
    may_open: Sender<()>,
    permits: Receiver<()>,
    started: Receiver<()>,
}

/// Echoes on each connection for as long as the executor lives. Returns its address.
async fn serve(executor: &Handle) -> io::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let peers = executor.clone();
    drop(executor.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(peers.spawn(echo(stream)));
        }
    }));
    Ok(address)
}

/// An error ends it like the end of the stream: our other side reports it.
async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// In bytes.
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

impl Figures {
    fn say(&self, crowd: &Crowd) {
        let each = |time: Duration, of: usize| time.as_secs_f64() * 1e6 / of as f64;
        let quantile = |share: f64| self.trips[((self.trips.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        row("connections", format_args!("{}, all open at once", crowd.connections));
        row("opening", format_args!("{:.1} µs each", each(self.opening, crowd.connections)));
        row("round trips", format_args!("{}, {:.1} µs each", self.trips.len(), each(self.rounds, self.trips.len())));
        let (half, most, last) = (quantile(0.5), quantile(0.99), quantile(1.0));
        row("one takes", format_args!("p50 {half:.1} ms, p99 {most:.1} ms, at most {last:.1} ms"));
        if let Some(memory) = self.memory {
            row("memory", format_args!("{:.1} KiB a connection", memory as f64 / 1024.0 / crowd.connections as f64));
        }
    }
}
