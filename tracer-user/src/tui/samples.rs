//! Snapshots made for tests.

use std::collections::BTreeMap;

use super::snapshot::{
    Asid, CallKind, CallRow, Cover, CpuRow, FindingRow, Health, IpiCell, IpiSender, Ipis,
    LeftAlone, MmRow, Moment, Owed, Place, Received, Slice, Snapshot, Timeline, Totals,
};
use crate::{
    explain::Call,
    report::{self, ChainLink, Evidence, LastSync, Mode, Severity},
};

/// The first moment of all samples.
pub(super) const FIRST: u64 = 1_000_000_000_000;

fn moment(at: u64) -> Moment {
    Moment {
        source: "sample".to_owned(),
        at_ns: FIRST + at,
        first_ns: FIRST,
        last_ns: FIRST + 2_500_000_000,
        event: Some(at / 1000),
        clock: "CLOCK_MONOTONIC".to_owned(),
        mode: Mode::Full,
        ..Moment::default()
    }
}

/// Nothing has happened yet.
pub(super) fn nothing() -> Snapshot {
    Snapshot { moment: moment(0), ..Snapshot::default() }
}

/// A process's thread, on its own mm.
pub(super) fn user(cpu: u32, tid: u32, comm: &str, mm: u64) -> CpuRow {
    CpuRow {
        state: report::Cpu {
            cpu,
            known: true,
            tid: Some(tid),
            tgid: Some(tid),
            comm: Some(comm.to_owned()),
            logical_mm: Some(mm),
            active_mm: Some(mm),
            real_mm: Some(mm),
            lazy: Some(false),
            last_sync: Some(LastSync {
                ns_ago: 1_234_567,
                cause: "CR3 write in switch_mm_irqs_off".to_owned(),
                evidence: Evidence::Observed,
            }),
            inconclusive: 0,
        },
        kthread: Some(false),
        on_cpu_ns: Some(2_000_000),
        place: Place::User,
        registered: Some(true),
        interrupts: 1_000,
        interrupts_per_s: Some(250.0),
        ..CpuRow::default()
    }
}

/// Idle, keeping an mm lazily.
pub(super) fn lazy(cpu: u32, mm: u64) -> CpuRow {
    let row = user(cpu, 0, "swapper", mm);
    CpuRow {
        state: report::Cpu {
            logical_mm: Some(report::NO_MM),
            lazy: Some(true),
            last_sync: Some(LastSync {
                ns_ago: 12_300,
                cause: "IRET".to_owned(),
                evidence: Evidence::Inferred,
            }),
            ..row.state
        },
        kthread: Some(true),
        place: Place::Idle,
        ..row
    }
}

