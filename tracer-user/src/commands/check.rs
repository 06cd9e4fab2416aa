//! `unlazy check`: trace, judge, report.

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use tracer_common::model::Rule;

use super::found::Found;
use crate::{
    child::{self, Identity, Prepared, Running, Start, Stdout},
    exit::Exit,
    instance::Instance,
    output::{Places, Target, TextTo, deliver},
    probes::{self, LoadError, Options, privileges::Privileges},
    progress::{Progress, Status},
    report::{Command, Report},
    session::{PERIOD, Session, SyscallProbes},
};

/// How long a run takes unless told otherwise.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// How long a command that was interrupted may take to end by itself.
const GOODBYE: Duration = Duration::from_millis(500);

/// How long a command may take to end once all that was looked for has been found.
const PARTING: Duration = Duration::from_secs(10);

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
    /// How long to trace, as 500ms, 10s, 1h30m [default: 10s, or while CMD runs]
    ///
    /// With a command this is an upper limit.
    #[arg(long = "for", value_name = "TIME", value_parser = super::duration)]
    duration: Option<Duration>,

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

    /// What to trace with
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    mode: Mode,

    /// When system calls are traced
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    syscalls: SyscallProbes,

    /// Bytes of buffer for each CPU, as 4MiB [default: 16MiB, at most 512MiB in all]
    #[arg(long, value_name = "SIZE", value_parser = super::size)]
    buffer: Option<u64>,

    /// Run CMD as this user (a name or a number) [default: who called sudo, else as we are]
    #[arg(long, value_name = "USER", requires = "command", conflicts_with = "as_root")]
    user: Option<String>,

    /// Run CMD as root although sudo was called by somebody else
    #[arg(long, requires = "command")]
    as_root: bool,

    /// Take struct offsets and tracepoints from this BTF file, not from the running kernel
    #[arg(long, value_name = "FILE")]
    btf: Option<PathBuf>,

    /// Let the eBPF programs say on stderr what they find odd
    #[arg(long)]
    debug_programs: bool,

    /// The command whose life is the window, and its arguments
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Args {
    fn identity(&self) -> Identity {
        match &self.user {
            Some(user) => Identity::User(user.clone()),
            None if self.as_root => Identity::AsRoot,
            None => Identity::Invoking,
        }
    }

    fn options(&self) -> Options {
        Options {
            btf: self.btf.clone(),
            buffer: self.buffer,
            debug: self.debug_programs,
            mode: self.mode.forced(),
            ..Options::default()
        }
    }
}

/// What `--mode` can ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// The most that this kernel allows
    #[default]
    Auto,
    /// BTF tracepoints only: R1, R2 and R7
    Tracepoint,
    /// Also fentry, per-CPU variables and instruction probes: every rule
    Full,
}

impl Mode {
    const fn forced(self) -> Option<probes::Mode> {
        match self {
            Self::Auto => None,
            Self::Tracepoint => Some(probes::Mode::Tracepoint),
            Self::Full => Some(probes::Mode::Full),
        }
    }
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
    // From here on a signal ends the run in order. (Opening a place may wait for a pipe's reader, and
    // is better interrupted at once.)
    let early = early(start)?;
    let prepared = if args.command.is_empty() {
        None
    } else {
        // Whoever takes the report from standard output gets nothing else there.
        let stdout = match places.text() {
            TextTo::Stdout => Stdout::Ours,
            TextTo::Nowhere => Stdout::Stderr,
        };
        Some(child::prepare(&args.command, &args.identity(), start, stdout)?)
    };
    let _instance = Instance::acquire()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the event loop")?;
    let (report, mut child) = runtime.block_on(trace(args, start, prepared, &early))?;
    let delivered = deliver(&report, places);
    if let Some(child) = &mut child {
        say_goodbye(child)?;
    }
    if let Err(errors) = delivered {
        for error in errors {
            eprintln!("unlazy: {error}");
        }
        return Ok(Exit::Error);
    }
    Ok(Exit::from(report.verdict))
}

/// A flag that a signal raises which comes before anybody waits for one.
fn early(start: &Start) -> anyhow::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Under nohup a hangup is to be survived.
        if signal == SIGHUP && start.ignores(signal) {
            continue;
        }
        signal_hook::flag::register(signal, Arc::clone(&flag))
            .context("can't watch for signals")?;
    }
    Ok(flag)
}

