//! Why a command could not be run.

use std::{ffi::OsString, io};

use super::Step;

/// Why a command could not be run, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// No command at all.
    #[error("no command given: write it after `--`")]
    Empty,
    /// An argument or variable that cannot be passed on.
    #[error("{} holds a NUL byte and cannot be passed to a program", .text.display())]
    Nul {
        /// The text.
        text: OsString,
    },
    /// The program is nowhere.
    #[error(
        "no program {} {}: check the name, or give its path",
        .program.display(),
        if .program.as_encoded_bytes().contains(&b'/') { "there" } else { "in PATH" }
    )]
    NotFound {
        /// Its name as given.
        program: OsString,
    },
    /// It is there, but that user may not run it.
    #[error(
        "{} cannot be executed by {who}: check its permissions (chmod +x) and those of its \
         directories, or choose another user (--user, --as-root)",
        .program.display()
    )]
    NotExecutable {
        /// Its name as given.
        program: OsString,
        /// The user it was tried as.
        who: String,
    },
    /// The kernel refused the program at the last moment.
    #[error("{} could not be executed: {source}; {}", .program.display(), exec_remedy(.source))]
    Exec {
        /// Its name as given.
        program: OsString,
        /// What the kernel said.
        source: io::Error,
    },
    /// A step on the way to the program was refused.
    #[error("cannot {} for the command: {source}; {}", .step.what(), .step.remedy())]
    Step {
        /// The step.
        step: Step,
        /// What the kernel said.
        source: io::Error,
    },
    /// The user cannot be found or must not be taken.
    #[error("{what}: {remedy}")]
    User {
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
}

fn exec_remedy(err: &io::Error) -> &'static str {
    match err.raw_os_error() {
        Some(libc::ENOENT) => "its interpreter or loader (see its first line) does not exist",
        Some(libc::E2BIG) => "its arguments and environment are too long",
        Some(libc::ETXTBSY) => "it is open for writing: wait until that has ended",
        Some(libc::EAGAIN) => "that user has too many processes (ulimit -u)",
        Some(libc::ENOEXEC) => "it is no program for this machine, or a script without #!",
        _ => "run it without unlazy to see whether it runs at all",
    }
}
