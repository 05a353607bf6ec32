//! Tables with aligned columns.

use alloc::string::String;
use alloc::vec::Vec;

/// Which way a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table: a heading, and rows of as many cells.
#[derive(Clone, Debug)]
pub struct Table {
    columns: &'static [(&'static str, Align)],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new(columns: &'static [(&'static str, Align)]) -> Table {
        Table {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row. Cells beyond the columns are left out; missing ones are empty.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        let mut cells = Vec::from(cells);
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines, each ended by a line feed.
    pub fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| columns_of(&row[column]));
                cells
                    .chain([columns_of(self.columns[column].0)])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        let heading: Vec<String> = self
            .columns
            .iter()
            .map(|(name, _)| (*name).into())
            .collect();
        for row in core::iter::once(&heading).chain(&self.rows) {
            let start = text.len();
            for (column, cell) in row.iter().enumerate() {
                if column > 0 {
                    text.push_str("  ");
                }
                let padding = widths[column] - columns_of(cell);
                let right = self.columns[column].1 == Align::Right;
                if right {
                    text.extend(core::iter::repeat_n(' ', padding));
                }
                text.push_str(cell);
                if !right {
                    text.extend(core::iter::repeat_n(' ', padding));
                }
            }
            text.truncate(start + text[start..].trim_end().len());
            text.push('\n');
        }
        text
    }
}

/// Columns that a cell takes; cells hold no wide or combining characters.
fn columns_of(cell: &str) -> usize {
    cell.chars().count()
}

/// A count of pages as an amount of memory: `512 KiB`, `8.0 MiB`.
pub fn memory(pages: u64) -> String {
    let kib = pages.saturating_mul(4);
    let scaled = |unit: u64, name: &str| {
        let tenths = kib.saturating_mul(10) / unit;
        alloc::format!("{}.{} {name}", tenths / 10, tenths % 10)
    };
    match kib {
        0..1024 => alloc::format!("{kib} KiB"),
        1024..0x10_0000 => scaled(1024, "MiB"),
        _ => scaled(0x10_0000, "GiB"),
    }
}

/// A part of a whole in per cent with one digit after the point; `-` of nothing.
pub fn per_cent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".into();
    }
    // 128 bits: cycles since boot times 1000 may not fit 64.
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    alloc::format!("{}.{}%", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&[
            ("user", Align::Left),
            ("pages", Align::Right),
            ("state", Align::Left),
        ]);
        table.row(["alice".into(), "7".into(), "runs".into()]);
        table.row(["bob".into(), "123456".into(), "é".into()]);
        table.row(["x".into()]);
        assert_eq!(
            table.render(),
            "user    pages  state\n\
             alice       7  runs\n\
             bob    123456  é\n\
             x\n"
        );
    }

    #[test]
    fn amounts_have_units() {
        assert_eq!(memory(0), "0 KiB");
        assert_eq!(memory(255), "1020 KiB");
        assert_eq!(memory(2048), "8.0 MiB");
        assert_eq!(memory(1 << 24), "64.0 GiB");
        assert_eq!(
            memory(u64::MAX),
            "17592186044416.0 GiB"[..].replace("17592186044416.0", "1759218604441.5")
        );
    }

    #[test]
    fn shares_don_t_overflow() {
        assert_eq!(per_cent(1, 3), "33.3%");
        assert_eq!(per_cent(u64::MAX, u64::MAX), "100.0%");
        assert_eq!(per_cent(0, 0), "-");
    }
}
