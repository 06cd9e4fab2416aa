//! Trace files: what is written is read, and what is damaged, cut, foreign or hostile is neither
//! believed nor fatal.

#![expect(
    clippy::expect_used,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

mod program;

use std::{collections::BTreeMap, ffi::OsStr, fs, io::Write as _, path::PathBuf};

use mcap::records::Metadata;
use program::unlazy;
use proptest::prelude::*;
use tracer_common::wire::{FUNC_NAME_LEN, FuncName, Header, Kind, Switch};
use unlazy::{
    engine::{Observer, Seen},
    judge::{Judge, Opens, recorded},
    stream::{Closing, Facts, Opening, Sink, TaskName},
    trace::{self, Batch, Composer, Played, Range, TraceError, Writer},
};
use zerocopy::{FromBytes as _, IntoBytes as _};

/// One call of a sink.
#[derive(Clone, Debug, PartialEq)]
enum Call {
    Record(u32, Vec<u8>),
    SyscallProbes(u64, bool),
    Advance(u64),
    Opened(Opening),
    Closed(Box<Closing>),
}

#[derive(Default)]
struct Log(Vec<Call>);

impl Sink for Log {
    fn record(&mut self, cpu: u32, record: &[u8]) {
        self.0.push(Call::Record(cpu, record.to_vec()));
    }

    fn syscall_probes(&mut self, ts: u64, on: bool) {
        self.0.push(Call::SyscallProbes(ts, on));
    }

    fn advance(&mut self, until: u64) {
        self.0.push(Call::Advance(until));
    }

    fn opened(&mut self, opening: &Opening) {
        self.0.push(Call::Opened(opening.clone()));
    }

    fn closed(&mut self, closing: &Closing) {
        self.0.push(Call::Closed(Box::new(closing.clone())));
    }
}

fn switch(ts: u64, seq: u32, prev: u32, next: u32) -> Vec<u8> {
    let header = Header { ts, seq, kind: Kind::Switch as u16, flags: 0 };
    let mm = |tid: u32| u64::from(tid % 7) + 2;
    let payload = Switch {
        prev_mm: mm(prev),
        prev_active: mm(prev),
        next_mm: mm(next),
        prev_tid: prev,
        next_tid: next,
        next_tgid: next,
        prev_state: 0x32,
        next_state: 0x32,
        prev_frame: 1,
        next_frame: 1,
    };
    [header.as_bytes(), payload.as_bytes()].concat()
}

fn facts() -> Facts {
    let comm = || "\x1b]0;mine\x07\x1b[31m".to_owned();
    let tasks = (100..111).map(|tid| TaskName { tid, tgid: tid, comm: comm() }).collect();
    Facts {
        run: "a run".to_owned(),
        clock: "CLOCK_MONOTONIC".to_owned(),
        cpus_possible: 2,
        cpus_online: vec![0, 1],
        started_ns: 1_000,
        tasks,
        ..Facts::default()
    }
}

/// What a run of some thousand switches calls.
fn calls(sweeps: u64) -> Vec<Call> {
    let mut calls = vec![Call::Advance(1_000)];
    calls.push(Call::Opened(Opening { start_ns: 1_000, known_at_ns: Some(1_500) }));
    let mut seq = [0; 2];
    for sweep in 0..sweeps {
        let begin = 2_000 + sweep * 20_000_000;
        for step in 0..40 {
            let cpu = usize::from(step % 3 == 0);
            let (prev, next) = (100 + seq[cpu] % 11, 100 + (seq[cpu] + 1) % 11);
            let record = switch(begin + step * 1_000, seq[cpu], prev, next);
            calls.push(Call::Record(cpu as u32, record));
            seq[cpu] += 1;
        }
        if sweep == 3 {
            calls.push(Call::SyscallProbes(begin, true));
        }
        calls.push(Call::Advance(begin + 19_000_000));
    }
    let end_ns = 2_000 + sweeps * 20_000_000;
    calls.push(Call::Closed(Box::new(Closing {
        end_ns,
        next_seq: seq.to_vec(),
        ..Closing::default()
    })));
    calls
}

/// Writes calls into a file, a chunk every few batches.
fn written(facts: &Facts, calls: &[Call]) -> Vec<u8> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut composer = Composer::new(facts.cpus_possible.min(64), |batch| {
        batches.push(batch);
        Ok(())
    });
    for call in calls {
        match call {
            Call::Record(cpu, record) => composer.record(*cpu, record),
            Call::SyscallProbes(ts, on) => composer.syscall_probes(*ts, *on),
            Call::Advance(until) => composer.advance(*until),
            Call::Opened(opening) => composer.opened(opening),
            Call::Closed(closing) => composer.closed(closing),
        }
    }
    drop(composer);
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, facts, 0).expect("memory takes it");
    for batch in &batches {
        writer.write(batch).expect("memory takes it");
        writer.flush().expect("memory takes it");
    }
    writer.finish().expect("memory takes it");
    file
}

