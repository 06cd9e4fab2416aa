//! Two processes take turns on one CPU without a pause, while another CPU flushes the memory of the
//! first again and again.
//!
//! A flush has to choose whom to interrupt while the others switch. Whoever is on the way to the mm
//! must be interrupted or see the flush's generation, whichever way the two cross
//! (`arch/x86/mm/tlb.c`: `should_flush_tlb`, and `LOADED_MM_SWITCHING` in `switch_mm_irqs_off`).
//! What the first process reads is judged (see [`super::judged`]).

use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::thread::sched_setaffinity;

use super::judged::Judged;
use super::pingpong::{Medium, Pair};
use super::reaper::Reaper;
use crate::stress::StressError;
use crate::stress::calls::Ctx;
use crate::stress::child::one_cpu;
use crate::stress::counts::{Call, Count};
use crate::stress::pace::{Pacer, Random};
use crate::stress::sys::process::fork;

/// Pages that are flushed: so few that each flush goes page by page and is over soon.
const PAGES: usize = 2;
/// Flushes a second.
const FLUSH_RATE: u64 = 20_000;
/// Turns a second of each pair.
const TURN_RATE: u64 = 10_000;
/// Turns between two looks at the time.
const VOLLEY: u64 = 32;

pub(super) fn run(ctx: &Ctx) -> Result<(), StressError> {
    ctx.register(Call::RegisterSyncCore)?;
    let cpus = ctx.cpus();
    // The first CPU flushes, the others switch.
    let scenes = if cpus.len() > 1 { &cpus[1..] } else { &cpus[..] };
    let scenes = &scenes[..scenes.len().min((ctx.plan.threads / 2).max(1))];
    let judged = Judged::new(PAGES).map_err(StressError::system("map memory"))?;
    let mut reaper = Reaper::default();
    let mut pairs = Vec::new();
    let forked = scenes.iter().try_for_each(|&cpu| {
        // What goes from process to process; a futex here would be one process's own.
        let medium = if pairs.len() % 2 == 0 { Medium::Pipe } else { Medium::Eventfd };
        let pair = Pair::new(medium).map_err(StressError::system("make a pipe or an eventfd"))?;
        // While this process has one thread; whatever happens, the child dies with it.
        fork(|| partner(&pair, cpu)).map_err(StressError::system("fork"))?;
        ctx.add(Count::Forked, 1);
        reaper.started();
        pairs.push((cpu, medium, pair));
        Ok(())
    });
    let end = forked.and_then(|()| turn_and_flush(ctx, cpus[0], &pairs, &judged));
    for (_, _, pair) in &pairs {
        // Fails only if the partner is gone, which the reaper will tell.
        let _ = pair.quit();
    }
    reaper.finish(ctx).and(end)
}

/// The other process of a pair: echoes.
fn partner(pair: &Pair, cpu: usize) -> i32 {
    let _ = sched_setaffinity(None, &one_cpu(cpu));
    i32::from(pair.follow().is_err())
}

fn turn_and_flush(
    ctx: &Ctx,
    first: usize,
    pairs: &[(usize, Medium, Pair)],
    judged: &Judged,
) -> Result<(), StressError> {
    let turning = &AtomicUsize::new(pairs.len());
    std::thread::scope(|scope| {
        for (cpu, medium, pair) in pairs {
            ctx.spawn(scope, "ul-turn", move || {
                turn(ctx, *cpu, *medium, pair, judged);
                turning.fetch_sub(1, Ordering::Relaxed);
            })?;
        }
        ctx.spawn(scope, "ul-call", move || caller(ctx))?;
        let _ = sched_setaffinity(None, &one_cpu(first));
        flush(ctx, judged).inspect_err(|_| ctx.page.set_budget(Some(0)))
    })
}

/// A thread of the first process: reads, and gives its CPU to the partner, who gives it back.
fn turn(ctx: &Ctx, cpu: usize, medium: Medium, pair: &Pair, judged: &Judged) {
    let _ = sched_setaffinity(None, &one_cpu(cpu));
    let mut random = Random::new(cpu as u64);
    let mut pacer = Pacer::new(TURN_RATE);
    while ctx.running() {
        let (mut rounds, mut stale) = (0, 0);
        while rounds < VOLLEY && pair.round().is_ok() {
            rounds += 1;
            stale += u64::from(!judged.read(random.below(PAGES as u64) as usize));
        }
        ctx.add(medium.count(), rounds);
        ctx.add(Count::Reads, rounds);
        ctx.add(Count::StaleReads, stale);
        pacer.step(rounds.max(1), || ctx.running());
    }
}

fn flush(ctx: &Ctx, judged: &Judged) -> Result<(), StressError> {
    let mut pacer = Pacer::new(FLUSH_RATE);
    while ctx.running() {
        for pages in 1..=PAGES {
            judged.discard(pages).map_err(StressError::system("madvise"))?;
            ctx.add(Count::Discards, 1);
        }
        ctx.add(Count::Iterations, 1);
        pacer.step(PAGES as u64, || ctx.running());
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
