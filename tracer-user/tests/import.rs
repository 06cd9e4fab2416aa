//! `unlazy import`, on real traces of other tools and on what is none.

#![expect(
    clippy::expect_used,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

mod program;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use program::unlazy;
use proptest::prelude::*;
use serde_json::Value;
use tracer_common::wire::Header;
use unlazy::{
    import::{self, Format, ImportError, Imported},
    judge::recorded,
    report::{Report, Verdict},
    stream::{Closing, Opening, Sink},
    trace::{self, Range},
};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/import").join(name)
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// Imports a file and judges what came of it.
fn imported(from: &Path) -> Result<(Imported, Report), ImportError> {
    let directory = directory();
    let to = directory.path().join("out.mcap");
    let imported = import::import(from, None, &to)?;
    let part = trace::open(&to).expect("a recording");
    let judged = recorded::judge(&[part], Range::default()).expect("a run");
    assert!(judged.damage.is_empty(), "{:?}", judged.damage);
    Ok((imported, judged.report))
}

fn of_bytes(bytes: &[u8]) -> Result<(Imported, Report), ImportError> {
    let directory = directory();
    let from = directory.path().join("in");
    fs::write(&from, bytes).expect("room");
    imported(&from)
}

/// What is true of every import.
fn is_honest(report: &Report) {
    assert_eq!(report.verdict, Verdict::Inconclusive, "{:?}", report.because);
    assert!(report.because[0].what.starts_with("imported from "), "{:?}", report.because);
    assert_eq!(report.findings_total, 0);
    for rule in &report.rules {
        assert_eq!(rule.checked, 0, "{}", rule.id);
        assert!(!rule.why.is_empty(), "{}", rule.id);
    }
    let switched = report.transitions.switches > 0;
    assert!(!switched || report.transitions.logical_changes.is_none());
    for cpu in &report.cpus {
        assert_eq!((cpu.active_mm, cpu.real_mm, cpu.lazy), (None, None, None), "cpu {}", cpu.cpu);
        // The idle task has none, and that is known.
        assert!(cpu.logical_mm.is_none_or(|mm| mm == 0 && cpu.tid == Some(0)), "cpu {}", cpu.cpu);
    }
    let blind = |what: &str| report.blind_spots.iter().any(|spot| spot.what.starts_with(what));
    assert!(blind("which mm a task or a CPU has"), "{:?}", report.blind_spots);
    assert!(blind("how tasks return to user mode"), "{:?}", report.blind_spots);
}

/// What is in a sample, as counted in its text with other tools.
#[derive(Clone, Debug)]
struct Stated {
    name: &'static str,
    format: Format,
    events: u64,
    unused: u64,
    lost: u64,
    switches: u64,
    /// Switches whose predecessor on the CPU switched to another task.
    unseen: u64,
    cr3: u64,
    /// Calls that returned 0: `sync_core`, private, global, rseq, registrations.
    calls: [u64; 5],
    targeted: u64,
    /// R1: switches to anything but the idle task. R2: `SYNC_CORE` calls, and shares of one that
    /// was entered unseen.
    undecided: [u64; 2],
    kinds: &'static [(&'static str, u64)],
    missing: &'static [&'static str],
}

