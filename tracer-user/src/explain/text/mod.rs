//! The explanation as text for people.

mod call;
mod cpu;
mod finding;
mod list;

use std::io::{self, Write};

pub(crate) use finding::belongs;

use super::schema::Explanation;
use crate::report::text::{Ink, Line, MAX_WIDTH, MIN_WIDTH, Page, Style, count, relative_us};

/// Writes `explanation` as text.
///
/// # Errors
/// Whatever `to` refuses.
pub fn render(explanation: &Explanation, to: &mut impl Write, style: Style) -> io::Result<()> {
    page(explanation, style.width.clamp(MIN_WIDTH, MAX_WIDTH)).write(to, style.colour)
}

/// The text, in lines of at most `width` columns.
pub(crate) fn page(explanation: &Explanation, width: usize) -> Page {
    let mut page = Page::new(width);
    if let Some(list) = &explanation.list {
        list::put(explanation, list, &mut page);
    }
    if let Some(found) = &explanation.finding {
        finding::put(explanation, found, &mut page);
    }
    if let Some(call) = &explanation.call {
        if explanation.finding.is_some() {
            page.blank();
        }
        call::put(explanation, call, &mut page);
    }
    if explanation.lost > 0 {
        page.blank();
        let text = format!(
            "{} events of this run were lost: what is not seen here may have happened all the same.",
            count(explanation.lost)
        );
        page.hanging(Line::new(), Ink::Doubt, &text);
    }
    page
}

/// A time since the call began, in microseconds.
fn since(ts: u64, begin: u64) -> String {
    relative_us(ts, begin)
}

/// `n` of something, in the singular or plural.
fn some(n: impl Into<u64>, one: &str, more: &str) -> String {
    let n = n.into();
    format!("{} {}", count(n), if n == 1 { one } else { more })
}
