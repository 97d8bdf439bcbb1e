//! Counts lines, words and bytes of all files under a folder, like the example `wc`, but with async files: no thread of the
//! executor waits for the disk. On the executor of your choice.
//!
//!     cargo run --release -p polyexec-network-examples --bin files -- FOLDER

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use futures_lite::{AsyncReadExt, StreamExt};
use lexopt::{Arg, Parser};
use polyexec::{
    Executor, Handle, JoinHandle,
    fs::{self, File},
};

use support::cli::{self, Failure, row, say};
use support::{executors, text};
use tally::{Counts, Tally};

#[path = "../support.rs"]
mod support;
#[path = "../../../support/tally.rs"]
mod tally;

const HELP: &str = "\
Counts lines, words and bytes of all files under a folder: one task per file, with async files.

Usage: files [--in-flight N] [--executor NAME] FOLDER

  --executor NAME  pool, threaded or local, if compiled in; the default is the first of them
  --in-flight N    how many tasks at a time, each with an open file (default 64)
  --help           print this

Lines are newline bytes; words are maximal runs of bytes other than ASCII white space.
The files are those of `find FOLDER/ -type f`: links are not followed. Unreadable files and broken links are reported on
stderr and counted as unreadable; all others are counted nevertheless.

Exit code: 0 if all could be read, 1 if not, 2 if the options or the folder are invalid.";

/// How much of a file is counted at a time, in bytes.
const BLOCK: usize = 64 * 1024;

/// A file that can't be read, and why.
struct Unreadable {
    path: PathBuf,
    error: io::Error,
}

#[derive(Default)]
struct Totals {
    files: u64,
    unreadable: u64,
    counts: Counts,
}

fn main() -> ExitCode {
    cli::run(program)
}

fn program(parser: &mut Parser) -> Result<(), Failure> {
    let (mut executor, mut in_flight, mut folder) = (None, 64, None);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => {
                say(HELP);
                return Ok(());
            }
            Arg::Long("executor") => executor = Some(text(parser)?),
            Arg::Long("in-flight") => in_flight = cli::number(parser, "--in-flight", 1..=u32::MAX.into())? as usize,
            Arg::Value(path) if folder.is_none() => folder = Some(PathBuf::from(path)),
            other => return Err(other.unexpected().into()),
        }
    }
    let folder = folder.ok_or_else(|| Failure::usage("which folder? (see --help)"))?;
    let choice = executors::choose(executor.as_deref())?;
    let running = choice.start()?;
    let begin = Instant::now();
    let totals = running.handle.block_on(count_folder(&running.handle, in_flight, folder))?;
    let time = begin.elapsed();

    row("executor", choice.name);
    row("files", totals.files);
    row("lines", totals.counts.lines);
    row("words", totals.counts.words);
    row("bytes", totals.counts.bytes);
    row("unreadable", totals.unreadable);
    row("seconds", format_args!("{:.3}", time.as_secs_f64()));
    match totals.unreadable {
        0 => Ok(()),
        n => Err(Failure::failed(format_args!("{n} could not be read, all else is counted"))),
    }
}

/// Limits the number of tasks, and takes their results in the order of the files. So the output has that order.
async fn count_folder(executor: &Handle, in_flight: usize, folder: PathBuf) -> Result<Totals, Failure> {
    let root = entries(&folder).await;
    let root = root.map_err(|error| Failure::usage(format_args!("{}: {error}", folder.display())))?;
    let mut totals = Totals::default();
    let mut tasks: VecDeque<JoinHandle<Result<Counts, Unreadable>>> = VecDeque::new();
    // The next one is the last.
    let mut left: Vec<Entry> = root.into_iter().rev().collect();
    while let Some(Entry { path, kind }) = left.pop() {
        let found = match kind {
            Kind::File => {
                if tasks.len() == in_flight
                    && let Some(first) = tasks.pop_front()
                {
                    totals.add(first.await.map_err(Failure::failed)?);
                }
                match executor.try_spawn(count_file(path)) {
                    Ok(task) => tasks.push_back(task),
                    // The system has no thread: use this one.
                    Err(refused) => totals.add(refused.into_future().await),
                }
                continue;
            }
            Kind::Folder => entries(&path).await.map(|entries| left.extend(entries.into_iter().rev())),
            Kind::Link => broken(&path).await,
            // Skips files without an end: devices, sockets, pipes.
            Kind::Other => continue,
        };
        if let Err(error) = found {
            totals.add(Err(Unreadable { path, error }));
        }
    }
    for task in tasks {
        totals.add(task.await.map_err(Failure::failed)?);
    }
    Ok(totals)
}

impl Totals {
    fn add(&mut self, result: Result<Counts, Unreadable>) {
        match result {
            Ok(counts) => {
                self.files += 1;
                self.counts += counts;
            }
            Err(Unreadable { path, error }) => {
                self.unreadable += 1;
                cli::report(format_args!("{}: {error}", path.display()));
            }
        }
    }
}

/// The contents of a folder.
struct Entry {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    File,
    Folder,
    Link,
    Other,
}

/// By name.
async fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut entries = fs::read_dir(folder).await?;
    while let Some(entry) = entries.try_next().await? {
        let kind = entry.file_type().await?;
        let kind = match kind {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_symlink() => Kind::Link,
            _ => Kind::Other,
        };
        found.push(Entry { path: entry.path(), kind });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// An error for a broken link. Other links are skipped: their targets are counted in their places.
async fn broken(link: &Path) -> io::Result<()> {
    match fs::metadata(link).await {
        Ok(_) => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), format!("broken link: {error}"))),
    }
}

async fn count_file(path: PathBuf) -> Result<Counts, Unreadable> {
    match count_bytes(&path).await {
        Ok(counts) => Ok(counts),
        Err(error) => Err(Unreadable { path, error }),
    }
}

async fn count_bytes(path: &Path) -> io::Result<Counts> {
    let mut file = File::open(path).await?;
    let (mut tally, mut block) = (Tally::new(), vec![0; BLOCK]);
    loop {
        match file.read(&mut block).await {
            Ok(0) => return Ok(tally.counts()),
            Ok(length) => tally.add(&block[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
