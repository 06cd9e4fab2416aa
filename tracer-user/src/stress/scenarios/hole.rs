//! The hole: a kernel thread uses the process's mm and sleeps there, so that neither the call nor
//! any switch serializes the CPU before a thread of the process runs on.
//!
//! ```text
//! CPU 1: thread U                  CPU 1: kernel thread K            CPU 0: the caller
//! sleeps in read()
//!                                  runs, lazily on the mm
//!                                                                    patches code
//!                                                                    SYNC_CORE: CPU 1 is skipped,
//!                                                                      rq->curr->mm is NULL
//!                                  kthread_use_mm(): the real mm
//!                                    is this one already
//!                                  wakes U, and sleeps
//! is switched to: the previous
//!   task has an mm, and the same
//! leaves by SYSRET, runs the code
//! ```
//! As a control the kernel thread leaves `kthread_use_mm()` out: then `kernel/sched/core.c:
//! finish_task_switch` serializes. The code is judged as in the scenario `jit`; a rule that was
//! broken need not show there, since a core serializes at many other moments.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::io;
use rustix::thread::sched_setaffinity;

use super::jit::{Verdict, judge};
use crate::stress::StressError;
use crate::stress::calls::Ctx;
use crate::stress::child::one_cpu;
use crate::stress::counts::{Call, Count};
use crate::stress::pace::{Pacer, nap};
use crate::stress::sys::code::CodePage;
use crate::stress::sys::hole::{Hole, Step};

/// The version that the code starts with.
const FIRST: u32 = 1;
/// How long to wait between two looks at whether the sleeper has run.
const LOOK: Duration = Duration::from_micros(50);

/// What the caller and thread U share.
struct Scene {
    hole: Hole,
    code: CodePage,
    /// As in `jit`: the version that the code must at least return, and may at most.
    expected: AtomicU32,
    intent: AtomicU32,
    /// How often U was woken, ran the code, and is about to sleep again.
    rounds: AtomicU64,
}

pub(super) fn run(ctx: &Ctx, step: Step) -> Result<(), StressError> {
    let cpus = ctx.cpus();
    let &[here, there, ..] = &cpus[..] else {
        return Err(StressError::TooFewCpus { cpus: cpus.len() });
    };
    ctx.register(Call::RegisterSyncCore)?;
    let scene = Scene {
        hole: Hole::new(there)?,
        code: CodePage::new(FIRST).map_err(StressError::system("map an executable memfd"))?,
        expected: AtomicU32::new(FIRST),
        intent: AtomicU32::new(FIRST),
        rounds: AtomicU64::new(0),
    };
    let scene = &scene;
    std::thread::scope(|scope| {
        let sleeper = ctx.spawn(scope, "ul-sleep", move || sleeper(ctx, scene, there))?;
        let driven = sched_setaffinity(None, &one_cpu(here))
            .map_err(StressError::system("stay on a CPU"))
            .and_then(|()| {
                drive(ctx, scene, step).map_err(StressError::system("drive the kernel thread"))
            });
        if driven.is_err() {
            ctx.page.set_budget(Some(0));
        }
        // The sleeper sees that the run is over once it wakes; until then it may sleep once more.
        while !sleeper.is_finished() {
            if let Err(errno) = scene.hole.wake() {
                eprintln!("cannot wake a thread: {errno}");
            }
            nap(LOOK);
        }
        driven
    })
}

/// Thread U.
fn sleeper(ctx: &Ctx, scene: &Scene, cpu: usize) {
    if let Err(errno) = sched_setaffinity(None, &one_cpu(cpu)) {
        eprintln!("cannot stay on CPU {cpu}: {errno}");
    }
    while ctx.running() {
        if let Err(errno) = scene.hole.sleep() {
            eprintln!("cannot sleep on the device: {errno}");
            ctx.page.set_budget(Some(0));
            return;
        }
        let expected = scene.expected.load(Ordering::Acquire);
        let result = scene.code.call(0);
        let intent = scene.intent.load(Ordering::SeqCst);
        match judge(expected, result, intent) {
            Verdict::Good => {}
            Verdict::Stale => ctx.add(Count::Stale, 1),
            Verdict::Garbled => ctx.add(Count::Garbled, 1),
        }
        ctx.add(Count::Executions, 1);
        scene.rounds.fetch_add(1, Ordering::Release);
    }
}

/// The caller: one round after the other.
fn drive(ctx: &Ctx, scene: &Scene, step: Step) -> io::Result<()> {
    let mut pacer = Pacer::new(ctx.rate_per(1));
    let mut version = FIRST;
    while ctx.running() {
        version = version.wrapping_add(1);
        round(ctx, scene, step, version)?;
        ctx.add(Count::Iterations, 1);
        pacer.step(1, || ctx.running());
    }
    Ok(())
}

fn round(ctx: &Ctx, scene: &Scene, step: Step, version: u32) -> io::Result<()> {
    let rounds = scene.rounds.load(Ordering::Acquire);
    scene.intent.store(version, Ordering::SeqCst);
    scene.code.patch(0, version);
    let lazy = scene.hole.lazy()?;
    let mut used = false;
    if lazy {
        ctx.add(Count::KernelThreadRuns, 1);
        if ctx.sync_core() {
            scene.expected.store(version, Ordering::Release);
            ctx.add(Count::Patches, 1);
        }
        let stepped = scene.hole.step(step)?;
        used = stepped && step == Step::Use;
        ctx.add(Count::MmUses, u64::from(used));
        ctx.add(Count::Late, u64::from(!stepped));
        if !stepped {
            scene.hole.wake()?;
        }
    } else {
        // Somebody else had the CPU since U slept. U runs, and the mm is loaded there again.
        ctx.add(Count::NotLazy, 1);
        scene.hole.wake()?;
    }
    while scene.rounds.load(Ordering::Acquire) == rounds && ctx.running() {
        nap(LOOK);
    }
    if used { scene.hole.leave() } else { Ok(()) }
}
