//! A real JIT loop: threads run code that another thread patches and publishes by SYNC_CORE.
//!
//! Every single result is judged, by two protocols; in both a wrong result can only come from the
//! code, never from the order of the protocol's own stores.
//!
//! # Patched in place
//! A function returns a version number, which the publisher raises by one store into the
//! instruction while others may be running it:
//! ```text
//! publisher                              executor
//! intent = v + 1                         e = expected           (acquire)
//! code   = v + 1                         r = code()
//! membarrier(SYNC_CORE) returns 0        i = intent
//! expected = v + 1       (release)       judge: e <= r <= i
//! ```
//! *Too old is impossible*: the executor read `e`, so the call that followed the patch to `e` had
//! returned before. By its promise the executor's thread has since executed a core serializing
//! instruction, or does before it next runs user code; the patch came before the call, so what the
//! thread fetches after that is `e` or newer. `r < e` is **stale**. *Too new is impossible*: whatever
//! stands in the code was stored to `intent` first. `r > i` is **garbled**.
//!
//! That the other CPUs see either the old or the new number, and nothing else, while the store is in
//! flight is what JITs rely on: the immediate is aligned and lies within one instruction.
//!
//! # Rewritten
//! A function that once ran is replaced by one of other instructions and published under a new
//! number, as a JIT does that reuses its code memory. Nobody may be running it meanwhile, so
//! executors announce what they are about to run (a hazard pointer):
//! ```text
//! publisher                              executor
//! pick a cell that is not current        c = current
//! fence; wait until nobody has it        hazard = c.cell; fence
//! code[cell] = v                         if current != c: start again
//! membarrier(SYNC_CORE) returns 0        r = code[c.cell]()
//! current = (cell, v)    (release)       judge: r == c.version
//!                                        hazard = none          (release)
//! ```
//! If the executor still finds `current == c` after its announcement, then either the publisher,
//! which moves `current` away before it waits, sees the announcement and waits, or it had published
//! this very pair again, which it never does: versions don't repeat. So the cell is not written
//! while it runs, and by the same promise as above any result but `c.version` is **stale**.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use crate::stress::StressError;
use crate::stress::calls::Ctx;
use crate::stress::counts::{Call, Count};
use crate::stress::pace::{Duty, Pacer, Random, nap};
use crate::stress::sys::code::{CELLS, CodePage, Shape};

/// Functions patched in place: the first cells of the page.
const IN_PLACE: usize = 4;
/// Cells that are rewritten: these follow. Few, so that reuse comes soon after retirement.
const REWRITTEN: std::ops::Range<usize> = IN_PLACE..IN_PLACE + 4;
const _: () = assert!(REWRITTEN.end <= CELLS);
/// The version that everything starts with.
const FIRST: u32 = 1;
/// A hazard that protects nothing.
const NONE: u64 = u64::MAX;
/// Calls between two looks at whether to go on.
const RUN: usize = 64;

/// What publisher and executors share.
struct Jit {
    page: CodePage,
    /// The version that each in-place function must at least return.
    expected: [AtomicU32; IN_PLACE],
    /// The version that it may at most return.
    intent: [AtomicU32; IN_PLACE],
    /// The rewritten function to run: see [`pack`].
    current: AtomicU64,
    /// The cell that each executor may be running.
    hazards: Vec<AtomicU64>,
}

/// A cell and its version in one word, so that both are published at once.
fn pack(cell: usize, version: u32) -> u64 {
    u64::from(version) << 32 | cell as u64
}

fn unpack(word: u64) -> (usize, u32) {
    ((word as u32) as usize, (word >> 32) as u32)
}

pub(super) fn run(ctx: &Ctx) -> Result<(), StressError> {
    ctx.register(Call::RegisterSyncCore)?;
    let executors = ctx.plan.threads.saturating_sub(1).max(2);
    let jit = Jit {
        page: CodePage::new(FIRST).map_err(StressError::system("map an executable memfd"))?,
        expected: std::array::from_fn(|_| AtomicU32::new(FIRST)),
        intent: std::array::from_fn(|_| AtomicU32::new(FIRST)),
        current: AtomicU64::new(pack(REWRITTEN.start, FIRST)),
        hazards: (0..executors).map(|_| AtomicU64::new(NONE)).collect(),
    };
    let duty = ctx.duty(executors.div_ceil(2));
    let jit = &jit;
    std::thread::scope(|scope| {
        for index in 0..executors {
            ctx.spawn(scope, "ul-execute", move || Executor::new(ctx, jit, index).run(duty))?;
        }
        ctx.spawn(scope, "ul-publish", move || publish(ctx, jit))?;
        Ok(())
    })
}

/// The publisher: by turns patches a function in place and rewrites one.
fn publish(ctx: &Ctx, jit: &Jit) {
    let mut pacer = Pacer::new(ctx.rate_per(1));
    let mut random = Random::new(1);
    let mut version = FIRST;
    while ctx.running() {
        let cell = random.below(IN_PLACE as u64) as usize;
        if patch_in_place(ctx, jit, cell) {
            ctx.add(Count::PatchedInPlace, 1);
            ctx.add(Count::Patches, 1);
        }
        version = version.wrapping_add(1);
        if rewrite(ctx, jit, version) {
            ctx.add(Count::Rewritten, 1);
            ctx.add(Count::Patches, 1);
        }
        ctx.add(Count::Iterations, 1);
        pacer.step(2, || ctx.running());
    }
}

