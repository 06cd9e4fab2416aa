//! Migration: threads of a registered process are moved among the CPUs it may use while SYNC_CORE
//! is called.
//!
//! A running thread is moved by the CPU's stopper, a kernel thread (`kernel/sched/core.c:
//! __set_cpus_allowed_ptr`), so the CPU it leaves stays lazy on the mm, and the one it comes to may
//! have been lazy on it. Where only one CPU may be used, everything runs but nothing changes place.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::{gettid, sched_getcpu, sched_setaffinity};

use crate::stress::StressError;
use crate::stress::calls::Ctx;
use crate::stress::child::one_cpu;
use crate::stress::counts::{Call, Count};
use crate::stress::pace::{Duty, Pacer, Random, nap, spin};

/// Moves a second.
const MOVE_RATE: u64 = 800;
/// Calls in a row.
const STORM: u64 = 4;

pub(super) fn run(ctx: &Ctx) -> Result<(), StressError> {
    ctx.register(Call::RegisterSyncCore)?;
    let cpus = &ctx.cpus()[..];
    let workers = ctx.plan.threads.saturating_sub(1).max(2);
    // A worker stores its thread id here; 0 means that it has none (yet, or any more).
    let tids: Vec<AtomicI32> = (0..workers).map(|_| AtomicI32::new(0)).collect();
    let tids = &tids[..];
    let duty = ctx.duty(workers);
    std::thread::scope(|scope| {
        for (seed, tid) in tids.iter().enumerate() {
            ctx.spawn(scope, "ul-work", move || worker(ctx, tid, seed, duty))?;
        }
        ctx.spawn(scope, "ul-call", move || caller(ctx, cpus))?;
        ctx.spawn(scope, "ul-move", move || mover(ctx, cpus, tids))?;
        Ok(())
    })
}

/// Runs and sleeps by turns, and watches where.
fn worker(ctx: &Ctx, tid: &AtomicI32, seed: usize, duty: Duty) {
    tid.store(gettid().as_raw_pid(), Ordering::Release);
    let mut random = Random::new(seed as u64);
    let mut cpu = sched_getcpu();
    while ctx.running() {
        spin(duty.burst().div_f64(1.0 + random.below(4) as f64));
        ctx.add(Count::Spins, 1);
        note_cpu(ctx, &mut cpu);
        if random.below(4) == 0 {
            duty.rest();
        } else {
            nap(Duration::from_micros(50 + random.below(200)));
        }
        ctx.add(Count::Sleeps, 1);
        note_cpu(ctx, &mut cpu);
    }
    tid.store(0, Ordering::Release);
}

fn note_cpu(ctx: &Ctx, cpu: &mut usize) {
    let now = sched_getcpu();
    if now != *cpu {
        *cpu = now;
        ctx.add(Count::CpuChanges, 1);
    }
}

/// Moves others.
fn mover(ctx: &Ctx, cpus: &[usize], tids: &[AtomicI32]) {
    let mut pacer = Pacer::new(MOVE_RATE);
    let mut random = Random::new(7);
    while ctx.running() {
        let tid = &tids[random.below(tids.len() as u64) as usize];
        let cpu = cpus[random.below(cpus.len() as u64) as usize];
        // Both failures are of the moment: a thread that has just ended, a CPU that went offline.
        if let Some(tid) = Pid::from_raw(tid.load(Ordering::Acquire))
            && sched_setaffinity(Some(tid), &one_cpu(cpu)).is_ok()
        {
            ctx.add(Count::Moves, 1);
        }
        ctx.add(Count::Iterations, 1);
        pacer.step(1, || ctx.running());
    }
}

/// Calls, and moves itself between calls.
fn caller(ctx: &Ctx, cpus: &[usize]) {
    let mut pacer = Pacer::new(ctx.rate_per(1));
    let mut cpu = sched_getcpu();
    let mut round = 0;
    while ctx.running() {
        let made = ctx.sync_core_burst(STORM);
        round += 1;
        if round % 8 == 0 {
            let next = cpus[(round / 8) % cpus.len()];
            if sched_setaffinity(None, &one_cpu(next)).is_ok() {
                ctx.add(Count::Moves, 1);
            }
            note_cpu(ctx, &mut cpu);
        }
        pacer.step(made.max(1), || ctx.running());
    }
}
