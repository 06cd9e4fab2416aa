//! A report, delivered to all its places.

use std::io::{self, Write};

use super::{OutputError, Sink, Target, Written};
use crate::report::{
    Report,
    text::{Style, render},
    write_json, write_junit,
};

/// Where the text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextTo {
    /// Standard output, in its style.
    #[default]
    Stdout,
    /// Nowhere, unless a file could not be written.
    Nowhere,
}

/// The places of one report.
#[derive(Debug, Default)]
pub struct Places {
    json: Option<Sink>,
    junit: Option<Sink>,
    text: TextTo,
}

impl Places {
    /// Opens them all, before the run. The text goes to standard output unless something else
    /// already does.
    ///
    /// # Errors
    /// [`OutputError`] if one cannot be written, or if two are the same.
    pub fn open(json: Option<&Target>, junit: Option<&Target>) -> Result<Self, OutputError> {
        if let (Some(a), Some(b)) = (json, junit)
            && a == b
        {
            let path = match a {
                Target::Stdout => "standard output".into(),
                Target::File(name) => name.clone(),
            };
            // The same device, /dev/null say, may take both.
            if !path.metadata().is_ok_and(|meta| !meta.is_file()) {
                return Err(OutputError::Twice { path });
            }
        }
        let json = json.map(Sink::open).transpose()?;
        let junit = junit.map(Sink::open).transpose()?;
        let taken = [&json, &junit].into_iter().flatten().any(Sink::is_stdout);
        let text = if taken { TextTo::Nowhere } else { TextTo::Stdout };
        Ok(Self { json, junit, text })
    }

    /// Where the text will go.
    pub fn text(&self) -> TextTo {
        self.text
    }
}

/// Writes `report` to all its places. If a named file fails, the text is printed all the same (on
/// standard output, or on standard error if that is taken or fails), so that the run is not lost.
///
/// # Errors
/// Every place that failed. A reader that went away is no failure.
pub fn deliver(report: &Report, places: Places) -> Result<(), Vec<OutputError>> {
    let stdout = |report: &Report| {
        Sink::open(&Target::Stdout)?.write(|to| as_text(report, to, Style::stdout()))
    };
    // The last resort: whoever closed standard error too wants nothing from us.
    let stderr = |report: &Report| {
        let _ = as_text(report, &mut io::stderr().lock(), Style::default());
    };
    deliver_with(report, places, stdout, stderr)
}

fn deliver_with(
    report: &Report,
    places: Places,
    stdout: impl FnOnce(&Report) -> Result<Written, OutputError>,
    stderr: impl FnOnce(&Report),
) -> Result<(), Vec<OutputError>> {
    let Places { json, junit, text } = places;
    let stdout_taken = [&json, &junit].into_iter().flatten().any(Sink::is_stdout);
    let mut errors = Vec::new();
    let json = json.map(|sink| sink.write(|to| write_json(report, to)));
    let junit = junit.map(|sink| sink.write(|to| write_junit(report, to)));
    errors.extend([json, junit].into_iter().flatten().filter_map(Result::err));

    let mut shown = text == TextTo::Nowhere && errors.is_empty();
    if text == TextTo::Stdout || (!errors.is_empty() && !stdout_taken) {
        match stdout(report) {
            Ok(_) => shown = true,
            Err(err) => errors.push(err),
        }
    }
    if !shown {
        stderr(report);
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn as_text(report: &Report, mut to: &mut dyn Write, style: Style) -> io::Result<()> {
    render(report, &mut to, style)
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, path::Path};

    use super::*;

    /// Delivers; says what failed, and whether text went to standard output and error.
    fn run(json: Option<Sink>, text: TextTo, stdout_works: bool) -> (usize, bool, bool) {
        let (out, err) = (Cell::new(false), Cell::new(false));
        let places = Places { json, junit: None, text };
        let stdout = |_: &Report| {
            out.set(true);
            let full = || io::ErrorKind::StorageFull.into();
            if stdout_works {
                Ok(Written::All)
            } else {
                Err(OutputError::write(Path::new("standard output"), full()))
            }
        };
        let result = deliver_with(&Report::default(), places, stdout, |_| err.set(true));
        (result.err().map_or(0, |errors| errors.len()), out.get(), err.get())
    }

    fn full() -> Option<Sink> {
        Some(Sink::open(&Target::File("/dev/full".into())).expect("it opens"))
    }

    fn null() -> Option<Sink> {
        Some(Sink::open(&Target::File("/dev/null".into())).expect("it opens"))
    }

    #[test]
    fn the_report_is_never_lost() {
        assert_eq!(run(null(), TextTo::Stdout, true), (0, true, false));
        assert_eq!(run(null(), TextTo::Nowhere, true), (0, false, false));
        assert_eq!(run(full(), TextTo::Stdout, true), (1, true, false));
        assert_eq!(run(full(), TextTo::Nowhere, true), (1, true, false));
        assert_eq!(run(full(), TextTo::Stdout, false), (2, true, true));
        assert_eq!(run(None, TextTo::Stdout, false), (1, true, true));
    }
}
