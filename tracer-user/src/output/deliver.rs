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
    let Places { json, junit, text } = places;
    let mut errors = Vec::new();
    let mut note = |result: Result<Written, OutputError>| match result {
        Ok(_) => true,
        Err(err) => {
            errors.push(err);
            false
        }
    };
    let stdout_taken = [&json, &junit].into_iter().flatten().any(Sink::is_stdout);
    let mut all = true;
    if let Some(sink) = json {
        all &= note(sink.write(|to| write_json(report, to)));
    }
    if let Some(sink) = junit {
        all &= note(sink.write(|to| write_junit(report, to)));
    }
    let mut shown = text == TextTo::Nowhere && all;
    if text == TextTo::Stdout || (!all && !stdout_taken) {
        let sink = Sink::open(&Target::Stdout);
        shown = note(sink.and_then(|sink| sink.write(|to| as_text(report, to, Style::stdout()))));
    }
    if !shown {
        // The last resort: whoever closed standard error too wants nothing from us.
        let _ = as_text(report, &mut io::stderr().lock(), Style::default());
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn as_text(report: &Report, mut to: &mut dyn Write, style: Style) -> io::Result<()> {
    render(report, &mut to, style)
}
