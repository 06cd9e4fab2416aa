//! `unlazy explain`: one membarrier call or one finding of a recording, CPU by CPU.

use std::path::PathBuf;

use anyhow::{Context, bail};

use super::{
    only::Only,
    recording::{self, Span},
};
use crate::{
    exit::Exit,
    explain::{self, Ask, Explained, Question, text},
    output::{Sink, Target},
    report::text::Style,
};

const ABOUT: &str = "Explain one membarrier call or one finding of a recorded trace, CPU by CPU";

const LONG_ABOUT: &str = "\
Explain one SYNC_CORE membarrier call of a recorded trace, CPU by CPU: what ran there, whether the call \
interrupted it or why not, what serialized it, and when and by which way it ran user code of the mm \
again. Or one finding: its chain, and the call or switch it belongs to.

  unlazy explain trace.mcap                what there is: calls and findings, by number
  unlazy explain trace.mcap --filter 'mm=8 latency>1ms'    of these, the ones that match
  unlazy explain trace.mcap --call 17      the 17th call that began in the window
  unlazy explain trace.mcap --finding 1    the first finding
  unlazy explain trace.mcap --call 17 --json    as JSON (unlazy.explain/1)

With --from and --to only what lies between counts: calls and findings are numbered in it, and what \
would have to be known from before is unknown until events tell it.";

const AFTER_HELP: &str = "\
Exit codes:
  0  it was explained, whatever it comes to
  2  wrong usage, no such call or finding, or a file can't be read; the reason is on stderr";

/// The options of `unlazy explain`.
#[derive(Clone, Debug, clap::Args)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
pub struct Args {
    /// The recording, or all its parts
    #[arg(required = true, value_name = "F")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    span: Span,

    #[command(flatten)]
    only: Only,

    /// The call to explain, by its number
    #[arg(long, value_name = "N", conflicts_with = "filter", value_parser = clap::value_parser!(u64).range(1..))]
    call: Option<u64>,

    /// The finding to explain, by its number
    #[arg(long, value_name = "N", conflicts_with_all = ["call", "filter"], value_parser = clap::value_parser!(u64).range(1..))]
    finding: Option<u64>,

    /// Write it as JSON (unlazy.explain/1) to OUT [default: standard output]
    #[arg(long, value_name = "OUT", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// If a file can't be read or has not what is asked for; the exit code is then 2.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let runs = recording::open(&args.files)?;
    let [run] = &runs[..] else {
        bail!(
            "these are {} runs, and one is explained at a time: give the files of one",
            runs.len()
        );
    };
    let ask = match (args.call, args.finding) {
        (Some(number), _) => Ask::Call(number),
        (None, Some(number)) => Ask::Finding(number),
        (None, None) => Ask::List,
    };
    let question = Question { ask, range: args.span.of(run)?, filter: args.only.filter() };
    // Known before the work is done.
    let json = args.json.as_deref().map(Target::from).as_ref().map(Sink::open).transpose()?;
    let Explained { explanation, damage, .. } = explain::explain(run, question)?;
    recording::tell_damage(run, &damage);
    if !json.as_ref().is_some_and(Sink::is_stdout) {
        Sink::open(&Target::Stdout)?
            .write(|mut to| text::render(&explanation, &mut to, Style::stdout()))?;
    }
    if let Some(json) = json {
        json.write(|to| {
            serde_json::to_writer_pretty(&mut *to, &explanation)?;
            writeln!(to)
        })
        .context("the explanation could not be written as JSON")?;
    }
    Ok(Exit::Clean)
}
