//! What commands that trace have in common: the options, the signals, the command whose life is the
//! window, and the loop that empties the buffers.

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

use crate::{
    child::{self, Identity, Prepared, Running, Start, Stdout},
    instance::Instance,
    probes::{self, Options, rings::Wish},
    report::Command,
    session::{PERIOD, Session, SessionError, SyscallProbes, Vitals},
    stream::{Facts, Sink},
};

/// How long a command that was interrupted may take to end by itself.
const GOODBYE: Duration = Duration::from_millis(500);

/// How long a command may take to end once all that was looked for has been found.
const PARTING: Duration = Duration::from_secs(10);

/// How often it is looked how the session fares.
const LOOK: Duration = Duration::from_secs(1);

/// The options of a command that traces.
#[derive(Clone, Debug, clap::Args)]
pub struct Tracing {
    /// How long to trace, as 500ms, 10s, 1h30m [default: while CMD runs; without one, check takes
    /// 10s, and record and live go on until interrupted]
    ///
    /// With a command this is an upper limit.
    #[arg(long = "for", value_name = "TIME", value_parser = super::duration)]
    duration: Option<Duration>,

    /// What to trace with
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    mode: Mode,

    /// When system calls are traced
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    syscalls: SyscallProbes,

    /// Bytes of buffer for each CPU, as 4MiB [default: 16MiB, for live 8MiB, for record 4MiB;
    /// at most 512MiB in all]
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

impl Tracing {
    fn identity(&self) -> Identity {
        match &self.user {
            Some(user) => Identity::User(user.clone()),
            None if self.as_root => Identity::AsRoot,
            None => Identity::Invoking,
        }
    }

