//! The report as text for people: never wider than 100 columns, the verdict first.
//!
//! One file per section; `page` keeps the width and the colours, `table` aligns. Names that
//! come from the traced machine are escaped in one place ([`printable`]), so that no thread
//! can write to the reader's terminal by its name.

mod cpus;
mod events;
mod findings;
mod lists;
mod machine;
mod membarrier;
mod number;
mod page;
mod plain;
mod rules;
mod seen;
mod table;
mod transitions;
mod verdict;

use std::io::{self, IsTerminal, Write};

pub use plain::printable;

pub(crate) use findings::{chain, place};
pub(crate) use number::{compact, count, duration, moment, relative_us};
pub(crate) use page::{Ink, Line, Page};
pub(crate) use plain::{clip, width};
pub(crate) use seen::{mm, thread};
pub(crate) use table::{Cell, Kind, Table};

use super::Report;

/// The text is never wider than this.
pub const MAX_WIDTH: usize = 100;
/// Below this the text is laid out as if the terminal had this many columns.
pub const MIN_WIDTH: usize = 60;

/// How to lay out the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether to colour.
    pub colour: bool,
    /// Columns; held between [`MIN_WIDTH`] and [`MAX_WIDTH`].
    pub width: usize,
}

impl Default for Style {
    /// Plain text, 100 columns: for files and pipes.
    fn default() -> Self {
        Self { colour: false, width: MAX_WIDTH }
    }
}

impl Style {
    /// What suits standard output: colours and its width if it is a terminal, honouring `NO_COLOR`
    /// and `CLICOLOR_FORCE`.
    pub fn stdout() -> Self {
        let stdout = io::stdout();
        let choice = anstream::AutoStream::choice(&stdout);
        let columns = stdout
            .is_terminal()
            .then(|| rustix::termios::tcgetwinsize(&stdout).ok())
            .flatten()
            .map_or(0, |size| usize::from(size.ws_col));
        Self {
            colour: !matches!(choice, anstream::ColorChoice::Never),
            width: if columns == 0 { MAX_WIDTH } else { columns },
        }
    }
}

/// Writes `report` as text.
///
/// # Errors
/// Whatever `to` refuses.
pub fn render(report: &Report, to: &mut impl Write, style: Style) -> io::Result<()> {
    let mut page = Page::new(style.width.clamp(MIN_WIDTH, MAX_WIDTH));
    verdict::section(report, &mut page);
    findings::section(report, &mut page);
    rules::section(report, &mut page);
    cpus::section(report, &mut page);
    transitions::section(report, &mut page);
    membarrier::section(report, &mut page);
    events::section(report, &mut page);
    seen::section(report, &mut page);
    machine::section(report, &mut page);
    page.write(to, style.colour)
}

/// What a run's health comes to, without its verdict, CPUs and findings: rules, transitions, events,
/// what was not seen, and the machine.
pub(crate) fn health(report: &Report, page: &mut Page) {
    rules::section(report, page);
    transitions::section(report, page);
    events::section(report, page);
    seen::section(report, page);
    machine::section(report, page);
}

#[cfg(test)]
mod extremes;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
