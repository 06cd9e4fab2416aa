//! The table that all lists share: it chooses the columns that fit, sorts, and scrolls.

use ratatui::layout::Rect;

use super::{
    super::{
        state::{Key, State, Target},
        theme::Tone,
    },
    canvas::{Canvas, Piece, row},
};
use crate::report::text::{clip, printable, width};

/// A column.
pub(super) struct Column {
    /// What stands above it.
    pub(super) title: &'static str,
    /// It is not shown narrower than this.
    pub(super) min: u16,
    /// Nor wider.
    pub(super) max: u16,
    /// To the right.
    pub(super) right: bool,
    /// Columns of a lower rank are shown first, and get room first.
    pub(super) rank: u8,
}

pub(super) const fn left(title: &'static str, min: u16, max: u16, rank: u8) -> Column {
    Column { title, min, max, right: false, rank }
}

pub(super) const fn right(title: &'static str, min: u16, max: u16, rank: u8) -> Column {
    Column { title, min, max, right: true, rank }
}

/// By what a cell sorts. What is not known comes last, whichever way.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    Number(f64),
    Text(String),
    Unknown,
}

/// A cell.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) text: String,
    /// What stands there if `text` does not fit.
    pub(super) short: String,
    pub(super) tone: Tone,
    pub(super) order: Order,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        let text = printable(&text.into());
        Self {
            order: Order::Text(text.to_lowercase()),
            text,
            short: String::new(),
            tone: Tone::Plain,
        }
    }

    /// A number as it is to be read.
    pub(super) fn number(number: u64, text: impl Into<String>) -> Self {
        Self::text(text).by(number as f64)
    }

    /// What is not known.
    pub(super) fn unknown() -> Self {
        Self { order: Order::Unknown, ..Self::text("?").tone(Tone::Dim) }
    }

    /// Nothing to say.
    pub(super) fn none() -> Self {
        Self { order: Order::Unknown, ..Self::text("") }
    }

    pub(super) fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    pub(super) fn short(self, short: impl Into<String>) -> Self {
        Self { short: printable(&short.into()), ..self }
    }

    pub(super) fn by(self, number: f64) -> Self {
        Self { order: Order::Number(number), ..self }
    }

    fn fitted(&self, room: usize) -> String {
        let text = if width(&self.text) > room && !self.short.is_empty() {
            &self.short
        } else {
            &self.text
        };
        clip(text, room)
    }
}

/// A row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) cells: Vec<Cell>,
}

/// Columns that fit into `room`, in their order, with their widths.
fn fit(columns: &[Column], room: u16) -> Vec<(usize, u16)> {
    let mut by_rank: Vec<usize> = (0..columns.len()).collect();
    by_rank.sort_by_key(|&i| columns[i].rank);
    let mut chosen: Vec<usize> = Vec::new();
    let mut used = 0;
    for &i in &by_rank {
        let need = columns[i].min + u16::from(!chosen.is_empty());
        if used + need > room && !chosen.is_empty() {
            break;
        }
        used += need;
        chosen.push(i);
    }
    let mut left = room.saturating_sub(used);
    let mut widths: Vec<u16> = columns.iter().map(|column| column.min).collect();
    for &i in &chosen {
        let more = left.min(columns[i].max - columns[i].min);
        widths[i] += more;
        left -= more;
    }
    chosen.sort_unstable();
    chosen.into_iter().map(|i| (i, widths[i])).collect()
}

