//! A line on standard error that says how far a long run is; only if that is a terminal.

use std::{
    io::{self, IsTerminal, Stderr, Write},
    time::{Duration, Instant},
};

use crate::report::text::{clip, count, duration, width};

/// The line changes at most this often.
const PAUSE: Duration = Duration::from_millis(500);

/// How far the run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Time since the window opened.
    pub elapsed: Duration,
    /// Its whole length; `None` while a command decides it.
    pub total: Option<Duration>,
    /// Events so far.
    pub events: u64,
    /// Events lost so far.
    pub lost: u64,
    /// Findings so far.
    pub findings: u64,
}

/// The progress line. Dropping it clears it.
#[derive(Debug)]
pub struct Progress<W: Write = Stderr> {
    to: Option<W>,
    columns: fn() -> usize,
    last: Option<Instant>,
    shown: usize,
}

impl Progress {
    /// On standard error if it is a terminal, else nowhere.
    pub fn stderr() -> Self {
        let stderr = io::stderr();
        Self::new(stderr.is_terminal().then_some(stderr), || {
            rustix::termios::tcgetwinsize(io::stderr())
                .map(|size| usize::from(size.ws_col))
                .ok()
                .filter(|&columns| columns > 0)
                .unwrap_or(80)
        })
    }
}

impl<W: Write> Progress<W> {
    fn new(to: Option<W>, columns: fn() -> usize) -> Self {
        Self { to, columns, last: None, shown: 0 }
    }

    /// Shows `status`, unless the line changed a moment ago. Cheap to call often.
    pub fn show(&mut self, status: &Status) {
        self.show_at(Instant::now(), status);
    }

    fn show_at(&mut self, now: Instant, status: &Status) {
        let fresh = self.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE);
        if fresh || self.to.is_none() {
            return;
        }
        self.last = Some(now);
        // The last column stays free: some terminals wrap as soon as it is filled.
        let text = clip(&line(status), (self.columns)().saturating_sub(1));
        self.put(&text);
    }

    /// Takes the line away, for example before a message. The next [`Progress::show`] brings it
    /// back.
    pub fn clear(&mut self) {
        if self.shown > 0 {
            self.put("");
            if let Some(to) = &mut self.to {
                let _ = to.write_all(b"\r").and_then(|()| to.flush());
            }
            self.last = None;
        }
    }

    /// Puts `text` over what was there. A terminal that refuses gets no more of it.
    fn put(&mut self, text: &str) {
        let Some(to) = &mut self.to else { return };
        let columns = width(text);
        let rest = " ".repeat(self.shown.saturating_sub(columns));
        if write!(to, "\r{text}{rest}").and_then(|()| to.flush()).is_err() {
            self.to = None;
        }
        self.shown = columns;
    }
}

impl<W: Write> Drop for Progress<W> {
    fn drop(&mut self) {
        self.clear();
    }
}

fn line(status: &Status) -> String {
    // Whole seconds: the line changes twice a second, and must not flicker in width.
    let seconds = |d: Duration| match d.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s => duration(s.saturating_mul(1_000_000_000)),
    };
    let mut text = seconds(status.elapsed);
    if let Some(total) = status.total {
        text = format!("{text} of {}", seconds(total));
    }
    format!(
        "{text}  {} events  {} lost  {} findings",
        count(status.events),
        count(status.lost),
        count(status.findings)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(events: u64) -> Status {
        Status { elapsed: Duration::from_secs(3), events, ..Status::default() }
    }

    /// What a terminal of one line shows after these bytes.
    fn screen(bytes: &[u8]) -> String {
        let mut cells: Vec<char> = Vec::new();
        let mut at = 0;
        for c in String::from_utf8_lossy(bytes).chars() {
            if c == '\r' {
                at = 0;
                continue;
            }
            assert!(!c.is_control(), "only \\r moves");
            cells.resize(cells.len().max(at + 1), ' ');
            cells[at] = c;
            at += 1;
        }
        cells.into_iter().collect::<String>().trim_end().to_owned()
    }

    #[test]
    fn it_shows_at_most_twice_a_second() {
        let mut out = Vec::new();
        let mut progress = Progress::new(Some(&mut out), || 80);
        let start = Instant::now();
        progress.show_at(start, &status(1));
        progress.show_at(start + PAUSE / 2, &status(2));
        progress.to = None;
        drop(progress);
        assert_eq!(screen(&out), "3 s  1 events  0 lost  0 findings");
    }

    #[test]
    fn a_shorter_line_leaves_nothing_of_the_longer() {
        let mut out = Vec::new();
        let mut progress = Progress::new(Some(&mut out), || 80);
        let start = Instant::now();
        progress.show_at(start, &Status { total: Some(Duration::MAX), ..status(u64::MAX) });
        progress.show_at(start + PAUSE, &status(7));
        progress.to = None;
        drop(progress);
        assert_eq!(screen(&out), "3 s  7 events  0 lost  0 findings");
    }

    #[test]
    fn dropping_clears_it() {
        let mut out = Vec::new();
        Progress::new(Some(&mut out), || 80).show(&status(1));
        assert!(!out.is_empty());
        assert_eq!(screen(&out), "");
    }

    #[test]
    fn it_fits_any_terminal() {
        for columns in [|| 0, || 1, || 10, || 80] {
            let mut out = Vec::new();
            let mut progress = Progress::new(Some(&mut out), columns);
            progress.show_at(Instant::now(), &status(u64::MAX));
            progress.to = None;
            drop(progress);
            assert!(screen(&out).chars().count() <= columns().saturating_sub(1));
        }
    }

    #[test]
    fn no_terminal_no_line() {
        let mut progress = Progress::<Vec<u8>>::new(None, || 80);
        progress.show(&status(1));
        assert_eq!(progress.shown, 0);
    }
}
