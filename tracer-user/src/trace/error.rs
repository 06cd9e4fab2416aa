//! What can be wrong with a trace.

use std::io;

use super::VERSION;

/// Why a trace can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file can't be read.
    #[error("can't read {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// It is something else.
    #[error("this is no trace of unlazy: {0}; `unlazy import` takes other tools' traces")]
    Foreign(String),
    /// A later version of unlazy wrote it.
    #[error(
        "a newer unlazy wrote this trace (format {version}, records {wire}); this one reads up to \
         format {VERSION}, records {}: take a newer unlazy",
        tracer_common::wire::VERSION
    )]
    Newer {
        /// The format's version.
        version: u32,
        /// The records' version.
        wire: u32,
    },
    /// It is damaged before anything of use.
    #[error("this trace is damaged before its first event: {0}; nothing can be recovered")]
    Damaged(String),
    /// It claims what can't be.
    #[error("this trace can't be real: {0}")]
    Absurd(String),
    /// Several files that don't belong together.
    #[error("{0}")]
    Parts(String),
}

/// A part of a file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins, in bytes from the file's start.
    pub offset: u64,
    /// How many bytes were passed over.
    pub bytes: u64,
    /// What is wrong there.
    pub why: String,
}
