//! `unlazy doctor`: what this kernel is, which probes work on it, and what to do about the rest.

mod advice;
mod examine;
mod report;
mod text;

use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;

pub use examine::examine;
pub use report::{BtfFile, Doctor, Mode, Modes, Privilege, ProbeLine, SCHEMA, Tried, Verifier};

use crate::output::{Sink, Target};

const ABOUT: &str = "Say what can be traced on this kernel, and what to do about the rest";

const LONG_ABOUT: &str = "\
Say what this kernel and CPU are, which probes work here, which don't and why, what is lost without \
them, and what to do about it.

Each program is really loaded and attached, and taken away again: \"attached\" was seen to work. Without \
root that can't be tried, and the answer says so.";

const AFTER_HELP: &str = "\
Exit codes:
  0  tracing can work here
  2  it can't; the text says why and what to do";

/// The options of `unlazy doctor`.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
pub struct Args {
    /// Write the result as JSON (unlazy.doctor/1) to F [default: standard output]
    #[arg(long, value_name = "F", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<PathBuf>,

    /// Look up tracepoints and fields in this BTF file, not in the running kernel's BTF
    ///
    /// To see what unlazy would do on another kernel. Attaching still goes by the running kernel.
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

/// Runs the command and says whether tracing can work here. `kernel` is what is known about kernel
/// and CPU; it goes into the JSON as it is.
///
/// # Errors
/// If the result can't be written.
pub fn run(args: &Args, kernel: &impl Serialize) -> anyhow::Result<bool> {
    // Opened first: an answer that can't be written should not be looked for.
    let json = args.json.as_deref().map(|name| Sink::open(&Target::from(name))).transpose()?;
    let kernel = serde_json::to_value(kernel).context("turning the kernel's facts into JSON")?;
    let doctor = examine(kernel, args.btf.as_deref());
    let text_too = !json.as_ref().is_some_and(Sink::is_stdout);
    if text_too {
        let text = text::render(&doctor);
        Sink::open(&Target::Stdout)?.write(|to| to.write_all(text.as_bytes()))?;
    }
    if let Some(json) = json {
        let text = serde_json::to_string_pretty(&doctor).context("turning the result into JSON")?;
        json.write(|to| writeln!(to, "{text}"))?;
    }
    Ok(doctor.modes.tracepoint.ok)
}

#[cfg(test)]
mod tests;
