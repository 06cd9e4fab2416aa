//! A page: lines of inked text, held to a width.

use std::io::{self, Write};

use anstyle::{AnsiColor, Effects};

use super::plain::{self, printable};

/// What a piece of text is, from which its colour follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Ink {
    #[default]
    Plain,
    Head,
    Dim,
    Good,
    Bad,
    Doubt,
}

impl Ink {
    fn style(self) -> anstyle::Style {
        let plain = anstyle::Style::new();
        match self {
            Self::Plain => plain,
            Self::Head => plain.effects(Effects::BOLD),
            Self::Dim => plain.effects(Effects::DIMMED),
            Self::Good => plain.fg_color(Some(AnsiColor::Green.into())).effects(Effects::BOLD),
            Self::Bad => plain.fg_color(Some(AnsiColor::Red.into())).effects(Effects::BOLD),
            Self::Doubt => plain.fg_color(Some(AnsiColor::Yellow.into())).effects(Effects::BOLD),
        }
    }
}

/// One line, in pieces.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line(Vec<(Ink, String)>);

impl Line {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds plain text.
    pub(crate) fn text(self, text: &str) -> Self {
        self.ink(Ink::Plain, text)
    }

    /// Adds inked text. Everything shown comes through here, so escaping here is enough.
    pub(crate) fn ink(mut self, ink: Ink, text: &str) -> Self {
        self.0.push((ink, printable(text)));
        self
    }

    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| plain::width(text)).sum()
    }
}

/// Lines in the making.
#[derive(Debug)]
pub(crate) struct Page {
    lines: Vec<Line>,
    width: usize,
}

impl Page {
    pub(crate) fn new(width: usize) -> Self {
        Self { lines: Vec::new(), width }
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn line(&mut self, line: Line) {
        self.lines.push(line);
    }

    pub(crate) fn blank(&mut self) {
        self.lines.push(Line::new());
    }

    /// A section's head, with a blank line before it.
    pub(crate) fn heading(&mut self, title: &str, aside: &str) {
        self.blank();
        let mut line = Line::new().ink(Ink::Head, title);
        if !aside.is_empty() {
            line = line.ink(Ink::Dim, "  ").ink(Ink::Dim, aside);
        }
        self.line(line);
    }

    /// `text` after `lead`, its further lines indented to where it began.
    pub(crate) fn hanging(&mut self, lead: Line, ink: Ink, text: &str) {
        let indent = lead.width();
        let pad = " ".repeat(indent);
        let mut lead = Some(lead);
        for piece in plain::wrap(&printable(text), self.width.saturating_sub(indent)) {
            let start = lead.take().unwrap_or_else(|| Line::new().text(&pad));
            self.line(start.ink(ink, &piece));
        }
        if let Some(alone) = lead {
            self.line(alone);
        }
    }

    /// The lines in pieces, for those who show them otherwise.
    pub(crate) fn lines(&self) -> impl ExactSizeIterator<Item = &[(Ink, String)]> {
        self.lines.iter().map(|line| &line.0[..])
    }

    /// Writes every line, cut to the width as a last resort, without spaces at the end.
    pub(crate) fn write(&self, to: &mut impl Write, colour: bool) -> io::Result<()> {
        for line in &self.lines {
            let mut left = self.width;
            let last = line.0.iter().rposition(|(_, text)| !text.trim_end().is_empty());
            let pieces = last.map_or(&[][..], |last| &line.0[..=last]);
            for (i, (ink, text)) in pieces.iter().enumerate() {
                let text = if Some(i) == last { text.trim_end() } else { text };
                let text = plain::clip(text, left);
                left -= plain::width(&text);
                let style = ink.style();
                if colour && *ink != Ink::Plain && !text.is_empty() {
                    write!(to, "{style}{text}{style:#}")?;
                } else {
                    to.write_all(text.as_bytes())?;
                }
            }
            to.write_all(b"\n")?;
        }
        to.flush()
    }
}
