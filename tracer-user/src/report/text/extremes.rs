//! A report at the limits of its types.

use super::samples::{by, clean};
use crate::report::{
    Blindness, ChainLink, Command, Cpu, CrossCheck, Events, Evidence, EvidenceMix, Finding,
    LastSync, Lost, Membarrier, Mm, Overhead, Reason, Report, Severity, Skipped, SyscallCoverage,
    Transitions, UserReturns, Verdict, Window,
};

/// Everything as large, as wide and as hostile as the types allow.
#[expect(clippy::too_many_lines, reason = "one report, best read as one literal")]
pub(super) fn extreme() -> Report {
    let hostile = "\u{1b}[31m\u{9b}2J\r\n\u{202e}名前名前".to_owned();
    let long = "x".repeat(120);
    let max = u64::MAX;
    let mix = EvidenceMix { observed: max, inferred: max, assumed: max };
    let mut report = clean();
    report.verdict = Verdict::Findings;
    report.because =
        vec![Reason { what: hostile.clone(), remedy: long.clone() }, Reason::default()];
    report.duration_ns = max;
    report.window =
        Window { start_ns: 0, end_ns: max, clock: hostile.clone(), known_after_ns: Some(max) };
    report.command = Some(Command {
        argv: vec![hostile.clone(), long.clone()],
        exit_code: Some(i32::MIN),
        signal: Some(i32::MAX),
    });
    report.kernel.release = Some(long.clone());
    report.kernel.cpu_model = Some(hostile.clone());
    report.kernel.cpus_online = Some(u32::MAX);
    report.kernel.boot_params = vec![long.clone(), hostile.clone()];
    report.kernel.tainted = Some(max);
    for probe in &mut report.probes {
        (probe.name, probe.why) = (hostile.clone(), long.clone());
    }
    report.events = Events {
        total: max,
        by_kind: by([(&hostile, max), (&long, max), ("sched_switch", max)]),
        lost: Lost {
            total: max,
            by_cpu: vec![max; 256],
            by_probe: by([(&hostile, max), (&long, max)]),
        },
        out_of_order: max,
        unreadable: max,
    };
    report.cpus = (0..256)
        .map(|cpu| Cpu {
            cpu: if cpu == 255 { u32::MAX } else { cpu },
            known: cpu % 2 == 0,
            tid: Some(u32::MAX),
            tgid: Some(u32::MAX),
            comm: Some(hostile.clone()),
            logical_mm: Some(max),
            active_mm: Some(max),
            real_mm: Some(max),
            lazy: Some(true),
            last_sync: Some(LastSync {
                ns_ago: max,
                cause: hostile.clone(),
                evidence: Evidence::Observed,
            }),
            inconclusive: max,
        })
        .collect();
    let calls = Membarrier {
        sync_core: max,
        sync_core_inferred: max,
        private: max,
        global: max,
        rseq: max,
        register: max,
        failed: max,
    };
    let skipped = Skipped {
        kthread_lazy: max,
        kthread_other: max,
        idle_lazy: max,
        idle_other: max,
        other_mm: max,
        offline: max,
        raced: max,
        unknown: max,
    };
    report.mms = (0..40)
        .map(|n| Mm {
            id: max - n,
            tgid: Some(u32::MAX),
            comm: Some(hostile.clone()),
            registered: vec![long.clone(), hostile.clone()],
            membarrier: calls,
            targeted: max,
            skipped,
        })
        .collect();
    report.mms_omitted = max;
    report.transitions = Transitions {
        switches: max,
        unseen_switches: max,
        logical_changes: Some(max),
        enter_lazy: Some(max),
        unlazy_same_mm: Some(max),
        unlazy_flushed: Some(max),
        lazy_to_init_mm: Some(max),
        cr3_writes: Some(max),
    };
    report.user_returns =
        UserReturns { observed: max, inferred: max, sysret: max, iret: max, unknown: max };
    for rule in &mut report.rules {
        (rule.checked, rule.findings, rule.inconclusive) = (max, max, max);
        (rule.evidence, rule.why) = (mix, long.clone());
        rule.name = hostile.clone();
        rule.inconclusive_by = by([(&hostile, max), (&long, max)]);
        rule.divergences = Some(by([(&hostile, max), (&long, max)]));
    }
    let link = |ts_ns| ChainLink {
        ts_ns,
        cpu: u32::MAX,
        what: format!("{hostile} {long}"),
        evidence: Evidence::Assumed,
    };
    report.findings = vec![Finding {
        number: max,
        rule: hostile.clone(),
        severity: Severity::Violation,
        cpu: u32::MAX,
        tid: Some(u32::MAX),
        tgid: Some(u32::MAX),
        comm: Some(hostile.clone()),
        mm: Some(max),
        ts_ns: max / 2,
        evidence: Evidence::Assumed,
        summary: format!("{hostile} {long}"),
        chain: vec![link(0), link(max / 2), link(max)],
    }];
    (report.findings_total, report.findings_omitted) = (max, max);
    report.blind_spots = vec![Blindness { what: hostile.clone(), why: long }];
    report.crosscheck = Some(CrossCheck::new(1, max));
    report.syscall_coverage = Some(SyscallCoverage { attached_ns: max, window_ns: max });
    report.overhead = Overhead {
        reader_cpu_ns: Some(max),
        max_rss_kib: Some(max),
        ring_bytes_per_cpu: Some(max),
        ring_high_water: Some(max),
    };
    report
}
