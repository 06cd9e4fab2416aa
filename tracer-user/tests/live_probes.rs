//! The real programs on the running kernel. Needs root and a binary that carries the eBPF object, so
//! all of it is marked ignored; `cargo xtask test` runs it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    process::Command,
    time::{Duration, Instant},
};

use tracer_common::wire::Kind;
use unlazy::{
    probes::{
        Options, Probes, State,
        btf::{self, KERNEL_BTF},
        object,
        privileges::Privileges,
        rings::Wish,
    },
    source::{Source as _, live::Live},
};

/// The tests look at what is attached machine-wide, so they take turns.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn turn() -> std::sync::MutexGuard<'static, ()> {
    assert!(
        object::embedded().is_some() && Privileges::current().suffice(),
        "these tests need root and the eBPF object: run them with `cargo xtask test`, which has both"
    );
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits until `condition` holds; fails after a time that is long enough for any machine.
fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How many programs and links this process holds.
fn held() -> usize {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| {
            let target = target.to_string_lossy();
            target.contains("bpf-prog")
                || target.contains("bpf_link")
                || target.contains("bpf-link")
        })
        .count()
}

/// What came out of the buffers.
#[derive(Default)]
struct Seen {
    kinds: BTreeMap<u16, u64>,
    numbers: HashMap<u32, Vec<u32>>,
}

impl Seen {
    fn sweep(&mut self, live: &mut Live) {
        live.poll(&mut |cpu, record| {
            let kind = u16::from_le_bytes([record[12], record[13]]);
            *self.kinds.entry(kind).or_default() += 1;
            let number = u32::from_le_bytes(record[8..12].try_into().unwrap());
            self.numbers.entry(cpu).or_default().push(number);
        })
        .unwrap();
    }

    fn count(&self, kind: Kind) -> u64 {
        self.kinds.get(&(kind as u16)).copied().unwrap_or_default()
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn every_program_that_the_kernel_has_a_tracepoint_for_loads_and_attaches() {
    let _turn = turn();
    let mut probes = Probes::load(&Options::default()).unwrap();
    probes.attach().unwrap();
    probes.attach_registered();
    let states = probes.states();
    let failed: Vec<_> = states.iter().filter(|state| state.state == State::Failed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let attached = states.iter().filter(|state| state.state == State::Attached).count();
    assert!(attached >= 30, "only {attached} attached");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn every_number_that_was_given_out_arrives() {
    let _turn = turn();
    let mut live = Live::open(&Options::default()).unwrap();
    live.probes().attach().unwrap();
    let mut seen = Seen::default();
    wait_for("switches and a fork", || {
        Command::new("true").status().unwrap();
        seen.sweep(&mut live);
        seen.count(Kind::Switch) > 200 && seen.count(Kind::Fork) > 0
    });
    live.probes().detach();
    wait_for("the last record", || {
        seen.sweep(&mut live);
        let counters = live.probes().counters().unwrap();
        counters.iter().enumerate().all(|(cpu, counters)| {
            assert_eq!(counters.lost_total(), 0);
            let got = seen.numbers.get(&(cpu as u32)).map_or(0, Vec::len);
            got as u64 == counters.next_seq
        })
    });
    for (cpu, numbers) in &mut seen.numbers {
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..numbers.len() as u32), "a hole on CPU {cpu}");
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_full_buffer_is_counted_by_cpu_and_kind_and_leaves_a_hole() {
    let _turn = turn();
    let options = Options { buffer: Wish::Exactly(1), ..Options::default() };
    let mut live = Live::open(&options).unwrap();
    live.probes().attach().unwrap();
    // Nobody reads, so the smallest buffer fills up.
    wait_for("a loss", || {
        Command::new("true").status().unwrap();
        live.probes().counters().unwrap().iter().any(|cpu| cpu.lost[Kind::Switch as usize] > 0)
    });
    live.probes().detach();
    let mut seen = Seen::default();
    wait_for("an empty buffer", || {
        let before = seen.kinds.clone();
        seen.sweep(&mut live);
        before == seen.kinds
    });
    for (cpu, counters) in live.probes().counters().unwrap().iter().enumerate() {
        let got = seen.numbers.get(&(cpu as u32)).map_or(0, Vec::len);
        assert_eq!(got as u64 + counters.lost_total(), counters.next_seq, "CPU {cpu}");
    }
    assert!(live.rings().any(|ring| ring.high_water > u64::from(ring.size) / 2));
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn system_calls_are_watched_only_on_demand() {
    let _turn = turn();
    let mut probes = Probes::load(&Options::default()).unwrap();
    probes.attach().unwrap();
    let loaded = held();
    probes.attach_registered();
    let with = held();
    assert!(with > loaded);
    probes.attach_registered();
    assert_eq!(held(), with, "a second time changes nothing");
    probes.detach_registered();
    assert_eq!(held(), loaded);
    probes.attach_registered();
    assert_eq!(held(), with, "it can be attached again");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn nothing_is_left_when_it_is_dropped_even_by_a_panic() {
    let _turn = turn();
    let before = held();
    let panicked = std::panic::catch_unwind(|| {
        let mut probes = Probes::load(&Options::default()).unwrap();
        probes.attach().unwrap();
        probes.attach_registered();
        assert!(held() > before);
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(panicked.is_err());
    assert_eq!(held(), before);
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_tracepoint_taken_out_of_the_btf_is_skipped_and_the_rest_works() {
    let _turn = turn();
    let mut data = fs::read(KERNEL_BTF).unwrap();
    assert_eq!(btf::rename(&mut data, "btf_trace_tlb_flush", "btf_trace_tlb_flash"), Ok(1));
    let file = std::env::temp_dir().join(format!("unlazy-btf-{}", std::process::id()));
    fs::write(&file, data).unwrap();
    let loaded = Probes::load(&Options { btf: Some(file.clone()), ..Options::default() });
    fs::remove_file(&file).unwrap();
    let mut probes = loaded.unwrap();
    probes.attach().unwrap();
    let losses = probes.losses();
    assert_eq!(losses.iter().map(|loss| loss.name).collect::<Vec<_>>(), ["tlb_flush"]);
    assert_eq!(losses[0].why, "this kernel has no tracepoint tlb:tlb_flush");
}
