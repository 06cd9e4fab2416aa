//! Lists of things that are few as a rule and many at worst.

use super::{
    number,
    page::{Ink, Line, Page},
};

/// Under a list: how many a query hides, if any.
pub(super) fn hidden(count: u64, page: &mut Page) {
    if count > 0 {
        let more = format!("{} more that the filter hides", number::count(count));
        page.line(Line::new().text("  ").ink(Ink::Dim, &more));
    }
}

/// `items` in one sentence, the first `most` of them; the rest counted.
pub(super) fn some(items: impl IntoIterator<Item = String>, most: usize) -> String {
    let mut items = items.into_iter();
    let mut out = items.by_ref().take(most).collect::<Vec<_>>();
    match items.count() {
        0 => {}
        more => out.push(format!("{more} more")),
    }
    out.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_counted() {
        let items = || (0..5).map(|n| n.to_string());
        assert_eq!(some(items(), 5), "0, 1, 2, 3, 4");
        assert_eq!(some(items(), 2), "0, 1, 3 more");
        assert_eq!(some([], 2), "");
    }
}
