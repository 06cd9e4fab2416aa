//! R6, rq-state: `rq->membarrier_state` equals `curr->mm->membarrier_state` once a switch or a
//! registration is complete.
//!
//! The READY bits are the mm's alone: they are set after the run queues were told
//! (`kernel/sched/membarrier.c:membarrier_register_private_expedited`), so what a run queue has of
//! them says nothing. A registration whose READY bit is not set is still on its way to the run
//! queues.

use super::{
    super::{At, Cpu, Evidence, Finding, Rule, Store},
    finding, report,
};
use crate::wire::{RqState, membarrier_state as bit};

/// The registrations themselves.
const SET: u32 =
    (bit::PRIVATE_EXPEDITED | bit::GLOBAL_EXPEDITED | bit::SYNC_CORE | bit::RSEQ) as u32;
/// For each of them, one bit below, that it is complete.
const READY: u32 = SET >> 1;

/// Both were read on this CPU.
pub(in crate::model) fn judge<S: Store>(s: &mut S, c: &Cpu, at: At, w: &RqState) {
    if w.mm == 0 {
        return;
    }
    let complete = (w.mm_state & READY) << 1;
    let missing = complete & !w.rq_state;
    let stale = w.rq_state & SET & !w.mm_state;
    if missing == 0 && stale == 0 {
        s.tally().passed(Rule::R6, Evidence::Observed);
    } else {
        let found = Finding {
            expected: u64::from(w.mm_state),
            actual: u64::from(w.rq_state),
            ..finding(Rule::R6, c, at, w.mm, c.tid, Evidence::Observed)
        };
        report(s, &found);
    }
}
