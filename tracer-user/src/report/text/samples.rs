//! Reports to try the text with.

use std::collections::BTreeMap;

use crate::report::{
    Attach, Blindness, ChainLink, Command, Cpu, CrossCheck, Events, Evidence, EvidenceMix, Finding,
    Kernel, LastSync, Lost, Membarrier, Mm, Mode, NO_MM, Overhead, Probe, Reason, Report, Rule,
    Severity, Skipped, SyscallCoverage, Transitions, UserReturns, Verdict, Window,
};

pub(super) fn by<const N: usize>(items: [(&str, u64); N]) -> BTreeMap<String, u64> {
    items.into_iter().map(|(name, n)| (name.to_owned(), n)).collect()
}

fn rule(id: &str, name: &str, severity: Severity, checked: u64, why: &str) -> Rule {
    let evidence = EvidenceMix {
        observed: checked / 10,
        inferred: checked - checked / 10 - checked / 500,
        assumed: checked / 500,
    };
    Rule {
        id: id.to_owned(),
        name: name.to_owned(),
        severity,
        checked,
        evidence,
        why: why.to_owned(),
        ..Rule::default()
    }
}

fn rules(r1: u64, r2: u64, r7: u64) -> Vec<Rule> {
    let full = "needs full mode";
    vec![
        rule("R1", "unlazy-sync", Severity::Hazard, r1, ""),
        rule("R2", "membarrier", Severity::Violation, r2, ""),
        rule("R3", "stale-tlb", Severity::Violation, 0, full),
        rule("R4", "lazy-tables", Severity::Hazard, 0, full),
        rule("R5", "lazy-lifetime", Severity::Violation, 0, full),
        rule("R6", "rq-state", Severity::Hazard, 0, full),
        Rule {
            divergences: Some(BTreeMap::new()),
            ..rule("R7", "shape", Severity::SelfCheck, r7, "")
        },
    ]
}

fn kernel() -> Kernel {
    Kernel {
        release: Some("6.18.44".to_owned()),
        version: Some("#1 SMP PREEMPT_DYNAMIC".to_owned()),
        machine: Some("x86_64".to_owned()),
        cpus_online: Some(2),
        cpus_possible: Some(2),
        cpu_vendor: Some("GenuineIntel".to_owned()),
        cpu_model: Some("Intel(R) Xeon(R) Processor".to_owned()),
        pti: Some(false),
        pcid: Some(true),
        serialize: Some(true),
        invlpgb: Some(false),
        fred: Some(false),
        la57: Some(true),
        flush_tlb_multi: Some("kvm".to_owned()),
        hypervisor: Some("kvm".to_owned()),
        preempt: Some("voluntary".to_owned()),
        btf: Some("/sys/kernel/btf/vmlinux".to_owned()),
        btf_bytes: Some(6_000_000),
        tainted: Some(0),
        boot_params: vec!["mitigations=auto".to_owned()],
    }
}

fn probes() -> Vec<Probe> {
    let probe = |name: &str, state, why: &str| Probe {
        name: name.to_owned(),
        kind: "tp_btf".to_owned(),
        state,
        why: why.to_owned(),
    };
    vec![
        probe("sched_switch", Attach::Attached, ""),
        probe("tlb_flush", Attach::Attached, ""),
        probe("switch_mm_irqs_off", Attach::Skipped, "full mode only"),
        probe("page_fault_user", Attach::Failed, "no such tracepoint"),
    ]
}

/// What an ordinary run over the stress workload gives.
#[expect(clippy::too_many_lines, reason = "one report, best read as one literal")]
pub(super) fn clean() -> Report {
    let cpu = |cpu, comm: &str, tid, logical, lazy| Cpu {
        cpu,
        known: true,
        tid: Some(tid),
        tgid: Some(tid),
        comm: Some(comm.to_owned()),
        logical_mm: Some(logical),
        active_mm: Some(1234),
        real_mm: Some(1234),
        lazy: Some(lazy),
        last_sync: Some(LastSync {
            ns_ago: 12_345,
            cause: "cr3 write".to_owned(),
            evidence: Evidence::Inferred,
        }),
        inconclusive: 0,
    };
    Report {
        unlazy: "0.1.0".to_owned(),
        verdict: Verdict::Clean,
        mode: Mode::Tracepoint,
        kernel: kernel(),
        probes: probes(),
        duration_ns: 10_001_234_567,
        window: Window {
            start_ns: 5_000_000_000,
            end_ns: 15_001_234_567,
            known_after_ns: Some(12_345_678),
            ..Window::default()
        },
        command: Some(Command {
            argv: ["unlazy", "stress"].map(str::to_owned).to_vec(),
            exit_code: Some(0),
            signal: None,
        }),
        events: Events {
            total: 1_234_567,
            by_kind: by([
                ("sched_switch", 700_000),
                ("tlb_flush", 400_000),
                ("csd_function_entry", 100_000),
                ("membarrier_enter", 34_567),
            ]),
            ..Events::default()
        },
        cpus: vec![cpu(0, "jit-runner", 4711, 1234, false), cpu(1, "swapper/1", 0, NO_MM, true)],
        mms: vec![Mm {
            id: 1234,
            tgid: Some(4710),
            comm: Some("stress".to_owned()),
            registered: ["private", "sync_core"].map(str::to_owned).to_vec(),
            membarrier: Membarrier {
                sync_core: 10_000,
                sync_core_inferred: 3,
                register: 2,
                ..Membarrier::default()
            },
            targeted: 7_001,
            skipped: Skipped {
                kthread_lazy: 1_000,
                idle_lazy: 1_990,
                other_mm: 9,
                ..Skipped::default()
            },
        }],
        transitions: Transitions {
            switches: 700_000,
            unseen_switches: 12,
            logical_changes: Some(650_000),
            enter_lazy: Some(200_000),
            unlazy_same_mm: Some(150_000),
            unlazy_flushed: Some(40_000),
            lazy_to_init_mm: None,
            cr3_writes: Some(390_000),
        },
        user_returns: UserReturns {
            observed: 0,
            inferred: 500_000,
            sysret: 400_000,
            iret: 99_900,
            unknown: 100,
        },
        rules: rules(150_000, 20_000, 700_000),
        blind_spots: vec![
            Blindness {
                what: "kthread_use_mm between two switches".to_owned(),
                why: "it has no tracepoint; curr->mm of a kernel thread is read when it is \
                      switched out"
                    .to_owned(),
            },
            Blindness {
                what: "flush generations".to_owned(),
                why: "cpu_tlbstate is read in full mode only".to_owned(),
            },
        ],
        crosscheck: Some(CrossCheck::new(700_021, 700_000)),
        syscall_coverage: Some(SyscallCoverage {
            attached_ns: 9_876_543_210,
            window_ns: 10_001_234_567,
        }),
        overhead: Overhead {
            reader_cpu_ns: Some(812_000_000),
            max_rss_kib: Some(34_567),
            ring_bytes_per_cpu: Some(4_194_304),
            ring_high_water: Some(212_992),
        },
        ..Report::default()
    }
}

