//! R6, rq-state: `rq->membarrier_state` equals `curr->mm->membarrier_state` once a switch or a
//! registration is complete.

use super::{
    super::{At, Cpu, Evidence, Finding, Rule, Store},
    finding, report,
};
use crate::wire::RqState;

/// Both were read on this CPU.
pub(in crate::model) fn judge<S: Store>(s: &mut S, c: &Cpu, at: At, w: &RqState) {
    if w.mm == 0 {
        return;
    }
    if w.rq_state == w.mm_state {
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
