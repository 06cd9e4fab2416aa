//! `unlazy stress`: the built-in workload.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use crate::exit::Exit;
use crate::output::{Sink, Target};
use crate::stress::{Plan, Scenario, text};

/// How long a run takes unless told otherwise.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
/// How long it may take if it ends by itself: a year, which the clock can still add to now.
const NO_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);

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
    /// How long to run, as 500ms, 10s, 1h30m [default: 10s, or no limit with --calls]
    ///
    /// With --calls this is only the upper limit.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,

    /// Run only this scenario; may be repeated, or a comma separated list [default: all that need no module]
    #[arg(long = "scenario", value_name = "NAME", value_enum, value_delimiter = ',')]
    pub scenarios: Vec<Scenario>,

    /// End each scenario after exactly N successful SYNC_CORE calls
    ///
    /// N calls by all processes of the scenario together, no more and, unless --for ends the run
    /// before, no fewer. Eleven scenarios make 11 N.
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
    if duration > NO_LIMIT {
        return Err("that is more than a year; give a duration such as 10s".to_owned());
    }
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
            scenarios.extend(Scenario::usual());
        }
        scenarios.sort_by_key(|&scenario| scenario as usize);
        scenarios.dedup();
        Plan {
            duration: self.duration.unwrap_or(match self.calls {
                None => DEFAULT_DURATION,
                Some(_) => NO_LIMIT,
            }),
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
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    // Opened first: a run whose counts can't be written should not begin.
    let json = args.json.as_deref().map(|name| Sink::open(&Target::from(name))).transpose()?;
    let text_too = !json.as_ref().is_some_and(Sink::is_stdout);
    let report = crate::stress::run(&args.plan()).context("cannot run the workload")?;
    // A reader that has gone away (`| head`) has what it wanted.
    if let Some(json) = json {
        json.write(|out| {
            serde_json::to_writer_pretty(&mut *out, &report)?;
            out.write_all(b"\n")
        })?;
    }
    if text_too {
        Sink::open(&Target::Stdout)?.write(|out| out.write_all(text(&report).as_bytes()))?;
    }
    for scenario in &report.scenarios {
        if let Some(error) = &scenario.error {
            eprintln!("unlazy stress: scenario {} failed: {error}", scenario.name);
        }
        if let Some(note) = &scenario.note {
            eprintln!("unlazy stress: scenario {}: {note}", scenario.name);
        }
    }
    Ok(if report.findings() > 0 {
        Exit::Findings
    } else if report.failed() {
        Exit::Error
    } else {
        Exit::Clean
    })
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
        assert_eq!(plan.scenarios, Scenario::usual().collect::<Vec<_>>());
        assert_eq!(plan.duration, Duration::from_secs(10));
        assert_eq!((plan.calls, plan.threads, plan.rate), (None, None, None));
    }

    #[test]
    fn counted_calls_have_all_the_time_they_need_unless_told() {
        let time = |line| parse(line).expect("a good line").plan().duration;
        assert_eq!(time("stress --calls 5"), NO_LIMIT);
        assert_eq!(time("stress --calls 5 --for 3s"), Duration::from_secs(3));
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
        for line in [
            "stress --for 0",
            "stress --for 0s",
            "stress --for soon",
            "stress --for 2years",
            "stress --calls 0",
        ] {
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
