//! `unlazy export`: a recording for other people's tools.

use std::{io, path::PathBuf};

use anyhow::{Context, bail};

use super::{
    only::Only,
    recording::{self, Span},
};
use crate::{
    exit::Exit,
    export::{
        Directory, ExportError, Exported, Json, LeftOut, export,
        parquet::{FILES, Parquet},
        perfetto::Perfetto,
    },
    output::{Sink, Target, Written},
    report::text::{count, printable},
    trace::{Part, Range},
};

const ABOUT: &str = "Write a recorded trace for other people's tools";

const LONG_ABOUT: &str = "\
Write a recorded trace in a format that other tools read. It takes no privileges.

  unlazy export t.mcap --format perfetto -o t.pftrace    for ui.perfetto.dev, trace_processor
  unlazy export t.mcap --format json -o - | jq ...       an object a line
  unlazy export t.mcap --format parquet -o t/            tables for DuckDB, Spark, ClickHouse
  unlazy export --from 10s --to 20s t.mcap ...           a part of it
  unlazy export --filter 'mm=8 cpu=1' t.mcap ...         rows that match (json, parquet)

The trace is judged on the way: each event comes with the mms that its CPU then has, and the findings
are those of `unlazy report`. docs/export.md says what each format holds.";

const AFTER_HELP: &str = "\
Exit codes:
  0  all that was recorded is written
  2  wrong usage, a file can't be read, or not all could be written: then nothing is
  3  written, but a part of the recording can't be read; what and where is on stderr";

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Perfetto's native trace, a file
    Perfetto,
    /// JSON lines: events, then findings; docs/unlazy.events.schema.json
    Json,
    /// A directory: events.parquet, calls.parquet, findings.parquet
    Parquet,
}

/// The options of `unlazy export`.
#[derive(Clone, Debug, clap::Args)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
pub struct Args {
    /// The recording, or all its parts
    #[arg(required = true, value_name = "F")]
    files: Vec<PathBuf>,

    /// What to write
    #[arg(long, value_name = "FORMAT")]
    format: Format,

    /// Where to: a file, a directory for parquet, or - for standard output
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    #[command(flatten)]
    span: Span,

    #[command(flatten)]
    only: Only,
}

/// Runs the command.
///
/// # Errors
/// If a file can't be read, or the result not be written; the exit code is then 2.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let runs = recording::open(&args.files)?;
    let [run] = &runs[..] else {
        bail!("these files are {} runs: export each by itself, to a place of its own", runs.len());
    };
    let range = args.span.of(run)?;
    if args.format == Format::Perfetto && args.only.query().is_some() {
        bail!(
            "--filter takes json or parquet, which have a row an event: in Perfetto's format several \
             events make a slice. Choose what to look at there, or a part of the time by --from and --to"
        );
    }
    let exported = match args.format {
        Format::Parquet => Some(parquet(run, range, args)?),
        Format::Json | Format::Perfetto => stream(run, range, args)?,
    };
    let Some(exported) = exported else {
        // Whoever read it has gone, and wants no more.
        return Ok(Exit::Clean);
    };
    recording::tell_damage(run, &exported.recorded.damage);
    tell_left_out(&exported, args);
    Ok(if exported.recorded.damage.is_empty() { Exit::Clean } else { Exit::Inconclusive })
}

/// Says on standard error how much a query left out.
fn tell_left_out(exported: &Exported, args: &Args) {
    let Some(filter) = args.only.query() else { return };
    let LeftOut { events, calls, findings } = exported.left_out;
    let of = exported.recorded.report.findings.len() as u64;
    let calls = match args.format {
        Format::Parquet => format!(", {} calls", count(calls)),
        Format::Json | Format::Perfetto => String::new(),
    };
    let (events, all) = (count(events), count(events + exported.events));
    let left_out = format!(
        "{events} of {all} events{calls} and {} of {} findings",
        count(findings),
        count(of)
    );
    eprintln!("unlazy: the filter ({}) left out {left_out}", printable(&filter.to_string()));
}

/// Writes a format that is one file; nothing if whoever read it has gone.
fn stream(run: &[Part], range: Range, args: &Args) -> anyhow::Result<Option<Exported>> {
    let sink = Sink::open(&Target::from(args.output.as_path()))?;
    let mut outcome = None;
    let written = sink.write(|to| {
        let result = match (args.format, run.first()) {
            (Format::Perfetto, Some(part)) => {
                export(run, range, &mut Perfetto::new(to, part.facts(), range.from))
            }
            _ => export(run, range, &mut Json::new(to, range.from).only(args.only.filter())),
        };
        match result {
            Err(ExportError::Io(error)) => Err(error),
            // Not of the place: it must be left as it was all the same.
            Err(error) => {
                outcome = Some(Err(error));
                Err(io::Error::other("the recording can't be read"))
            }
            Ok(exported) => {
                outcome = Some(Ok(exported));
                Ok(())
            }
        }
    });
    match (outcome, written) {
        (Some(Err(error)), _) => Err(error.into()),
        (_, Err(error)) => Err(error.into()),
        (_, Ok(Written::ReaderGone)) => Ok(None),
        (outcome, Ok(Written::All)) => Ok(outcome.transpose()?),
    }
}

/// Writes the tables.
fn parquet(run: &[Part], range: Range, args: &Args) -> anyhow::Result<Exported> {
    let place = &args.output;
    if place.as_os_str() == "-" {
        bail!("--format parquet writes a directory: name one with -o, it can't be standard output");
    }
    let Some(first) = run.first() else { bail!("there is no file to export") };
    let doing = || format!("writing {}", place.display());
    let directory = Directory::open(place, FILES).with_context(|| {
        format!("can't write to {}; name a directory that is new or an export", place.display())
    })?;
    let tables = Parquet::new(directory.path(), first.facts(), range.from).with_context(doing)?;
    let mut tables = tables.only(args.only.filter());
    let exported = match export(run, range, &mut tables) {
        Err(ExportError::Trace(error)) => return Err(error.into()),
        result => result.with_context(doing)?,
    };
    tables.close().with_context(doing)?;
    directory.commit().with_context(doing)?;
    Ok(exported)
}
