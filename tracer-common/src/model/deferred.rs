//! Checks that ask what *other* CPUs had done by some moment.
//!
//! The clocks of two CPUs agree only so far. What another CPU did just before that moment may bear a
//! time just after it, and its event is then still to come. So such a check waits until every event
//! is in that may have come before; whatever has not happened by then is late by any clock.

use super::{
    At, Model, Store,
    rules::{r2, r3, r4, r5},
    state::MmId,
    verdict::{Doubt, Rule},
};

/// How many checks may wait. The clocks' uncertainty is shorter than the time between two of them,
/// as a rule.
const WAITING: usize = 32;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Check {
    /// A SYNC_CORE call has returned: have the CPUs in user mode serialized since it began?
    Call { mm: MmId, begin: u64 },
    /// A flush is done: have the CPUs in user mode caught up, and have lazy ones left if it freed
    /// page tables?
    Flush { mm: MmId, generation: u64, freed_tables: bool },
    /// An mm is freed: has every CPU left it?
    Drop { mm: MmId },
}

/// The checks that wait.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Deferred {
    waiting: [Option<(At, Check)>; WAITING],
    count: usize,
}

impl Deferred {
    pub(super) const fn new() -> Self {
        Self { waiting: [None; WAITING], count: 0 }
    }

    /// Takes one out whose moment lies more than `skew` before `now`.
    fn mature(&mut self, now: u64, skew: u64) -> Option<(At, Check)> {
        if self.count == 0 {
            return None;
        }
        let due = |slot: &&mut Option<(At, Check)>| {
            slot.is_some_and(|(at, _)| at.ts.saturating_add(skew) < now)
        };
        let earliest = |slot: &&mut Option<(At, Check)>| slot.map_or(u64::MAX, |(at, _)| at.ts);
        let due = self.waiting.iter_mut().filter(due).min_by_key(earliest)?.take();
        self.count -= 1;
        due
    }

    /// Puts one in; where there is no room, the oldest comes out.
    fn push(&mut self, at: At, check: Check) -> Option<(At, Check)> {
        let slot = self.waiting.iter_mut().min_by_key(|slot| slot.map_or(0, |(at, _)| at.ts))?;
        let old = slot.replace((at, check));
        self.count += usize::from(old.is_none());
        old
    }
}

impl Model {
    /// Asks this as soon as the order of events is sure.
    pub(super) fn defer<S: Store>(&mut self, s: &mut S, at: At, check: Check) {
        match self.deferred.push(at, check) {
            Some((_, Check::Flush { freed_tables: true, .. })) => {
                s.tally().doubted(Rule::R4, Doubt::Clock);
            }
            Some((_, Check::Drop { .. })) => s.tally().doubted(Rule::R5, Doubt::Clock),
            // The CPUs in question are judged by their next return, too.
            Some((_, Check::Flush { .. } | Check::Call { .. })) | None => {}
        }
    }

    /// No event before `now`, in nanoseconds, is to come any more: whatever waits for that is
    /// decided. ([`step`](Self::step) does the same with its event's time.)
    pub fn until<S: Store>(&mut self, s: &mut S, now: u64) {
        while let Some((at, check)) = self.deferred.mature(now, self.config.skew) {
            match check {
                Check::Call { mm, begin } => r2::judge_running(s, at, mm, begin, &self.config),
                Check::Flush { mm, generation, freed_tables } => {
                    r3::judge_running(s, at, mm, generation, &self.config);
                    if freed_tables {
                        r4::judge(s, at, mm, generation, &self.config);
                    }
                }
                Check::Drop { mm } => r5::judge(s, at, mm, &self.config),
            }
        }
    }
}
