//! From values to results: who is the best peer, how ours compares, and whether its bounds are held.

use crate::bounds::{Bound, GrowthBound};
use crate::growth::Growth;
use crate::machine;
use crate::row::{Contestant, Role, Row};
use crate::stats::Stats;

/// One contestant's result.
pub struct Line {
    /// With its version, if it has one.
    pub name: String,
    pub role: Role,
    pub stats: Stats,
}

/// A bound, and how it came out.
#[derive(Debug, PartialEq)]
pub struct Verdict {
    /// What was compared with what.
    pub what: String,
    /// The ratio, or the value itself.
    pub found: f64,
    pub at_most: f64,
}

impl Verdict {
    pub fn held(&self) -> bool {
        self.found <= self.at_most
    }
}

pub struct RowResult {
    pub name: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
    pub rounds: usize,
    pub lines: Vec<Line>,
    pub verdicts: Vec<Verdict>,
    pub bounds: &'static [Bound],
}

impl RowResult {
    /// None if no round was finished.
    pub fn of(row: &Row, values: &[Vec<f64>]) -> Option<Self> {
        let line = |(contestant, values): (&Contestant, &Vec<f64>)| {
            let name = with_version(contestant.name, contestant.package);
            Some(Line { name, role: contestant.role, stats: Stats::of(values)? })
        };
        let lines: Vec<Line> = row.contestants.iter().zip(values).map(line).collect::<Option<_>>()?;
        let mut result = Self {
            name: row.name,
            what: row.what,
            unit: row.unit,
            rounds: values.iter().map(Vec::len).min()?,
            lines,
            verdicts: Vec::new(),
            bounds: row.bounds,
        };
        result.verdicts = row.bounds.iter().filter_map(|bound| result.verdict(*bound)).collect();
        Some(result)
    }

    pub fn ours(&self) -> Option<&Line> {
        self.lines.iter().find(|line| line.role == Role::Ours)
    }

    pub fn best_peer(&self) -> Option<&Line> {
        let peers = self.lines.iter().filter(|line| line.role == Role::Peer);
        peers.min_by(|a, b| a.stats.median.total_cmp(&b.stats.median))
    }

    pub fn limit(&self) -> Option<&Line> {
        self.lines.iter().find(|line| line.role == Role::Limit)
    }

    /// The median that a bound makes of the others' medians.
    pub fn allowed(&self, bound: Bound) -> Option<f64> {
        match bound {
            Bound::OfBestPeer(ratio) => Some(ratio * self.best_peer()?.stats.median),
            Bound::OfPeer(name, ratio) => Some(ratio * self.named(name)?.stats.median),
            Bound::OfLimit(ratio) => Some(ratio * self.limit()?.stats.median),
            Bound::AtMost(value) => Some(value),
        }
    }

    fn named(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.name.starts_with(name))
    }

    fn verdict(&self, bound: Bound) -> Option<Verdict> {
        let ours = self.ours()?.stats.median;
        let to = |line: &Line, ratio| Verdict {
            what: format!("ours ÷ {}", line.name),
            found: ours / line.stats.median,
            at_most: ratio,
        };
        Some(match bound {
            Bound::OfBestPeer(ratio) => to(self.best_peer()?, ratio),
            Bound::OfPeer(name, ratio) => to(self.named(name)?, ratio),
            Bound::OfLimit(ratio) => to(self.limit()?, ratio),
            Bound::AtMost(value) => Verdict { what: format!("ours, {}", self.unit), found: ours, at_most: value },
        })
    }
}

pub struct GrowthLine {
    pub name: String,
    pub role: Role,
    /// One for each point.
    pub stats: Vec<Stats>,
}

pub struct GrowthResult {
    pub name: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
    pub points: &'static [&'static str],
    pub rounds: usize,
    pub lines: Vec<GrowthLine>,
    pub verdict: Option<Verdict>,
}

impl GrowthResult {
    /// `values` are those of the first line's points, then of the second's, and so on. None if no round was finished.
    pub fn of(growth: &Growth, values: &[Vec<f64>]) -> Option<Self> {
        let stats: Vec<Stats> = values.iter().map(|values| Stats::of(values)).collect::<Option<_>>()?;
        let lines = growth.lines.iter().zip(stats.chunks(growth.points.len())).map(|(line, stats)| GrowthLine {
            name: with_version(line.name, line.package),
            role: line.role,
            stats: stats.to_vec(),
        });
        let lines: Vec<_> = lines.collect();
        let ours = lines.iter().find(|line| line.role == Role::Ours);
        let verdict = ours.and_then(|ours| growth_verdict(growth, ours));
        Some(Self {
            name: growth.name,
            what: growth.what,
            unit: growth.unit,
            points: growth.points,
            rounds: values.iter().map(Vec::len).min()?,
            verdict,
            lines,
        })
    }
}

fn growth_verdict(growth: &Growth, ours: &GrowthLine) -> Option<Verdict> {
    let median_at = |point: &str| {
        let index = growth.points.iter().position(|name| *name == point)?;
        Some(ours.stats[index].median)
    };
    let medians = || ours.stats.iter().map(|stats| stats.median);
    Some(match growth.bound {
        GrowthBound::Flat(at_most) => {
            let (least, most) = (medians().min_by(f64::total_cmp)?, medians().max_by(f64::total_cmp)?);
            Verdict { what: "ours, largest ÷ smallest".into(), found: most / least, at_most }
        }
        GrowthBound::Between { at, of, ratio } => {
            Verdict { what: format!("ours at {at} ÷ at {of}"), found: median_at(at)? / median_at(of)?, at_most: ratio }
        }
        GrowthBound::AtMost { at, value } => {
            Verdict { what: format!("ours, {} {at}", growth.unit), found: median_at(at)?, at_most: value }
        }
    })
}

fn with_version(name: &str, package: Option<&str>) -> String {
    match package.and_then(machine::version) {
        Some(version) if package != Some("polyexec") => format!("{name} {version}"),
        _ => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(bounds: &'static [Bound]) -> RowResult {
        let contestant = |name, role| Contestant { name, package: None, role, measure: Box::new(|| 0.0) };
        let row = Row {
            name: "row",
            what: "",
            unit: "ns",
            bounds,
            contestants: vec![
                contestant("ours", Role::Ours),
                contestant("slow", Role::Peer),
                contestant("quick", Role::Peer),
                contestant("nothing", Role::Limit),
            ],
        };
        RowResult::of(&row, &[vec![6.0], vec![20.0], vec![10.0], vec![4.0]]).unwrap()
    }

    #[test]
    fn ratios_are_of_medians() {
        let result =
            result(&[Bound::OfBestPeer(0.7), Bound::OfPeer("slow", 0.2), Bound::OfLimit(1.5), Bound::AtMost(5.0)]);
        let found: Vec<_> = result.verdicts.iter().map(|verdict| (verdict.found, verdict.held())).collect();
        assert_eq!(found, [(0.6, true), (0.3, false), (1.5, true), (6.0, false)]);
        assert_eq!(result.best_peer().unwrap().name, "quick");
        assert_eq!(result.allowed(Bound::OfBestPeer(0.7)), Some(7.0));
    }

    #[test]
    fn no_round_no_result() {
        let row = Row {
            name: "row",
            what: "",
            unit: "ns",
            bounds: &[],
            contestants: vec![Contestant { name: "ours", package: None, role: Role::Ours, measure: Box::new(|| 0.0) }],
        };
        assert!(RowResult::of(&row, &[vec![]]).is_none());
    }
}
