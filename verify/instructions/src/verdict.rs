//! Decides which difference from the baseline matters. Prints nothing.

use crate::count::Count;

/// A smaller difference is none. Counts repeat exactly, but code elsewhere may move what the compiler inlines here.
const MARGIN_PERCENT: f64 = 3.0;

/// Nor is one of so few instructions, which may be more than the margin of a cheap operation.
const MARGIN_INSTRUCTIONS: f64 = 2.0;

/// What was measured, and what is to be expected.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) operation: &'static str,
    pub(crate) now: Count,
    pub(crate) baseline: Option<Count>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    Better,
    /// Fails the run.
    Dearer,
    /// The baseline doesn't know it, so nothing guards it: this, too, fails the run.
    Unknown,
}

impl Row {
    pub(crate) fn verdict(&self) -> Verdict {
        let Some(baseline) = self.baseline else { return Verdict::Unknown };
        let more = self.now.as_f64() - baseline.as_f64();
        let margin = baseline.as_f64() * MARGIN_PERCENT / 100.0;
        if more > margin.max(MARGIN_INSTRUCTIONS) {
            Verdict::Dearer
        } else if -more > margin {
            Verdict::Better
        } else {
            Verdict::Same
        }
    }

    /// How much dearer it is, in percent of the baseline. `None` without one, or if that is zero.
    pub(crate) fn difference(&self) -> Option<f64> {
        let baseline = self.baseline?.as_f64();
        (baseline > 0.0).then(|| (self.now.as_f64() / baseline - 1.0) * 100.0)
    }
}

/// A phrase for each row that fails the run.
pub(crate) fn complaints(rows: &[Row]) -> Vec<String> {
    let complaint = |row: &Row| match (row.verdict(), row.baseline) {
        (Verdict::Same | Verdict::Better, _) => None,
        (Verdict::Dearer, Some(baseline)) => {
            Some(format!("{} got dearer: {} instructions, not {baseline}", row.operation, row.now))
        }
        (Verdict::Dearer | Verdict::Unknown, _) => Some(format!("{} isn't in the baseline", row.operation)),
    };
    rows.iter().filter_map(complaint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(now: &str, baseline: &str) -> Row {
        Row { operation: "ant", now: now.parse().unwrap(), baseline: baseline.parse().ok() }
    }

    #[test]
    fn three_percent_are_the_margin() {
        for (now, verdict) in [
            ("1000.0", Verdict::Same),
            ("1030.0", Verdict::Same),
            ("1030.1", Verdict::Dearer),
            ("9999.0", Verdict::Dearer),
            ("970.0", Verdict::Same),
            ("969.9", Verdict::Better),
            ("0.0", Verdict::Better),
        ] {
            assert_eq!(row(now, "1000.0").verdict(), verdict, "{now}");
        }
    }

    #[test]
    fn two_instructions_more_are_none() {
        assert_eq!(row("12.0", "10.0").verdict(), Verdict::Same);
        assert_eq!(row("12.1", "10.0").verdict(), Verdict::Dearer);
        assert_eq!(row("9.0", "10.0").verdict(), Verdict::Better);
        assert_eq!(row("2.0", "0.0").verdict(), Verdict::Same);
        assert_eq!(row("2.1", "0.0").verdict(), Verdict::Dearer);
    }

    #[test]
    fn differences_are_of_the_baseline() {
        assert_eq!(row("150.0", "100.0").difference(), Some(50.0));
        assert_eq!(row("50.0", "100.0").difference(), Some(-50.0));
        assert_eq!(row("50.0", "0.0").difference(), None);
        assert_eq!(row("50.0", "none").difference(), None);
    }

    #[test]
    fn only_what_is_dearer_or_unknown_is_complained_of() {
        let rows = [row("100.0", "100.0"), row("90.0", "100.0"), row("110.0", "100.0"), row("1.0", "none")];
        assert_eq!(complaints(&rows), ["ant got dearer: 110.0 instructions, not 100.0", "ant isn't in the baseline"]);
    }
}
