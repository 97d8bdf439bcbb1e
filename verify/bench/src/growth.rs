//! Growth: one workload at several sizes, to see that the cost of one piece stays what it is. Measures nothing itself.

use crate::bounds::{self, GrowthBound};
use crate::row::{Contestant, Measure, Role};

/// The same contestant at every point.
pub struct Line {
    pub name: &'static str,
    pub package: Option<&'static str>,
    pub role: Role,
    /// One for each point.
    pub measures: Vec<Measure>,
}

impl Line {
    /// Of contestants that are one, at different points.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn of(contestants: Vec<Contestant>) -> Self {
        let first = contestants.first().expect("a line has points");
        let (name, package, role) = (first.name, first.package, first.role);
        Self { name, package, role, measures: contestants.into_iter().map(|contestant| contestant.measure).collect() }
    }
}

pub struct Growth {
    pub name: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
    pub points: &'static [&'static str],
    pub lines: Vec<Line>,
    pub bound: GrowthBound,
}

impl Growth {
    /// A row without lines. Its bound comes from the table.
    pub fn new(name: &'static str, unit: &'static str, points: &'static [&'static str], what: &'static str) -> Self {
        Self { name, what, unit, points, lines: Vec::new(), bound: bounds::of_growth(name) }
    }

    pub fn line(mut self, contestants: impl IntoIterator<Item = Contestant>) -> Self {
        let line = Line::of(contestants.into_iter().collect());
        assert_eq!(line.measures.len(), self.points.len());
        self.lines.push(line);
        self
    }
}
