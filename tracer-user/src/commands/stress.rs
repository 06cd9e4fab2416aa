//! `unlazy stress`: the built-in workload.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::stress::{Plan, Report, Scenario, text};

/// What the command is for, for `--help`.
const ABOUT: &str = "Run a workload that makes lazy-TLB and membarrier things happen";

/// The same at length.
const LONG_ABOUT: &str = "\
Run a workload that makes lazy-TLB and membarrier things happen, and print exactly what it did.

Needs no rights. Each scenario runs in a process of its own (membarrier registration belongs to the \
mm), all of them beside each other, at nice 5 and with limited spinning, so that a tracer on the same \
CPUs gets its turn. The membarrier counts are exact: a call is counted when it has returned 0, and no \
thread is killed before it could count. Hold a tracer's numbers against them:

  unlazy check --json check.json -- unlazy stress --calls 10000 --json stress.json

Two scenarios judge the kernel themselves: `jit` runs code that is patched and published by SYNC_CORE, \
and `shootdown` reads memory that is discarded. A result that the kernel's promises rule out is \
counted as stale and makes the exit code 1.";

/// What follows the options.
const AFTER_HELP: &str = "\
Ctrl-C (or SIGTERM, SIGHUP) ends the run early; the counts up to then are printed, with \
\"interrupted\": true in the JSON, and the exit code is that of a run which came to its end.

Exit codes:
  0  it ran, and every judged result was right
  1  a stale result was seen
  2  wrong usage, or the workload (or a scenario of it) could not run; the reason is on stderr";

/// The options of `unlazy stress`.
#[derive(Clone, Debug, clap::Args)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
pub struct Args {
    /// How long to run, as 500ms, 10s, 1h30m
    ///
    /// With --calls this is only the upper limit. More than 0.
    #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub duration: Duration,

    /// Run only this scenario; may be repeated, or a comma separated list [default: all of them]
    #[arg(long = "scenario", value_name = "NAME", value_enum, value_delimiter = ',')]
    pub scenarios: Vec<Scenario>,

    /// End each scenario after exactly N successful SYNC_CORE calls
    ///
    /// N calls by all processes of the scenario together, no more and, unless --for ends the run
    /// before, no fewer. Eight scenarios make 8 N.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..u64::MAX))]
    pub calls: Option<u64>,

    /// Threads (or processes) of each scenario, about [default: 2 per CPU, at least 4, at most 16]
    ///
    /// A scenario starts at least one thread of each kind that it needs, so small numbers are
    /// exceeded by a few.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// SYNC_CORE calls a second that each scenario aims at [default: its own, 500 to 8000]
    ///
    /// A large number means as fast as it goes, which leaves a small machine little room for a
    /// tracer.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,

    /// In `procs`, also kill processes while a thread of theirs is inside membarrier
    ///
    /// Whether such a thread's last call returned 0 can't be known from user space, so the counts
    /// are then exact only up to `calls.uncertain`.
    #[arg(long, conflicts_with = "calls")]
    pub kill_inside: bool,

    /// Print the counts as JSON, to the file F or (`-`, or no F) to stdout instead of the text
    #[arg(long, value_name = "F", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<PathBuf>,
}

/// Parses a duration and refuses none at all.
fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() {
        return Err("there is nothing to run in no time; give a duration such as 10s".to_owned());
    }
    Ok(duration)
}

impl Args {
    /// What to run.
    pub fn plan(&self) -> Plan {
        let mut scenarios = self.scenarios.clone();
        if scenarios.is_empty() {
            scenarios.extend(Scenario::ALL);
        }
        scenarios.sort_by_key(|&scenario| scenario as usize);
        scenarios.dedup();
        Plan {
            duration: self.duration,
            scenarios,
            calls: self.calls,
            threads: self.threads.map(usize::from),
            rate: self.rate,
            kill_inside: self.kill_inside,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// If the workload can't run, or its counts can't be written; the exit code for both is 2.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Opened first: a run whose counts can't be written should not begin.
    let mut json = args.json.as_deref().map(open).transpose()?;
    let report = crate::stress::run(&args.plan()).context("cannot run the workload")?;
    if let Some((name, file)) = &mut json {
        write_json(&report, file)
            .with_context(|| format!("cannot write the counts to {name}; they are lost"))?;
    }
    let to_stdout = args.json.as_deref() == Some(Path::new("-"));
    if !to_stdout {
        std::io::stdout()
            .write_all(text(&report).as_bytes())
            .context("cannot write the counts to standard output")?;
    }
    for scenario in &report.scenarios {
        if let Some(error) = &scenario.error {
            eprintln!("unlazy stress: scenario {} failed: {error}", scenario.name);
        }
        if let Some(note) = &scenario.note {
            eprintln!("unlazy stress: scenario {}: {note}", scenario.name);
        }
    }
    Ok(ExitCode::from(if report.findings() > 0 {
        1
    } else if report.failed() {
        2
    } else {
        0
    }))
}

/// Opens the file for the JSON; also says its name, for messages.
fn open(path: &Path) -> anyhow::Result<(String, Box<dyn Write>)> {
    if path == Path::new("-") {
        return Ok(("standard output".to_owned(), Box::new(std::io::stdout())));
    }
    let name = path.display().to_string();
    let file = File::create(path).with_context(|| {
        format!("cannot write to {name}; name a file in a directory you may write to, or -")
    })?;
    Ok((name, Box::new(file)))
}

fn write_json(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.args)
    }

    #[test]
    fn by_default_all_scenarios_run_for_ten_seconds() {
        let plan = parse("stress").expect("no argument is needed").plan();
        assert_eq!(plan.scenarios, Scenario::ALL);
        assert_eq!(plan.duration, Duration::from_secs(10));
        assert_eq!((plan.calls, plan.threads, plan.rate), (None, None, None));
    }

    #[test]
    fn scenarios_may_be_listed_or_repeated_and_count_once() {
        let args = parse("stress --scenario lazy,jit --scenario jit --scenario sync-core");
        let plan = args.expect("a good line").plan();
        assert_eq!(plan.scenarios, [Scenario::SyncCore, Scenario::Jit, Scenario::Lazy]);
        assert!(parse("stress --scenario nonsense").is_err());
    }

    #[test]
    fn no_time_and_no_calls_are_refused_with_a_reason() {
        for line in ["stress --for 0", "stress --for 0s", "stress --for soon", "stress --calls 0"] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        let error = parse("stress --for 0s").expect_err("no time").to_string();
        assert!(error.contains("such as 10s"), "{error}");
        assert!(parse("stress --kill-inside --calls 5").is_err());
    }

    #[test]
    fn json_goes_to_stdout_unless_a_file_is_named() {
        let json = |line| parse(line).expect("a good line").json;
        assert_eq!(json("stress"), None);
        assert_eq!(json("stress --json"), Some(PathBuf::from("-")));
        assert_eq!(json("stress --json --for 1s"), Some(PathBuf::from("-")));
        assert_eq!(json("stress --json out.json"), Some(PathBuf::from("out.json")));
    }

    #[test]
    fn an_unwritable_file_is_an_error_before_the_run() {
        let args = parse("stress --for 1h --json /nonexistent/out.json").expect("a good line");
        let error = format!("{:#}", run(&args).expect_err("no such directory"));
        assert!(error.contains("/nonexistent/out.json"), "{error}");
    }
}