const SAMPLES: &[Stated] = &[
    Stated {
        name: "trace.txt",
        format: Format::Ftrace,
        events: 341,
        unused: 0,
        lost: 0,
        switches: 122,
        unseen: 0,
        cr3: 28,
        calls: [0, 0, 0, 0, 4],
        targeted: 0,
        undecided: [122, 0],
        kinds: &[("irq_entry", 38), ("irq_exit", 37), ("membarrier_enter", 4), ("page_fault", 78)],
        missing: &["how far the clocks", "which CPUs a membarrier call interrupts"],
    },
    Stated {
        name: "trace-tgid.txt",
        format: Format::Ftrace,
        events: 352,
        unused: 0,
        lost: 0,
        switches: 86,
        unseen: 0,
        cr3: 45,
        calls: [32, 2, 1, 1, 0],
        targeted: 32,
        undecided: [86, 32],
        kinds: &[("csd_function_entry_local", 32), ("csd_queue_cpu", 1), ("ipi_send_cpu", 13)],
        missing: &["the order of events within one microsecond", "tasks that are born"],
    },
    Stated {
        name: "trace-raw-syscalls.txt",
        format: Format::Ftrace,
        events: 175,
        unused: 126,
        lost: 0,
        switches: 17,
        unseen: 0,
        cr3: 4,
        calls: [32, 2, 0, 1, 0],
        targeted: 31,
        undecided: [17, 32],
        kinds: &[("membarrier_enter", 35), ("membarrier_exit", 35), ("sched_process_fork", 2)],
        missing: &["whether a system call was made by 32-bit code"],
    },
    Stated {
        name: "trace_pipe.txt",
        format: Format::Ftrace,
        events: 415,
        unused: 0,
        lost: 24_363,
        switches: 184,
        unseen: 0,
        cr3: 62,
        calls: [0; 5],
        targeted: 0,
        undecided: [184, 0],
        kinds: &[("tlb_flush", 74), ("csd_function_exit", 4)],
        missing: &["membarrier calls, their commands", "page faults"],
    },
    Stated {
        name: "trace-cmd-report.txt",
        format: Format::Ftrace,
        events: 499,
        unused: 0,
        lost: 0,
        switches: 211,
        unseen: 0,
        cr3: 36,
        calls: [27, 1, 0, 0, 4],
        targeted: 27,
        undecided: [211, 27],
        kinds: &[("sched_process_exec", 2), ("sched_process_fork", 10), ("task_rename", 12)],
        missing: &["page faults"],
    },
    Stated {
        name: "trace-v6.dat",
        format: Format::TraceDat,
        events: 987,
        unused: 0,
        lost: 0,
        switches: 505,
        unseen: 0,
        cr3: 83,
        calls: [32, 2, 0, 1, 4],
        targeted: 32,
        undecided: [505, 32],
        kinds: &[("sched_process_exit", 11), ("sched_process_free", 3), ("tlb_flush", 108)],
        missing: &["page faults"],
    },
    Stated {
        name: "trace-v7.dat",
        format: Format::TraceDat,
        events: 987,
        unused: 0,
        lost: 0,
        switches: 505,
        unseen: 0,
        cr3: 83,
        calls: [32, 2, 0, 1, 4],
        targeted: 32,
        undecided: [505, 32],
        kinds: &[("irq_entry", 94), ("irq_exit", 94), ("ipi_send_cpu", 4)],
        missing: &["page faults"],
    },
    Stated {
        name: "perf-script.txt",
        format: Format::Perf,
        events: 326,
        unused: 1,
        lost: 3043,
        switches: 47,
        unseen: 2,
        cr3: 34,
        calls: [30, 2, 0, 1, 0],
        targeted: 40,
        undecided: [47, 31],
        kinds: &[("csd_queue_cpu", 10), ("csd_function_entry", 10), ("membarrier_exit", 33)],
        missing: &["how far the clocks"],
    },
];

#[test]
fn every_sample_is_what_it_is_stated_to_be() {
    for stated in SAMPLES {
        let name = stated.name;
        let (imported, report) = imported(&sample(name)).expect(name);
        is_honest(&report);
        let Imported { format, events, unused, lost, backwards, not_understood, .. } = imported;
        assert_eq!(
            (format, events, unused),
            (stated.format, stated.events, stated.unused),
            "{name}"
        );
        assert_eq!((lost, backwards, not_understood), (stated.lost, 0, 0), "{name}");
        assert_eq!((report.events.total, report.events.lost.total), (events, lost), "{name}");
        assert_eq!(report.events.unreadable, 0, "{name}");
        // That a loss has begun is heard only when it is over, and others have gone on.
        assert!(report.events.out_of_order <= lost, "{name}");
        let all = (stated.switches + stated.unseen, stated.unseen, Some(stated.cr3));
        let moved = report.transitions;
        assert_eq!((moved.switches, moved.unseen_switches, moved.cr3_writes), all, "{name}");
        let calls = report.membarrier.calls;
        let by_command = [calls.sync_core, calls.private, calls.global, calls.rseq, calls.register];
        assert_eq!((by_command, calls.failed), (stated.calls, 0), "{name}");
        assert_eq!(report.membarrier.targeted, stated.targeted, "{name}");
        assert_eq!(report.membarrier.skipped.total(), 0, "nobody can say why not: {name}");
        for (rule, undecided) in report.rules.iter().zip(stated.undecided) {
            assert_eq!(rule.inconclusive, undecided, "{name}: {}", rule.id);
        }
        for (kind, count) in stated.kinds {
            assert_eq!(report.events.by_kind.get(*kind), Some(count), "{name}: {kind}");
        }
        for missing in stated.missing {
            let named = report.blind_spots.iter().any(|spot| spot.what.starts_with(missing));
            assert!(named, "{name}: {missing}: {:?}", report.blind_spots);
        }
    }
}

