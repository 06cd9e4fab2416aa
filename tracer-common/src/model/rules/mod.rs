//! The rules, one file each.

pub(super) mod r1;
pub(super) mod r2;
pub(super) mod r3;
pub(super) mod r4;
pub(super) mod r5;
pub(super) mod r6;
pub(super) mod r7;

use super::{At, Cpu, Evidence, Finding, MmId, Rule, Store};

/// A finding about this CPU, with what is the same in all of them.
fn finding(rule: Rule, c: &Cpu, at: At, mm: MmId, tid: u32, evidence: Evidence) -> Finding {
    Finding {
        rule,
        cpu: at.cpu,
        tid,
        mm,
        ts: at.ts,
        since: 0,
        last_sync: c.sync,
        evidence,
        divergence: None,
        expected: 0,
        actual: 0,
    }
}

/// Counts it and hands it on.
fn report<S: Store>(s: &mut S, finding: &Finding) {
    s.tally().failed(finding);
    s.found(finding);
}
