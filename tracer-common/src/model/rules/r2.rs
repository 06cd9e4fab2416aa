//! R2, membarrier: once a SYNC_CORE call on an mm has returned, no CPU runs user code of that mm
//! unless it serialized after the call began.

use super::{
    super::{Answer, At, Config, Cpu, Evidence, Finding, MmId, Rule, Store},
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
    c.r2_answer = c.serialized_since(begin, skew);
    match c.r2_answer {
        Answer::Yes => s.tally().passed(Rule::R2, c.sync.evidence.max(evidence)),
        Answer::Doubted(doubt) => {
            c.inconclusive += 1;
            s.tally().doubted(Rule::R2, doubt);
        }
        Answer::No => {
            let evidence = evidence.max(c.not_since(begin, skew));
            found(s, c, at, (mm, tid), begin, evidence);
        }
    }
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
        let answer = c.serialized_since(begin, skew);
        match answer {
            Answer::Yes => s.tally().passed(Rule::R2, c.sync.evidence),
            Answer::No => {
                let evidence = c.not_since(begin, skew);
                found(s, c, there, (mm, c.tid), begin, evidence);
            }
            // Its next return decides.
            Answer::Doubted(_) => return,
        }
        (c.r2_checked, c.r2_answer) = ((mm, begin), answer);
    });
}
