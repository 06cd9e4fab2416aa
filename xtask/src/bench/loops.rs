//! The loops whose speed is measured: each in a process of its own, on one CPU.

use std::env;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::thread::{CpuSet, MembarrierCommand, membarrier, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// Before the time is taken: caches get warm, the CPU its clock rate, and a tracer that attaches
/// more for a SYNC_CORE-registered process its chance to do so.
const WARM_UP: Duration = Duration::from_millis(200);

/// What a loop does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Two processes on one CPU hand a byte to and fro over pipes
    Switch,
    /// An empty system call (getppid)
    Syscall,
}

/// A loop, and in which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Loop {
    pub(crate) kind: Kind,
    /// Whether its processes are registered for SYNC_CORE.
    pub(crate) sync_core: bool,
}

/// All that are measured.
pub(crate) const LOOPS: [Loop; 4] = [
    Loop { kind: Kind::Switch, sync_core: false },
    Loop { kind: Kind::Syscall, sync_core: false },
    Loop { kind: Kind::Switch, sync_core: true },
    Loop { kind: Kind::Syscall, sync_core: true },
];

impl Loop {
    /// What one iteration is.
    pub(crate) fn title(self) -> String {
        let what = match self.kind {
            Kind::Switch => "ping-pong of two processes over pipes on one CPU (two switches)",
            Kind::Syscall => "an empty system call",
        };
        let with = if self.sync_core { ", registered for SYNC_CORE" } else { "" };
        format!("{what}{with}")
    }

    /// Runs it in a process of its own; nanoseconds an iteration.
    ///
    /// # Errors
    /// When the process fails.
    pub(crate) fn run(self, cpu: usize, quick: bool) -> Result<f64> {
        let iterations = self.iterations(quick);
        let mut command = self.command(Role::Leader, cpu)?;
        command.arg("--iterations").arg(iterations.to_string());
        let said = crate::shell::capture_stdout(&mut command)?;
        let ns: u64 =
            said.trim().parse().with_context(|| format!("the loop printed `{}`", said.trim()))?;
        Ok(ns as f64 / iterations as f64)
    }

    /// How often it goes round.
    pub(crate) fn iterations(self, quick: bool) -> u64 {
        // About half a second each on a machine of today.
        let full = match self.kind {
            Kind::Switch => 100_000,
            Kind::Syscall => 4_000_000,
        };
        if quick { full / 5 } else { full }
    }

    fn command(self, role: Role, cpu: usize) -> Result<Command> {
        let program = env::current_exe().context("finding our own program")?;
        let mut command = Command::new(program);
        command.args(["bench-loop", "--cpu", &cpu.to_string()]);
        command.args(["--kind", if self.kind == Kind::Switch { "switch" } else { "syscall" }]);
        if self.sync_core {
            command.arg("--sync-core");
        }
        if role == Role::Partner {
            command.arg("--partner");
        }
        Ok(command)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Leader,
    Partner,
}

/// The process of a loop (started by `bench-measure`).
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    kind: Kind,
    #[arg(long)]
    cpu: usize,
    #[arg(long)]
    sync_core: bool,
    #[arg(long, default_value_t = 1)]
    iterations: u64,
    /// Be the other end of the ping-pong: send back what comes
    #[arg(long)]
    partner: bool,
}

/// Carries out `bench-loop`: prints the nanoseconds of all iterations together.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut cpus = CpuSet::new();
    cpus.set(args.cpu);
    sched_setaffinity(None, &cpus).with_context(|| format!("moving to CPU {}", args.cpu))?;
    if args.sync_core {
        membarrier(MembarrierCommand::RegisterPrivateExpeditedSyncCore)
            .context("registering for SYNC_CORE membarriers")?;
    }
    if args.partner {
        return echo();
    }
    let ns = match args.kind {
        Kind::Switch => {
            let own = Loop { kind: args.kind, sync_core: args.sync_core };
            let mut partner = Partner::start(&mut own.command(Role::Partner, args.cpu)?)?;
            time(args.iterations, || partner.round_trip())?
        }
        Kind::Syscall => time(args.iterations, || {
            std::hint::black_box(rustix::process::getppid());
            Ok(())
        })?,
    };
    println!("{ns}");
    Ok(ExitCode::SUCCESS)
}

/// Warms up, then times so many iterations.
fn time(iterations: u64, mut once: impl FnMut() -> Result<()>) -> Result<u64> {
    let begin = Instant::now();
    while begin.elapsed() < WARM_UP {
        for _ in 0..100 {
            once()?;
        }
    }
    let begin = Instant::now();
    for _ in 0..iterations {
        once()?;
    }
    u64::try_from(begin.elapsed().as_nanos()).context("a loop of centuries")
}

/// The other process of the ping-pong.
struct Partner {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Partner {
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the partner")?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the partner has no pipes");
        };
        Ok(Self { child, to, from })
    }

    fn round_trip(&mut self) -> Result<()> {
        self.to.write_all(&[1]).context("sending to the partner")?;
        self.from.read_exact(&mut [0]).context("receiving from the partner")
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        // Its input ends with us, so it would end by itself; a partner that hangs must not stay.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn echo() -> Result<ExitCode> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut byte = [0];
    while input.read(&mut byte).context("receiving")? == 1 {
        output.write_all(&byte).context("sending")?;
        output.flush().context("sending")?;
    }
    Ok(ExitCode::SUCCESS)
}
