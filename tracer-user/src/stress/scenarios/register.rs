//! Registration in mid-flight: a fresh process registers SYNC_CORE while its threads already run on
//! several CPUs, and calls it at once.
//!
//! `kernel/sched/membarrier.c:sync_runqueues_membarrier_state` has to bring the registration to the
//! run queues of CPUs that already run the mm; a tracer has to know the mm from then on, although it
//! saw no switch to it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::thread::sched_setaffinity;

use super::reaper::Reaper;
use crate::stress::StressError;
use crate::stress::calls::Ctx;
use crate::stress::child::one_cpu;
use crate::stress::counts::{Call, Count};
use crate::stress::pace::{Duty, Pacer, nap, spin};
use crate::stress::sys::process::{exit_process, fork};

/// Calls after the registration.
const CALLS: u64 = 8;
/// Every so many processes one first calls unregistered, which must fail.
const REFUSED_EVERY: u64 = 4;
/// Every so many processes one registers for every other command as well.
const ALL_EVERY: u64 = 8;

pub(super) fn run(ctx: &Ctx) -> Result<(), StressError> {
    // This mm stays unregistered: children inherit what it has.
    let cpus = ctx.cpus();
    let threads = ctx.plan.threads.clamp(2, 8);
    // Two such processes at a time are enough to meet each other.
    let abreast = 2;
    let duty = ctx.duty(abreast * threads.div_ceil(2));
    let mut reaper = Reaper::default();
    let mut pacer = Pacer::new(ctx.rate_per(1));
    let mut result = Ok(());
    for round in 0_u64.. {
        if !ctx.running() {
            break;
        }
        let child = ctx.as_child();
        match fork(|| live(&child, round, threads, &cpus, duty)) {
            Ok(_) => reaper.started(),
            Err(errno) => {
                result = Err(StressError::system("fork")(errno));
                break;
            }
        }
        ctx.add(Count::Forked, 1);
        ctx.add(Count::Iterations, 1);
        reaper.reap(ctx, abreast - 1)?;
        pacer.step(CALLS, || ctx.running());
    }
    reaper.finish(ctx).and(result)
}

/// The whole life of one child; its exit status.
fn live(ctx: &Ctx, round: u64, threads: usize, cpus: &[usize], duty: Duty) -> i32 {
    let ready = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    let (ready, done) = (&ready, &done);
    std::thread::scope(|scope| {
        for index in 0..threads {
            let cpu = cpus[index % cpus.len()];
            let started = ctx.spawn(scope, "ul-flight", move || {
                // Where a CPU went offline, anywhere is as good.
                let _ = sched_setaffinity(None, &one_cpu(cpu));
                ready.fetch_add(1, Ordering::Release);
                while !done.load(Ordering::Acquire) {
                    if index.is_multiple_of(2) {
                        spin(duty.burst());
                        duty.rest();
                    } else {
                        nap(Duration::from_micros(50));
                    }
                }
            });
            if started.is_err() {
                exit_process(2);
            }
        }
        while ready.load(Ordering::Acquire) < threads {
            nap(Duration::from_micros(50));
        }
        let status = register_and_call(ctx, round);
        done.store(true, Ordering::Release);
        status
    })
}

fn register_and_call(ctx: &Ctx, round: u64) -> i32 {
    if round.is_multiple_of(REFUSED_EVERY) {
        // kernel/sched/membarrier.c:membarrier_private_expedited says EPERM.
        if ctx.call(Call::SyncCore) != Err(rustix::io::Errno::PERM) {
            return 3;
        }
        ctx.add(Count::Refused, 1);
    }
    if ctx.call(Call::RegisterSyncCore).is_err() {
        return 4;
    }
    ctx.sync_core_burst(CALLS);
    ctx.add(Count::MidFlight, 1);
    if round.is_multiple_of(ALL_EVERY) {
        for (register, call) in [
            (Call::RegisterPrivate, Call::Private),
            (Call::RegisterGlobalExpedited, Call::GlobalExpedited),
            (Call::RegisterRseq, Call::Rseq),
        ] {
            if ctx.supports(register) && (ctx.call(register).is_err() || ctx.call(call).is_err()) {
                return 5;
            }
        }
    }
    0
}
