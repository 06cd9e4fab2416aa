//! What goes wrong on the way.

use std::io;

use crate::output::OutputError;

/// Why a trace can't be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The input can't be read.
    #[error("can't read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The recording can't be written.
    #[error(transparent)]
    Write(#[from] OutputError),
    /// There is no room for what is sorted on the way.
    #[error("can't keep events in a temporary file: {0}; point TMPDIR at a place with room")]
    Spool(io::Error),
    /// It is no trace that is known, or another one than was said.
    #[error("{0}")]
    Unknown(String),
    /// There is nothing in it.
    #[error(
        "no event was understood, {lines} lines were not{first}; say what it is with --format if it \
         was taken for the wrong thing, and see docs/import.md for what can be read"
    )]
    Empty {
        /// Lines that were not understood.
        lines: u64,
        /// The first of them, printable.
        first: String,
    },
    /// A binary trace is damaged, or does what is not supported.
    #[error("{path}: at byte {at}: {why}")]
    Binary {
        /// The file.
        path: String,
        /// Where.
        at: u64,
        /// What is wrong.
        why: String,
    },
}
