//! Tables of text: aligned for a terminal, or in Markdown.

/// A header and rows. The first column is aligned to the left, the others, which hold numbers, to the right.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(header: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { rows: vec![header.into_iter().map(Into::into).collect()] }
    }

    /// Adds a row, which has as many cells as the header.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        (0..columns).map(width).collect()
    }

    fn aligned(&self) -> impl Iterator<Item = Vec<String>> {
        let widths = self.widths();
        self.rows.iter().map(move |row| {
            let align = |(column, cell): (usize, &String)| {
                let width = widths[column];
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            };
            row.iter().enumerate().map(align).collect()
        })
    }

    /// For a terminal.
    pub fn to_text(&self) -> String {
        self.aligned().map(|row| format!("  {}\n", row.join("  ").trim_end())).collect()
    }

    /// In Markdown.
    pub fn to_markdown(&self) -> String {
        let mut lines: Vec<_> = self.aligned().map(|row| format!("| {} |\n", row.join(" | "))).collect();
        let rules = self.widths().into_iter().enumerate().map(|(column, width)| match column {
            0 => "-".repeat(width.max(3)),
            _ => "-".repeat(width.max(3) - 1) + ":",
        });
        lines.insert(1, format!("| {} |\n", rules.collect::<Vec<_>>().join(" | ")));
        lines.concat()
    }
}

/// A number with commas: 12,345,678.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let mut table = Table::new(["who", "ns"]);
        table.row(["ours", "7.5"]);
        assert_eq!(table.to_text(), "  who    ns\n  ours  7.5\n");
        assert_eq!(table.to_markdown(), "| who  |  ns |\n| ---- | --: |\n| ours | 7.5 |\n");
    }

    #[test]
    fn numbers_have_commas() {
        assert_eq!([0, 999, 1000, 12_345_678].map(thousands), ["0", "999", "1,000", "12,345,678"]);
    }
}
