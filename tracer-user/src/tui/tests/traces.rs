//! Traces with findings: the golden ones, and one that no kernel has yet been seen to write.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use tracer_common::{
    model::Config,
    wire::{Header, Kind, Switch, switch_flags},
};
use zerocopy::IntoBytes as _;

use crate::{
    judge::recorded,
    stream::{Closing, Facts, Opening, Sink, TaskName},
    trace::{self, Range},
    tui::snapshot::{CpuRow, FindingRow, Moment, Snapshot, Totals},
};

/// The file of a golden trace.
pub(super) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/golden/{name}.mcap"))
}

/// What a trace comes to at its end.
pub(super) fn end_of(path: &Path) -> (Snapshot, Vec<trace::Part>) {
    let parts = vec![trace::open(path).expect("a trace")];
    let report = recorded::judge(&parts, Range::default()).expect("it is judged").report;
    let cpus = report.cpus.iter().map(|cpu| CpuRow { state: cpu.clone(), ..CpuRow::default() });
    let self_check = report.rules.iter().find(|rule| rule.id == "R7");
    let divergences = self_check.map_or(0, |rule| rule.findings);
    let inconclusive = report.rules.iter().map(|rule| rule.inconclusive).sum();
    let snapshot = Snapshot {
        moment: Moment {
            source: path.file_name().expect("a name").to_string_lossy().into_owned(),
            at_ns: report.window.end_ns,
            first_ns: report.window.start_ns,
            last_ns: report.window.end_ns,
            mode: report.mode,
            ..Moment::default()
        },
        totals: Totals {
            events: report.events.total,
            findings: report.findings_total,
            divergences,
            inconclusive,
            ..Totals::default()
        },
        cpus: cpus.collect(),
        findings: (1..)
            .zip(&report.findings)
            .map(|(number, finding)| FindingRow { number, finding: finding.clone() })
            .collect(),
        findings_omitted: report.findings_omitted,
        ..Snapshot::default()
    };
    (snapshot, parts)
}

const JIT: (u32, u64) = (100, 8);
const IDLE: (u32, u64) = (0, 0);

/// Writes a trace in which the reconstruction and the kernel disagree (R7): CPU 0 goes idle and keeps the
/// jit's mm, so that the next switch must find that as its active mm, and it finds another.
pub(super) fn write_a_divergence(path: &Path) {
    let facts = Facts {
        clock: "CLOCK_MONOTONIC".to_owned(),
        started_ns: 1_000_000,
        cpus_possible: 1,
        cpus_online: vec![0],
        judging: (&Config::default()).into(),
        tasks: vec![TaskName { tid: JIT.0, tgid: JIT.0, comm: "jit".to_owned() }],
        ..Facts::default()
    };
    let file = File::create_new(path).expect("a file");
    trace::whole(file, &facts, facts.started_ns, |sink| {
        tell_a_divergence(sink);
        Ok(())
    })
    .expect("it can be written");
}

fn tell_a_divergence(sink: &mut dyn Sink) {
    const MICROSECOND: u64 = 1_000;
    let switches = [(IDLE, JIT, 8), (JIT, IDLE, 8), (IDLE, JIT, 4242)];
    let mut now = 1_000_000;
    sink.opened(&Opening { start_ns: now, known_at_ns: None });
    for (seq, (prev, next, prev_active)) in (0..).zip(switches) {
        now += MICROSECOND;
        let flags = match prev {
            IDLE => switch_flags::PREV_KTHREAD,
            _ => switch_flags::NEXT_KTHREAD | switch_flags::PREV_BLOCKED,
        };
        let header = Header { ts: now, seq, kind: Kind::Switch as u16, flags };
        let switch = Switch {
            prev_mm: prev.1,
            prev_active,
            next_mm: next.1,
            prev_tid: prev.0,
            next_tid: next.0,
            next_tgid: next.0,
            prev_state: 0,
            next_state: 0,
            prev_frame: 1,
            next_frame: 1,
        };
        sink.record(0, &[header.as_bytes(), switch.as_bytes()].concat());
    }
    let end_ns = now + MICROSECOND;
    sink.advance(end_ns);
    sink.closed(&Closing { end_ns, next_seq: vec![3], ..Closing::default() });
}
