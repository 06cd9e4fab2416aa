//! A table that gives way until it fits: first big numbers become short, then wide text is cut.

use super::{
    number,
    page::{Ink, Line, Page},
    plain::{self, printable},
};

/// The room between two columns.
const GAP: usize = 2;
/// The room before the first.
const INDENT: usize = 2;

/// What a column holds, and so how it is aligned and how it gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A count: to the right; becomes short (`1.23M`) if room is scarce.
    Number,
    /// Text to the right, for example times; given way last.
    Right,
    /// Text to the left; cut if room is scarce.
    Text,
    /// The last column: long text that goes on in further lines.
    Wrapped,
}

/// One cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    value: Value,
    ink: Ink,
}

#[derive(Debug, Clone)]
enum Value {
    Text(String),
    Number(u64),
}

impl Cell {
    pub(crate) fn text(text: &str) -> Self {
        Self { value: Value::Text(printable(text)), ink: Ink::Plain }
    }

    pub(crate) fn number(n: u64) -> Self {
        Self { value: Value::Number(n), ink: Ink::Plain }
    }

    /// A count, or `?` if it is not known.
    pub(crate) fn maybe(n: Option<u64>) -> Self {
        n.map_or_else(|| Self::text("?").ink(Ink::Dim), Self::number)
    }

    pub(crate) fn ink(self, ink: Ink) -> Self {
        Self { ink, ..self }
    }

    fn show(&self, short: bool) -> String {
        match &self.value {
            Value::Text(text) => text.clone(),
            Value::Number(n) if short => number::compact(*n),
            Value::Number(n) => number::count(*n),
        }
    }
}

#[derive(Debug)]
struct Column {
    head: &'static str,
    kind: Kind,
}

/// Rows under heads.
#[derive(Debug, Default)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(columns: &[(&'static str, Kind)]) -> Self {
        let columns = columns.iter().map(|&(head, kind)| Column { head, kind }).collect();
        Self { columns, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    /// Widths of the columns for this page, and whether numbers are short.
    fn layout(&self, room: usize) -> (Vec<usize>, bool) {
        let widths = |short| -> Vec<usize> {
            let of = |(i, c): (usize, &Column)| {
                let cells = self.rows.iter().filter_map(|row| row.get(i));
                let widest = cells.map(|cell| plain::width(&cell.show(short))).max().unwrap_or(0);
                widest.max(plain::width(c.head))
            };
            self.columns.iter().enumerate().map(of).collect()
        };
        let spare = INDENT + GAP * self.columns.len().saturating_sub(1);
        let room = room.saturating_sub(spare);
        let exact = widths(false);
        // A wrapped column needs no more than a sentence's width beside the others.
        let needs = |w: &[usize]| -> usize {
            w.iter()
                .zip(&self.columns)
                .map(|(&w, c)| if c.kind == Kind::Wrapped { w.min(24) } else { w })
                .sum()
        };
        let short = needs(&exact) > room;
        let mut widths = if short { widths(true) } else { exact };
        for (kind, least) in [(Kind::Wrapped, 24), (Kind::Text, 8), (Kind::Right, 6)] {
            self.shrink(&mut widths, kind, least, room);
        }
        (widths, short)
    }

    /// Takes columns of `kind` back, the widest first, down to `least`, until all fit.
    fn shrink(&self, widths: &mut [usize], kind: Kind, least: usize, room: usize) {
        let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
        while excess > 0 {
            let of_kind = self.columns.iter().enumerate().filter(|(_, c)| c.kind == kind);
            let widest = of_kind.map(|(i, _)| i).max_by_key(|&i| widths[i]);
            match widest {
                Some(i) if widths[i] > least => widths[i] -= 1,
                _ => return,
            }
            excess -= 1;
        }
    }

    /// Puts the table on the page.
    pub(crate) fn show(&self, page: &mut Page) {
        let (widths, short) = self.layout(page.width());
        if self.columns.iter().any(|c| !c.head.is_empty()) {
            let heads = self.columns.iter().map(|c| Cell::text(c.head).ink(Ink::Dim));
            self.put(&heads.collect::<Vec<_>>(), &widths, short, page);
        }
        for row in &self.rows {
            self.put(row, &widths, short, page);
        }
    }

    fn put(&self, row: &[Cell], widths: &[usize], short: bool, page: &mut Page) {
        let mut line = Line::new().text(&" ".repeat(INDENT));
        for (i, ((cell, column), &width)) in row.iter().zip(&self.columns).zip(widths).enumerate() {
            if i > 0 {
                line = line.text(&" ".repeat(GAP));
            }
            let text = cell.show(short);
            if column.kind == Kind::Wrapped {
                page.hanging(line, cell.ink, &text);
                return;
            }
            let text = plain::clip(&text, width);
            let pad = " ".repeat(width - plain::width(&text));
            line = match column.kind {
                Kind::Number | Kind::Right => line.text(&pad).ink(cell.ink, &text),
                Kind::Text | Kind::Wrapped => line.ink(cell.ink, &text).text(&pad),
            };
        }
        page.line(line);
    }
}
