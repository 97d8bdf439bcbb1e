//! A chat room over TCP for many clients, including slow readers. On the executor of your choice.
//!
//!     cargo run --release -p polyexec-network-examples --bin chat -- --listen 127.0.0.1:7777
//!     nc 127.0.0.1 7777

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::{AsyncWrite, AsyncWriteExt, future, io::BufReader};
use lexopt::{Arg, Parser};
use polyexec::{CancellationToken, net::TcpStream, time::timeout};

use lines::{Came, LONGEST, Lines};
use options::{Common, help_of_options};
use outbox::{Entry, Outbox};
use room::{Membership, Room};
use support::cli::{self, Failure, say};
use support::{seconds, unknown};

mod lines;
#[path = "../../options.rs"]
mod options;
mod outbox;
mod room;
#[path = "../../support.rs"]
mod support;

const HELP: &str = concat!(
    "\
A chat room: each line of a client goes to all others. A client's first line is its name.

Usage: chat [--listen ADDRESS] [--lines N] [--stall SECONDS] [--drain SECONDS] [--executor NAME]

",
    help_of_options!(),
    "
  --lines N        how many lines may wait for a slow reader (default 256)
  --stall SECONDS  how long a client may take to send its name, or to read a waiting line (default 30); then it is
                   disconnected
  --help           print this

A slow reader delays no other client: lines beyond its N are dropped, and a notice in their place tells how many. So a
client takes memory for at most 2 N lines: N that wait, and N that are being sent. A line has at most 1024 bytes; a
client with a longer one is told so and disconnected. A client that closes its side has left; it still gets its waiting
lines. When the server stops, it tells all clients, and sends their waiting lines.

Exit code: 0 if it was stopped, 1 if it can't listen, 2 if the options or the address are invalid."
);

/// The longest name, in characters.
const LONGEST_NAME: usize = 32;

/// The most bytes of one write, or a line more.
const BLOCK: usize = 16 * 1024;

#[derive(Clone, Copy)]
struct Limits {
    lines: usize,
    stall: Duration,
}

fn main() -> ExitCode {
    cli::run(program)
}

fn program(parser: &mut Parser) -> Result<(), Failure> {
    let mut common = Common::default();
    let mut limits = Limits { lines: 256, stall: Duration::from_secs(30) };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => {
                say(HELP);
                return Ok(());
            }
            Arg::Long("lines") => limits.lines = cli::number(parser, "--lines", 1..=1_000_000)? as usize,
            Arg::Long("stall") => limits.stall = seconds(parser, "--stall")?,
            Arg::Long(name) => {
                let name = name.to_owned();
                if !common.take(&name, parser)? {
                    return Err(unknown(&name));
                }
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let room = Arc::new(Room::default());
    common.serve(move |stream, _, stop| {
        let room = room.clone();
        // A client that resets, stalls or disconnects has left, and the others learn of it.
        async move { drop(client(stream, room, stop, limits).await) }
    })
}

/// Reads and writes at the same time, until the client leaves, stalls, or the server stops.
async fn client(stream: TcpStream, room: Arc<Room>, stop: CancellationToken, limits: Limits) -> io::Result<()> {
    let outbox = Arc::new(Outbox::new(limits.lines));
    let lines = Lines::new(BufReader::new(stream.clone()));
    let reads = async {
        let said = future::or(reads(lines, &room, &outbox, limits.stall), async {
            stop.cancelled().await;
            Ok(Some("the server stops"))
        });
        let last = said.await;
        let farewell = last.as_ref().ok().and_then(|last| *last);
        outbox.close(farewell.map(|last| format!("* {last}\n").into()));
        last.map(drop)
    };
    // If either side fails, the other has no use.
    future::try_zip(reads, writes(stream.clone(), &outbox, limits.stall)).await.map(drop)
}

/// Passes the client's lines to the others. If the server ends the connection, returns the reason.
async fn reads(
    mut lines: Lines<BufReader<TcpStream>>,
    room: &Arc<Room>,
    outbox: &Arc<Outbox>,
    patience: Duration,
) -> io::Result<Option<&'static str>> {
    outbox.put("* your name?\n".into());
    let Ok(first) = timeout(patience, lines.next()).await else {
        return Ok(Some("too slow, good bye"));
    };
    let name = match first? {
        Came::End => return Ok(None),
        Came::Line(name) if name.trim().starts_with('*') => {
            return Ok(Some("a name doesn't begin with *, good bye"));
        }
        Came::Line(name) if (1..=LONGEST_NAME).contains(&name.trim().chars().count()) => name,
        Came::Line(_) | Came::TooLong => return Ok(Some("a name has 1 to 32 characters, good bye")),
    };
    let Some(member) = room.join(name.trim(), outbox.clone()) else {
        return Ok(Some("that name is taken, good bye"));
    };
    talk(lines, member).await
}

async fn talk(mut lines: Lines<BufReader<TcpStream>>, member: Membership) -> io::Result<Option<&'static str>> {
    loop {
        match lines.next().await? {
            Came::Line(text) if text.is_empty() => {}
            Came::Line(text) => member.say(&text),
            Came::TooLong => return Ok(Some("a line has 1024 bytes at most, good bye")),
            Came::End => return Ok(None),
        }
        // Yields, so that an endless sender doesn't starve the others.
        future::yield_now().await;
    }
}

/// Sends the lines of `outbox` until it is closed and empty.
async fn writes(mut stream: TcpStream, outbox: &Outbox, patience: Duration) -> io::Result<()> {
    while let Some(entries) = outbox.take().await {
        send(&mut stream, entries, patience).await?;
    }
    stream.close().await
}

async fn send(mut stream: impl AsyncWrite + Unpin, entries: VecDeque<Entry>, patience: Duration) -> io::Result<()> {
    let mut block = Vec::with_capacity(LONGEST);
    let mut entries = entries.into_iter().peekable();
    while let Some(entry) = entries.next() {
        match entry {
            Entry::Line(line) => block.extend_from_slice(line.as_bytes()),
            Entry::Lost(lost) => {
                block.extend_from_slice(format!("* you read too slowly: {lost} lines were dropped here\n").as_bytes());
            }
        }
        if block.len() >= BLOCK || entries.peek().is_none() {
            let mut rest = &block[..];
            while !rest.is_empty() {
                match timeout(patience, stream.write(rest)).await?? {
                    0 => return Err(ErrorKind::WriteZero.into()),
                    written => rest = &rest[written..],
                }
            }
            block.clear();
        }
    }
    Ok(())
}