/// Both versions, and the text that trace-cmd itself makes of them, are one trace.
#[test]
fn a_trace_dat_says_the_same_in_each_of_its_forms() {
    let [six, seven] = ["trace-v6.dat", "trace-v7.dat"].map(|name| {
        let (_, mut report) = imported(&sample(name)).expect(name);
        report.overhead = unlazy::report::Overhead::default();
        serde_json::to_value(report).expect("JSON")
    });
    assert_eq!(six, seven);
    assert!(six["kernel"]["release"].as_str().is_some_and(|release| release.starts_with("6.18")));
    assert_eq!(six["window"]["clock"], Value::from("CLOCK_MONOTONIC"));
    // The text is its beginning, event by event; its times are cut or rounded to a microsecond.
    let (binary, text) = (records("trace-v6.dat"), records("trace-cmd-report.txt"));
    assert_eq!(text.values().map(Vec::len).sum::<usize>(), 499);
    for (cpu, text) in text {
        for (number, (one, other)) in text.iter().zip(&binary[&cpu]).enumerate() {
            let apart = one.ts.abs_diff(other.ts);
            assert!(one.kind == other.kind && apart < 1000, "{cpu}, {number}: {one:?} {other:?}");
        }
    }
}

/// The headers of what an import makes of a sample, by CPU.
fn records(name: &str) -> BTreeMap<u32, Vec<Header>> {
    struct Records(BTreeMap<u32, Vec<Header>>);
    impl Sink for Records {
        fn record(&mut self, cpu: u32, record: &[u8]) {
            let header = tracer_common::model::header(record).expect("a record");
            self.0.entry(cpu).or_default().push(header);
        }
        fn syscall_probes(&mut self, _: u64, _: bool) {}
        fn advance(&mut self, _: u64) {}
        fn opened(&mut self, _: &Opening) {}
        fn closed(&mut self, _: &Closing) {}
    }
    let directory = directory();
    let to = directory.path().join("out.mcap");
    import::import(&sample(name), None, &to).expect(name);
    let mut records = Records(BTreeMap::new());
    trace::open(&to).expect("a recording").play(Range::default(), &mut records).expect("whole");
    records.0
}

