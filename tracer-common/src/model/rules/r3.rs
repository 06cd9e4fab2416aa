//! R3, stale-tlb: no CPU runs user code of an mm with an ASID slot behind a flush of that mm that
//! is done.

use super::{
    super::{At, Cpu, Evidence, Finding, MmId, Rule, Store},
    finding, report,
};

/// User code of `mm` runs on this CPU now.
pub(in crate::model) fn judge<S: Store>(
    s: &mut S,
    c: &mut Cpu,
    at: At,
    mm: MmId,
    tid: u32,
    evidence: Evidence,
    skew: u64,
) {
    if c.slot.0 != mm {
        return;
    }
    let Some(entry) = s.known_mm(mm) else { return };
    let wanted = entry.flushed.before(at.ts, skew);
    verdict(s, c, at, mm, tid, wanted, evidence);
}

/// A flush is done: the CPUs that are in user mode in `mm` must have caught up with it.
pub(in crate::model) fn judge_running<S: Store>(
    s: &mut S,
    at: At,
    mm: MmId,
    generation: u64,
    skew: u64,
) {
    let cpus = s.cpus();
    let mut cpu = 0;
    while cpu < cpus {
        let running = s.cpu(cpu).map(|c| *c).filter(|c| {
            c.in_user != 0
                && c.logical == mm
                && c.slot.0 == mm
                && c.in_user.saturating_add(skew) < at.ts
        });
        if let Some(mut c) = running.filter(|_| cpu != at.cpu) {
            let tid = c.tid;
            let there = At { cpu, ts: at.ts };
            verdict(s, &mut c, there, mm, tid, generation, Evidence::Observed);
            if let Some(slot) = s.cpu(cpu) {
                *slot = c;
            }
        }
        cpu += 1;
    }
}

fn verdict<S: Store>(
    s: &mut S,
    c: &mut Cpu,
    at: At,
    mm: MmId,
    tid: u32,
    wanted: u64,
    evidence: Evidence,
) {
    if wanted == 0 || (c.r3_checked.0 == mm && c.r3_checked.1 >= wanted) {
        return;
    }
    c.r3_checked = (mm, wanted);
    if c.slot.1 >= wanted {
        s.tally().passed(Rule::R3, evidence);
    } else {
        let found = Finding {
            expected: wanted,
            actual: c.slot.1,
            ..finding(Rule::R3, c, at, mm, tid, evidence)
        };
        report(s, &found);
    }
}
