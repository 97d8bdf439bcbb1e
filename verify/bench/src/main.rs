//! polyexec beside its peers, in one run: what each row costs on whom, and whether ours keeps its bounds.

#![forbid(unsafe_code)]

mod args;
mod bounds;
mod chart;
mod contestants;
mod growth;
mod harness;
mod machine;
mod report;
mod results;
mod row;
mod stats;
mod workloads;

use std::fs;
use std::io::{self, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use args::{Command, DEFAULT_ROUNDS, Options};
use growth::Growth;
use harness::Cell;
use results::{GrowthResult, RowResult};
use row::Row;

/// Counts for the rows about memory, and only then.
#[global_allocator]
static ALLOCATOR: polyexec_bench_allocator::Counting = polyexec_bench_allocator::Counting;

/// The most rounds of a growth row, whose cells are large and many.
const GROWTH_ROUNDS: usize = 9;

/// Bad arguments.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = match args::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => return fail(USAGE, format_args!("{error} (see --help)")),
    };
    let done = match command {
        Command::Help => say(args::HELP),
        Command::List => list(),
        Command::Resident { pool, tasks } => resident(&pool, tasks),
        Command::Run(options) => run(options),
    };
    match done {
        Ok(()) if harness::stopped() => ExitCode::from(harness::STOPPED_BY_USER),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => fail(USAGE, error),
        // The reader of the pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(1, error),
    }
}

fn fail(code: u8, why: impl std::fmt::Display) -> ExitCode {
    eprintln!("polyexec-bench: {why}");
    ExitCode::from(code)
}

fn say(text: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn list() -> io::Result<()> {
    let rows = workloads::rows().into_iter().map(|row| (row.name, row.what));
    let growth = workloads::growth().into_iter().map(|growth| (growth.name, growth.what));
    say(&rows.chain(growth).map(|(name, what)| format!("{name:<15}  {what}\n")).collect::<String>())
}

/// One measurement for the process that started this one, which alone decides when to stop.
fn resident(pool: &str, tasks: u64) -> io::Result<()> {
    harness::stop_on_ctrl_c().map_err(io::Error::other)?;
    let bytes = workloads::resident(pool, tasks).ok_or_else(|| io::Error::other("can't be measured here"))?;
    say(&bytes.to_string())
}

fn run(options: Options) -> io::Result<()> {
    let (rows, growth) = chosen(&options);
    if rows.is_empty() && growth.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "--only and --on leave no row (see --list)"));
    }
    if let Some(folder) = &options.out {
        fs::create_dir_all(folder).map_err(|error| naming(folder, error))?; // now rather than after minutes
    }
    harness::stop_on_ctrl_c().map_err(io::Error::other)?;
    say(&report::machine_text())?;

    let mut row_results = Vec::new();
    for row in rows {
        if let Some(result) = measure_row(row, options.rounds) {
            say(&report::row_text(&result))?;
            row_results.push(result);
        }
    }
    let mut growth_results = Vec::new();
    for growth in growth {
        if let Some(result) = measure_growth(growth, options.rounds.min(GROWTH_ROUNDS)) {
            say(&report::growth_text(&result))?;
            growth_results.push(result);
        }
    }
    say(&report::summary_text(&row_results, &growth_results))?;

    match folder(&options) {
        Some(folder) => write_report(&folder, &row_results, &growth_results),
        None => say("not a whole run: no report was written"),
    }
}

/// What `--only` and `--on` leave.
fn chosen(options: &Options) -> (Vec<Row>, Vec<Growth>) {
    let among =
        |parts: &[String], name: &str| parts.is_empty() || parts.iter().any(|part| name.contains(part.as_str()));
    let mut rows = workloads::rows();
    rows.iter_mut().for_each(|row| row.contestants.retain(|contestant| among(&options.on, contestant.name)));
    rows.retain(|row| among(&options.only, row.name) && !row.contestants.is_empty());
    let mut growth = workloads::growth();
    growth.iter_mut().for_each(|growth| growth.lines.retain(|line| among(&options.on, line.name)));
    growth.retain(|growth| among(&options.only, growth.name) && !growth.lines.is_empty());
    (rows, growth)
}

fn measure_row(mut row: Row, rounds: usize) -> Option<RowResult> {
    let cell = |contestant: &'static str, measure| Cell { name: contestant.into(), measure };
    let mut cells: Vec<_> =
        row.contestants.iter_mut().map(|contestant| cell(contestant.name, &mut contestant.measure)).collect();
    let values = harness::measure(row.name, &mut cells, rounds);
    RowResult::of(&row, &values)
}

fn measure_growth(mut growth: Growth, rounds: usize) -> Option<GrowthResult> {
    let mut cells = Vec::new();
    for line in &mut growth.lines {
        for (point, measure) in growth.points.iter().zip(&mut line.measures) {
            cells.push(Cell { name: format!("{} at {point}", line.name), measure });
        }
    }
    let values = harness::measure(growth.name, &mut cells, rounds);
    GrowthResult::of(&growth, &values)
}

/// Where the report goes: the committed one is changed by a whole run alone.
fn folder(options: &Options) -> Option<PathBuf> {
    let whole =
        options.only.is_empty() && options.on.is_empty() && options.rounds >= DEFAULT_ROUNDS && !harness::stopped();
    options.out.clone().or_else(|| whole.then(|| env!("CARGO_MANIFEST_DIR").into()))
}

fn write_report(folder: &Path, rows: &[RowResult], growth: &[GrowthResult]) -> io::Result<()> {
    for (name, text) in [("report.md", report::markdown(rows, growth)), ("report.svg", report::svg(rows))] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| naming(&path, error))?;
        say(&format!("wrote {}", path.display()))?;
    }
    Ok(())
}

/// The error, with the path that it is about; another kind is no matter of this program's arguments.
fn naming(path: &Path, error: io::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