/// R1 broken by the `kthread_use_mm` hole.
pub(super) fn findings() -> Report {
    let at = 7_123_456_789;
    let link = |before: u64, cpu, what: &str, evidence| ChainLink {
        ts_ns: at - before,
        cpu,
        what: what.to_owned(),
        evidence,
    };
    let mut report = clean();
    report.verdict = Verdict::Findings;
    report.findings_total = 3;
    report.findings_omitted = 2;
    report.rules[0].findings = 3;
    report.findings = vec![Finding {
        number: 1,
        rule: "R1".to_owned(),
        severity: Severity::Hazard,
        cpu: 1,
        tid: Some(4712),
        tgid: Some(4710),
        comm: Some("jit-runner".to_owned()),
        mm: Some(1234),
        ts_ns: at,
        evidence: Evidence::Assumed,
        summary: "CPU 1 went back to user mode in mm 1234 by SYSRET without having serialized \
                  since its logical mm changed to it."
            .to_owned(),
        chain: vec![
            link(
                1_234_567,
                1,
                "switch jit-runner/4712 -> kworker/88: lazy on 1234",
                Evidence::Observed,
            ),
            link(
                1_200_001,
                0,
                "SYNC_CORE membarrier of mm 1234 begins, CPU 1 skipped",
                Evidence::Observed,
            ),
            link(1_190_000, 0, "SYNC_CORE membarrier of mm 1234 returns 0", Evidence::Observed),
            link(
                20_000,
                1,
                "kworker/88 used mm 1234 when it was switched out: kthread_use_mm, no CR3 write",
                Evidence::Inferred,
            ),
            link(
                19_000,
                1,
                "switch kworker/88 -> jit-runner/4712: prev->mm set, so finish_task_switch does not sync",
                Evidence::Assumed,
            ),
            link(0, 1, "return to user by SYSRET", Evidence::Inferred),
        ],
    }];
    report
}

/// Events were lost.
pub(super) fn lossy() -> Report {
    let mut report = clean();
    report.verdict = Verdict::Inconclusive;
    report.because = vec![Reason {
        what: "1,234 events were lost; 567 checks fell into the gaps".to_owned(),
        remedy: "give the buffers more room (--buffer 16M), or trace a smaller workload".to_owned(),
    }];
    report.events.lost = Lost {
        total: 1_234,
        by_cpu: vec![34, 1_200],
        by_probe: by([("sched_switch", 1_000), ("tlb_flush", 234)]),
    };
    report.events.out_of_order = 7;
    report.rules[0].inconclusive = 560;
    report.rules[0].inconclusive_by = by([("lost events", 500), ("cpu unknown", 60)]);
    report.rules[1].inconclusive = 7;
    report.rules[1].inconclusive_by = by([("clock too close", 7)]);
    report.rules[6].divergences = Some(by([("real_mm", 2)]));
    report.cpus[1] = Cpu { cpu: 1, inconclusive: 567, ..Cpu::default() };
    report.command =
        Some(Command { argv: vec!["./jit".to_owned()], exit_code: None, signal: Some(9) });
    report
}

/// A window in which nothing happened.
pub(super) fn empty() -> Report {
    Report {
        unlazy: "0.1.0".to_owned(),
        verdict: Verdict::Inconclusive,
        because: vec![Reason {
            what: "no rule was exercised".to_owned(),
            remedy: "run a workload that registers for SYNC_CORE (unlazy stress), or trace for \
                     longer"
                .to_owned(),
        }],
        rules: rules(0, 0, 0),
        ..Report::default()
    }
}