    fn options(&self, terms: &Terms) -> Options {
        Options {
            btf: self.btf.clone(),
            buffer: match (self.buffer, terms.buffer) {
                (Some(asked), _) => Wish::Exactly(asked),
                (None, Some(usual)) => Wish::AtMost(usual),
                (None, None) => Wish::default(),
            },
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

/// What is done with a run while it goes on.
pub(super) trait Task {
    /// Calls `with` with where all that is read goes.
    fn feed(&mut self, with: &mut dyn FnMut(&mut dyn Sink));

    /// The buffers were emptied once more. `total` is how long the run is at most.
    ///
    /// # Errors
    /// What makes it useless to go on.
    fn tick(&mut self, elapsed: Duration, total: Option<Duration>) -> anyhow::Result<Next>;

    /// A second has passed; `look` tells how the session fares, at a cost.
    fn fares(&mut self, _look: &mut dyn FnMut() -> Vitals) {}

    /// The window is about to be closed.
    fn ended(&mut self) {}
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// As long as there is time.
    Go,
    /// All that was wanted is there: the command is asked to end, and then the run ends.
    Enough,
}

/// What a command that traces has of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Where a command's own output goes.
    pub(super) stdout: Stdout,
    /// How long a run without a command takes unless told otherwise.
    pub(super) duration: Option<Duration>,
    /// SIGHUP has a meaning of its own, and does not end the run.
    pub(super) hangup: bool,
    /// Bytes of each CPU's buffer, unless told otherwise.
    pub(super) buffer: Option<u64>,
    /// Standard error is not to be written to: a screen is there.
    pub(super) quiet: bool,
}

/// Has a session feed a task.
fn feed<T: Task>(
    task: &mut T,
    mut with: impl FnMut(&mut dyn Sink) -> Result<(), SessionError>,
) -> Result<(), SessionError> {
    let mut result = Ok(());
    task.feed(&mut |sink| result = with(sink));
    result
}

/// The command, if it still ran when the window closed.
pub(super) struct Left(Running);

impl Left {
    /// It had its Ctrl-C if there was one at the terminal; otherwise it is asked to end.
    ///
    /// # Errors
    /// If it can't be waited for, or asked.
    pub(super) fn say_goodbye(mut self) -> anyhow::Result<()> {
        let Self(child) = &mut self;
        if child.wait_timeout(GOODBYE).context("can't wait for the command")?.is_none() {
            eprintln!("unlazy: asking the command (pid {}) to end", child.pid());
            child.signal(libc::SIGTERM).context("can't signal the command")?;
        }
        Ok(())
    }
}

/// Traces one window. `make` is told the run's facts and says what is to be done with it.
///
/// # Errors
/// Anything that keeps the run from being made; nothing is attached then, and a command was not
/// started unless the window had opened.
pub(super) fn run<T: Task>(
    args: &Tracing,
    start: &Start,
    terms: Terms,
    make: impl FnOnce(&Facts) -> anyhow::Result<T>,
) -> anyhow::Result<(T, Option<Left>)> {
    // From here on a signal ends the run in order. (Opening a place may wait for a pipe's reader, and
    // is better interrupted at once.)
    let early = early(start, terms.hangup)?;
    let prepared = if args.command.is_empty() {
        None
    } else {
        Some(child::prepare(&args.command, &args.identity(), start, terms.stdout)?)
    };
    let _instance = Instance::acquire()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the event loop")?;
    let (task, child) = runtime.block_on(trace(args, start, prepared, &early, &terms, make))?;
    Ok((task, child.map(Left)))
}

/// A flag that a signal raises which comes before anybody waits for one.
fn early(start: &Start, hangup: bool) -> anyhow::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Under nohup a hangup is to be survived.
        if signal == SIGHUP && (hangup || start.ignores(signal)) {
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
    /// `None` under nohup, or if it means something else.
    hup: Option<Signal>,
}

impl Interrupts {
    fn new(start: &Start, hangup: bool) -> std::io::Result<Self> {
        let kind = SignalKind::hangup();
        let hup =
            (!hangup && !start.ignores(kind.as_raw_value())).then(|| signal(kind)).transpose()?;
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
async fn trace<T: Task>(
    args: &Tracing,
    start: &Start,
    prepared: Option<Prepared>,
    early: &AtomicBool,
    terms: &Terms,
    make: impl FnOnce(&Facts) -> anyhow::Result<T>,
) -> anyhow::Result<(T, Option<Running>)> {
    let too_early = || {
        if early.load(Ordering::SeqCst) {
            bail!("interrupted before the window opened: there is nothing to report");
        }
        Ok(())
    };
    let mut interrupts = Interrupts::new(start, terms.hangup).context("can't watch for signals")?;
    super::prefer();
    let mut session = Session::attach(&args.options(terms), args.syscalls)?;
    let mut task = make(session.facts())?;
    feed(&mut task, |sink| session.prime(sink))?;
    let total = match (args.duration, &prepared) {
        (None, None) => terms.duration,
        (duration, _) => duration,
    };
    too_early()?;
    feed(&mut task, |sink| session.open_window(prepared.is_some(), sink))?;
    too_early()?;
    let begun = Instant::now();
    let mut child = prepared.map(Prepared::release).transpose()?;
    if !terms.quiet {
        eprintln!("unlazy: tracing {}", extent(args, total));
    }

    let mut deadline = total.and_then(|total| begun.checked_add(total));
    let mut enough = false;
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut children = signal(SignalKind::child()).context("can't wait for the command")?;
    let mut ended = None;
    let mut looked = begun;
    loop {
        tokio::select! {
            biased;
            () = interrupts.any() => break,
            _ = children.recv(), if child.is_some() => {}
            () = until(deadline) => break,
            _ = tick.tick() => {
                feed(&mut task, |sink| session.pump(sink))?;
                if looked.elapsed() >= LOOK {
                    looked = Instant::now();
                    task.fares(&mut || session.vitals());
                }
                if task.tick(begun.elapsed(), total)? == Next::Enough && !enough {
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
    task.ended();
    let told = || {
        let running = child.as_mut()?;
        ended = ended.or_else(|| running.try_wait().ok().flatten());
        Some(Command {
            argv: args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            exit_code: ended.and_then(child::Ended::code),
            signal: ended.and_then(child::Ended::signal),
        })
    };
    let (mut session, mut told) = (Some(session), Some(told));
    feed(&mut task, |sink| match (session.take(), told.take()) {
        (Some(session), Some(told)) => session.close_window(sink, told),
        _ => Ok(()),
    })?;
    Ok((task, child.filter(|_| ended.is_none())))
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn extent(args: &Tracing, total: Option<Duration>) -> String {
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
