//! `unlazy conform`: whether a recording is a behaviour of the abstract kernel.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use tracer_explore::{
    bug::{self, Bug},
    protocol,
};

use super::recording::{self, Span};
use crate::{
    conform::{Conformity, conform, lines, protocol_of},
    exit::Exit,
    output::{Sink, Target},
};

const ABOUT: &str = "Hold a recorded trace against the abstract kernel that `explore` searches";

const LONG_ABOUT: &str = "\
Hold a recorded trace against the abstract kernel that `unlazy explore` searches: each event must be \
something that it can do next. The first step that it cannot make is named; then one of the two is \
wrong, the abstract kernel or the one that was recorded.

  unlazy conform trace.mcap                      the protocol of the recorded kernel's version
  unlazy conform trace.mcap --protocol linux-6.1
  unlazy conform trace.mcap --bug lazy-nosync    a kernel with a planted bug
  unlazy conform trace.mcap --json               as JSON (unlazy.conform/1)

`unlazy explore --list` has protocols and bugs. What the abstract kernel does not have is passed by, \
named and counted. docs/explore.md says how it works.";

const AFTER_HELP: &str = "\
Exit codes:
  0  all that could be held against the abstract kernel is something that it does
  1  something is not: the first step is named
  2  wrong usage, or a file can't be read; the reason is on stderr
  3  inconclusive: most of it is not known, or the file is damaged";

/// The options of `unlazy conform`.
#[derive(Clone, Debug, clap::Args)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
pub struct Args {
    /// The recording, or all its parts
    #[arg(required = true, value_name = "F")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    span: Span,

    /// The protocol [default: by the version of the recorded kernel]
    #[arg(long, value_name = "P")]
    protocol: Option<String>,

    /// What is wrong with the kernel
    #[arg(long, value_name = "B", value_delimiter = ',')]
    bug: Vec<String>,

    /// Write it as JSON (unlazy.conform/1) to OUT [default: standard output]
    #[arg(long, value_name = "OUT", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// If a file can't be read, or there is no such protocol or bug; the exit code is then 2.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let named = |name: &String| {
        bug::find(name).ok_or_else(|| anyhow!("no bug {name}; `unlazy explore --list` has them"))
    };
    let bugs: Vec<&'static Bug> = args.bug.iter().map(named).collect::<Result<_, _>>()?;
    let asked = match &args.protocol {
        Some(name) => Some(
            protocol::find(name)
                .ok_or_else(|| anyhow!("no protocol {name}; `unlazy explore --list` has them"))?,
        ),
        None => None,
    };
    let runs = recording::open(&args.files)?;
    let [run] = &runs[..] else {
        bail!(
            "these are {} runs, and one is held against the abstract kernel at a time: give the \
             files of one",
            runs.len()
        );
    };
    let Some(first) = run.first() else { bail!("there is no file to read") };
    let protocol = asked.unwrap_or_else(|| protocol_of(first.facts()));
    let kernel = first.facts().kernel.release.as_deref();
    // Known before the work is done.
    let json = args.json.as_deref().map(Target::from).as_ref().map(Sink::open).transpose()?;
    let conformed = conform(run, args.span.of(run)?, protocol, &bugs)?;
    recording::tell_damage(run, &conformed.damage);
    if !json.as_ref().is_some_and(Sink::is_stdout) {
        Sink::open(&Target::Stdout)?.write(|to| {
            for line in lines(&conformed, protocol, &bugs, kernel) {
                writeln!(to, "{line}")?;
            }
            Ok(())
        })?;
    }
    if let Some(json) = json {
        json.write(|to| {
            let told = Conformity::new(&conformed, protocol, &bugs, kernel);
            serde_json::to_writer_pretty(&mut *to, &told)?;
            writeln!(to)
        })?;
    }
    Ok(conformed.verdict.into())
}
