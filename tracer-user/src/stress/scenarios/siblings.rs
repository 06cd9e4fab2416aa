//! `CLONE_VM` without `CLONE_THREAD`: processes of their own that share a registered mm.
//!
//! To membarrier they are as much "the process" as its threads are (`kernel/sched/membarrier.c`
//! compares mms, not thread groups), which a tool that thinks in tgids gets wrong.

use std::time::Duration;

use rustix::process::{Pid, getpid, getppid};

use crate::stress::StressError;
use crate::stress::calls::Ctx;
use crate::stress::counts::{Call, Count};
use crate::stress::pace::{Duty, Pacer, Random, nap, spin};
use crate::stress::sys::memory::Region;
use crate::stress::sys::process::{VmChild, VmTask, clone_vm, die_with};

use super::reaper::Reaper;

/// Pages of a sibling's stack.
const STACK: usize = 16;
/// Rounds of work in a sibling's life.
const ROUNDS: u64 = 8;
/// Calls of a sibling in one round.
const STORM: u64 = 2;

/// What a sibling is given. It shares its parent's thread-local storage, so it keeps to raw system
/// calls, the clock and atomics.
struct Sibling {
    ctx: Ctx,
    parent: Pid,
    seed: u64,
    duty: Duty,
}

impl VmTask for Sibling {
    fn run(&self) -> i32 {
        die_with(self.parent);
        let mut random = Random::new(self.seed ^ u64::from(getpid().as_raw_pid().unsigned_abs()));
        for _ in 0..ROUNDS {
            if !self.ctx.running() {
                break;
            }
            spin(self.duty.burst().div_f64(4.0));
            self.ctx.add(Count::Spins, 1);
            if getppid() != Some(self.parent) {
                return 1;
            }
            self.ctx.sync_core_burst(STORM);
            nap(Duration::from_micros(30 + random.below(200)));
            self.ctx.add(Count::Sleeps, 1);
        }
        0
    }
}

/// One sibling at a time, on one stack.
struct Slot {
    stack: Region,
    task: &'static Sibling,
    pid: Option<Pid>,
}

pub(super) fn run(ctx: &Ctx) -> Result<(), StressError> {
    ctx.register(Call::RegisterSyncCore)?;
    let count = (ctx.plan.threads / 2).max(2);
    let duty = ctx.duty(count);
    let mut slots = (0..count as u64)
        .map(|seed| {
            // Leaked once per slot: a task must outlive every child, and the process ends soon.
            let task = Sibling { ctx: ctx.as_child(), parent: getpid(), seed, duty };
            let stack = Region::new(STACK)?;
            Ok(Slot { stack, task: Box::leak(Box::new(task)), pid: None })
        })
        .collect::<rustix::io::Result<Vec<_>>>()
        .map_err(StressError::system("map a stack"))?;
    let mut reaper = Reaper::default();
    let result = drive(ctx, &mut slots, &mut reaper);
    // The stacks may go only once nobody runs on them. If a wait fails they must stay for ever.
    let end = reaper.finish(ctx);
    if end.is_err() {
        std::mem::forget(slots);
    }
    result.and(end)
}

/// Keeps every slot filled, and calls from the parent meanwhile.
fn drive(ctx: &Ctx, slots: &mut [Slot], reaper: &mut Reaper) -> Result<(), StressError> {
    let per_sibling = ROUNDS * STORM;
    let mut pacer = Pacer::new(ctx.rate_per(1));
    while ctx.running() {
        let mut started = 0;
        for slot in slots.iter_mut() {
            if let Some(pid) = slot.pid
                && reaper.reap_one(ctx, pid)?
            {
                slot.pid = None;
            }
            if slot.pid.is_none() {
                // SAFETY: nobody runs on the stack: the slot's last child was waited for. The task
                // allocates nothing, takes no lock, and touches no thread-local.
                let pid = unsafe { clone_vm(&slot.stack, VmChild::Sibling, slot.task) };
                slot.pid = Some(pid.map_err(StressError::system("clone a sibling"))?);
                reaper.started();
                started += 1;
                ctx.add(Count::Siblings, 1);
            }
        }
        let made = ctx.sync_core_burst(STORM);
        ctx.add(Count::Iterations, 1);
        nap(Duration::from_micros(200));
        pacer.step(started * per_sibling + made, || ctx.running());
    }
    Ok(())
}
