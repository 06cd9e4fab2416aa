//! Lazy entry and unlazy: threads of a registered mm give their CPU to idle or to a kernel thread
//! for a moment and come back to the mm that is still loaded there, while SYNC_CORE is called.
//!
//! That is the way on which nothing but the scheduler's own care serializes: the returning thread
//! finds the real mm unchanged, so `arch/x86/mm/tlb.c:switch_mm_irqs_off` writes no CR3.

use std::time::Duration;

use crate::stress::StressError;
use crate::stress::calls::Ctx;
use crate::stress::counts::{Call, Count};
use crate::stress::pace::{Pacer, Random, nap, spin};
use crate::stress::sys::aio::AioFsync;

/// Sleeps a second of all sleepers.
const SLEEP_RATE: u64 = 5_000;
/// Work items a second of all threads that employ a kworker.
const WORK_RATE: u64 = 3_000;
/// Calls in a row; few, since what matters is that they fall between other things.
const STORM: u64 = 4;

pub(super) fn run(ctx: &Ctx) -> Result<(), StressError> {
    ctx.register(Call::RegisterSyncCore)?;
    let quarter = (ctx.plan.threads / 4).max(1);
    let half = (ctx.plan.threads / 2).max(1);
    std::thread::scope(|scope| {
        for seed in 0..half as u64 {
            ctx.spawn(scope, "ul-sleep", move || sleeper(ctx, seed, half))?;
        }
        for _ in 0..quarter {
            match AioFsync::new() {
                Ok(aio) => {
                    ctx.spawn(scope, "ul-work", move || employer(ctx, quarter, &aio))?;
                }
                // A kernel without CONFIG_AIO, or with aio-max-nr used up. The sleepers remain; the
                // count of 0 says what is missing, and so does this line in the report.
                Err(errno) => {
                    eprintln!("no kernel threads: cannot set up asynchronous I/O: {errno}");
                }
            }
        }
        ctx.spawn(scope, "ul-call", move || caller(ctx))?;
        Ok(())
    })
}

/// Goes to sleep for tens of microseconds: the CPU goes idle, lazily, if nothing else wants it.
fn sleeper(ctx: &Ctx, seed: u64, sleepers: usize) {
    let mut random = Random::new(seed);
    let mut pacer = Pacer::new(SLEEP_RATE.div_ceil(sleepers as u64));
    while ctx.running() {
        nap(Duration::from_micros(10 + random.below(70)));
        spin(Duration::from_micros(random.below(10)));
        ctx.add(Count::Sleeps, 1);
        ctx.add(Count::Iterations, 1);
        pacer.step(1, || ctx.running());
    }
}

/// Has a kworker of its own CPU do something, sleeps meanwhile, and comes back after it.
fn employer(ctx: &Ctx, employers: usize, aio: &AioFsync) {
    let mut pacer = Pacer::new(WORK_RATE.div_ceil(employers as u64));
    while ctx.running() {
        if let Err(errno) = aio.run() {
            eprintln!("no more kernel threads: asynchronous fsync failed: {errno}");
            return;
        }
        ctx.add(Count::KernelThreadRuns, 1);
        pacer.step(1, || ctx.running());
    }
}

fn caller(ctx: &Ctx) {
    let mut pacer = Pacer::new(ctx.rate_per(1));
    while ctx.running() {
        let made = ctx.sync_core_burst(STORM);
        nap(Duration::from_micros(20));
        pacer.step(made.max(1), || ctx.running());
    }
}
