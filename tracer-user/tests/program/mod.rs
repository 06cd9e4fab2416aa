//! The program as a user runs it.

use std::{
    ffi::OsStr,
    process::{Command, Output, Stdio},
};

/// Runs it to its end, with nothing to read.
pub(crate) fn unlazy(args: &[impl AsRef<OsStr>]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_unlazy"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("unlazy starts")
}
