//! R2, membarrier: once a SYNC_CORE call on an mm has returned, no CPU runs user code of that mm
//! unless it serialized after the call began.

use super::{
    super::{At, Config, Cpu, Evidence, Finding, MmId, Rule, Store, verdict::Doubt},
    finding, for_each_in_user, report,
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
        found(s, c, at, (mm, tid), begin, evidence);
        return;
    };
    c.inconclusive += 1;
    s.tally().doubted(Rule::R2, doubt);
}

fn found<S: Store>(
    s: &mut S,
    c: &Cpu,
    at: At,
    (mm, tid): (MmId, u32),
    begin: u64,
    evidence: Evidence,
) {
    let left_alone = c.left_alone.filter(|left| left.mm == mm && left.ts >= begin);
    let found = Finding { since: begin, left_alone, ..finding(Rule::R2, c, at, mm, tid, evidence) };
    report(s, &found);
}

/// A call has returned: the CPUs that are in user mode must have serialized since it began.
pub(in crate::model) fn judge_running<S: Store>(
    s: &mut S,
    at: At,
    mm: MmId,
    begin: u64,
    config: &Config,
) {
    let skew = config.skew;
    for_each_in_user(s, at, mm, config, |s, c, there| {
        if c.sync.ts.saturating_add(skew) < begin && c.maybe_sync.saturating_add(skew) < begin {
            c.r2_checked = (mm, begin);
            found(s, c, there, (mm, c.tid), begin, Evidence::Observed);
        } else if c.sync.ts > begin.saturating_add(skew) {
            c.r2_checked = (mm, begin);
            s.tally().passed(Rule::R2, c.sync.evidence);
        }
    });
}
