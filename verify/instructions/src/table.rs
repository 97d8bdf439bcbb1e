//! Lays the counts out for people. Decides nothing.

use crate::verdict::{Row, Verdict};

pub(crate) fn render(rows: &[Row]) -> String {
    let head = line("operation", "instructions", "baseline", "difference", "");
    let rows = rows.iter().map(|row| {
        let baseline = row.baseline.map_or("none".into(), |baseline| baseline.to_string());
        let difference = row.difference().map_or("".into(), |percent| format!("{percent:+.1} %"));
        let remark = match row.verdict() {
            Verdict::Same => "",
            Verdict::Better => "better: bless it",
            Verdict::Dearer => "DEARER",
            Verdict::Unknown => "not in the baseline: bless it",
        };
        line(row.operation, &row.now.to_string(), &baseline, &difference, remark)
    });
    std::iter::once(head).chain(rows).collect()
}

fn line(operation: &str, now: &str, baseline: &str, difference: &str, remark: &str) -> String {
    let line = format!("{operation:<26} {now:>12} {baseline:>12} {difference:>12}  {remark}");
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_an_operation() {
        let row = |operation, now: &str, baseline: &str| Row {
            operation,
            now: now.parse().unwrap(),
            baseline: baseline.parse().ok(),
        };
        let table = render(&[
            row("ant", "100.0", "100.0"),
            row("bee", "110.0", "100.0"),
            row("cat", "90.5", "100.0"),
            row("dog", "1.0", "none"),
        ]);
        let lines: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["operation", "instructions", "baseline", "difference"]);
        assert_eq!(lines[1], ["ant", "100.0", "100.0", "+0.0", "%"]);
        assert_eq!(lines[2], ["bee", "110.0", "100.0", "+10.0", "%", "DEARER"]);
        assert_eq!(lines[3], ["cat", "90.5", "100.0", "-9.5", "%", "better:", "bless", "it"]);
        assert_eq!(lines[4], ["dog", "1.0", "none", "not", "in", "the", "baseline:", "bless", "it"]);
    }
}
