//! `unlazy check`: trace, judge, report.

use std::{path::PathBuf, time::Duration};

use anyhow::bail;
use tracer_common::model::Rule;

use super::{
    found::Found,
    only::Only,
    tracing::{self, Next, Task, Terms, Tracing},
};
use crate::{
    child::{Start, Stdout},
    exit::Exit,
    judge::{Judge, Opens},
    output::{Places, Target, TextTo, deliver},
    probes::{LoadError, privileges::Privileges},
    progress::{Progress, Status},
    recorder::{Plan, Recorder},
    stream::{Both, Facts, Sink},
};

/// How long a run takes unless told otherwise.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

const ABOUT: &str = "Trace the live kernel, judge it, and print a report";

const LONG_ABOUT: &str = "\
Trace the live kernel for a time, or exactly while a command runs, and judge what it did: whether \
every CPU serialized before it returned to user mode where SYNC_CORE membarrier and lazy TLB say that \
it must.

The whole machine is traced, not only the command. Before the window opens, every CPU is made to \
switch once, so that its state is known from the first moment.

  unlazy check                          ten seconds of whatever the machine does
  unlazy check -- unlazy stress         while the built-in workload runs
  unlazy check --json - -- ./jit-test   the report as JSON on standard output
  unlazy check --for 1h --junit r.xml   for a CI

While it runs, the first finding of each rule is told on standard error as it is found, in a line that \
begins with \"unlazy: found: \".";

const AFTER_HELP: &str = "\
Ctrl-C (or SIGTERM, SIGHUP) ends the run early; what was traced until then is judged and printed. A \
command that is still running then is asked to end (SIGTERM). If the report goes to standard output as \
JSON or XML, the command's own output goes to standard error. Before the window opens there is nothing \
to judge yet: the run ends with a message, code 2, and the command is not started.

Exit codes, whatever the command's own (which the report shows):
  0  clean: every check that was made passed
  1  findings: a rule was broken
  2  wrong usage, or the environment refused something; the reason is on stderr
  3  inconclusive: something could not be seen or decided, so there is no clean bill";

/// The options of `unlazy check`.
#[derive(Clone, Debug, clap::Args)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
pub struct Args {
    /// End as soon as each of these rules has a finding, as R1 or R1,R2
    ///
    /// The command is then asked to end (SIGTERM). The other limits hold as well.
    #[arg(long, value_name = "RULE", value_parser = super::found::rule, value_delimiter = ',')]
    until_found: Vec<Rule>,

    /// Write the report as JSON (unlazy.report/1) to F [default: standard output]
    #[arg(long, value_name = "F", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,

    /// Write the verdicts as JUnit XML to F, a test case for each rule
    #[arg(long, value_name = "F")]
    junit: Option<PathBuf>,

    /// Also write a trace of the run to F, for `unlazy report`
    #[arg(long, value_name = "F")]
    record: Option<PathBuf>,

    #[command(flatten)]
    only: Only,

    #[command(flatten)]
    tracing: Tracing,
}

/// Runs the command. `start` is how the process was started: what a child inherits.
///
/// # Errors
/// Anything that keeps the run from being made or its report from being written; the exit code is
/// then 2.
pub fn run(args: &Args, start: &Start) -> anyhow::Result<Exit> {
    // All that can fail is tried before anything is attached; first what needs another way to start.
    if !Privileges::current().suffice() {
        bail!(LoadError::Privileges);
    }
    let json = args.json.as_deref().map(Target::from);
    let junit = args.junit.as_deref().map(Target::from);
    let places = Places::open(json.as_ref(), junit.as_ref())?;
    // Whoever takes the report from standard output gets nothing else there.
    let stdout = match places.text() {
        TextTo::Stdout => Stdout::Ours,
        TextTo::Nowhere => Stdout::Stderr,
    };
    let terms = Terms {
        stdout,
        duration: Some(DEFAULT_DURATION),
        hangup: false,
        buffer: None,
        quiet: false,
    };
    let make = |facts: &Facts| Checking::new(facts, args);
    let (checking, child) = tracing::run(&args.tracing, start, terms, make)?;
    let mut report = checking.judge.report();
    report.show_only(&args.only.filter());
    // Even if the trace could not be written to its end, the report is.
    let recorded = checking.recorder.map(Recorder::finish).transpose();
    let delivered = deliver(&report, places);
    if let Some(child) = child {
        child.say_goodbye()?;
    }
    recorded?;
    if let Err(errors) = delivered {
        for error in errors {
            eprintln!("unlazy: {error}");
        }
        return Ok(Exit::Error);
    }
    Ok(Exit::from(report.verdict))
}

/// A run that is judged as it goes on.
struct Checking<'a> {
    judge: Judge,
    recorder: Option<Recorder>,
    progress: Progress,
    found: Found,
    until_found: &'a [Rule],
}

impl<'a> Checking<'a> {
    fn new(facts: &Facts, args: &'a Args) -> anyhow::Result<Self> {
        let plan = |path: &PathBuf| Plan { path: path.clone(), rotate: None, last: None };
        let start = |path: &PathBuf| Recorder::start(&plan(path), facts);
        Ok(Self {
            judge: Judge::new(facts.clone(), Opens::AsRecorded),
            recorder: args.record.as_ref().map(start).transpose()?,
            progress: Progress::stderr(),
            found: Found::default(),
            until_found: &args.until_found,
        })
    }
}

impl Task for Checking<'_> {
    fn feed(&mut self, with: &mut dyn FnMut(&mut dyn Sink)) {
        match &mut self.recorder {
            Some(recorder) => with(&mut Both(&mut self.judge, recorder)),
            None => with(&mut self.judge),
        }
    }

    fn tick(&mut self, elapsed: Duration, total: Option<Duration>) -> anyhow::Result<Next> {
        let (events, lost, findings) = self.judge.progress();
        self.progress.show(&Status { elapsed, total, events, lost, findings });
        let first = self.judge.first_findings();
        self.found.tell(first, &mut std::io::stderr(), || self.progress.clear());
        Ok(if self.found.all(self.until_found) { Next::Enough } else { Next::Go })
    }

    fn ended(&mut self) {
        self.progress.clear();
    }
}
