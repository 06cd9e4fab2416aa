//! R4, lazy-tables: a flush that freed page tables is not done while a CPU is lazy on that mm and
//! has neither left it nor flushed. (Its page walker may still follow the freed tables.)
//!
//! `arch/x86/mm/tlb.c:native_flush_tlb_multi` interrupts every CPU of the mm's mask in that case, and
//! `flush_tlb_func` takes the lazy ones to `init_mm`. A CPU that becomes lazy afterwards has caught up
//! with the flush before, or has loaded the mm after it.

use super::{
    super::{At, Config, Evidence, Finding, MmId, Rule, Store, state::Tri, verdict::Doubt},
    finding, report,
};

/// Such a flush has returned, asking for `generation` at least.
pub(in crate::model) fn judge<S: Store>(
    s: &mut S,
    at: At,
    mm: MmId,
    generation: u64,
    config: &Config,
) {
    let cpus = s.cpus();
    let (mut failed, mut doubt) = (false, None);
    let mut cpu = 0;
    while cpu < cpus {
        if let Some(c) = s.cpu(cpu).filter(|c| c.seen && !c.offline).map(|c| *c) {
            let lazy = c.known && c.real == mm && c.lazy == Tri::Yes;
            let read = c.slot.0 == mm;
            if !c.known || (lazy && !read) {
                doubt = Some(Doubt::Unseen);
            } else if lazy && c.slot.1 < generation {
                if config.flushed_elsewhere() {
                    doubt = Some(Doubt::Elsewhere);
                } else {
                    failed = true;
                    let there = At { cpu, ts: at.ts };
                    let found = Finding {
                        expected: generation,
                        actual: c.slot.1,
                        ..finding(Rule::R4, &c, there, mm, c.tid, Evidence::Observed)
                    };
                    report(s, &found);
                }
            }
        }
        cpu += 1;
    }
    match doubt {
        _ if failed => {}
        Some(doubt) => s.tally().doubted(Rule::R4, doubt),
        None => s.tally().passed(Rule::R4, Evidence::Observed),
    }
}
