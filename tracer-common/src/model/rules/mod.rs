//! The rules, one file each.

pub(super) mod r1;
pub(super) mod r2;
pub(super) mod r3;
pub(super) mod r4;
pub(super) mod r5;
pub(super) mod r6;
pub(super) mod r7;

use super::{At, Config, Cpu, Evidence, Finding, MmId, Rule, Store};

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
        left_alone: None,
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

/// Every CPU that a probe saw go to user mode in `mm` before `at`, and that is there still.
fn for_each_in_user<S: Store>(
    s: &mut S,
    at: At,
    mm: MmId,
    config: &Config,
    mut judge: impl FnMut(&mut S, &mut Cpu, At),
) {
    let cpus = s.cpus();
    let mut cpu = 0;
    while cpu < cpus {
        let there = s.cpu(cpu).is_some_and(|c| {
            c.in_user != 0 && c.logical == mm && c.in_user.saturating_add(config.skew) < at.ts
        });
        if there && let Some(mut c) = s.lend(cpu) {
            judge(s, &mut c, At { cpu, ts: at.ts });
            s.give_back(cpu, c);
        }
        cpu += 1;
    }
}
