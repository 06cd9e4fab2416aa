//! `cargo xtask bench`: what watching costs the watched; with `--recordings`, what a recording costs
//! and how fast it is judged; with `--explore`, how fast the exhaustive search is beside spin's.
//!
//! Two programs take part: this one, as the developer built it, prepares and prints; an optimized
//! build of the same xtask measures, as root, and hands its results over as JSON.

pub(crate) mod explore;
mod fifo;
pub(crate) mod loops;
pub(crate) mod measure;
mod observer;
mod programs;
pub(crate) mod reading;
mod results;
mod session;
mod stats;
mod table;
mod tracepoints;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::toolchain::Choice;
use crate::workspace::Workspace;
use crate::{build, shell};

/// Measure unlazy's overhead beside that of bpftrace and perf on the same tracepoints.
///
/// Loops on one pinned CPU, with nothing attached, with unlazy, with bpftrace counting and with
/// perf recording the same tracepoints, in interleaved rounds; then, apart from that, the time of
/// each BPF program by the kernel's own statistics.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    choice: Choice,
    /// Measure recordings instead: what one costs, and how fast it is judged, beside perf and
    /// trace-cmd merely printing theirs of the same tracepoints
    #[arg(long)]
    recordings: bool,
    /// Measure `unlazy explore` instead, beside spin on the same space; nothing is attached
    #[arg(long, conflicts_with_all = ["recordings", "quick", "unlazy"])]
    explore: bool,
    /// How long each tool records, with --recordings
    #[arg(long, value_name = "SECONDS", default_value_t = 20, requires = "recordings")]
    seconds: u64,
    /// Write the results as JSON too (`-`: to stdout instead of the tables)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How many rounds; the median of an odd number is one of them
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=999))]
    rounds: u32,
    /// A fifth of the time a loop, for a first look
    #[arg(long)]
    quick: bool,
    /// Measure this unlazy instead of building one
    #[arg(long, value_name = "PATH")]
    unlazy: Option<PathBuf>,
}

/// Carries out `cargo xtask bench`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    if args.explore {
        return search(workspace, args);
    }
    let unlazy = match &args.unlazy {
        Some(path) => {
            path.canonicalize().with_context(|| format!("looking for {}", path.display()))?
        }
        None => build::release(workspace, args.choice)?,
    };
    let measurer = optimized(workspace)?;
    let mut command = shell::as_root(&measurer, "attaching tracers")?;
    command.arg(if args.recordings { "bench-recordings" } else { "bench-measure" });
    command.arg("--unlazy").arg(&unlazy);
    command.arg("--rounds").arg(args.rounds.to_string());
    if args.recordings {
        command.arg("--seconds").arg(args.seconds.to_string());
    } else if args.quick {
        command.arg("--quick");
    }
    let json = shell::capture_stdout(&mut command).context("measuring")?;
    let text = if args.recordings {
        reading::render(&serde_json::from_str(&json).context("reading the results")?)
    } else {
        table::render(&serde_json::from_str(&json).context("reading the results")?)
    };
    deliver(args, &json, &text)
}

/// Searches, beside spin; nothing of it needs root.
fn search(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    explore::check()?;
    let mut command = Command::new(optimized(workspace)?);
    command.arg("bench-explore").arg("--model");
    command.arg(workspace.root.join("tracer-explore/benches/core.pml"));
    let json = shell::capture_stdout(&mut command).context("measuring")?;
    let all: Vec<_> = serde_json::from_str(&json).context("reading the results")?;
    deliver(args, &json, &explore::render(&all))
}

/// This program, optimized.
fn optimized(workspace: &Workspace) -> Result<PathBuf> {
    shell::run(workspace.cargo().args(["build", "--release", "--package", "xtask"]))
        .context("building an optimized xtask")?;
    Ok(workspace.target.join("release/xtask"))
}

fn deliver(args: &Args, json: &str, text: &str) -> Result<ExitCode> {
    match &args.json {
        Some(path) if path.as_os_str() == "-" => print!("{json}"),
        Some(path) => {
            print!("{text}");
            fs::write(path, json).with_context(|| format!("writing {}", path.display()))?;
        }
        None => print!("{text}"),
    }
    Ok(ExitCode::SUCCESS)
}
