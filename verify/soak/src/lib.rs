//! Runs millions of task lifecycles with faults on every executor, and counts what must not happen.
//!
//! A run is made of epochs. Each starts an executor, spawns tasks on it that wake, join, block, panic and are aborted
//! as a seed has it, and drops it: at rest, or in the middle of the work, while foreign threads spawn, wake and abort.
//! Every task writes down what happens to it; when the epoch is at rest, each of these records is judged.
//!
//! What the soak needs of an executor is the trait [`Subject`](subject::Subject). The canaries implement it badly.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{Write, stderr, stdout};
use std::process::exit;
use std::time::Duration;

use args::{Command, Options};
use run::{Entry, Settings};

pub mod args;
mod bad_waker;
mod epoch;
pub mod faults;
pub mod figures;
mod foreign;
mod hooks;
pub mod job;
pub mod judge;
pub mod log;
pub mod memory;
pub mod outcome;
mod pair;
pub mod plan;
pub mod record;
pub mod report;
pub mod role;
mod root;
pub mod run;
mod stored_wakers;
pub mod subject;
pub mod subjects;
mod system;
mod tracked;
pub mod watchdog;

/// Every figure is zero.
pub const CLEAN: u8 = 0;
/// Some aren't, or something else failed.
pub const FAILED: u8 = 1;
/// The input was bad.
pub const USAGE: u8 = 2;

/// The whole program, for these executors: its exit code. `command` is how it is called, for the help.
pub fn program(command: &str, args: impl IntoIterator<Item = OsString>, entries: &[Entry]) -> u8 {
    let names: Vec<_> = entries.iter().map(|entry| entry.name).collect();
    match args::parse(args, &names) {
        Ok(Command::Help) => {
            say(args::help(command, &names));
            CLEAN
        }
        Ok(Command::Run(options)) => soak(&options, entries),
        Err(error) => {
            tell(format_args!("{error} (see --help)"));
            USAGE
        }
    }
}

fn soak(options: &Options, entries: &[Entry]) -> u8 {
    let Options { lifecycles, seed, workers, foreign, epoch, patience, .. } = *options;
    tell(format_args!("seed {seed}"));
    let settings = Settings { seed, lifecycles, workers, foreign, epoch, patience: Duration::from_secs(patience) };
    let mut runs = Vec::new();
    for name in &options.executors {
        let entry = entries.iter().find(|entry| entry.name == *name).expect("`parse` takes these names only");
        match (entry.run)(&settings) {
            Ok(report) => runs.push((entry, report)),
            Err(error) => {
                tell(format_args!("{name}: can't start it: {error}"));
                return FAILED;
            }
        }
    }
    let text = report::render(options, &runs);
    say(&text);
    if let Some(path) = &options.report
        && let Err(error) = std::fs::write(path, &text)
    {
        tell(format_args!("can't write {}: {error}", path.display()));
        return FAILED;
    }
    if runs.iter().all(|(_, report)| report.is_clean()) { CLEAN } else { FAILED }
}

/// Prints a line on stderr. A failure to write is ignored.
fn tell(line: impl Display) {
    let line = line.to_string().replace(char::is_control, " ");
    let _ = writeln!(stderr(), "polyexec-soak: {line}");
}

/// Prints lines on stdout. Ends the program if stdout is closed.
fn say(text: impl Display) {
    if writeln!(stdout(), "{text}").is_err() {
        exit(FAILED.into());
    }
}
