//! `unlazy import`: what other tools have traced becomes a recording.

use std::{fs, path::PathBuf};

use anyhow::bail;

use crate::{
    exit::Exit,
    import::{self, Format, Imported, Unclear},
    report::text::{count, printable},
};

const ABOUT: &str = "Make a recording of what another tool has traced";

const LONG_ABOUT: &str = "\
Make a recording of what another tool has traced, for `unlazy report` and all that reads recordings.

  unlazy import /sys/kernel/tracing/trace -o t.mcap   ftrace's text, or what trace_pipe gave
  unlazy import trace.dat -o t.mcap                   trace-cmd's own format, or its report's text
  unlazy import script.txt -o t.mcap                  the text of `perf script`

The kernel's tracepoints tell no mms. So calls, interrupts, IPIs, switches and flushes are counted and \
shown, and no rule can be decided: such a recording is never clean. What it lacks is named in its \
report.";

const AFTER_HELP: &str = "\
Exit codes:
  0  the recording is there; what was left out is said on stderr
  2  wrong usage, or the trace can't be read; the reason is on stderr";

/// The options of `unlazy import`.
#[derive(Clone, Debug, clap::Args)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
pub struct Args {
    /// The trace
    #[arg(value_name = "IN")]
    from: PathBuf,

    /// Write the recording to OUT
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    /// What the trace is
    #[arg(long, value_enum, default_value_t = Which::Auto)]
    format: Which,
}

/// What a trace is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    /// It tells by itself
    Auto,
    /// The text of `trace` or `trace_pipe`, or of `trace-cmd report`
    Ftrace,
    /// The text of `perf script`
    Perf,
    /// trace-cmd's trace.dat
    TraceDat,
}

/// Runs the command.
///
/// # Errors
/// If the trace can't be read or the recording not be written; the exit code is then 2.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let same = |a: &PathBuf, b: &PathBuf| match (fs::canonicalize(a), fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    if same(&args.from, &args.output) {
        bail!("{} would be overwritten: give another -o", args.output.display());
    }
    let format = match args.format {
        Which::Auto => None,
        Which::Ftrace => Some(Format::Ftrace),
        Which::Perf => Some(Format::Perf),
        Which::TraceDat => Some(Format::TraceDat),
    };
    let imported = import::import(&args.from, format, &args.output)?;
    for line in told(&imported) {
        eprintln!("unlazy: {line}");
    }
    Ok(Exit::Clean)
}

/// What is to be said of it.
fn told(imported: &Imported) -> Vec<String> {
    let Imported { format, events, unused, lost, backwards, not_understood, ref examples } =
        *imported;
    let mut lines = vec![format!("{format}: {} events imported", count(events))];
    let mut say = |number: u64, what: &str| {
        if number > 0 {
            lines.push(format!("{} {what}", count(number)));
        }
    };
    say(unused, "events say nothing here and were left out");
    say(lost, "events were lost, as the trace says");
    say(backwards, "events were left out: their time is before the one before on their CPU");
    let (things, place) = match format {
        Format::TraceDat => ("records were not understood and left out", "byte"),
        Format::Ftrace | Format::Perf => ("lines were not understood and left out", "line"),
    };
    say(not_understood, things);
    for Unclear { place: number, why, text } in examples {
        lines.push(format!("  {place} {number}: {why}: {}", printable(text)));
    }
    lines
}
