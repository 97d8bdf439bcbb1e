//! A TCP echo server, on the executor of your choice. Ctrl-C ends it gracefully.
//!
//!     cargo run --release -p polyexec-network-examples --bin echo -- --listen 127.0.0.1:7000
//!     nc 127.0.0.1 7000

use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use lexopt::{Arg, Parser};
use polyexec::{net::TcpStream, time::timeout};

use options::{Common, help_of_options};
use support::cli::{self, Failure, say};
use support::{seconds, unknown};

#[path = "../options.rs"]
mod options;
#[path = "../support.rs"]
mod support;

const HELP: &str = concat!(
    "\
Echoes the bytes of each TCP client.

Usage: echo [--listen ADDRESS] [--idle SECONDS] [--drain SECONDS] [--executor NAME]

",
    help_of_options!(),
    "
  --idle SECONDS   how long a connection may move no byte in or out (default 60); then it is closed
  --help           print this

A client that closes its side gets the rest, and then the end. A client that doesn't read takes 16 KiB of memory, and is
closed as idle in the end. When the server stops, open connections go on until their clients end them, or the time to
drain is over.

Exit code: 0 if it was stopped, 1 if it can't listen, 2 if the options or the address are invalid."
);

/// The most bytes that are read before they are sent back.
const BLOCK: usize = 16 * 1024;

fn main() -> ExitCode {
    cli::run(program)
}

fn program(parser: &mut Parser) -> Result<(), Failure> {
    let (mut common, mut idle) = (Common::default(), Duration::from_secs(60));
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => {
                say(HELP);
                return Ok(());
            }
            Arg::Long("idle") => idle = seconds(parser, "--idle")?,
            Arg::Long(name) => {
                let name = name.to_owned();
                if !common.take(&name, parser)? {
                    return Err(unknown(&name));
                }
            }
            other => return Err(other.unexpected().into()),
        }
    }
    // The peer has reset the connection, or was idle. Other peers aren't affected.
    common.serve(move |stream, _, _| async move { drop(echo(stream, idle).await) })
}

/// Echoes until the peer closes its side and has the rest, or nothing moves for `idle`.
async fn echo(mut stream: TcpStream, idle: Duration) -> io::Result<()> {
    let mut buffer = vec![0; BLOCK];
    loop {
        let length = timeout(idle, stream.read(&mut buffer)).await??;
        let mut rest = &buffer[..length];
        if rest.is_empty() {
            return stream.close().await;
        }
        while !rest.is_empty() {
            match timeout(idle, stream.write(rest)).await?? {
                0 => return Err(ErrorKind::WriteZero.into()),
                written => rest = &rest[written..],
            }
        }
    }
}
