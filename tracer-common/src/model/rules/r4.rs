//! R4, lazy-tables: a flush that freed page tables is not done while a CPU is lazy on that mm and
//! has neither left it nor flushed. (Its page walker may still follow the freed tables.)

use super::{
    super::{At, Cpu, Evidence, Finding, Rule, Store, state::Tri, verdict::Doubt},
    finding, report,
};
use crate::wire::Flush;

/// The flush has returned on CPU `at.cpu`.
pub(in crate::model) fn judge<S: Store>(s: &mut S, own: &Cpu, at: At, flush: &Flush) {
    let cpus = s.cpus();
    let (mut failed, mut unknown) = (false, false);
    let mut cpu = 0;
    while cpu < cpus {
        let other = if cpu == at.cpu { Some(*own) } else { s.cpu(cpu).map(|c| *c) };
        if let Some(c) = other.filter(|c| c.seen && !c.offline) {
            unknown |= !c.known;
            let lazy = c.known && c.real == flush.mm && c.lazy == Tri::Yes;
            if lazy && c.slot.0 == flush.mm && c.slot.1 < flush.generation {
                failed = true;
                let there = At { cpu, ts: at.ts };
                let found = Finding {
                    expected: flush.generation,
                    actual: c.slot.1,
                    ..finding(Rule::R4, &c, there, flush.mm, c.tid, Evidence::Observed)
                };
                report(s, &found);
            } else if lazy && c.slot.0 != flush.mm {
                unknown = true;
            }
        }
        cpu += 1;
    }
    if unknown && !failed {
        s.tally().doubted(Rule::R4, Doubt::Unseen);
    } else if !failed {
        s.tally().passed(Rule::R4, Evidence::Observed);
    }
}