/// A file in a folder of its own.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn file(bytes: &[u8]) -> File {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.mcap");
    fs::write(&path, bytes).expect("a file");
    File { _folder: folder, path }
}

fn played(bytes: &[u8]) -> Result<(Vec<Call>, Played), TraceError> {
    let file = file(bytes);
    let part = trace::open(&file.path)?;
    let mut log = Log::default();
    let played = part.play(Range::default(), &mut log)?;
    Ok((log.0, played))
}

/// Records of a log, by CPU.
fn records(calls: &[Call], cpu: u32) -> Vec<&[u8]> {
    let of = |call| match call {
        &Call::Record(there, ref record) if there == cpu => Some(record.as_slice()),
        _ => None,
    };
    calls.iter().filter_map(of).collect()
}

/// `unlazy report` on a file.
fn report(bytes: &[u8]) -> (Option<i32>, String, String) {
    let file = file(bytes);
    let output = unlazy(&["report".as_ref(), file.path.as_os_str()]);
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn what_is_written_is_read() {
    let calls = calls(30);
    let (read, played) = played(&written(&facts(), &calls)).expect("it can be read");
    assert!(played.whole && played.closed && played.damage.is_empty(), "{played:?}");
    for cpu in [0, 1] {
        assert_eq!(records(&read, cpu), records(&calls, cpu));
    }
    // Between two sweeps the CPUs' records need not keep their order; all else does.
    let others = |calls: &[Call]| -> Vec<Call> {
        calls.iter().filter(|call| !matches!(call, Call::Record(..))).cloned().collect()
    };
    assert_eq!(others(&read), others(&calls));
}

#[test]
fn every_cut_is_read_up_to_it_or_refused() {
    let calls = calls(40);
    let whole = written(&facts(), &calls);
    let mut least = 0;
    for length in (0..whole.len()).step_by(61) {
        match played(&whole[..length]) {
            Err(error) => assert_eq!(least, 0, "{length}: {error}"),
            Ok((read, played)) => {
                assert!(!played.whole, "{length} of {}", whole.len());
                for cpu in [0, 1] {
                    let (read, all) = (records(&read, cpu), records(&calls, cpu));
                    assert_eq!(read, all[..read.len()], "{length}");
                }
                assert!(read.len() >= least, "more of the file gives no less");
                least = read.len();
            }
        }
    }
    assert!(least > 1_000, "{least}");
}

#[test]
fn a_damaged_chunk_costs_that_chunk() {
    let calls = calls(60);
    let mut file = written(&facts(), &calls);
    let middle = file.len() / 2;
    for byte in &mut file[middle..middle + 30] {
        *byte ^= 0x55;
    }
    let (read, played) = played(&file).expect("it can be read");
    assert_eq!(played.damage.len(), 1, "{played:?}");
    assert!(played.closed, "what comes after it is read");
    let (before, after) = (records(&calls, 0).len(), records(&read, 0).len());
    assert!(after < before && after > before * 3 / 4, "{after} of {before}");
    let (code, out, err) = report(&file);
    assert_eq!(code, Some(3), "{out}{err}");
    assert!(out.contains("bytes of the recording are damaged"), "{out}");
    assert!(err.contains("damaged at byte"), "{err}");
    assert!(!out.contains(" 0 lost"), "the numbers show what is missing: {out}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bits_are_survived(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let calls = calls(12);
        let mut bytes = written(&facts(), &calls);
        for (index, bit) in flips {
            let at = index.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok((read, _)) = played(&bytes) {
            // Checksums keep out what never was.
            for cpu in [0, 1] {
                let all = records(&calls, cpu);
                prop_assert!(records(&read, cpu).iter().all(|record| all.contains(record)));
            }
        }
        let file = file(&bytes);
        if let Ok(part) = trace::open(&file.path) {
            let _ = recorded::judge(&[part], Range::default());
        }
    }

    #[test]
    fn any_bytes_after_the_magic_are_refused_or_empty(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let file = [&b"\x89MCAP0\r\n"[..], &bytes].concat();
        prop_assert!(played(&file).is_err());
    }
}

/// A file of the container with this metadata, and nothing else of use.
fn with_metadata(name: &str, entries: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = mcap::Writer::new(&mut bytes).expect("memory takes it");
    let entries = entries.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
    let metadata: BTreeMap<String, String> = entries.collect();
    writer.write_metadata(&Metadata { name: name.to_owned(), metadata }).expect("it takes it");
    writer.finish().expect("it takes it");
    drop(writer);
    bytes.into_inner()
}

#[test]
fn what_is_no_trace_is_refused_with_a_reason() {
    let newer = with_metadata("unlazy", &[("trace", "99"), ("wire", "1")]);
    let refused: [(&[u8], &str); 6] = [
        (b"", "no MCAP file"),
        (b"hello, this is no trace at all", "no MCAP file"),
        (&with_metadata("robot", &[]), "ends before its facts"),
        (&with_metadata("unlazy", &[("trace", "x")]), "it claims version 0.0"),
        (&newer, "take a newer unlazy"),
        (&written(&facts(), &[])[..200], "damaged before its first event"),
    ];
    for (bytes, why) in refused {
        let (code, out, err) = report(bytes);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
        assert!(err.contains(why), "no {why:?} in {err}");
    }
    let folder = std::env::temp_dir();
    assert!(matches!(trace::open(&folder), Err(TraceError::Io { .. })));
}

#[test]
fn what_cannot_be_is_refused() {
    for cpus in [0, 8193, u32::MAX] {
        let absurd = Facts { cpus_possible: cpus, ..facts() };
        let (code, _, err) = report(&written(&absurd, &calls(1)));
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains("CPUs"), "{err}");
    }
}

/// Of the first chunk after the one with the facts: where it begins in the file.
fn second_chunk(file: &[u8]) -> usize {
    let name = b"\x04\0\0\0zstd";
    let begins: Vec<_> = file
        .windows(name.len())
        .enumerate()
        .filter(|(_, window)| window == name)
        .map(|(at, _)| at - 9 - 28)
        .collect();
    begins[1]
}

#[test]
fn a_chunk_that_claims_a_terabyte_is_damage() {
    let calls = calls(20);
    let whole = written(&facts(), &calls);
    let chunk = second_chunk(&whole);
    let terabyte = (1_u64 << 40).to_le_bytes();
    // Its length; and how long it is when unpacked, after two times.
    for at in [chunk + 1, chunk + 9 + 16] {
        let mut file = whole.clone();
        file[at..at + 8].copy_from_slice(&terabyte);
        let (read, played) = played(&file).expect("it can be read");
        assert_eq!(played.damage.len(), 1, "{:?}", played.damage);
        assert!(records(&read, 0).len() > records(&calls, 0).len() / 2);
    }
}

#[test]
fn records_that_are_never_complete_do_not_fill_the_memory() {
    // Fewer than a real trace may have are taken.
    let mut calls = calls(1);
    calls.retain(|call| !matches!(call, Call::Advance(_)));
    let (read, _) = played(&written(&facts(), &calls)).expect("it can be read");
    assert!(!read.is_empty());
}

#[test]
fn times_that_run_in_circles_are_survived() {
    let mut seq = 0;
    let mut calls = vec![Call::Opened(Opening::default())];
    for round in 0..50 {
        for ts in [u64::MAX, 0, 5, 1 << 63, 7] {
            calls.push(Call::Record(round % 2, switch(ts, seq, seq, seq + 1)));
            seq = seq.wrapping_mul(3).wrapping_add(1);
        }
        calls.push(Call::Advance([0, u64::MAX, 3][round as usize % 3]));
    }
    let (code, out, err) = report(&written(&facts(), &calls));
    assert_eq!(code, Some(3), "{out}{err}");
}

#[test]
fn names_from_a_trace_reach_no_terminal_raw() {
    let (_, out, err) = report(&written(&facts(), &calls(30)));
    assert!(!out.contains('\x1b') && !err.contains('\x1b'), "{out}{err}");
    assert!(out.contains("\\x1b"), "the name is shown, harmlessly: {out}");
}

#[test]
fn a_part_of_the_time_is_judged_and_none_is_refused() {
    let one = file(&written(&facts(), &calls(200)));
    let report = |from: &str| {
        let more = ["--json", "-", "--from", from].map(OsStr::new);
        unlazy(&[&["report".as_ref(), one.path.as_os_str()], &more[..]].concat())
    };
    let events = |from: &str| {
        let output = report(from);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        json["events"]["total"].as_u64().expect("a number")
    };
    let (all, half) = (events("0s"), events("2s"));
    assert!(half > all / 3 && half < all * 2 / 3, "{half} of {all}");
    let beyond = report("1h");
    assert_eq!(beyond.status.code(), Some(2));
    let err = String::from_utf8_lossy(&beyond.stderr);
    assert!(err.contains("the recording is 4.0"), "{err}");
    let narrow = ["--from", "2.0001s", "--to", "2.0002s"].map(OsStr::new);
    let narrow = unlazy(&[&["report".as_ref(), one.path.as_os_str()], &narrow[..]].concat());
    assert_eq!(narrow.status.code(), Some(2));
    let err = String::from_utf8_lossy(&narrow.stderr);
    assert!(err.contains("give a wider span"), "{err}");
}

#[test]
fn the_same_part_twice_is_refused() {
    let one = file(&written(&facts(), &calls(3)));
    let mut copy = tempfile::NamedTempFile::new().expect("a file");
    copy.write_all(&fs::read(&one.path).expect("it is there")).expect("room");
    let output = unlazy(&["report".as_ref(), one.path.as_os_str(), copy.path().as_os_str()]);
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("the same part of the same run"), "{err}");
}

