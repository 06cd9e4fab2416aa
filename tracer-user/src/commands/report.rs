//! `unlazy report`: judge what was recorded.

use std::path::PathBuf;

use anyhow::bail;
use serde::Serialize;

use super::{
    only::Only,
    recording::{self, Span},
};
use crate::{
    exit::Exit,
    judge::recorded::{self, Recorded},
    output::{Places, Sink, Target, TextTo, deliver},
    report::{Report, Verdict, text::printable},
    trace::Part,
};

const ABOUT: &str = "Judge a recorded trace, and print a report";

const LONG_ABOUT: &str = "\
Judge a recorded trace as `unlazy check` judges the live kernel: the same rules, the same output. It \
takes no privileges, and may be done on another machine.

  unlazy report trace.mcap                    the whole of it
  unlazy report trace.0000.mcap trace.0001.mcap   the parts of one run, in any order
  unlazy report *.mcap                        several runs: a table
  unlazy report --from 10s --to 20s F         a part of it; before, nothing is known
  unlazy report --filter 'mm=8' F             all of it is judged; lines on other mms are left out

What is damaged or cut off is passed over, said, and makes the verdict inconclusive.";

const AFTER_HELP: &str = "\
Exit codes:
  0  clean: every check that was made passed
  1  findings: a rule was broken
  2  wrong usage, or a file can't be read; the reason is on stderr
  3  inconclusive: something could not be seen or decided, so there is no clean bill";

/// The options of `unlazy report`.
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

    /// Write the report as JSON (unlazy.report/1) to F [default: standard output]
    #[arg(long, value_name = "F", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,

    /// Write the verdicts as JUnit XML to F, a test case for each rule
    #[arg(long, value_name = "F")]
    junit: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// If a file can't be read, or the report not be written; the exit code is then 2.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let runs = recording::open(&args.files)?;
    let json = args.json.as_deref().map(Target::from);
    let junit = args.junit.as_deref().map(Target::from);
    if let [run] = &runs[..] {
        let places = Places::open(json.as_ref(), junit.as_ref())?;
        let report = judge(run, args)?;
        if let Err(errors) = deliver(&report, places) {
            for error in errors {
                eprintln!("unlazy: {error}");
            }
            return Ok(Exit::Error);
        }
        return Ok(Exit::from(report.verdict));
    }
    if junit.is_some() {
        bail!("--junit takes one run, and these are {}: give the files of one", runs.len());
    }
    several(&runs, args, json.as_ref())
}

/// Judges one run, and says what is wrong with its files.
fn judge(run: &[Part], args: &Args) -> anyhow::Result<Report> {
    let Recorded { mut report, damage } = recorded::judge(run, args.span.of(run)?)?;
    report.show_only(&args.only.filter());
    recording::tell_damage(run, &damage);
    Ok(report)
}

/// The verdict of several runs, as JSON.
#[derive(Serialize)]
struct Several {
    schema: &'static str,
    runs: Vec<OneOfSeveral>,
}

#[derive(Serialize)]
struct OneOfSeveral {
    files: Vec<String>,
    report: Report,
}

/// Judges several runs: a table, and the worst of their verdicts.
fn several(runs: &[Vec<Part>], args: &Args, json: Option<&Target>) -> anyhow::Result<Exit> {
    let json = json.map(Sink::open).transpose()?;
    let text = match &json {
        Some(sink) if sink.is_stdout() => TextTo::Nowhere,
        _ => TextTo::Stdout,
    };
    let mut all = Several { schema: "unlazy.reports/1", runs: Vec::new() };
    for run in runs {
        let files = run.iter().map(|part| part.path().display().to_string()).collect();
        all.runs.push(OneOfSeveral { files, report: judge(run, args)? });
    }
    if text == TextTo::Stdout {
        Sink::open(&Target::Stdout)?.write(|to| {
            for line in table(&all.runs) {
                writeln!(to, "{line}")?;
            }
            Ok(())
        })?;
    }
    if let Some(json) = json {
        json.write(|to| {
            serde_json::to_writer_pretty(&mut *to, &all)?;
            writeln!(to)
        })?;
    }
    let worst = [Verdict::Findings, Verdict::Inconclusive]
        .into_iter()
        .find(|&verdict| all.runs.iter().any(|run| run.report.verdict == verdict));
    Ok(Exit::from(worst.unwrap_or(Verdict::Clean)))
}

/// A line for each run.
fn table(runs: &[OneOfSeveral]) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<12} {:>12} {:>8} {:>8}  {:<24} file",
        "verdict", "events", "lost", "found", "kernel"
    )];
    for OneOfSeveral { files, report } in runs {
        let broken: Vec<_> =
            report.rules.iter().filter(|rule| rule.findings > 0).map(|rule| &*rule.id).collect();
        let file = files.first().map(String::as_str).unwrap_or_default();
        let more = match files.len() {
            0 | 1 => String::new(),
            parts => format!(" and {} more parts", parts - 1),
        };
        lines.push(format!(
            "{:<12} {:>12} {:>8} {:>8}  {:<24} {}{more}{}",
            report.verdict.name(),
            report.events.total,
            report.events.lost.total,
            report.findings_total,
            printable(report.kernel.release.as_deref().unwrap_or("?")),
            printable(file),
            if broken.is_empty() { String::new() } else { format!(" ({})", broken.join(" ")) },
        ));
    }
    lines
}