/// Two CPUs, a JIT, a call that left one alone, and what came of it.
#[expect(clippy::too_many_lines, reason = "one picture, all its facts")]
pub(super) fn two_cpus() -> Snapshot {
    let mut behind = user(1, 201, "jit-u", 8);
    behind.owes = Some(Owed { mm: 8, since_ns: FIRST + 1_499_000_000, maybe_paid: false });
    behind.left_alone =
        Some(LeftAlone { ts_ns: FIRST + 1_400_000_000, mm: 8, reason: "kthread_lazy" });
    behind.asid = Some(Asid { number: Some(3), global: false, tlb_gen: 41, behind: Some(2) });
    let call = |number: u64, begin: u64, latency: Option<u64>, coverage: Vec<Cover>| CallRow {
        kind: CallKind::SyncCore,
        call: Call {
            number,
            begin_ns: FIRST + begin,
            tid: 200,
            tgid: Some(200),
            comm: Some("jit".to_owned()),
            mm: 8,
            end_ns: latency.map(|latency| FIRST + begin + latency),
            latency_ns: latency,
            returned: latency.map(|_| 0),
            targeted: Some(1),
            skipped: Some(1),
            ..Call::default()
        },
        coverage,
    };
    let link = |before: u64, cpu: u32, what: &str, evidence: Evidence| ChainLink {
        ts_ns: FIRST + 1_500_000_000 - before,
        cpu,
        what: what.to_owned(),
        evidence,
    };
    let finding = report::Finding {
        number: 1,
        rule: "R2".to_owned(),
        severity: Severity::Violation,
        cpu: 1,
        tid: Some(201),
        tgid: Some(200),
        comm: Some("jit-u".to_owned()),
        mm: Some(8),
        ts_ns: FIRST + 1_500_000_000,
        evidence: Evidence::Inferred,
        summary: "cpu 1 ran user code of thread 201 in mm 8 without serializing since a SYNC_CORE \
                  membarrier that had returned began 100000000 ns before"
            .to_owned(),
        chain: vec![
            link(100_000_000, 0, "jit/200 began a SYNC_CORE membarrier", Evidence::Observed),
            link(
                99_990_000,
                1,
                "kworker/1/30 was lazy on mm 8, so it was left alone",
                Evidence::Inferred,
            ),
            link(
                1_000_000,
                1,
                "kworker/1/30 was switched out for jit-u/201: no CR3 write",
                Evidence::Observed,
            ),
            link(0, 1, "jit-u/201 was in user mode", Evidence::Inferred),
        ],
    };
    Snapshot {
        moment: moment(1_500_000_000),
        totals: Totals { events: 12_345, findings: 1, inconclusive: 3, ..Totals::default() },
        cpus: vec![user(0, 200, "jit", 8), behind],
        mms: vec![MmRow {
            state: report::Mm {
                id: 8,
                tgid: Some(200),
                comm: Some("jit".to_owned()),
                registered: vec!["private".to_owned(), "sync_core".to_owned()],
                membarrier: report::Membarrier { sync_core: 2, register: 1, ..Default::default() },
                targeted: 2,
                skipped: report::Skipped { kthread_lazy: 1, idle_other: 1, ..Default::default() },
            },
            membarrier_ns: Some(45_600),
            flushes: Some(7),
            shootdowns_sent: Some(4),
            shootdowns_received: Some(0),
            ..MmRow::default()
        }],
        owners: BTreeMap::from([(8, "jit/200".to_owned())]),
        calls: vec![
            call(1, 1_000_000_000, Some(22_800), vec![Cover::Own, Cover::IdleOther]),
            call(2, 1_400_000_000, Some(22_800), vec![Cover::Own, Cover::KthreadLazy]),
            call(3, 1_499_999_000, None, vec![Cover::Own, Cover::Unknown]),
        ],
        findings: vec![FindingRow { number: 1, finding }],
        findings_ahead: 4,
        recent: vec![
            link(
                1_000_000,
                1,
                "sched_switch kworker/1/30 (no mm) -> jit-u/201 (mm 8)",
                Evidence::Observed,
            ),
            link(0, 1, "jit-u/201 was in user mode", Evidence::Inferred),
        ],
        ipis: Ipis {
            window_ns: 1_500_000_000,
            cells: vec![
                IpiCell { from: Some(0), to: 1, count: 12 },
                IpiCell { from: Some(1), to: 0, count: 3_000_000 },
                IpiCell { from: None, to: 1, count: 1 },
            ],
            senders: vec![IpiSender {
                tid: 200,
                tgid: Some(200),
                comm: Some("jit".to_owned()),
                mm: Some(8),
                reason: "ipi_sync_core".to_owned(),
                count: 12,
                targets: vec![(1, 12)],
            }],
            received: vec![
                Received { cpu: 1, vector: "call_function_single".to_owned(), count: 13 },
                Received { cpu: 1, vector: "local_timer".to_owned(), count: 1_500 },
            ],
        },
        health: Health {
            rules: vec![report::Rule {
                id: "R2".to_owned(),
                name: "membarrier".to_owned(),
                severity: Severity::Violation,
                checked: 40,
                findings: 1,
                inconclusive: 3,
                ..report::Rule::default()
            }],
            probes: vec![report::Probe {
                name: "leave_mm".to_owned(),
                kind: "fentry".to_owned(),
                state: report::Attach::Failed,
                why: "the kernel refused it".to_owned(),
            }],
            ..Health::default()
        },
        timeline: Timeline {
            from_ns: FIRST,
            to_ns: FIRST + 2_500_000_000,
            known_to_ns: FIRST + 2_000_000_000,
            slices: (0..100)
                .map(|at| Slice {
                    events: at % 7,
                    calls: u64::from(at == 40 || at == 56),
                    findings: u64::from(at == 60),
                    lost: u64::from(at == 20),
                })
                .collect(),
        },
        ..Snapshot::default()
    }
}

/// One CPU of which little is known, and whose thread has a hostile name.
pub(super) fn one_cpu() -> Snapshot {
    let mut row = user(0, 77, "\u{1b}[2J\u{202e}evil", 5);
    row.state.real_mm = None;
    row.state.lazy = None;
    row.state.last_sync = None;
    row.interrupts_per_s = None;
    Snapshot {
        moment: moment(1_000_000),
        totals: Totals { events: 10, lost: 3, divergences: 1, ..Totals::default() },
        cpus: vec![row],
        ..Snapshot::default()
    }
}

/// So many CPUs in every state.
pub(super) fn many_cpus(cpus: u32) -> Snapshot {
    let row = |cpu: u32| match cpu % 16 {
        0..4 => user(cpu, 1000 + cpu, "worker", 20 + u64::from(cpu % 3)),
        4..9 => lazy(cpu, 20 + u64::from(cpu % 3)),
        9 => CpuRow { offline: true, ..lazy(cpu, 20) },
        10 => CpuRow { state: report::Cpu { cpu, ..report::Cpu::default() }, ..CpuRow::default() },
        11 if cpu % 64 == 11 => {
            let mut row = user(cpu, 1000 + cpu, "worker", 20);
            row.state.real_mm = Some(22);
            row
        }
        _ => {
            let mut row = lazy(cpu, report::INIT_MM);
            row.state.lazy = Some(false);
            row
        }
    };
    let coverage = (0..cpus).map(|cpu| match cpu % 5 {
        0 => Cover::Targeted,
        1 => Cover::IdleLazy,
        _ => Cover::OtherMm,
    });
    let two = two_cpus();
    let mut call = two.calls[0].clone();
    call.coverage = coverage.collect();
    Snapshot {
        moment: moment(2_000_000_000),
        totals: Totals { events: 50_000_000, events_per_s: Some(812_345.0), ..Totals::default() },
        cpus: (0..cpus).map(row).collect(),
        calls: vec![call],
        calls_omitted: 12_344,
        ipis: Ipis {
            window_ns: 2_000_000_000,
            cells: (0..cpus)
                .flat_map(|from| {
                    [1, 7, 64].map(|by| IpiCell {
                        from: Some(from),
                        to: (from * 5 + by) % cpus,
                        count: u64::from(from * by),
                    })
                })
                .collect(),
            ..Ipis::default()
        },
        mms: two.mms,
        owners: BTreeMap::from([(20, "java/400".to_owned()), (21, "node/500".to_owned())]),
        timeline: two.timeline,
        ..Snapshot::default()
    }
}
