//! What other tools have traced, as a recording of ours.
//!
//! ```text
//! file -> lines -> ftrace | perf -> fields   \
//! file -> dat (pages, formats)               -> Translator -> Spool (by CPU) -> write -> MCAP
//! ```
//!
//! Other tools' events tell tasks and functions, but no mm, no frame and no registration. None of it
//! is made up: each mm is [`UNKNOWN_MM`](tracer_common::wire::UNKNOWN_MM), and what the trace lacks is
//! named in [`Origin::Import`](crate::stream::Origin). So a judge counts what is there, and leaves
//! undecided what it can't know.

mod dat;
mod error;
mod fields;
mod ftrace;
mod lines;
mod missing;
mod names;
mod perf;
mod point;
mod sniff;
mod spool;
mod text;
mod translate;
mod write;

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

pub use error::ImportError;
pub use sniff::Format;

use crate::output::{Sink, Target};
use translate::Translator;

/// So many lines that were not understood are shown.
const SHOWN: usize = 3;

/// So many characters of such a line are shown.
const SHOWN_CHARS: usize = 120;

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// What it was taken for.
    pub format: Format,
    /// Events that are in the recording.
    pub events: u64,
    /// Events that say nothing about what unlazy judges, and are left out.
    pub unused: u64,
    /// Events that the trace says were lost.
    pub lost: u64,
    /// Events that came with a time before the one before on the same CPU, and are left out.
    pub backwards: u64,
    /// Lines (or records of a binary file) that were not understood, and are left out.
    pub not_understood: u64,
    /// The first of them: what place, why, and the text as it stood there. It is not fit for a
    /// terminal as it is.
    pub examples: Vec<Unclear>,
}

/// Something that was not understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unclear {
    /// The line, counted from 1; in a binary file the byte.
    pub place: u64,
    /// Why.
    pub why: &'static str,
    /// The beginning of it.
    pub text: String,
}

impl Imported {
    /// Counts something that was not understood.
    fn unclear(&mut self, place: u64, why: &'static str, text: &[u8]) {
        self.not_understood += 1;
        if self.examples.len() < SHOWN {
            let text = String::from_utf8_lossy(&text[..text.len().min(4 * SHOWN_CHARS)])
                .chars()
                .take(SHOWN_CHARS)
                .collect();
            self.examples.push(Unclear { place, why, text });
        }
    }
}

/// Reads `from` and writes a recording to `to`, which is created, or emptied if it is there.
///
/// # Errors
/// If a file can't be read or written, or if there is nothing in it that is understood; then `to` is
/// not touched.
pub fn import(from: &Path, format: Option<Format>, to: &Path) -> Result<Imported, ImportError> {
    let read = |source| ImportError::Read { path: from.display().to_string(), source };
    let mut input = BufReader::with_capacity(1 << 17, File::open(from).map_err(read)?);
    let format = match format {
        Some(format) => format,
        None => sniff::format(input.fill_buf().map_err(read)?)?,
    };
    let to = Sink::open(&Target::from(to))?;
    let mut imported = Imported { format, ..Imported::default() };
    let mut translator = Translator::new()?;
    match format {
        Format::TraceDat => {
            dat::read(input.get_ref(), from, &mut translator, &mut imported)?;
        }
        Format::Ftrace | Format::Perf => {
            text::read(input, from, &mut translator, &mut imported)?;
        }
    }
    write::write(translator, &mut imported, to)?;
    Ok(imported)
}