/// Raises the version of an in-place function; true once it is published.
fn patch_in_place(ctx: &Ctx, jit: &Jit, cell: usize) -> bool {
    // Only this thread stores, so it reads its own last values. Without a call nothing was
    // published, and the next patch of this cell goes on from the intent.
    let next = jit.intent[cell].load(Ordering::Relaxed).wrapping_add(1);
    jit.intent[cell].store(next, Ordering::SeqCst);
    jit.page.patch(cell, next);
    if !ctx.sync_core() {
        return false;
    }
    jit.expected[cell].store(next, Ordering::Release);
    true
}

/// Replaces a retired function and makes it the current one; true once it is published.
fn rewrite(ctx: &Ctx, jit: &Jit, version: u32) -> bool {
    let (current, _) = unpack(jit.current.load(Ordering::Relaxed));
    let cell = if current + 1 < REWRITTEN.end { current + 1 } else { REWRITTEN.start };
    // Pairs with the fence in `Executor::rewritten`: it sees the cell retired, or we its hazard.
    fence(Ordering::SeqCst);
    for hazard in &jit.hazards {
        // An executor that was switched out inside the function keeps it for as long.
        while hazard.load(Ordering::Acquire) == cell as u64 {
            nap(Duration::from_micros(20));
        }
    }
    let shape = if version.is_multiple_of(2) { Shape::Move } else { Shape::MoveNot };
    // SAFETY: the cell is not current and nobody announced it, so no thread runs it; none will
    // before it is current again, which is after the membarrier below.
    unsafe { jit.page.rewrite(cell, shape, version) };
    if !ctx.sync_core() {
        // The cell stays retired; the next attempt takes it again.
        return false;
    }
    jit.current.store(pack(cell, version), Ordering::SeqCst);
    true
}

/// One thread that runs the code.
struct Executor<'a> {
    ctx: &'a Ctx,
    jit: &'a Jit,
    index: usize,
    random: Random,
    /// The last version seen of each in-place function, and last the rewritten ones'.
    seen: [u32; IN_PLACE + 1],
    // Kept here and added up between runs: millions a second would make the shared page hot.
    executions: u64,
    fresh: u64,
}

impl<'a> Executor<'a> {
    fn new(ctx: &'a Ctx, jit: &'a Jit, index: usize) -> Self {
        let random = Random::new(index as u64 + 100);
        Self { ctx, jit, index, random, seen: [FIRST; IN_PLACE + 1], executions: 0, fresh: 0 }
    }

    /// Executors with an even number run code in long bursts, and meet the IPI in user mode; the
    /// others run a little and sleep, and must be served when they come back.
    fn run(mut self, duty: Duty) {
        while self.ctx.running() {
            if self.index.is_multiple_of(2) {
                let start = Instant::now();
                while start.elapsed() < duty.burst() {
                    self.some();
                }
                self.flush();
                duty.rest();
            } else {
                self.some();
                self.flush();
                nap(Duration::from_micros(100 + self.random.below(300)));
            }
        }
    }

    fn some(&mut self) {
        for _ in 0..RUN {
            let cell = self.random.below(IN_PLACE as u64) as usize;
            self.in_place(cell);
            self.rewritten();
        }
    }

    fn in_place(&mut self, cell: usize) {
        let expected = self.jit.expected[cell].load(Ordering::Acquire);
        let result = self.jit.page.call(cell);
        let intent = self.jit.intent[cell].load(Ordering::SeqCst);
        match judge(expected, result, intent) {
            Verdict::Good => {}
            Verdict::Stale => self.ctx.add(Count::Stale, 1),
            Verdict::Garbled => self.ctx.add(Count::Garbled, 1),
        }
        self.note(cell, result);
    }

    fn rewritten(&mut self) {
        let hazard = &self.jit.hazards[self.index];
        let mut current = self.jit.current.load(Ordering::SeqCst);
        loop {
            hazard.store(unpack(current).0 as u64, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            let again = self.jit.current.load(Ordering::SeqCst);
            if again == current {
                break;
            }
            current = again;
        }
        let (cell, version) = unpack(current);
        let result = self.jit.page.call(cell);
        hazard.store(NONE, Ordering::Release);
        if result != version {
            self.ctx.add(Count::Stale, 1);
        }
        self.note(IN_PLACE, result);
    }

    fn note(&mut self, slot: usize, result: u32) {
        self.executions += 1;
        if self.seen[slot] != result {
            self.seen[slot] = result;
            self.fresh += 1;
        }
    }

    fn flush(&mut self) {
        self.ctx.add(Count::Executions, std::mem::take(&mut self.executions));
        self.ctx.add(Count::FreshExecutions, std::mem::take(&mut self.fresh));
    }
}

/// What a result says about the code that was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As new as it must be, and no newer than it can be.
    Good,
    /// Older than what was published.
    Stale,
    /// No version that was ever stored.
    Garbled,
}

/// Whether `expected <= result <= intent`, for versions that may wrap.
pub(super) fn judge(expected: u32, result: u32, intent: u32) -> Verdict {
    if (result.wrapping_sub(expected) as i32) < 0 {
        Verdict::Stale
    } else if (intent.wrapping_sub(result) as i32) < 0 {
        Verdict::Garbled
    } else {
        Verdict::Good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_judged_between_expected_and_intent() {
        assert_eq!(judge(5, 5, 5), Verdict::Good);
        assert_eq!(judge(5, 6, 7), Verdict::Good);
        assert_eq!(judge(5, 4, 7), Verdict::Stale);
        assert_eq!(judge(5, 8, 7), Verdict::Garbled);
        assert_eq!(judge(u32::MAX, 0, 0), Verdict::Good);
        assert_eq!(judge(0, u32::MAX, 0), Verdict::Stale);
    }

    #[test]
    fn a_cell_and_its_version_share_a_word() {
        assert_eq!(unpack(pack(7, u32::MAX)), (7, u32::MAX));
        assert_ne!(pack(7, 1), pack(7, 2));
    }
}
