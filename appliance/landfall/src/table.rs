//! Tables: columns aligned by spaces, numbers to the right, no lines.

use crate::paint::{Paint, Tone, harmless};

const GAP: &str = "  ";

/// One cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

/// A heading and how its column is aligned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// To the left.
    Text(&'static str),
    /// To the right.
    Number(&'static str),
}

/// A table under construction.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Cell {
    /// Returns a cell in a tone.
    pub(crate) fn toned(tone: Tone, text: impl AsRef<str>) -> Self {
        Self { text: harmless(text.as_ref()), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    /// Returns a plain cell; an empty text shows as a dash.
    fn from(text: T) -> Self {
        let text = text.as_ref();
        Self::toned(Tone::Plain, if text.is_empty() { "-" } else { text })
    }
}

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Self::Text(heading) | Self::Number(heading) => heading,
        }
    }
}

impl Table {
    /// Begins a table.
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        let cells = cells.into();
        assert_eq!(cells.len(), self.columns.len(), "a row has a cell for every column");
        self.rows.push(cells);
    }

    /// Returns the lines, without spaces at their ends.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let heading: Vec<Cell> =
            self.columns.iter().map(|column| Cell::toned(Tone::Strong, column.heading())).collect();
        let lines = std::iter::once(&heading).chain(&self.rows);
        lines.map(|row| self.line(row, paint) + "\n").collect()
    }

    fn line(&self, row: &[Cell], paint: Paint) -> String {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            let pad = " ".repeat(self.width(index) - cell.text.chars().count());
            let painted = paint.tone(cell.tone, &cell.text);
            let last = index + 1 == row.len();
            match self.columns[index] {
                Column::Number(_) => line.extend([pad.as_str(), &painted]),
                Column::Text(_) if last => line.push_str(&painted),
                Column::Text(_) => line.extend([painted.as_str(), &pad]),
            }
            if !last {
                line.push_str(GAP);
            }
        }
        line.trim_end().to_owned()
    }

    fn width(&self, index: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[index].text.chars().count());
        cells.max().unwrap_or(0).max(self.columns[index].heading().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_with_and_without_colour() {
        let mut table = Table::new([Column::Text("NAME"), Column::Number("SIZE"), Column::Text("NOTE")]);
        table.row([Cell::toned(Tone::Bad, "é"), "4 KiB".into(), "".into()]);
        table.row(["longer".into(), "12 KiB".into(), "x".into()]);
        assert_eq!(table.render(Paint::Mono), "NAME      SIZE  NOTE\né        4 KiB  -\nlonger  12 KiB  x\n");
        let coloured = table.render(Paint::Colour);
        assert!(coloured.contains("\x1b[31;1mé\x1b[0m        4 KiB"), "{coloured:?}");
    }
}
