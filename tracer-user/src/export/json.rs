//! JSON lines: an object for each event, then one for each finding.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter};

use super::{ExportError, Exporter, LeftOut, Value, fields, kind, only::Only};
use crate::{
    engine::{Mms, Observer, Seen},
    filter::Filter,
    report::{Finding, Report},
};

/// Writes JSON lines. What each line holds, `docs/unlazy.events.schema.json` says.
pub struct Json<W> {
    to: W,
    from: u64,
    only: Only,
    line: Vec<u8>,
    events: u64,
    failed: Option<io::Error>,
}

/// A finding as a line.
#[derive(Serialize)]
struct Line<'a> {
    kind: &'static str,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// The last line, where a query left something out or may have.
#[derive(Serialize)]
struct Filtered {
    kind: &'static str,
    query: String,
    events_hidden: u64,
    findings_hidden: u64,
}

/// Everything but ASCII is escaped: what a thread calls itself must not speak to a terminal.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut units = [0; 2];
        let mut rest = fragment;
        while let Some(at) = rest.find(|c: char| !c.is_ascii() || c == '\u{7f}') {
            let (plain, after) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut chars = after.chars();
            if let Some(c) = chars.next() {
                for unit in c.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        serde_json::ser::CompactFormatter.write_char_escape(writer, escape)
    }
}

fn put(to: &mut Vec<u8>, value: &impl Serialize) {
    // A Vec takes everything, and none of our own types has a key that is no string.
    let _ = value.serialize(&mut serde_json::Serializer::with_formatter(to, Ascii));
}

impl<W: Write> Json<W> {
    /// Writes to `to` what happened from `from` on, in nanoseconds of the run's clock.
    pub fn new(to: W, from: u64) -> Self {
        Self { to, from, only: Only::default(), line: Vec::new(), events: 0, failed: None }
    }

    /// Writes only what passes a query.
    #[must_use]
    pub fn only(self, filter: Filter) -> Self {
        Self { only: Only::new(filter), ..self }
    }

    fn end_line(&mut self) {
        self.line.push(b'\n');
        if self.failed.is_none() {
            self.failed = self.to.write_all(&self.line).err();
        }
    }

    fn write_event(&mut self, seen: &Seen<'_>) -> io::Result<()> {
        let Self { line, .. } = self;
        line.clear();
        let kind = kind(seen.event);
        write!(line, "{{\"ts_ns\":{},\"cpu\":{},\"kind\":\"{kind}\"", seen.ts, seen.cpu)?;
        fields(seen, &mut |field, value| {
            // A Vec takes everything.
            let _ = match value {
                Value::Uint(n) => write!(line, ",\"{}\":{n}", field.name()),
                Value::Int(n) => write!(line, ",\"{}\":{n}", field.name()),
                Value::Bool(b) => write!(line, ",\"{}\":{b}", field.name()),
                Value::Text(text) => {
                    let named = write!(line, ",\"{}\":", field.name());
                    put(line, &text);
                    named
                }
            };
        });
        let mms = seen.state(seen.cpu).map(Mms::from).unwrap_or_default();
        for (name, mm) in
            [("logical_mm", mms.logical), ("active_mm", mms.active), ("real_mm", mms.real)]
        {
            match mm {
                Some(mm) => write!(line, ",\"{name}\":{mm}")?,
                None => write!(line, ",\"{name}\":null")?,
            }
        }
        let lazy = match mms.lazy {
            Some(true) => "true",
            Some(false) => "false",
            None => "null",
        };
        write!(line, ",\"lazy\":{lazy}}}")
    }
}

impl<W: Write> Observer for Json<W> {
    fn event(&mut self, seen: &Seen<'_>) {
        if seen.ts < self.from || self.failed.is_some() || !self.only.event(seen) {
            return;
        }
        self.events += 1;
        if let Err(error) = self.write_event(seen) {
            self.failed = Some(error);
        }
        self.end_line();
    }
}

impl<W: Write> Exporter for Json<W> {
    fn finish(&mut self, report: &Report) -> Result<(), ExportError> {
        for finding in &report.findings {
            if self.only.finding(finding) {
                self.line.clear();
                put(&mut self.line, &Line { kind: "finding", finding });
                self.end_line();
            }
        }
        if !self.only.filter.is_empty() {
            let LeftOut { events, findings, .. } = self.only.left_out;
            let line = Filtered {
                kind: "filtered",
                query: self.only.filter.to_string(),
                events_hidden: events,
                findings_hidden: findings,
            };
            self.line.clear();
            put(&mut self.line, &line);
            self.end_line();
        }
        match self.failed.take() {
            None => Ok(self.to.flush()?),
            Some(error) => Err(error.into()),
        }
    }

    fn events(&self) -> u64 {
        self.events
    }

    fn left_out(&self) -> LeftOut {
        self.only.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_speaks_to_a_terminal_and_none_is_lost() {
        let hostile = "a\u{1b}[31m\u{9b}0m\u{202e}\u{7f}\u{1f600}\"\\é";
        let mut line = Vec::new();
        put(&mut line, &hostile);
        assert!(line.iter().all(|byte| (0x20..0x7f).contains(byte)), "{line:?}");
        let read: String = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(read, hostile);
    }
}
