//! `unlazy doctor`: what this kernel is, which probes work on it, and what to do about the rest.

mod advice;
mod examine;
mod report;
mod text;

use std::{fs, io::Write as _, path::PathBuf};

use anyhow::Context as _;
use serde::Serialize;

pub use examine::examine;
pub use report::{BtfFile, Doctor, Mode, Modes, Privilege, ProbeLine, SCHEMA, Tried};

use crate::probes::table;

/// `unlazy doctor` on the command line.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Args {
    /// Write the result as JSON (unlazy.doctor/1) to F, or to stdout in place of the text.
    #[arg(long, value_name = "F", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<PathBuf>,
    /// Look up tracepoints and fields in FILE, not in the running kernel's BTF, to see what
    /// unlazy would do on another kernel. Attaching still goes by the running kernel.
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
    /// Print the table of probes as Markdown and exit.
    #[arg(long, hide = true)]
    pub table_markdown: bool,
}

/// Runs the command and says whether tracing can work here. `kernel` is what is known about kernel
/// and CPU; it goes into the JSON as it is.
///
/// # Errors
/// If the result can't be written.
pub fn run(args: &Args, kernel: &impl Serialize) -> anyhow::Result<bool> {
    let mut stdout = std::io::stdout().lock();
    if args.table_markdown {
        stdout.write_all(table::markdown().as_bytes()).context("writing the table to stdout")?;
        return Ok(true);
    }
    let kernel = serde_json::to_value(kernel).context("turning the kernel's facts into JSON")?;
    let doctor = examine(kernel, args.btf.as_deref());
    let mut print_text = true;
    if let Some(file) = &args.json {
        let json = serde_json::to_string_pretty(&doctor).context("turning the result into JSON")?;
        if file.as_os_str() == "-" {
            print_text = false;
            writeln!(stdout, "{json}").context("writing JSON to stdout")?;
        } else {
            fs::write(file, json + "\n")
                .with_context(|| format!("writing JSON to {}", file.display()))?;
        }
    }
    if print_text {
        stdout.write_all(text::render(&doctor).as_bytes()).context("writing to stdout")?;
    }
    Ok(doctor.modes.tracepoint.ok)
}

#[cfg(test)]
mod tests;
