//! Counts lines, words and bytes of all files under a folder: one task per file, on the executor of your choice.
//!
//!     cargo run --release --example wc -- FOLDER
//!     cargo run --release --example wc --all-features -- --executor threaded FOLDER

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use lexopt::{Arg, Parser};
use polyexec::{Executor, Handle, JoinHandle};
use polyexec_futures::yield_now;
use walkdir::{DirEntry, WalkDir};

use support::cli::{self, Failure, row, say};
use support::executors;
use support::progress::Progress;
use support::tally::{Counts, Tally};
use support::watching::Watching;

mod support {
    pub(crate) mod cli;
    pub(crate) mod executors;
    pub(crate) mod progress;
    pub(crate) mod tally;
    pub(crate) mod watching;
}

const HELP: &str = "\
Counts lines, words and bytes of all files under a folder: one task per file.

Usage: wc [--executor NAME] [--in-flight N] [--text] FOLDER

  --executor NAME  pool, threaded or local, if compiled in; the default is the first of them
  --in-flight N    how many tasks at a time, each with an open file (default 256)
  --text           print what each thread did, in the end (with `--features observe`)
  --help           print this

Lines are newline bytes; words are maximal runs of bytes other than ASCII white space.
The files are those of `find FOLDER/ -type f`: links are not followed. Unreadable files and broken links are reported on
stderr and counted as unreadable; all others are counted nevertheless.

Exit code: 0 if all could be read, 1 if not, 2 if the options or the folder are invalid.";

/// How much of a file is read and counted at a time. Large, so that system calls are rare; small enough for a cache.
const BLOCK: usize = 128 * 1024;

thread_local! {
    /// One buffer for all files that this thread reads. A task borrows it for one block, and never while it waits.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; BLOCK]);
}

struct Options {
    executor: Option<String>,
    in_flight: usize,
    folder: PathBuf,
    watching: Watching,
}

#[derive(Default)]
struct Totals {
    files: u64,
    unreadable: u64,
    counts: Counts,
}

/// A file that can't be read, and why.
struct Unreadable {
    path: PathBuf,
    error: io::Error,
}

fn main() -> ExitCode {
    cli::run(program)
}

fn program(parser: &mut Parser) -> Result<(), Failure> {
    let Some(options) = parse(parser)? else {
        say(HELP);
        return Ok(());
    };
    let choice = executors::choose(options.executor.as_deref())?;
    check_folder(&options.folder)?;
    let running = choice.start_observed(options.watching.observer())?;

    let begin = Instant::now();
    let totals = running.handle.block_on(count_folder(&running.handle, &options))?;
    let time = begin.elapsed();

    row("executor", choice.name);
    row("files", totals.files);
    row("lines", totals.counts.lines);
    row("words", totals.counts.words);
    row("bytes", totals.counts.bytes);
    row("unreadable", totals.unreadable);
    row("seconds", format_args!("{:.3}", time.as_secs_f64()));
    drop(running);
    options.watching.report();
    match totals.unreadable {
        0 => Ok(()),
        n => Err(Failure::failed(format_args!("{n} could not be read, all else is counted"))),
    }
}

/// `None` if the user asks for help.
fn parse(parser: &mut Parser) -> Result<Option<Options>, Failure> {
    let (mut executor, mut in_flight, mut folder) = (None, 256, None);
    let mut watching = Watching::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("executor") => executor = Some(parser.value()?.to_string_lossy().into_owned()),
            Arg::Long("in-flight") => in_flight = cli::number(parser, "--in-flight", 1..=u32::MAX.into())? as usize,
            Arg::Long("text") => watching.text()?,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(path) if folder.is_none() => folder = Some(PathBuf::from(path)),
            other => return Err(other.unexpected().into()),
        }
    }
    let folder = folder.ok_or_else(|| Failure::usage("which folder? (see --help)"))?;
    Ok(Some(Options { executor, in_flight, folder, watching }))
}

fn check_folder(folder: &Path) -> Result<(), Failure> {
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(Failure::usage(format_args!("{}: not a folder", folder.display()))),
        Err(error) => Err(Failure::usage(format_args!("{}: {error}", folder.display()))),
    }
}

/// Limits the number of tasks, and takes their results in the order of the files. So the output has the same order each time.
async fn count_folder(executor: &Handle, options: &Options) -> Result<Totals, Failure> {
    let mut totals = Totals::default();
    let mut progress = Progress::new();
    let mut tasks: VecDeque<JoinHandle<Result<Counts, Unreadable>>> = VecDeque::new();
    for found in files(&options.folder) {
        let path = match found {
            Ok(path) => path,
            Err(unreadable) => {
                totals.add(Err(unreadable), &mut progress);
                continue;
            }
        };
        if tasks.len() == options.in_flight
            && let Some(first) = tasks.pop_front()
        {
            totals.add(first.await.map_err(Failure::failed)?, &mut progress);
        }
        match executor.try_spawn(count_file(path)) {
            Ok(task) => tasks.push_back(task),
            // The system has no thread: use this one.
            Err(refused) => totals.add(refused.into_future().await, &mut progress),
        }
    }
    for task in tasks {
        totals.add(task.await.map_err(Failure::failed)?, &mut progress);
    }
    Ok(totals)
}

impl Totals {
    fn add(&mut self, result: Result<Counts, Unreadable>, progress: &mut Progress) {
        match result {
            Ok(counts) => {
                self.files += 1;
                self.counts += counts;
                progress.at(self.files, "files");
            }
            Err(Unreadable { path, error }) => {
                self.unreadable += 1;
                progress.clear();
                cli::report(format_args!("{}: {error}", path.display()));
            }
        }
    }
}

/// The files under `folder` by name, and those that can't be examined.
fn files(folder: &Path) -> impl Iterator<Item = Result<PathBuf, Unreadable>> {
    WalkDir::new(folder).sort_by_file_name().into_iter().filter_map(|entry| match entry {
        Ok(entry) if entry.file_type().is_file() => Some(Ok(entry.into_path())),
        Ok(entry) if entry.path_is_symlink() => broken(entry).map(Err),
        // Folders, and files without an end: devices, sockets, pipes.
        Ok(_) => None,
        Err(error) => {
            let path = error.path().map(Path::to_owned).unwrap_or_default();
            Some(Err(Unreadable { path, error: error.into() }))
        }
    })
}

/// A broken link. Other links are skipped: their targets are counted in their places.
fn broken(link: DirEntry) -> Option<Unreadable> {
    let error = fs::metadata(link.path()).err()?;
    let error = io::Error::new(error.kind(), format!("broken link: {error}"));
    Some(Unreadable { path: link.into_path(), error })
}

async fn count_file(path: PathBuf) -> Result<Counts, Unreadable> {
    match count_bytes(&path).await {
        Ok(counts) => Ok(counts),
        Err(error) => Err(Unreadable { path, error }),
    }
}

async fn count_bytes(path: &Path) -> io::Result<Counts> {
    let mut file = File::open(path)?;
    let mut tally = Tally::new();
    loop {
        match read_block(&mut file, &mut tally)? {
            0 => return Ok(tally.counts()),
            // Probably a large file: let other tasks run.
            BLOCK => yield_now().await,
            _ => {}
        }
    }
}

/// Reads and counts the next block; returns its length, which is zero at the end.
fn read_block(file: &mut File, tally: &mut Tally) -> io::Result<usize> {
    BUFFER.with_borrow_mut(|buffer| {
        loop {
            match file.read(buffer) {
                Ok(length) => {
                    tally.add(&buffer[..length]);
                    return Ok(length);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    })
}