#[test]
fn the_command_says_what_it_did_and_report_ends_with_3() {
    let directory = directory();
    let to = directory.path().join("out.mcap");
    let (option, import, report) = (Path::new("-o"), Path::new("import"), Path::new("report"));
    let done = unlazy(&[import, &sample("perf-script.txt"), option, &to]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    for line in ["perf script text: 326 events imported", "3,043 events were lost"] {
        assert!(said.contains(line), "{said}");
    }
    let judged = unlazy(&[report, &to]);
    assert_eq!(judged.status.code(), Some(3));
    let text = String::from_utf8_lossy(&judged.stdout);
    assert!(text.starts_with("INCONCLUSIVE  imported from perf script text"), "{text}");
    // It would be overwritten.
    let same = unlazy(&[import, &to, option, &to]);
    assert_eq!(same.status.code(), Some(2));
}

const LINE: &str = "  a-7 [001] ..... 1.000100: sys_membarrier(cmd: 20, flags: 0, cpu_id: 0)\n";

#[test]
fn what_is_not_understood_is_said_and_never_echoed_raw() {
    let directory = directory();
    let (from, to) = (directory.path().join("in"), directory.path().join("out.mcap"));
    let long = "x".repeat(1 << 20);
    let text = format!(
        "# tracer: nop\n{LINE}  \u{1b}[31mevil\u{7}\n{long}\n  a-7 [001] 1.000200: sched_switch: ?\n\
         a-7 [9999] 1.0: tlb_flush: pages:1 reason:x (3)\n"
    );
    fs::write(&from, text).expect("room");
    let (import, option) = (Path::new("import"), Path::new("-o"));
    let done = unlazy(&[import, &from, option, &to]);
    let said = String::from_utf8(done.stderr).expect("text");
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(!said.contains(['\u{1b}', '\u{7}']), "{said:?}");
    for line in [
        "1 events imported",
        "4 lines were not understood",
        "line 3: no event stands on it",
        "line 4: the line is longer than any event's",
        "line 5: fields of sched_switch are not understood",
    ] {
        assert!(said.contains(line), "no {line} in {said}");
    }
    assert!(said.len() < 2000, "{said}");
}

#[test]
fn what_is_no_trace_is_refused_and_nothing_is_written() {
    let directory = directory();
    let (from, to) = (directory.path().join("in"), directory.path().join("out.mcap"));
    let refused: &[(&[u8], &str)] = &[
        (b"", "this is no ftrace text"),
        (b"hello\nworld\n", "this is no ftrace text"),
        (b"# tracer: nop\n\x1b[31m\n", "no event was understood, 1 lines were not"),
        (b"PERFILE2\0\0\0", "this is perf.data: make text of it with `perf script"),
        (b"\x89MCAP0\r\n", "this is a recording already"),
        (b"\x17\x08\x44tracing6\0\0\x08", "the file is cut off"),
        (b"\x17\x08\x44tracing8\0\0\x08\0\x10\0\0", "neither 6 nor 7"),
        (b"\x17\x08\x44tracing6\0\x01\x08\0\x10\0\0", "big endian"),
    ];
    for (bytes, why) in refused {
        fs::write(&from, bytes).expect("room");
        let error = import::import(&from, None, &to).expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
        assert!(!error.contains('\u{1b}'), "{error:?}");
        assert!(!to.exists(), "{why}");
    }
    let missing = import::import(Path::new("/no/such/trace"), None, &to).expect_err("no file");
    assert!(missing.to_string().contains("/no/such/trace"), "{missing}");
}

/// Two traces of different clocks, one after the other.
#[test]
fn times_that_run_backwards_are_left_out_and_leave_a_gap() {
    let switch = "prev_comm=a prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=b next_pid=8 \
                  next_prio=120";
    let text = format!(
        "  a-7 [000] d..2. 500.000001: sched_switch: {switch}\n\
         {LINE}  a-7 [000] d..2. 1.000001: sched_switch: {switch}\n\
         \x20 b-8 [000] d..2. 500.000002: tlb_flush: pages:1 reason:x (3)\n"
    );
    let (imported, report) = of_bytes(text.as_bytes()).expect("two events of CPU 0, one of CPU 1");
    assert_eq!((imported.events, imported.backwards, imported.lost), (3, 1, 0));
    assert_eq!((report.events.total, report.events.lost.total), (3, 1));
    assert_eq!(report.events.lost.by_cpu, [1, 0]);
    is_honest(&report);
}

#[test]
fn lines_of_many_cpus_are_merged_by_time() {
    // Each CPU's file, one after the other, as in per_cpu/cpu*/trace.
    let mut text = String::new();
    for cpu in 0..40 {
        for n in 0..50 {
            let ts = 100 + n * 40 + cpu;
            let task = cpu + 1;
            writeln!(text, "  a-{task} [{cpu:03}] 5.{ts:06}: local_timer_entry: vector=236")
                .expect("memory");
        }
    }
    let (imported, report) = of_bytes(text.as_bytes()).expect("events");
    assert_eq!((imported.events, imported.backwards), (2000, 0));
    assert_eq!((report.events.total, report.events.out_of_order), (2000, 0));
    assert_eq!(report.cpus.len(), 40);
    assert_eq!(report.duration_ns, 1_999_001);
}

#[test]
fn many_events_of_one_moment() {
    let text = "  a-7 [000] 5.000001: local_timer_entry: vector=236\n".repeat(100_000);
    let (imported, report) = of_bytes(text.as_bytes()).expect("events");
    assert_eq!((imported.events, report.events.total), (100_000, 100_000));
    assert_eq!(report.events.out_of_order, 0);
}

#[test]
fn a_huge_loss_is_a_loss() {
    let text = format!("# tracer: nop\n{LINE}CPU:1 [LOST 18446744073709551615 EVENTS]\n{LINE}");
    let (imported, report) = of_bytes(text.as_bytes()).expect("two events");
    assert_eq!(imported.lost, u64::MAX);
    assert!(report.events.lost.total >= 1 << 28, "{}", report.events.lost.total);
    is_honest(&report);
}

/// A line that is nearly one.
fn lines() -> impl Strategy<Value = String> {
    let names = ["a-1", "<idle>-0", "-", "a [0]-3", "x 4", "b 5/6", ":-1 -1", "\u{1b}]0;-9"];
    let cpus = ["[000]", "[001]", "[1023]", "[99999999999]", "[", ""];
    let times =
        ["1.000001:", "d..2. 2.5:", "99999999999.0:", "1:", "-1.0:", "18446744073.709551616:"];
    let events = [
        "sched_switch: prev_comm=a prev_pid=1 prev_prio=1 prev_state=R ==> next_comm=b next_pid=2 next_prio=3",
        "sched:sched_switch: a:1 [1] S ==> b:4294967295 [2]",
        "sys_membarrier(cmd: 20, flags: 0, cpu_id: 0)",
        "sys_membarrier -> 0x0",
        "syscalls:sys_exit_membarrier: 0xffffffffffffffffffff",
        "csd_function_entry: func=ipi_sync_core, csd=(nil)",
        "tlb_flush: pages:-9223372036854775808 reason: (4294967295)",
        "cpuhp_enter: cpu: 4294967295 target: 0 step: 1 (x)",
        "sched_process_fork: comm=a pid=1 child_comm=b child_pid=2",
        "sched_process_free: comm=a pid=2 prio=1",
        "PERF_RECORD_LOST lost 99999999999999999999",
        "",
    ];
    let sample = prop::sample::select::<&str>;
    let event = (
        sample(names.to_vec()),
        sample(cpus.to_vec()),
        sample(times.to_vec()),
        sample(events.to_vec()),
    );
    prop_oneof![
        8 => event.prop_map(|(name, cpu, time, event)| format!("{name} {cpu} {time} {event}")),
        1 => "CPU:[0-9]{1,12} \\[(LOST )?[0-9]{0,25} EVENTS( DROPPED)?\\]",
        1 => "(cpus=|# entries-in-buffer/entries-written: )[0-9/]{0,25} +#P:[0-9]{0,12}",
        1 => ".{0,200}",
    ]
}

/// Whatever came in: if there is a recording, it is honest.
fn holds(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok((_, report)) = of_bytes(bytes) {
        prop_assert_eq!(report.verdict, Verdict::Inconclusive);
        prop_assert_eq!(report.findings_total, 0);
        prop_assert_eq!(report.rules.iter().map(|rule| rule.checked).sum::<u64>(), 0);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_lines(lines in prop::collection::vec(lines(), 0..60)) {
        holds(lines.join("\n").as_bytes())?;
    }

    #[test]
    fn any_bytes(begin in 0..4_usize, bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
        let begin: &[u8] = [&b""[..], b"# tracer: nop\n", b"\x17\x08\x44tracing6\0\0\x08\0\x10\0\0", b"\x17\x08\x44tracing7\0\0\x08\0\x10\0\0none\0\0"][begin];
        holds(&[begin, &bytes].concat())?;
    }

    /// A sample with some bytes changed and its end cut off.
    #[test]
    fn damaged_samples(
        sample in prop::sample::select(SAMPLES),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = fs::read(self::sample(sample.name)).expect("a sample");
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        holds(&bytes)?;
    }
}
