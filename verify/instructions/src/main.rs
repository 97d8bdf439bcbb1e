//! Counts the instructions of polyexec's single-threaded paths, and compares them with a baseline.
//!
//!     cargo run --release --manifest-path verify/instructions/Cargo.toml

#![forbid(unsafe_code)]

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use arguments::{Job, Selection};
use baseline::Baseline;
use failure::Failure;
use progress::Progress;
use toolchain::Toolchain;
use valgrind::Valgrind;
use verdict::Row;

mod arguments;
mod baseline;
mod count;
mod failure;
mod operations;
mod progress;
mod table;
mod toolchain;
mod valgrind;
mod verdict;

fn main() -> ExitCode {
    let done = arguments::parse(lexopt::Parser::from_env()).and_then(|job| match job {
        Job::Help => say(&arguments::help()),
        Job::Run(operation, times) => {
            (operation.run)(times);
            Ok(())
        }
        Job::Compare(selection) => compare(&selection),
        Job::Bless(selection) => bless(&selection),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(stderr(), "instructions: {failure}");
            failure.code()
        }
    }
}

/// Measures, and fails if anything got dearer than the baseline has it.
fn compare(selection: &Selection) -> Result<(), Failure> {
    let Some(valgrind) = find_valgrind()? else { return Ok(()) };
    let Some(baseline) = Baseline::read()? else {
        return Err(Failure::failed(format_args!(
            "there is no baseline yet; to make one: {}",
            arguments::HOW_TO_BLESS
        )));
    };
    let here = Toolchain::here();
    let rows = measure(&valgrind, selection, Some(&baseline))?;
    say(&table::render(&rows))?;
    let complaints = verdict::complaints(&rows);
    if !baseline.is_of(&here) {
        let warning = if complaints.is_empty() { "" } else { "; so this is no failure: " };
        return say(&format!(
            "\nWARNING: the baseline is of {}, and this is {here}: their counts don't compare{warning}{}",
            baseline.toolchain(),
            complaints.join("; "),
        ));
    }
    match complaints.is_empty() {
        true => Ok(()),
        false => {
            let complaints = complaints.join("; ");
            Err(Failure::failed(format_args!("{complaints}; to make that the baseline: {}", arguments::HOW_TO_BLESS)))
        }
    }
}

/// Measures, and makes that the baseline.
fn bless(selection: &Selection) -> Result<(), Failure> {
    let Some(valgrind) = find_valgrind()? else { return Ok(()) };
    let here = Toolchain::here();
    // The lines of operations that aren't measured stay, so they must compare; and only then must the old file be sound.
    let kept = match selection.is_everything() {
        true => None,
        false => Baseline::read()?,
    };
    if let Some(kept) = &kept
        && !kept.is_of(&here)
    {
        return Err(Failure::usage(format_args!(
            "the baseline is of {}, and this is {here}: bless everything, without --only",
            kept.toolchain(),
        )));
    }
    // Of interest only: the old file is about to be replaced.
    let before = Baseline::read().ok().flatten();
    let rows = measure(&valgrind, selection, before.as_ref())?;
    say(&table::render(&rows))?;
    let mut blessed = kept.unwrap_or_else(|| Baseline::new(here));
    for row in &rows {
        blessed.set(row.operation, row.now);
    }
    blessed.write()?;
    say("\nThis is the baseline now: commit verify/instructions/baseline.txt.")
}

/// Says so if there is none.
fn find_valgrind() -> Result<Option<Valgrind>, Failure> {
    if cfg!(debug_assertions) {
        return Err(Failure::usage("this is a debug build, whose counts mean nothing: cargo run --release"));
    }
    let valgrind = Valgrind::find()?;
    if valgrind.is_none() {
        say("SKIPPED: no valgrind on this machine")?;
    }
    Ok(valgrind)
}

fn measure(valgrind: &Valgrind, selection: &Selection, before: Option<&Baseline>) -> Result<Vec<Row>, Failure> {
    let operations = selection.operations();
    let mut progress = Progress::new(operations.len());
    let measure = |operation: &operations::Operation| {
        progress.begin(operation.name);
        let baseline = before.and_then(|baseline| baseline.get(operation.name));
        Ok(Row { operation: operation.name, now: valgrind.count(operation)?, baseline })
    };
    operations.into_iter().map(measure).collect()
}

fn say(text: &str) -> Result<(), Failure> {
    writeln!(stdout(), "{}", text.trim_end()).map_err(|error| Failure::failed(format_args!("can't print: {error}")))
}
