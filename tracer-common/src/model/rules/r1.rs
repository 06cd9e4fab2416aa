//! R1, unlazy-sync: a CPU whose logical mm became a SYNC_CORE-registered one serializes before it
//! next returns to user mode in it.

use super::{
    super::{At, Cpu, Evidence, Finding, MmId, Rule, Store, state::Debt, verdict::Doubt},
    finding, report,
};

/// The logical mm became `mm`.
pub(in crate::model) const fn owe(c: &mut Cpu, mm: MmId, since: u64, maybe_paid: bool) {
    c.debt = Some(Debt { mm, since, maybe_paid });
}

/// The CPU serialized at or after `ts`.
pub(in crate::model) fn paid<S: Store>(s: &mut S, c: &mut Cpu, ts: u64, evidence: Evidence) {
    if c.debt.is_some_and(|debt| ts >= debt.since) {
        c.debt = None;
        s.tally().passed(Rule::R1, evidence);
    }
}

/// User code of `mm` runs: whatever is still owed was not paid.
pub(in crate::model) fn judge<S: Store>(
    s: &mut S,
    c: &mut Cpu,
    at: At,
    mm: MmId,
    tid: u32,
    evidence: Evidence,
) {
    let Some(debt) = c.debt.take_if(|debt| debt.mm == mm) else { return };
    if debt.maybe_paid || c.maybe_sync >= debt.since {
        c.inconclusive += 1;
        s.tally().doubted(Rule::R1, Doubt::Unseen);
    } else {
        let evidence = evidence.max(Evidence::Inferred).max(c.not_since(debt.since, 0));
        let found = Finding { since: debt.since, ..finding(Rule::R1, c, at, mm, tid, evidence) };
        report(s, &found);
    }
}
