//! An HTTP server for the files of a folder, with hyper. On the executor of your choice.
//!
//!     cargo run --release -p polyexec-network-examples --bin http -- --listen 127.0.0.1:8000 FOLDER
//!     curl http://127.0.0.1:8000/

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ::hyper::service::service_fn;
use lexopt::{Arg, Parser};
use polyexec::hyper;

use folder::Folder;
use options::{Common, help_of_options};
use patient::Patiently;
use support::cli::{self, Failure, say};
use support::{seconds, unknown};

mod body;
mod folder;
#[path = "../../options.rs"]
mod options;
mod patient;
mod range;
mod service;
#[path = "../../support.rs"]
mod support;
mod target;

const HELP: &str = concat!(
    "\
Serves the files of a folder over HTTP/1 and HTTP/2.

Usage: http [--listen ADDRESS] [--idle SECONDS] [--drain SECONDS] [--executor NAME] FOLDER

",
    help_of_options!(),
    "
  --idle SECONDS   how long a client may take to send the head of a request, or not read the response (default 30); then
                   its connection is closed
  --help           print this

Supports GET and HEAD, of whole files or of one range of bytes, If-Modified-Since and If-Range. A folder's page is its
index.html. No path or link leads out of the folder. A file is sent as it is read, in blocks of 64 KiB; a connection
holds two at most. If too many files are open, the response is 503. When the server stops, it answers the present
requests, and then closes the connections.

Exit code: 0 if it was stopped, 1 if it can't listen, 2 if the options, the address or the folder are invalid."
);

fn main() -> ExitCode {
    cli::run(program)
}

fn program(parser: &mut Parser) -> Result<(), Failure> {
    let (mut common, mut idle, mut folder) = (Common::default(), Duration::from_secs(30), None);
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
            Arg::Value(path) if folder.is_none() => folder = Some(PathBuf::from(path)),
            other => return Err(other.unexpected().into()),
        }
    }
    let path = folder.ok_or_else(|| Failure::usage("which folder? (see --help)"))?;
    let open = Folder::open(&path);
    let folder = open.map_err(|error| Failure::usage(format_args!("{}: {error}", path.display())))?;
    let folder = Arc::new(folder);
    let service = service_fn(move |request| service::answer(request, folder.clone()));
    common.run(async |listener, stop| {
        hyper::serve(Patiently { listener, idle }, service)
            .header_read_timeout(idle)
            .http(|http| {
                // A client may close its side after its last request, and still gets the responses. hyper would buffer several
                // more blocks of a file than the client reads. The second also limits a request's head.
                http.http1().half_close(true).max_buf_size(body::BLOCK);
            })
            .shutdown_on(stop.cancelled())
            .deadline(common.drain)
            .on_problem(|problem| cli::report(problem))
            .run()
            .await
    })
}
