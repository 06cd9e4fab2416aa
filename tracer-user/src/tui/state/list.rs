//! The rows of a screen: which is chosen, how they are sorted, which part is in view.

use super::super::command::Command;

/// What a row is, whatever its place: a CPU's number, an mm's id, a call's or finding's number.
pub type Key = u64;

/// The rows of a screen.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// The row that is chosen; `None` for the first.
    pub chosen: Option<Key>,
    /// The column that sorts; `None` for the screen's own order.
    pub sort: Option<usize>,
    /// The other way round.
    pub reverse: bool,
    /// The keys of the rows as last drawn, in their order.
    pub keys: Vec<Key>,
    /// The columns that were there as last drawn.
    pub columns: usize,
    /// The first row in view.
    pub offset: usize,
    /// Rows in view at once.
    pub page: usize,
}

impl List {
    /// Where the chosen row is.
    pub fn position(&self) -> usize {
        self.chosen.and_then(|chosen| self.keys.iter().position(|key| *key == chosen)).unwrap_or(0)
    }

    /// Chooses the row at this place, or the last.
    pub fn choose_at(&mut self, at: usize) {
        let at = at.min(self.keys.len().saturating_sub(1));
        // The first row is whichever is first: in a list that grows there, one follows the newest.
        self.chosen = if at == 0 { None } else { self.keys.get(at).copied() };
    }

    /// The key of the chosen row.
    pub fn key(&self) -> Option<Key> {
        self.keys.get(self.position()).copied()
    }

    /// Takes the rows as they are to be drawn, `page` of them at once; scrolls so that the chosen one
    /// is in view.
    pub fn lay_out(&mut self, keys: Vec<Key>, page: usize) {
        self.keys = keys;
        self.page = page;
        let at = self.position();
        if at < self.offset {
            self.offset = at;
        } else if at >= self.offset + page {
            self.offset = at + 1 - page.max(1);
        }
        self.offset = self.offset.min(self.keys.len().saturating_sub(page));
    }

    /// Sorts by the next column; after the last comes the screen's own order.
    pub fn sort_next(&mut self) {
        self.sort = match self.sort {
            None if self.columns > 0 => Some(0),
            Some(column) if column + 1 < self.columns => Some(column + 1),
            _ => None,
        };
        self.reverse = false;
    }

    /// Sorts by this column, or the other way round if it does already.
    pub fn sort_by(&mut self, column: usize) {
        if self.sort == Some(column) {
            self.reverse = !self.reverse;
        } else {
            self.sort = Some(column);
            self.reverse = false;
        }
    }

    pub(super) fn moved(&mut self, command: Command) -> bool {
        let (at, page) = (self.position(), self.page.max(1));
        match command {
            Command::Up => self.choose_at(at.saturating_sub(1)),
            Command::Down => self.choose_at(at.saturating_add(1)),
            Command::PageUp => self.choose_at(at.saturating_sub(page)),
            Command::PageDown => self.choose_at(at.saturating_add(page)),
            Command::Top => self.choose_at(0),
            Command::Bottom => self.choose_at(usize::MAX),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_row_stays_chosen_wherever_it_goes() {
        let mut list = List::default();
        list.lay_out(vec![10, 20, 30, 40], 2);
        list.moved(Command::Down);
        list.moved(Command::Down);
        assert_eq!(list.key(), Some(30));
        list.lay_out(vec![5, 10, 20, 25, 30], 2);
        assert_eq!((list.key(), list.position(), list.offset), (Some(30), 4, 3));
        list.lay_out(vec![5, 10], 2);
        assert_eq!((list.position(), list.offset), (0, 0));
        list.lay_out(Vec::new(), 2);
        assert_eq!(list.key(), None);
        assert!(list.moved(Command::Bottom));
    }

    #[test]
    fn the_first_row_is_the_newest() {
        let mut list = List::default();
        list.lay_out(vec![3, 2, 1], 2);
        list.moved(Command::Top);
        list.lay_out(vec![4, 3, 2, 1], 2);
        assert_eq!(list.key(), Some(4));
    }

    #[test]
    fn sorting_goes_through_the_columns_and_back() {
        let mut list = List { columns: 2, ..List::default() };
        let seen: Vec<_> = (0..4)
            .map(|_| {
                list.sort_next();
                list.sort
            })
            .collect();
        assert_eq!(seen, [Some(0), Some(1), None, Some(0)]);
    }
}