/// Draws a table into `area` and notes in `state` what was drawn where.
pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    area: Rect,
    state: &mut State,
    columns: &[Column],
    mut rows: Vec<Row>,
) {
    let list = state.list_mut();
    list.columns = columns.len();
    if let Some(column) = list.sort {
        sort(&mut rows, column, list.reverse);
    } else if list.reverse {
        rows.reverse();
    }
    let page = usize::from(area.height.saturating_sub(1));
    list.lay_out(rows.iter().map(|row| row.key).collect(), page);
    let (offset, chosen) = (list.offset, list.position());
    let (sorted, reverse) = (list.sort, list.reverse);
    let fitted = fit(columns, area.width);
    let mut targets = Vec::new();

    let heads = fitted.iter().map(|&(i, width)| {
        let column = &columns[i];
        let mark = match (sorted == Some(i), reverse) {
            (false, _) => "",
            (true, false) => "^",
            (true, true) => "v",
        };
        pad(&clip(&format!("{}{mark}", column.title), usize::from(width)), width, column.right)
    });
    let heads: Vec<Piece> = heads.map(|text| (Tone::Head, text)).collect();
    let mut x = area.x;
    for &(i, width) in &fitted {
        let head = Rect { x, width, ..row(area, 0) };
        targets.push((head, Target::Column(i)));
        x += width + 1;
    }
    put_cells(canvas, row(area, 0), heads);

    let search = state.search.clone();
    for (at, entry) in rows.iter().enumerate().skip(offset).take(page) {
        let place = row(area, 1 + (at - offset) as u16);
        let pieces = fitted.iter().map(|&(i, width)| {
            let Some(cell) = entry.cells.get(i) else { return (Tone::Plain, String::new()) };
            (cell.tone, pad(&cell.fitted(usize::from(width)), width, columns[i].right))
        });
        put_cells(canvas, place, pieces.collect());
        if !search.is_empty() && found(entry, &search) {
            canvas.tone(place, Tone::Match);
        }
        if at == chosen {
            canvas.tone(place, Tone::Chosen);
        }
        targets.push((place, Target::Row(entry.key)));
    }
    state.targets.extend(targets);
}

/// Whether a row has this text, which is in lower case.
pub(super) fn found(row: &Row, search: &str) -> bool {
    row.cells.iter().any(|cell| cell.text.to_lowercase().contains(search))
}

fn put_cells(canvas: &mut Canvas<'_>, place: Rect, cells: Vec<Piece>) {
    let mut pieces = Vec::with_capacity(cells.len() * 2);
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            pieces.push((Tone::Plain, " ".to_owned()));
        }
        pieces.push(cell);
    }
    canvas.put(place, &pieces);
}

fn pad(text: &str, room: u16, to_right: bool) -> String {
    let fill = " ".repeat(usize::from(room).saturating_sub(width(text)));
    if to_right { format!("{fill}{text}") } else { format!("{text}{fill}") }
}

/// Sorts: text from A, numbers from the largest, what is not known last.
pub(super) fn sort(rows: &mut [Row], column: usize, reverse: bool) {
    use std::cmp::Ordering;
    let unknown = Order::Unknown;
    rows.sort_by(|one, other| {
        let of =
            |row: &Row| row.cells.get(column).map_or(unknown.clone(), |cell| cell.order.clone());
        let ordering = match (of(one), of(other)) {
            (Order::Unknown, Order::Unknown) => return Ordering::Equal,
            (Order::Unknown, _) => return Ordering::Greater,
            (_, Order::Unknown) => return Ordering::Less,
            (Order::Number(one), Order::Number(other)) => other.total_cmp(&one),
            (Order::Text(one), Order::Text(other)) => one.cmp(&other),
            (Order::Number(_), Order::Text(_)) => Ordering::Less,
            (Order::Text(_), Order::Number(_)) => Ordering::Greater,
        };
        if reverse { ordering.reverse() } else { ordering }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_most_is_shown_first() {
        let columns =
            [right("a", 3, 4, 0), left("b", 5, 9, 2), left("c", 4, 4, 1), left("d", 9, 9, 3)];
        assert_eq!(fit(&columns, 3), [(0, 3)]);
        assert_eq!(fit(&columns, 9), [(0, 4), (2, 4)]);
        assert_eq!(fit(&columns, 16), [(0, 4), (1, 6), (2, 4)]);
        assert_eq!(fit(&columns, 99).len(), 4);
        assert_eq!(fit(&columns, 0).len(), 1);
    }

    #[test]
    fn unknown_comes_last_whichever_way() {
        let row = |key, cell| Row { key, cells: vec![cell] };
        let mut rows = vec![
            row(1, Cell::unknown()),
            row(2, Cell::number(5, "5")),
            row(3, Cell::number(9, "9")),
        ];
        let keys = |rows: &[Row]| rows.iter().map(|row| row.key).collect::<Vec<_>>();
        sort(&mut rows, 0, false);
        assert_eq!(keys(&rows), [3, 2, 1]);
        sort(&mut rows, 0, true);
        assert_eq!(keys(&rows), [2, 3, 1]);
        sort(&mut rows, 7, false);
    }
}
