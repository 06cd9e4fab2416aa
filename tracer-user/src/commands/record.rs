//! `unlazy record`: write a trace.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGUSR1};

use super::{
    found::Found,
    tracing::{self, Next, Task, Terms, Tracing},
};
use crate::{
    child::{Start, Stdout},
    exit::Exit,
    judge::{Judge, Opens},
    probes::{LoadError, privileges::Privileges},
    progress::{Progress, Status},
    recorder::{Last, Plan, Recorded, Recorder, Rotate},
    stream::{Both, Closing, Facts, Opening, Sink},
};

const ABOUT: &str = "Write a trace of the live kernel, to be judged later";

const LONG_ABOUT: &str = "\
Write a trace of the live kernel: as long as told, while a command runs, or until interrupted. \
`unlazy report` judges it, anywhere and at any time.

  unlazy record -o t.mcap --for 1m               a minute of whatever the machine does
  unlazy record -o t.mcap -- ./jit-test          while a command runs
  unlazy record -o t.mcap --rotate 1G,10m,keep=6 files of at most 1 GiB and ten minutes, six of them
  unlazy record -o t.mcap --last 60s             a flight recorder: the last minute is kept in memory, \
and written out on the first finding of each rule, on SIGUSR1, and at the end

Its reader never waits for the disk: what that does not take in time is dropped, counted and marked, \
and a report on it says so. Whenever it is killed, what it wrote until half a second before is readable.";

const AFTER_HELP: &str = "\
Ctrl-C (or SIGTERM, SIGHUP) ends the recording in order. SIGUSR1 begins another file (--rotate) or \
writes out what is kept (--last); under --daemon SIGHUP does the same.

Exit codes:
  0  the trace is complete
  2  wrong usage, or the environment refused something; the reason is on stderr
  3  records were dropped or lost; the trace says where";

/// How much memory a flight recorder takes unless told otherwise.
const MEMORY: u64 = 64 << 20;

/// Each CPU's buffer unless told otherwise: what it holds is soon on its way to the disk.
const BUFFER: u64 = 4 << 20;

/// The options of `unlazy record`.
#[derive(Clone, Debug, clap::Args)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
pub struct Args {
    /// The file to write; one that is there already is renamed to F.old
    #[arg(short, long, value_name = "F", default_value = "unlazy.mcap")]
    output: PathBuf,

    /// Begin another file at a size, after a time, or both, as 1G,10m; keep=N deletes all but the
    /// last N
    ///
    /// The files are F.0000.mcap, F.0001.mcap and so on; `unlazy report` takes them together.
    #[arg(long, value_name = "WHEN", value_parser = rotate)]
    rotate: Option<Rotate>,

    /// Keep only the last TIME, in memory, and write it out when something is found, on SIGUSR1 and
    /// at the end
    #[arg(long, value_name = "TIME", value_parser = super::duration, conflicts_with = "rotate")]
    last: Option<Duration>,

    /// How much memory --last may take; what does not fit is forgotten earlier [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = super::size, requires = "last")]
    memory: Option<u64>,

    /// Run as a service: tell systemd when ready, begin another file on SIGHUP, and give up all
    /// privileges but `CAP_BPF` and `CAP_PERFMON` once the probes are there
    #[arg(long, conflicts_with = "command")]
    daemon: bool,

    #[command(flatten)]
    tracing: Tracing,
}

/// `1G,10m,keep=6`: any of the three.
fn rotate(text: &str) -> Result<Rotate, String> {
    let mut rotate = Rotate::default();
    for part in text.split(',').map(str::trim) {
        if let Some(keep) = part.strip_prefix("keep=") {
            let keep = keep.parse().ok().filter(|&keep| keep > 0);
            rotate.keep = Some(keep.ok_or_else(|| format!("{part}: keep at least 1 file"))?);
        } else if let Ok(time) = humantime::parse_duration(part) {
            rotate.time = Some(time).filter(|time| !time.is_zero());
        } else {
            rotate.size = Some(super::size(part).map_err(|_| {
                format!("{part} is neither a size (1G) nor a time (10m) nor keep=N")
            })?);
        }
    }
    if rotate.size.is_none() && rotate.time.is_none() {
        return Err("give a size (1G) or a time (10m), or both".to_owned());
    }
    Ok(rotate)
}

/// Runs the command. `start` is how the process was started: what a child inherits.
///
/// # Errors
/// Anything that keeps the trace from being made or written; the exit code is then 2.
pub fn run(args: &Args, start: &Start) -> anyhow::Result<Exit> {
    if !Privileges::current().suffice() {
        bail!(LoadError::Privileges);
    }
    let plan = Plan {
        path: args.output.clone(),
        rotate: args.rotate,
        last: args.last.map(|span| Last { span, memory: args.memory.unwrap_or(MEMORY) }),
    };
    writable(&plan)?;
    let terms = Terms {
        stdout: Stdout::Ours,
        duration: None,
        hangup: args.daemon,
        buffer: Some(BUFFER),
        quiet: false,
    };
    let make = |facts: &Facts| Recording::new(&plan, args, facts);
    let (recording, child) = tracing::run(&args.tracing, start, terms, make)?;
    let exit = recording.finish()?;
    if let Some(child) = child {
        child.say_goodbye()?;
    }
    Ok(exit)
}

/// Finds out early whether a file can be created there.
fn writable(plan: &Plan) -> anyhow::Result<()> {
    let path = &plan.path;
    if path.is_dir() {
        bail!("{} is a directory; name a file in it with -o", path.display());
    }
    if path.exists() && !path.is_file() {
        return Ok(());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => ".".as_ref(),
    };
    tempfile::tempfile_in(folder).with_context(|| {
        format!("can't create a file in {}; choose another place with -o", folder.display())
    })?;
    Ok(())
}

