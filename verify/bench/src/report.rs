//! Prints the report, and writes the same as report.md.

use std::fmt::Write;

use polyexec_verify_support::Table;

use crate::results::{GrowthResult, Line, RowResult, Verdict};
use crate::row::Role;
use crate::{chart, machine};

const INTRO: &str = "\
# polyexec beside its peers

Written by `cargo run --release --manifest-path verify/bench/Cargo.toml`, which repeats it; [`README.md`](README.md) says how to read it.
Lower is better everywhere.
";

const METHOD: &str = "\
## How it is measured

Every contestant of a row is measured once in a round, in turn, and each round begins with another one; all in one process.
A pool has two workers, unless the row says otherwise. An executor is started and warmed up before the clock starts, and
dropped after it has stopped; each contestant runs the same futures and the same channels, and each result is checked.
Medians, minima and maxima are over the rounds; ratios are of medians. \"No executor\" is what the work costs by itself.
Memory is what the allocator has given out and not got back, on all threads, divided by the number of tasks.
";

/// What the figures don't say by themselves: why a bound isn't held, and what was tried. Written by hand.
const NOTES: &str = include_str!("../notes.md");

/// A number with three digits that say something.
pub fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "–".into(),
        _ if value >= 99.95 => format!("{value:.0}"),
        _ if value >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn held(verdict: &Verdict) -> &'static str {
    if verdict.held() { "held" } else { "NOT held" }
}

/// "ours ÷ tokio 1.0 is 0.56, at most 0.70: held".
fn sentence(verdict: &Verdict) -> String {
    let (found, at_most) = (number(verdict.found), number(verdict.at_most));
    format!("{} is {found}, at most {at_most}: {}", verdict.what, held(verdict))
}

fn rounds(number: usize) -> String {
    format!("{number} round{}", if number == 1 { "" } else { "s" })
}

fn row_table(row: &RowResult) -> Table {
    let (peer, limit) = (row.best_peer(), row.limit());
    let mut header = vec![row.unit, "median", "min", "max"];
    header.extend(peer.map(|_| "÷ best peer"));
    header.extend(limit.map(|_| "÷ limit"));
    let mut table = Table::new(header);
    for line in &row.lines {
        let stats = line.stats;
        let mut cells = vec![line.name.clone(), number(stats.median), number(stats.min), number(stats.max)];
        cells.extend([peer, limit].into_iter().flatten().map(|to| number(stats.median / to.stats.median)));
        table.row(cells);
    }
    table
}

fn growth_table(growth: &GrowthResult) -> Table {
    let mut table = Table::new([growth.unit].iter().chain(growth.points).copied());
    for line in &growth.lines {
        table.row([line.name.clone()].into_iter().chain(line.stats.iter().map(|stats| number(stats.median))));
    }
    table
}

/// One row, as it is printed when it is done.
pub fn row_text(row: &RowResult) -> String {
    let mut text = format!("\n{} ({})\n{}", row.name, rounds(row.rounds), row_table(row).to_text());
    for verdict in &row.verdicts {
        let _ = writeln!(text, "  {}", sentence(verdict));
    }
    text
}

pub fn growth_text(growth: &GrowthResult) -> String {
    let mut text =
        format!("\n{} (medians of {})\n{}", growth.name, rounds(growth.rounds), growth_table(growth).to_text());
    if let Some(verdict) = &growth.verdict {
        let _ = writeln!(text, "  {}", sentence(verdict));
    }
    text
}

pub fn machine_text() -> String {
    machine::description().into_iter().map(|(what, value)| format!("{what:<9} {value}\n")).collect()
}

fn summary_table(rows: &[RowResult], growth: &[GrowthResult]) -> Table {
    let mut table = Table::new(["row", "compared", "found", "at most", "bound"]);
    let mut add = |name: &str, verdict: &Verdict| {
        let (found, at_most) = (number(verdict.found), number(verdict.at_most));
        table.row([name, &verdict.what, &found, &at_most, held(verdict)]);
    };
    for row in rows {
        row.verdicts.iter().for_each(|verdict| add(row.name, verdict));
    }
    for growth in growth {
        growth.verdict.iter().for_each(|verdict| add(growth.name, verdict));
    }
    table
}

/// "21 of 24 bounds are held".
fn count(rows: &[RowResult], growth: &[GrowthResult]) -> String {
    let verdicts =
        || rows.iter().flat_map(|row| &row.verdicts).chain(growth.iter().filter_map(|growth| growth.verdict.as_ref()));
    format!("{} of {} bounds are held.", verdicts().filter(|verdict| verdict.held()).count(), verdicts().count())
}

/// Which bounds are held.
pub fn summary_text(rows: &[RowResult], growth: &[GrowthResult]) -> String {
    format!("\nsummary\n{}  {}\n", summary_table(rows, growth).to_text(), count(rows, growth))
}

/// All of it, as report.md.
pub fn markdown(rows: &[RowResult], growth: &[GrowthResult]) -> String {
    let mut text = INTRO.to_string();
    text.push('\n');
    for (what, value) in machine::description() {
        let _ = writeln!(text, "- {what}: {value}");
    }
    let _ = write!(text, "\n{}\n\n![ours and the peers, best peer = 1](report.svg)\n", count(rows, growth));
    let _ = write!(text, "\n## Bounds\n\n{}\n{METHOD}", summary_table(rows, growth).to_markdown());
    if !rows.is_empty() {
        text.push_str("\n## Rows\n");
    }
    for row in rows {
        let _ = write!(
            text,
            "\n### {}\n\n{} {}.\n\n{}",
            row.name,
            row.what,
            rounds(row.rounds),
            row_table(row).to_markdown()
        );
        text.push('\n');
        row.verdicts.iter().for_each(|verdict| text.push_str(&format!("- {}\n", sentence(verdict))));
    }
    if !growth.is_empty() {
        text.push_str("\n## Growth\n\nMedians; what a piece costs while the number of pieces, or of workers, grows.\n");
    }
    for growth in growth {
        let table = growth_table(growth).to_markdown();
        let _ = write!(text, "\n### {}\n\n{} {}.\n\n{table}", growth.name, growth.what, rounds(growth.rounds));
        if let Some(verdict) = &growth.verdict {
            let _ = write!(text, "\n- {}\n", sentence(verdict));
        }
    }
    let _ = write!(text, "\n{NOTES}");
    text
}

/// The rows as a chart.
pub fn svg(rows: &[RowResult]) -> String {
    chart::svg(rows.iter().filter_map(group).collect())
}

/// A row's bars, in units of the best peer's median.
fn group(row: &RowResult) -> Option<chart::Group> {
    let unit = row.best_peer()?.stats.median;
    let bar = |line: &Line| chart::Bar {
        label: line.name.clone(),
        value: line.stats.median / unit,
        ours: line.role == Role::Ours,
        number: format!("{} {}", number(line.stats.median), row.unit),
    };
    Some(chart::Group {
        title: row.name.into(),
        held: row.verdicts.iter().all(Verdict::held),
        bars: row.lines.iter().filter(|line| line.role != Role::Limit).map(bar).collect(),
        // Of several bounds, the tightest one is the one to see.
        bound: row
            .bounds
            .iter()
            .filter_map(|bound| row.allowed(*bound))
            .min_by(f64::total_cmp)
            .map(|bound| bound / unit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(
            [0.5, 9.99, 9.996, 27.04, 99.96, 1_234.5].map(number),
            ["0.50", "9.99", "10.0", "27.0", "100", "1234"]
        );
        assert_eq!(number(f64::NAN), "–");
    }
}