/// The signals that end a run early.
struct Interrupts {
    int: Signal,
    term: Signal,
    /// `None` under nohup.
    hup: Option<Signal>,
}

impl Interrupts {
    fn new(start: &Start) -> std::io::Result<Self> {
        let kind = SignalKind::hangup();
        let hup = (!start.ignores(kind.as_raw_value())).then(|| signal(kind)).transpose()?;
        Ok(Self {
            hup,
            int: signal(SignalKind::interrupt())?,
            term: signal(SignalKind::terminate())?,
        })
    }

    async fn any(&mut self) {
        let Self { int, term, hup } = self;
        let hangup = async {
            match hup {
                Some(hup) => hup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Traces one window; the child is handed back if it is still running.
async fn trace(
    args: &Args,
    start: &Start,
    prepared: Option<Prepared>,
    early: &AtomicBool,
) -> anyhow::Result<(Report, Option<Running>)> {
    let too_early = || {
        if early.load(Ordering::SeqCst) {
            bail!("interrupted before the window opened: there is nothing to report");
        }
        Ok(())
    };
    let mut interrupts = Interrupts::new(start).context("can't watch for signals")?;
    super::prefer();
    let mut session = Session::start(&args.options(), args.syscalls)?;
    let total = match (args.duration, &prepared) {
        (None, None) => Some(DEFAULT_DURATION),
        (duration, _) => duration,
    };
    too_early()?;
    session.open_window(prepared.is_some())?;
    too_early()?;
    let begun = Instant::now();
    let mut child = prepared.map(Prepared::release).transpose()?;
    eprintln!("unlazy: tracing {}", extent(args, total));

    let mut deadline = total.and_then(|total| begun.checked_add(total));
    let mut progress = Progress::stderr();
    let (mut found, mut enough) = (Found::default(), false);
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut children = signal(SignalKind::child()).context("can't wait for the command")?;
    let mut ended = None;
    loop {
        tokio::select! {
            biased;
            () = interrupts.any() => break,
            _ = children.recv(), if child.is_some() => {}
            () = until(deadline) => break,
            _ = tick.tick() => {
                session.pump()?;
                let (events, lost, findings) = session.progress();
                let elapsed = begun.elapsed();
                progress.show(&Status { elapsed, total, events, lost, findings });
                found.tell(session.first_findings(), &mut std::io::stderr(), || progress.clear());
                if !enough && found.all(&args.until_found) {
                    enough = true;
                    // Its end belongs to the window: to detach beside a busy command would leave
                    // half of what it does unseen.
                    let Some(running) = &child else { break };
                    running.signal(libc::SIGTERM).context("can't end the command")?;
                    let parting = Instant::now() + PARTING;
                    deadline = Some(deadline.map_or(parting, |deadline| deadline.min(parting)));
                }
            }
        }
        // A SIGCHLD may come before anybody listens, so every turn looks.
        if let Some(running) = &mut child {
            ended = running.try_wait().context("can't wait for the command")?;
            if ended.is_some() {
                break;
            }
        }
    }
    progress.clear();
    let mut report = session.close_window()?;
    if let Some(running) = &mut child {
        if ended.is_none() {
            ended = running.try_wait().context("can't wait for the command")?;
        }
        report.command = Some(Command {
            argv: args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            exit_code: ended.and_then(child::Ended::code),
            signal: ended.and_then(child::Ended::signal),
        });
        if ended.is_some() {
            child = None;
        }
    }
    Ok((report, child))
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn extent(args: &Args, total: Option<Duration>) -> String {
    let limit = total.map(|total| humantime::format_duration(total).to_string());
    match (args.command.first(), limit) {
        (Some(command), None) => format!("while {} runs", command.display()),
        (Some(command), Some(limit)) => {
            format!("while {} runs, for {limit} at most", command.display())
        }
        (None, Some(limit)) => format!("for {limit}"),
        (None, None) => "until interrupted".to_owned(),
    }
}

/// The window is closed and the command still runs: it had its Ctrl-C if there was one at the
/// terminal; otherwise it is asked to end.
fn say_goodbye(child: &mut Running) -> anyhow::Result<()> {
    let waiting = "can't wait for the command";
    if child.wait_timeout(GOODBYE).context(waiting)?.is_none() {
        eprintln!("unlazy: asking the command (pid {}) to end", child.pid());
        child.signal(libc::SIGTERM).context("can't signal the command")?;
    }
    Ok(())
}