/// A run that is written down as it goes on.
struct Recording {
    recorder: Recorder,
    /// Only a flight recorder must know when something is found.
    judge: Option<Judge>,
    seen: Seen,
    progress: Progress,
    found: Found,
    told: usize,
    cut: Arc<AtomicBool>,
    daemon: bool,
    ready: bool,
    trouble: Option<String>,
}

/// Counts what passes.
#[derive(Default)]
struct Seen {
    records: u64,
    lost: u64,
}

impl Sink for Seen {
    fn record(&mut self, _: u32, _: &[u8]) {
        self.records += 1;
    }

    fn syscall_probes(&mut self, _: u64, _: bool) {}

    fn advance(&mut self, _: u64) {}

    fn opened(&mut self, _: &Opening) {
        self.records = 0;
    }

    fn closed(&mut self, closing: &Closing) {
        self.lost = closing.lost_by_probe.values().sum();
        self.lost += closing.missed.iter().filter(|m| m.lost).map(|m| m.count).sum::<u64>();
    }
}

impl Recording {
    fn new(plan: &Plan, args: &Args, facts: &Facts) -> anyhow::Result<Self> {
        let cut = Arc::new(AtomicBool::new(false));
        for signal in [Some(SIGUSR1), args.daemon.then_some(SIGHUP)].into_iter().flatten() {
            signal_hook::flag::register(signal, Arc::clone(&cut))
                .context("can't watch for signals")?;
        }
        if args.daemon {
            crate::probes::privileges::give_up().context("can't give up privileges")?;
        }
        Ok(Self {
            recorder: Recorder::start(plan, facts)?,
            judge: plan.last.map(|_| Judge::new(facts.clone(), Opens::AsRecorded)),
            seen: Seen::default(),
            progress: Progress::stderr(),
            found: Found::default(),
            told: 0,
            cut,
            daemon: args.daemon,
            ready: false,
            trouble: None,
        })
    }

    /// Says to systemd how it is; nobody may be there to hear it.
    fn notify(&self, state: &[NotifyState<'_>]) {
        if self.daemon {
            let _ = sd_notify::notify(state);
        }
    }

    fn cut(&mut self) {
        if self.cut.swap(false, Ordering::SeqCst) {
            if let Ok(now) = NotifyState::monotonic_usec_now() {
                self.notify(&[NotifyState::Reloading, now]);
            }
            self.recorder.cut();
            self.notify(&[NotifyState::Ready]);
        }
    }

    /// Writes what is left, and says what there is.
    fn finish(self) -> anyhow::Result<Exit> {
        let Self { recorder, seen, trouble, .. } = self;
        let (dropped, ..) = recorder.state();
        let Recorded { files, bytes } = recorder.finish()?;
        if trouble.is_some() {
            // It ended after the last look at it.
            tell_trouble(None, dropped);
        }
        for file in &files {
            eprintln!("unlazy: wrote {}", file.display());
        }
        let each = bytes as f64 / (seen.records.max(1)) as f64;
        eprintln!(
            "unlazy: {} events, {bytes} bytes ({each:.1} each), {} lost, {dropped} dropped",
            seen.records, seen.lost
        );
        Ok(if dropped + seen.lost > 0 { Exit::Inconclusive } else { Exit::Clean })
    }
}

/// Says why nothing can be written, or that it can be again.
fn tell_trouble(why: Option<&str>, dropped: u64) {
    match why {
        Some(why) => eprintln!("unlazy: can't write now ({why}); what finds no room is dropped"),
        None => eprintln!("unlazy: writing again; {dropped} records were dropped"),
    }
}

impl Task for Recording {
    fn feed(&mut self, with: &mut dyn FnMut(&mut dyn Sink)) {
        let mut both = Both(&mut self.recorder, &mut self.seen);
        match &mut self.judge {
            Some(judge) => with(&mut Both(&mut both, judge)),
            None => with(&mut both),
        }
    }

    fn tick(&mut self, elapsed: Duration, total: Option<Duration>) -> anyhow::Result<Next> {
        if !std::mem::replace(&mut self.ready, true) {
            self.notify(&[NotifyState::Ready]);
        }
        self.cut();
        let (dropped, _, trouble) = self.recorder.state();
        if trouble != self.trouble {
            self.progress.clear();
            tell_trouble(trouble.as_deref(), dropped);
            self.trouble = trouble;
        }
        if self.recorder.has_ended() {
            return Ok(Next::Enough);
        }
        let mut findings = 0;
        if let Some(judge) = &self.judge {
            findings = judge.progress().2;
            let first = judge.first_findings();
            self.found.tell(first, &mut std::io::stderr(), || self.progress.clear());
            if self.found.count() > self.told {
                self.told = self.found.count();
                self.recorder.cut();
            }
        }
        let events = self.seen.records;
        self.progress.show(&Status { elapsed, total, events, lost: dropped, findings });
        Ok(Next::Go)
    }

    fn ended(&mut self) {
        self.notify(&[NotifyState::Stopping]);
        self.progress.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_begin_another_file() {
        let both = rotate("1G, 10m,keep=6").expect("all three");
        let ten = Duration::from_secs(600);
        assert_eq!(both, Rotate { size: Some(1 << 30), time: Some(ten), keep: Some(6) });
        assert_eq!(rotate("90s").map(|r| r.time), Ok(Some(Duration::from_secs(90))));
        assert_eq!(rotate("1048576").map(|r| r.size), Ok(Some(1 << 20)));
        assert!(rotate("keep=3").is_err(), "never");
        assert!(rotate("1G,keep=0").is_err());
        assert!(rotate("soon").is_err());
    }
}
