//! Preemption inside one process: on every CPU a thread spins in user mode, and another, which
//! sleeps, preempts it there again and again, while SYNC_CORE is called from elsewhere.
//!
//! The timer that wakes the sleeper interrupts the spinner, and the spinner is switched out on that
//! interrupt's way back: its IRET is still to come when the sleeper leaves by SYSRET, on the same mm
//! and without a CR3 write. If membarrier's own IPI comes in between, then whether the sleeper has
//! serialized depends on nothing but what the IPI's function does (`kernel/sched/membarrier.c:
//! ipi_sync_core`).

use std::time::{Duration, Instant};

use rustix::thread::{sched_getcpu, sched_setaffinity};

use crate::stress::StressError;
use crate::stress::calls::Ctx;
use crate::stress::child::one_cpu;
use crate::stress::counts::{Call, Count};
use crate::stress::pace::{Duty, Pacer, Random, nap, spin};

/// Sleeps a second of each sleeper.
const SLEEP_RATE: u64 = 2_000;
/// A gap in the spinner's time that only a switch can make.
const GAP: Duration = Duration::from_micros(20);
/// Calls in a row.
const STORM: u64 = 4;

pub(super) fn run(ctx: &Ctx) -> Result<(), StressError> {
    ctx.register(Call::RegisterSyncCore)?;
    let cpus = ctx.cpus();
    // The caller has the first CPU for itself, if there is another.
    let scenes = if cpus.len() > 1 { &cpus[1..] } else { &cpus[..] };
    let scenes = &scenes[..scenes.len().min((ctx.plan.threads / 2).max(1))];
    let duty = ctx.duty(scenes.len());
    let first = cpus[0];
    std::thread::scope(|scope| {
        for &cpu in scenes {
            ctx.spawn(scope, "ul-spin", move || spinner(ctx, cpu, duty))?;
            ctx.spawn(scope, "ul-sleep", move || sleeper(ctx, cpu))?;
        }
        ctx.spawn(scope, "ul-call", move || caller(ctx, first))?;
        Ok(())
    })
}

/// Binds the calling thread to a CPU. One that went offline is as good as none.
fn stay_on(cpu: usize) {
    let _ = sched_setaffinity(None, &one_cpu(cpu));
}

/// Spins without a system call, and notes when somebody else had its CPU meanwhile.
fn spinner(ctx: &Ctx, cpu: usize, duty: Duty) {
    stay_on(cpu);
    while ctx.running() {
        let start = Instant::now();
        let mut last = start;
        let mut preempted = 0;
        while last.duration_since(start) < duty.burst() * 4 {
            spin(Duration::from_micros(5));
            let now = Instant::now();
            preempted += u64::from(now.duration_since(last) > GAP + Duration::from_micros(5));
            last = now;
        }
        ctx.add(Count::Spins, 1);
        ctx.add(Count::Preemptions, preempted);
        for _ in 0..4 {
            duty.rest();
        }
    }
}

/// Sleeps for moments; where it wakes it does next to nothing.
fn sleeper(ctx: &Ctx, cpu: usize) {
    stay_on(cpu);
    let mut random = Random::new(cpu as u64);
    let mut pacer = Pacer::new(SLEEP_RATE);
    while ctx.running() {
        nap(Duration::from_micros(50 + random.below(200)));
        ctx.add(Count::Sleeps, 1);
        pacer.step(1, || ctx.running());
    }
}

fn caller(ctx: &Ctx, cpu: usize) {
    stay_on(cpu);
    let mut pacer = Pacer::new(ctx.rate_per(1));
    while ctx.running() {
        let made = ctx.sync_core_burst(STORM);
        ctx.add(Count::Iterations, 1);
        // The one system call besides membarrier's, to see that we are where we wanted to be.
        if sched_getcpu() != cpu {
            stay_on(cpu);
        }
        pacer.step(made.max(1), || ctx.running());
    }
}
