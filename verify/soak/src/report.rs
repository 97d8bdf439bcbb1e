//! The tables, in Markdown. Measures nothing.

use std::fmt::Write;

use polyexec_verify_support::{Table, machine, thousands};

use crate::args::Options;
use crate::faults::Fault;
use crate::run::{Entry, Report, SLOW_SHUTDOWN, STEEP};

/// All of it.
pub fn render(options: &Options, runs: &[(&Entry, Report)]) -> String {
    let mut text = String::from("# Soak\n\n");
    for (name, value) in machine::description() {
        let _ = writeln!(text, "- {name}: {value}");
    }
    let _ =
        writeln!(text, "- seed {}, {} workers, {} foreign threads\n", options.seed, options.workers, options.foreign);
    text += &figures(runs);
    text += &work(runs);
    text += &faults(runs);
    text += &left_out(runs);
    text += &verdict(runs);
    text
}

/// Whether every run is clean, in a line; with the figures that aren't zero.
fn verdict(runs: &[(&Entry, Report)]) -> String {
    let failed: Vec<_> = runs.iter().filter(|(_, report)| !report.is_clean()).map(|(entry, _)| entry.name).collect();
    if failed.is_empty() {
        "All figures are zero.\n".into()
    } else {
        format!("**Figures that aren't zero: {}.**\n", failed.join(", "))
    }
}

fn figures(runs: &[(&Entry, Report)]) -> String {
    let mut table = table("must be zero", runs);
    for (row, (what, _)) in runs.first().map(|(_, report)| report.figures.rows()).unwrap_or_default().iter().enumerate()
    {
        add(&mut table, what, runs.iter().map(|(_, report)| thousands(report.figures.rows()[row].1)));
    }
    let slope = |report: &Report| report.slope.map_or("too short a run".into(), |slope| format!("{slope:.2}"));
    add(
        &mut table,
        &format!("bytes a 1,000 tasks by which memory grows (under {STEEP})"),
        runs.iter().map(|(_, report)| slope(report)),
    );
    format!(
        "{}\nMemory is what is allocated when an executor is gone: the median rise from the least in one tenth of the run to \
         the least in the next.\nA shutdown should take the longest poll (10 ms) and 100 ms; what takes over {} s is \
         counted, since a busy machine takes its time.\n\n",
        table.to_markdown(),
        SLOW_SHUTDOWN.as_secs()
    )
}

fn work(runs: &[(&Entry, Report)]) -> String {
    let mut table = table("what was done", runs);
    let mut row = |what: &str, of: &dyn Fn(&Report) -> String| {
        add(&mut table, what, runs.iter().map(|(_, report)| of(report)));
    };
    row("task lifecycles", &|report| thousands(report.tally.lifecycles));
    row("executors started and dropped", &|report| thousands(report.epochs));
    row("polls", &|report| thousands(report.tally.polls));
    row("tasks that were ready", &|report| thousands(report.tally.ready));
    row("tasks that panicked", &|report| thousands(report.tally.panicked));
    row("tasks that were aborted or shut down", &|report| thousands(report.tally.dropped));
    row("handles that resolved", &|report| thousands(report.tally.joined));
    row("seconds", &|report| format!("{:.1}", report.time.as_secs_f64()));
    row("lifecycles a second", &|report| {
        thousands((report.tally.lifecycles as f64 / report.time.as_secs_f64()) as u64)
    });
    row("longest shutdown in ms", &|report| format!("{:.1}", report.longest_shutdown.as_secs_f64() * 1000.0));
    row("bytes above the start, at the end", &|report| report.bytes.to_string());
    table.to_markdown() + "\n"
}

fn faults(runs: &[(&Entry, Report)]) -> String {
    let mut table = table("fault (planned rate)", runs);
    for fault in Fault::ALL {
        let count = |(entry, report): &(&Entry, Report)| match report.faults.get(*fault) {
            0 if entry.left_out.iter().any(|(left_out, _)| left_out == fault) => "left out".into(),
            count => thousands(count),
        };
        add(&mut table, &format!("{} ({})", fault.what(), fault.rate()), runs.iter().map(count));
    }
    table.to_markdown() + "\n"
}

fn left_out(runs: &[(&Entry, Report)]) -> String {
    let mut text = String::new();
    for (entry, _) in runs {
        for (fault, reason) in entry.left_out {
            let _ = writeln!(text, "- {}, left out: {}: {reason}.", entry.name, fault.what());
        }
    }
    if text.is_empty() { text } else { text + "\n" }
}

/// A table with a column for each run.
fn table(corner: &str, runs: &[(&Entry, Report)]) -> Table {
    Table::new([corner].into_iter().chain(runs.iter().map(|(entry, _)| entry.name)))
}

fn add(table: &mut Table, name: &str, values: impl Iterator<Item = String>) {
    table.row([name.to_owned()].into_iter().chain(values));
}
