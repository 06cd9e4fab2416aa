//! R6, rq-state: `rq->membarrier_state` equals `curr->mm->membarrier_state` once a switch or a
//! registration is complete.
//!
//! The READY bits are the mm's alone: they are set after the run queues were told
//! (`kernel/sched/membarrier.c:membarrier_register_private_expedited`), so what a run queue has of
//! them says nothing. A registration whose READY bit is not set is still on its way to the run
//! queues.
//!
//! What stock kernels leave out ([`rq`](super::super::rq)) is excused, and counted apart.

use super::{
    super::{
        At, Cpu, Evidence, Finding, Rule, Store,
        mm::{SET, registers},
        rq::{Lag, RunQueue, complete},
        verdict::Doubt,
    },
    finding, report,
};
use crate::wire::{RqState, Site};

/// Both were read on this CPU.
pub(in crate::model) fn judge<S: Store>(
    s: &mut S,
    c: &mut Cpu,
    at: At,
    w: &RqState,
    site: Option<Site>,
) {
    if w.mm == 0 {
        return;
    }
    let mut done = complete(w.mm_state);
    // The bits that this very task has just brought to the run queues, its own among them:
    // sync_runqueues_membarrier_state looks at them after its last sleep, so it was rq->curr here.
    let mut own = 0;
    if site == Some(Site::Register) {
        // Only the READY bit is still to come.
        let task = s.known_task(w.tid).map(|task| *task).unwrap_or_default();
        let asked = task.call.map_or(0, |call| registers(call.cmd)) & w.mm_state;
        done |= asked;
        if task.slept && c.known && c.tid == w.tid {
            own = asked;
        }
    }
    let lacking = w.mm_state & SET & !w.rq_state;
    let stale = w.rq_state & SET & !w.mm_state;
    if stale != 0 {
        if c.rq.is_sure() {
            found(s, c, at, w);
        } else {
            doubt(s, c);
        }
        return;
    }
    if lacking == 0 {
        // An exec's reading is of an mm that the task does not have yet.
        if site != Some(Site::ExecMmap) {
            c.rq = RunQueue::copied();
        }
        s.tally().passed(Rule::R6, Evidence::Observed);
        return;
    }
    // What a registration in flight has yet to bring may be excused already.
    c.rq.lag(w, lacking);
    let missing = lacking & done;
    if missing == 0 {
        s.tally().passed(Rule::R6, Evidence::Observed);
        return;
    }
    if missing & own != 0 {
        found(s, c, at, w);
        return;
    }
    match c.rq.lag(w, missing) {
        Lag::Excused => s.tally().excused(Rule::R6),
        Lag::Unseen => doubt(s, c),
        Lag::Wrong => found(s, c, at, w),
    }
}

fn found<S: Store>(s: &mut S, c: &Cpu, at: At, w: &RqState) {
    let found = Finding {
        expected: u64::from(w.mm_state),
        actual: u64::from(w.rq_state),
        ..finding(Rule::R6, c, at, w.mm, c.tid, Evidence::Observed)
    };
    report(s, &found);
}

/// Nobody can say whether that is right.
pub(in crate::model) fn doubt<S: Store>(s: &mut S, c: &mut Cpu) {
    c.inconclusive += 1;
    s.tally().doubted(Rule::R6, Doubt::Unseen);
}