/// Looks whether a function has its name.
struct Named(u64, Vec<Option<String>>);

impl Observer for Named {
    fn event(&mut self, seen: &Seen<'_>) {
        self.1.push(seen.function(self.0).map(str::to_owned));
    }
}

/// A function is named once, when it is first seen; whoever begins later knows it all the same.
#[test]
fn names_are_known_wherever_one_begins() {
    let mut calls = calls(200);
    let mut name = FuncName { func: 0xabc, name: [0; FUNC_NAME_LEN] };
    name.name[..13].copy_from_slice(b"ipi_sync_core");
    for (index, call) in calls.iter_mut().enumerate() {
        // The third record of all becomes the name.
        if let (4, Call::Record(_, record)) = (index, call) {
            let (header, _) = Header::read_from_prefix(record).expect("a header");
            let header = Header { kind: Kind::FuncName as u16, ..header };
            *record = [header.as_bytes(), name.as_bytes()].concat();
        }
    }
    let file = file(&written(&facts(), &calls));
    let seen = [0, 3_500_000_000].map(|from| {
        let part = trace::open(&file.path).expect("it can be read");
        let mut named = Named(0xabc, Vec::new());
        recorded::observe(&[part], Range { from, ..Range::default() }, &mut named)
            .expect("it can be read");
        named.1
    });
    let [all, late] = &seen;
    assert!(!late.is_empty() && late.len() < all.len(), "{} of {}", late.len(), all.len());
    assert!(late.iter().all(|name| name.as_deref() == Some("ipi_sync_core")), "{late:?}");
}

