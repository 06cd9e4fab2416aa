//! Flushes: each begins with a generation that it asks for at least, and is done when
//! `flush_tlb_mm_range` has returned.
//!
//! Begin and end belong together by the task: the function sleeps nowhere, so no task has two at
//! once. A begin whose end was lost is done when a later flush of the same mm by the same task is. An
//! end whose begin was lost says nothing, which is the weaker demand.
//!
//! Flushes by `arch_tlbbatch_flush` (reclaim, migration) name no mm and no generation; that they are
//! done gives R3 nothing to ask for.

use super::{At, Model, Store, deferred::Check, task::PendingFlush};
use crate::wire::Flush;

impl Model {
    pub(super) fn on_flush_begin<S: Store>(s: &mut S, freed_tables: bool, w: &Flush) {
        // The idle tasks share one pid; none of them flushes an mm.
        if w.tid == 0 || w.mm == 0 {
            return;
        }
        if let Some(task) = s.task(w.tid) {
            task.flush = Some(PendingFlush { mm: w.mm, generation: w.generation, freed_tables });
        }
    }

    pub(super) fn on_flush_end<S: Store>(&mut self, s: &mut S, at: At, w: &Flush) {
        let begun = s.known_task(w.tid).and_then(|task| task.flush.take());
        let Some(flush) = begun.filter(|flush| flush.mm == w.mm) else { return };
        let PendingFlush { mm, generation, freed_tables } = flush;
        if let Some(mm) = s.mm(mm) {
            mm.flushed.push(generation, at.ts);
        }
        self.defer(s, at, Check::Flush { mm, generation, freed_tables });
    }
}
