//! TLB shootdowns in a registered mm, under threads that read the memory.
//!
//! A flush that skips a lazy CPU leaves its work to that CPU's next switch back to the mm, which
//! then flushes and writes CR3: the one case in which an unlazy serializes by itself.
//!
//! The discards are judged: see [`super::judged`].

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io;

use super::judged::Judged;
use crate::stress::StressError;
use crate::stress::calls::Ctx;
use crate::stress::counts::{Call, Count};
use crate::stress::pace::{Duty, Pacer, Random, nap};
use crate::stress::sys::memory::Region;

/// Pages of the judged region. A flush of more than `tlb_single_page_flush_ceiling` (33) pages
/// drops everything, one of less goes page by page; both happen.
const PAGES: usize = 64;
/// The shorter discard.
const FEW: usize = 8;
/// Pages of a region that is unmapped: 4 MiB, so that it holds a whole page table, which is freed.
const UNMAP_PAGES: usize = 1024;
/// Manipulations a second.
const RATE: u64 = 1_500;

/// What manipulator and readers share.
struct Memory {
    judged: Judged,
    /// Whoever drops the last reference to an old one unmaps it.
    fleeting: Mutex<Arc<Fleeting>>,
}

/// A region that counts its end.
struct Fleeting {
    region: Region,
    ctx: Ctx,
}

impl Drop for Fleeting {
    fn drop(&mut self) {
        // The region's own drop follows at once and can't fail.
        self.ctx.add(Count::Unmaps, 1);
    }
}

impl Fleeting {
    fn new(ctx: &Ctx) -> io::Result<Arc<Self>> {
        let fleeting = Arc::new(Self { region: Region::new(UNMAP_PAGES)?, ctx: *ctx });
        for page in (0..UNMAP_PAGES).step_by(UNMAP_PAGES / 8) {
            fleeting.region.page(page).store(1, Ordering::Relaxed);
        }
        Ok(fleeting)
    }
}

pub(super) fn run(ctx: &Ctx) -> Result<(), StressError> {
    ctx.register(Call::RegisterSyncCore)?;
    let what = StressError::system::<io::Errno>("map memory");
    let memory =
        (|| Ok(Memory { judged: Judged::new(PAGES)?, fleeting: Mutex::new(Fleeting::new(ctx)?) }))(
        )
        .map_err(what)?;
    let memory = &memory;
    let readers = ctx.plan.threads.saturating_sub(1).max(2);
    let duty = ctx.duty(readers.div_ceil(2));
    std::thread::scope(|scope| {
        for index in 0..readers {
            ctx.spawn(scope, "ul-read", move || reader(ctx, memory, index, duty))?;
        }
        ctx.spawn(scope, "ul-call", move || caller(ctx))?;
        manipulate(ctx, memory).inspect_err(|_| ctx.page.set_budget(Some(0)))
    })
}

fn manipulate(ctx: &Ctx, memory: &Memory) -> Result<(), StressError> {
    let mut pacer = Pacer::new(RATE);
    let mut version = 0_u64;
    while ctx.running() {
        version += 1;
        let pages = if version.is_multiple_of(2) { PAGES } else { FEW };
        memory.judged.discard(pages).map_err(StressError::system("madvise"))?;
        ctx.add(Count::Discards, 1);
        memory.judged.protect_and_back(pages).map_err(StressError::system("mprotect"))?;
        ctx.add(Count::Protects, 2);
        let next = Fleeting::new(ctx).map_err(StressError::system("map memory"))?;
        let old = {
            let mut slot = memory.fleeting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *slot, next)
        };
        drop(old);
        ctx.add(Count::Iterations, 1);
        pacer.step(4, || ctx.running());
    }
    Ok(())
}

fn reader(ctx: &Ctx, memory: &Memory, index: usize, duty: Duty) {
    let mut random = Random::new(index as u64);
    while ctx.running() {
        let fleeting = Arc::clone(&memory.fleeting.lock().unwrap_or_else(PoisonError::into_inner));
        let burst = std::time::Instant::now();
        let mut reads = 0;
        loop {
            let page = random.below(PAGES as u64) as usize;
            if !memory.judged.read(page) {
                ctx.add(Count::StaleReads, 1);
            }
            fleeting.region.page(page * (UNMAP_PAGES / PAGES)).load(Ordering::Relaxed);
            reads += 1;
            // Even readers meet the flush in user mode, the others are asleep more often than not.
            if reads % 64 == 0 && (index % 2 == 1 || burst.elapsed() >= duty.burst()) {
                break;
            }
        }
        drop(fleeting);
        ctx.add(Count::Reads, reads);
        if index.is_multiple_of(2) {
            duty.rest();
        } else {
            nap(Duration::from_micros(100 + random.below(300)));
        }
        ctx.add(Count::Sleeps, 1);
    }
}

fn caller(ctx: &Ctx) {
    let mut pacer = Pacer::new(ctx.rate_per(1));
    while ctx.running() {
        let made = ctx.sync_core_burst(1);
        pacer.step(made.max(1), || ctx.running());
    }
}