/// What may happen to a record on its way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Kept,
    Lost,
    Twice,
    /// It comes so many calls later.
    Late(usize),
    Unreadable,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        40 => Just(Fate::Kept),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Twice),
        2 => (1..120_usize).prop_map(Fate::Late),
        1 => Just(Fate::Unreadable),
    ]
}

/// The same calls, as the records' fates would have them.
fn met(calls: &[Call], fates: &[Fate]) -> Vec<Call> {
    let mut met: Vec<(usize, Call)> = Vec::new();
    for ((at, call), fate) in calls.iter().enumerate().zip(fates.iter().cycle()) {
        let Call::Record(cpu, record) = call else {
            met.push((at, call.clone()));
            continue;
        };
        match *fate {
            Fate::Kept => met.push((at, call.clone())),
            Fate::Lost => {}
            Fate::Twice => met.extend([(at, call.clone()), (at, call.clone())]),
            Fate::Late(calls) => met.push((at + calls, call.clone())),
            Fate::Unreadable => {
                let short = record.iter().copied().take(20).collect();
                met.push((at, Call::Record(*cpu, short)));
            }
        }
    }
    // Whatever comes late comes before the end.
    let end = calls.len() - 1;
    met.sort_by_key(|&(at, ref call)| match call {
        Call::Record(..) => at.min(end - 1),
        _ => at,
    });
    met.into_iter().map(|(_, call)| call).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A recording is sorted on a thread of its own: that changes nothing, whatever is lost, late,
    /// twice or unreadable, and wherever one begins.
    #[test]
    fn sorted_ahead_it_is_judged_the_same(
        fates in prop::collection::vec(fate(), 1..900),
        from in prop_oneof![Just(0), 1..500_000_000_u64],
    ) {
        let file = file(&written(&facts(), &met(&calls(25), &fates)));
        let part = || trace::open(&file.path).expect("it can be read");
        let range = Range { from, ..Range::default() };
        let opens = if from > 0 { Opens::OnceKnown(from) } else { Opens::AsRecorded };
        let mut judge = Judge::new(facts(), opens);
        part().play(range, &mut judge).expect("it can be read");
        let alone = serde_json::to_string(&judge.report()).expect("JSON");
        let report = recorded::judge(&[part()], range).expect("it can be read").report;
        prop_assert_eq!(alone, serde_json::to_string(&report).expect("JSON"));
    }
}
