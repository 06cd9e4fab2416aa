//! R3, stale-tlb: no CPU runs user code of an mm with an ASID slot behind a flush of that mm that
//! is done.
//!
//! A flush raises the mm's generation, has every CPU catch up that has the mm loaded and is not lazy
//! (`arch/x86/mm/tlb.c:flush_tlb_func` writes `ctxs[].tlb_gen`), and returns. A CPU that loads the mm
//! later, or comes back to it from laziness, reads the generation then (`switch_mm_irqs_off`). So
//! once the flush has returned, whoever runs user code of the mm is as far as it asked for.
//!
//! Not where somebody else may have flushed: by broadcast (INVLPGB, whose global ASIDs have no slot)
//! or by the hypervisor, for a virtual CPU that was not running (`kvm_flush_tlb_multi`) or for all
//! (`hyperv_flush_tlb_multi`).

use super::{
    super::{At, Config, Cpu, Evidence, Finding, MmId, Rule, Store, verdict::Doubt},
    finding, for_each_in_user, report,
};

/// User code of `mm` runs on this CPU now.
pub(in crate::model) fn judge<S: Store>(
    s: &mut S,
    c: &mut Cpu,
    at: At,
    mm: MmId,
    tid: u32,
    evidence: Evidence,
    config: &Config,
) {
    if c.slot.0 != mm && !c.global_asid {
        return;
    }
    let Some(entry) = s.known_mm(mm) else { return };
    let wanted = entry.flushed.before(at.ts, config.skew);
    verdict(s, c, at, (mm, tid), wanted, evidence, config);
}

/// A flush is done: the CPUs that are in user mode must have caught up with it.
pub(in crate::model) fn judge_running<S: Store>(
    s: &mut S,
    at: At,
    mm: MmId,
    generation: u64,
    config: &Config,
) {
    for_each_in_user(s, at, mm, config, |s, c, there| {
        if c.slot.0 == mm || c.global_asid {
            let tid = c.tid;
            verdict(s, c, there, (mm, tid), generation, Evidence::Observed, config);
        }
    });
}

fn verdict<S: Store>(
    s: &mut S,
    c: &mut Cpu,
    at: At,
    (mm, tid): (MmId, u32),
    wanted: u64,
    evidence: Evidence,
    config: &Config,
) {
    if wanted == 0 || (c.r3_checked.0 == mm && c.r3_checked.1 >= wanted) {
        return;
    }
    c.r3_checked = (mm, wanted);
    if !c.global_asid && c.slot.1 >= wanted {
        s.tally().passed(Rule::R3, evidence);
    } else if c.global_asid || config.flushed_elsewhere() {
        c.inconclusive += 1;
        s.tally().doubted(Rule::R3, Doubt::Elsewhere);
    } else {
        let found = Finding {
            expected: wanted,
            actual: c.slot.1,
            ..finding(Rule::R3, c, at, mm, tid, evidence)
        };
        report(s, &found);
    }
}
