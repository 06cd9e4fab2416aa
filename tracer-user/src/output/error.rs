//! What can go wrong with a place for results, and what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A place could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// It could not be opened; nothing has run yet.
    #[error("cannot write to {}: {source}; {}", .path.display(), remedy(.source))]
    Open {
        /// The place.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was ready, but not all could be written.
    #[error("writing {} failed: {source}; {}", .path.display(), remedy(.source))]
    Write {
        /// The place.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Two results were to go to one place.
    #[error("{} is named for two results: give each its own file", .path.display())]
    Twice {
        /// The place.
        path: PathBuf,
    },
}

impl OutputError {
    pub(super) fn open(path: &Path, source: io::Error) -> Self {
        Self::Open { path: path.to_owned(), source }
    }

    pub(super) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }
}

fn remedy(err: &io::Error) -> &'static str {
    match err.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "free some space, or name a file on another file system"
        }
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            "create its directory first, or name a file elsewhere"
        }
        io::ErrorKind::IsADirectory => "name a file in it",
        io::ErrorKind::PermissionDenied => {
            "name a file that you may write, or check its and its directory's permissions"
        }
        io::ErrorKind::ReadOnlyFilesystem => "name a file on a writable file system",
        _ => "name another file, or - for standard output",
    }
}
