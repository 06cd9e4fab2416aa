//! Recorded traces for other people's tools.
//!
//! ```text
//! parts -> judge -> Observer: perfetto | json | parquet -> place
//! ```
//!
//! Every format is written while the trace is judged, in bounded memory: an event is shown together
//! with the state that it led to. Findings come at the end, as the report has them. What each format
//! holds is in `docs/export.md`.

pub(crate) mod calls;
mod directory;
mod field;
mod fields;
mod flows;
mod json;
mod kinds;
mod only;
pub mod parquet;
pub mod perfetto;
mod schema;
mod words;

use std::io;

use crate::{
    engine::Observer,
    judge::recorded::{self, Recorded},
    report::Report,
    trace::{Part, Range, TraceError},
};

pub use self::{
    calls::{Call, Calls},
    directory::Directory,
    field::{Field, Type, Value},
    fields::fields,
    flows::Flows,
    json::Json,
    kinds::{KINDS, KindFields, kind},
    only::LeftOut,
    schema::{SCHEMA, schema},
};

/// Why an export did not come about.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The recording can't be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// What came of it can't be written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Parquet's own library refused.
    #[error("can't write parquet: {0}; this is a fault of unlazy, please report it")]
    Parquet(String),
}

/// One of the formats: looks on while a trace is judged.
pub trait Exporter: Observer {
    /// The trace is over: what is still held back, and the findings.
    ///
    /// # Errors
    /// The first error of all the writing.
    fn finish(&mut self, report: &Report) -> Result<(), ExportError>;

    /// How many events were written.
    fn events(&self) -> u64;

    /// What a query left out.
    fn left_out(&self) -> LeftOut {
        LeftOut::default()
    }
}

/// What came of an export.
#[derive(Debug)]
pub struct Exported {
    /// What was judged on the way, and what of the recording is damaged.
    pub recorded: Recorded,
    /// Events written.
    pub events: u64,
    /// What a query left out.
    pub left_out: LeftOut,
}

/// Writes one run, from its parts in order.
///
/// # Errors
/// [`ExportError`] if it can't be read or not be written.
pub fn export(
    parts: &[Part],
    range: Range,
    exporter: &mut impl Exporter,
) -> Result<Exported, ExportError> {
    let recorded = recorded::observe(parts, range, &mut *exporter)?;
    exporter.finish(&recorded.report)?;
    Ok(Exported { recorded, events: exporter.events(), left_out: exporter.left_out() })
}
