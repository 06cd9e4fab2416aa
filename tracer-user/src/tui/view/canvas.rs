//! Where the views draw. Everything from outside comes through [`Canvas::put`], so that escaping there
//! is enough: no name can reach the terminal as an escape.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::super::theme::{Theme, Tone};
use crate::report::text::{Page, clip, printable, width};

/// A piece of a line.
pub(super) type Piece = (Tone, String);

/// A piece without meaning of its own.
pub(super) fn plain(text: impl Into<String>) -> Piece {
    (Tone::Plain, text.into())
}

/// A buffer, and how tones look on it.
pub(super) struct Canvas<'a> {
    buf: &'a mut Buffer,
    theme: Theme,
}

impl<'a> Canvas<'a> {
    pub(super) const fn new(buf: &'a mut Buffer, theme: Theme) -> Self {
        Self { buf, theme }
    }

    /// Writes pieces one after the other in the first line of `area`, cut to its width; says how many
    /// columns they took.
    pub(super) fn put(&mut self, area: Rect, pieces: &[Piece]) -> u16 {
        let area = area.intersection(self.buf.area);
        if area.is_empty() {
            return 0;
        }
        let mut used = 0;
        for (tone, text) in pieces {
            let left = area.width - used;
            if left == 0 {
                break;
            }
            let text = clip(&printable(text), usize::from(left));
            let style = self.theme.style(*tone);
            self.buf.set_stringn(area.x + used, area.y, &text, usize::from(left), style);
            used += width(&text) as u16;
        }
        used
    }

    /// Gives everything in `area` a tone more.
    pub(super) fn tone(&mut self, area: Rect, tone: Tone) {
        self.style(area, self.theme.style(tone));
    }

    fn style(&mut self, area: Rect, style: Style) {
        self.buf.set_style(area.intersection(self.buf.area), style);
    }

    /// Wipes `area`.
    pub(super) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buf.area);
        for y in area.rows() {
            for x in y.columns() {
                if let Some(cell) = self.buf.cell_mut((x.x, x.y)) {
                    cell.reset();
                }
            }
        }
    }

    /// Puts a page into `area` from its line `from` on.
    pub(super) fn page(&mut self, area: Rect, page: &Page, from: usize) {
        for (row, line) in area.rows().zip(page.lines().skip(from)) {
            let pieces: Vec<Piece> =
                line.iter().map(|(ink, text)| (Tone::from(*ink), text.clone())).collect();
            self.put(row, &pieces);
        }
    }
}

/// The row `index` of `area`; empty if it has no such row.
pub(super) fn row(area: Rect, index: u16) -> Rect {
    if index < area.height {
        Rect { y: area.y + index, height: 1, ..area }
    } else {
        Rect { height: 0, ..area }
    }
}

/// `area` cut into what is above and the last `rows`.
pub(super) fn bottom(area: Rect, rows: u16) -> (Rect, Rect) {
    let rows = rows.min(area.height);
    let above = area.height - rows;
    (Rect { height: above, ..area }, Rect { y: area.y + above, height: rows, ..area })
}

/// `area` cut into the first `rows` and what is below.
pub(super) fn top(area: Rect, rows: u16) -> (Rect, Rect) {
    let rows = rows.min(area.height);
    (Rect { height: rows, ..area }, Rect { y: area.y + rows, height: area.height - rows, ..area })
}
