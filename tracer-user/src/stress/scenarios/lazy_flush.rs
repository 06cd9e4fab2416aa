//! Threads sleep, so that their CPUs stay lazy on the mm, while another CPU flushes it.
//!
//! A flush leaves lazy CPUs alone, and each must catch up when a thread of the mm comes back
//! (`arch/x86/mm/tlb.c:switch_mm_irqs_off`, where it compares generations); unless page tables were
//! freed, when no CPU may keep the mm, lazily or not (`native_flush_tlb_multi`). What the threads
//! read when they wake is judged (see [`super::judged`]).

use std::time::Duration;

use rustix::thread::sched_setaffinity;

use super::judged::Judged;
use crate::stress::StressError;
use crate::stress::calls::Ctx;
use crate::stress::child::one_cpu;
use crate::stress::counts::{Call, Count};
use crate::stress::pace::{Pacer, Random, nap};
use crate::stress::sys::memory::Region;

/// Pages that are flushed and read.
const PAGES: usize = 4;
/// Pages of a region that is unmapped: 4 MiB, so that it holds a whole page table, which is freed.
const UNMAP_PAGES: usize = 1024;
/// Every so many flushes one frees page tables. Few: it drives the mm from every CPU, and then there
/// is nothing to catch up with.
const UNMAP_EVERY: u64 = 16;
/// Flushes a second.
const FLUSH_RATE: u64 = 4_000;
/// Sleeps a second of each sleeper.
const SLEEP_RATE: u64 = 2_000;

pub(super) fn run(ctx: &Ctx) -> Result<(), StressError> {
    ctx.register(Call::RegisterSyncCore)?;
    let judged = &Judged::new(PAGES).map_err(StressError::system("map memory"))?;
    let cpus = ctx.cpus();
    // One sleeper on each CPU, which is idle meanwhile; the first CPU flushes.
    let beds = if cpus.len() > 1 { &cpus[1..] } else { &cpus[..] };
    let beds = &beds[..beds.len().min(ctx.plan.threads.max(1))];
    std::thread::scope(|scope| {
        for &cpu in beds {
            ctx.spawn(scope, "ul-sleep", move || sleeper(ctx, cpu, judged))?;
        }
        ctx.spawn(scope, "ul-call", move || caller(ctx))?;
        // Where the CPU went offline, anywhere is as good.
        let _ = sched_setaffinity(None, &one_cpu(cpus[0]));
        flush(ctx, judged).inspect_err(|_| ctx.page.set_budget(Some(0)))
    })
}

fn sleeper(ctx: &Ctx, cpu: usize, judged: &Judged) {
    let _ = sched_setaffinity(None, &one_cpu(cpu));
    let mut random = Random::new(cpu as u64);
    let mut pacer = Pacer::new(SLEEP_RATE);
    while ctx.running() {
        nap(Duration::from_micros(100 + random.below(300)));
        let stale = (0..PAGES).filter(|&page| !judged.read(page)).count();
        ctx.add(Count::Sleeps, 1);
        ctx.add(Count::Reads, PAGES as u64);
        ctx.add(Count::StaleReads, stale as u64);
        pacer.step(1, || ctx.running());
    }
}

fn flush(ctx: &Ctx, judged: &Judged) -> Result<(), StressError> {
    let mut pacer = Pacer::new(FLUSH_RATE);
    let mut round = 0_u64;
    while ctx.running() {
        round += 1;
        judged
            .discard(1 + round as usize % PAGES)
            .map_err(StressError::system("discard memory by madvise"))?;
        ctx.add(Count::Discards, 1);
        if round.is_multiple_of(UNMAP_EVERY) {
            let region = Region::new(UNMAP_PAGES).map_err(StressError::system("map memory"))?;
            for page in (0..UNMAP_PAGES).step_by(UNMAP_PAGES / 4) {
                region.page(page).store(1, std::sync::atomic::Ordering::Relaxed);
            }
            drop(region);
            ctx.add(Count::Unmaps, 1);
        }
        ctx.add(Count::Iterations, 1);
        pacer.step(1, || ctx.running());
    }
    Ok(())
}

fn caller(ctx: &Ctx) {
    let mut pacer = Pacer::new(ctx.rate_per(1));
    while ctx.running() {
        let made = ctx.sync_core_burst(1);
        pacer.step(made.max(1), || ctx.running());
    }
}
