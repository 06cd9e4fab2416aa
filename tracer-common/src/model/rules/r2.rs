//! R2, membarrier: once a SYNC_CORE call on an mm has returned, no CPU runs user code of that mm
//! unless it serialized after the call began.

use super::{
    super::{At, Cpu, Evidence, Finding, MmId, Rule, Store, verdict::Doubt},
    finding, report,
};

/// User code of `mm` ran on this CPU until now.
///
/// Only a call that this CPU has not been checked against yet counts as a check.
pub(in crate::model) fn judge<S: Store>(
    s: &mut S,
    c: &mut Cpu,
    at: At,
    mm: MmId,
    tid: u32,
    evidence: Evidence,
    skew: u64,
) {
    let Some(entry) = s.known_mm(mm) else { return };
    let begin = entry.completed.before(at.ts, skew);
    if begin == 0 || (c.r2_checked.0 == mm && c.r2_checked.1 >= begin) {
        return;
    }
    c.r2_checked = (mm, begin);
    if c.sync.ts > begin.saturating_add(skew) {
        s.tally().passed(Rule::R2, c.sync.evidence.max(evidence));
        return;
    }
    let doubt = if c.sync.ts.saturating_add(skew) >= begin {
        Doubt::Clock
    } else if c.maybe_sync.saturating_add(skew) >= begin {
        Doubt::Unseen
    } else {
        let found = Finding { since: begin, ..finding(Rule::R2, c, at, mm, tid, evidence) };
        report(s, &found);
        return;
    };
    c.inconclusive += 1;
    s.tally().doubted(Rule::R2, doubt);
}

/// A call has just returned: the CPUs that a probe saw go to user mode in `mm` before, and that are
/// there still, must have serialized since it began.
pub(in crate::model) fn judge_running<S: Store>(
    s: &mut S,
    at: At,
    mm: MmId,
    begin: u64,
    skew: u64,
) {
    let cpus = s.cpus();
    let mut cpu = 0;
    while cpu < cpus {
        let running = s.cpu(cpu).map(|c| *c).filter(|c| {
            c.in_user != 0 && c.logical == mm && c.in_user.saturating_add(skew) < at.ts
        });
        if let Some(mut c) = running.filter(|_| cpu != at.cpu) {
            if c.sync.ts.saturating_add(skew) < begin && c.maybe_sync.saturating_add(skew) < begin {
                c.r2_checked = (mm, begin);
                let there = At { cpu, ts: at.ts };
                let found = Finding {
                    since: begin,
                    ..finding(Rule::R2, &c, there, mm, c.tid, Evidence::Observed)
                };
                report(s, &found);
            } else if c.sync.ts > begin.saturating_add(skew) {
                c.r2_checked = (mm, begin);
                s.tally().passed(Rule::R2, c.sync.evidence);
            }
            if let Some(slot) = s.cpu(cpu) {
                *slot = c;
            }
        }
        cpu += 1;
    }
}
