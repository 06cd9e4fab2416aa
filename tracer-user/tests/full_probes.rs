//! Full mode's programs on the running kernel: do they read what the kernel has there? On a kernel
//! that doesn't allow full mode, that it is refused as it should be. Needs root and a binary that
//! carries the eBPF object, so all of it is marked ignored; `cargo xtask test` runs it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    time::{Duration, Instant},
};

use rustix::{
    mm,
    time::{ClockId, clock_gettime},
};
use tracer_common::{
    model::{self, Event, Func, SyncCause},
    wire::{INIT_MM, Kind, Site, Switch, TlbState, membarrier_cmd, membarrier_state as bit},
};
use unlazy::{
    probes::{
        LoadError, Mode, Options, Probes, State, SyncSite,
        btf::{self, KERNEL_BTF},
        object,
        privileges::Privileges,
        table::find,
    },
    source::{Source as _, live::Live},
};

/// The tests look at what happens machine-wide, so they take turns.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn turn() -> std::sync::MutexGuard<'static, ()> {
    assert!(
        object::embedded().is_some() && Privileges::current().suffice(),
        "these tests need root and the eBPF object: run them with `cargo xtask test`, which has both"
    );
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Loads for full mode; `None` on a kernel that doesn't allow it, which has to say so.
fn full(options: Options) -> Option<Live> {
    let auto = Probes::load(&Options::default()).unwrap();
    match (Probes::load(&Options { mode: Some(Mode::Full), ..options }), auto.fentry()) {
        (Ok(probes), Ok(())) => {
            assert_eq!((auto.mode(), probes.mode()), (Mode::Full, Mode::Full));
            drop(auto);
            Some(Live::new(probes))
        }
        (Err(LoadError::NoFull(why)), Err(fentry)) => {
            assert_eq!(why, fentry);
            assert_eq!(auto.mode(), Mode::Tracepoint);
            eprintln!("this kernel doesn't allow full mode: {why}");
            None
        }
        (Ok(_), Err(why)) => panic!("loaded, though {why}"),
        (Err(error), _) => panic!("{error}"),
    }
}

/// What came out of the buffers, each CPU's records in the order of time.
#[derive(Default)]
struct Seen {
    by_cpu: BTreeMap<u32, Vec<(u64, u32, Event)>>,
    kinds: BTreeMap<u16, u64>,
}

impl Seen {
    fn sweep(&mut self, live: &mut Live) {
        live.poll(&mut |cpu, record| {
            let (header, event) = model::decode(record, |_| Func::Other).unwrap();
            *self.kinds.entry(header.kind).or_default() += 1;
            self.by_cpu.entry(cpu).or_default().push((header.ts, header.seq, event));
        })
        .unwrap();
    }

    fn count(&self, kind: Kind) -> u64 {
        self.kinds.get(&(kind as u16)).copied().unwrap_or_default()
    }

    fn events(&self, what: impl Fn(&Event) -> bool) -> usize {
        self.by_cpu.values().flatten().filter(|(_, _, event)| what(event)).count()
    }
}

/// Runs `work` again and again until enough was seen; then the rest is read and put in order.
fn gather(live: &mut Live, mut work: impl FnMut(), enough: impl Fn(&Seen) -> bool) -> Seen {
    live.probes().attach().unwrap();
    let (start, mut seen) = (Instant::now(), Seen::default());
    while !enough(&seen) {
        assert!(start.elapsed() < Duration::from_secs(120), "waited in vain: {:?}", seen.kinds);
        work();
        seen.sweep(live);
    }
    // Programs go one after the other: what comes from here on may lack what belongs to it.
    let end = clock_gettime(ClockId::Monotonic);
    let end = end.tv_sec as u64 * 1_000_000_000 + end.tv_nsec as u64;
    live.probes().detach();
    loop {
        let before = seen.kinds.clone();
        seen.sweep(live);
        if before == seen.kinds {
            break;
        }
    }
    for records in seen.by_cpu.values_mut() {
        records.retain(|&(ts, ..)| ts < end);
        records.sort_by_key(|&(ts, seq, _)| (ts, seq));
    }
    for counters in live.probes().counters().unwrap() {
        assert_eq!(counters.lost_total(), 0, "without losses all is there");
    }
    seen
}

fn run_true() {
    assert!(Command::new("/bin/true").status().or_else(|_| Command::new("true").status()).is_ok());
}

/// Holds every reading against what the context switches tell.
fn readings_agree(seen: &Seen) {
    let mut compared = 0;
    for (cpu, records) in &seen.by_cpu {
        let mut switch: Option<Switch> = None;
        let mut last: Option<TlbState> = None;
        for (ts, _, event) in records {
            let context = format!("CPU {cpu} at {ts}: {event:?}, last switch {switch:?}");
            match event {
                Event::Switch { switch: next, .. } => switch = Some(*next),
                Event::TlbState(state) => {
                    sane(state, &context);
                    let next_mm = switch.filter(|switch| switch.prev_tid == state.tid);
                    if state.site == Site::SwitchMmExit as u8
                        && let Some(Switch { next_mm, .. }) = next_mm
                    {
                        assert_eq!((state.loaded_mm, state.lazy), (next_mm, 0), "{context}");
                        compared += 1;
                    }
                    last = Some(*state);
                }
                Event::UserReturn(ret) => {
                    let state = last.unwrap();
                    assert_eq!(state.site, Site::UserReturn as u8, "{context}");
                    assert_eq!((state.loaded_mm, state.tid), (ret.mm, ret.tid), "{context}");
                    assert_eq!(state.lazy, 0, "{context}");
                    compared += 1;
                }
                _ => {}
            }
        }
    }
    assert!(compared > 100, "only {compared} readings could be compared");
}

/// What holds of every reading, whatever was going on.
fn sane(state: &TlbState, context: &str) {
    assert!(Site::from_u8(state.site).is_some(), "{context}");
    assert!(state.lazy <= 1, "{context}");
    assert!(state.loaded_mm != 0 && state.loaded_mm != u64::MAX, "{context}");
    if state.asid < 6 {
        assert_eq!(state.slot_mm, state.loaded_mm, "{context}");
        assert!(state.slot_gen <= state.mm_gen, "{context}");
    }
    if state.site == Site::EnterLazyTlb as u8 {
        assert_eq!(state.lazy == 0, state.loaded_mm == INIT_MM, "{context}");
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn every_program_of_full_mode_loads_and_attaches_or_says_why_not() {
    let _turn = turn();
    let Some(mut live) = full(Options { verifier: true, ..Options::default() }) else { return };
    live.probes().attach().unwrap();
    for state in live.probes().states().iter().filter(|state| state.probe.kind.is_full()) {
        assert_ne!(state.state, State::Failed, "{}: {}", state.probe.name, state.why);
        assert_eq!(state.state == State::Attached, state.why.is_empty(), "{}", state.probe.name);
        if state.state == State::Attached && state.probe.subsystem != "percpu" {
            let cost = state.verifier.expect(state.probe.name);
            assert!(cost.instructions > 0 && cost.states.is_some(), "{cost:?}");
        }
    }
    assert_eq!(live.probes().losses(), [], "on the kernels that this runs on nothing is lost");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn tracepoint_mode_leaves_the_rest_out_and_says_so() {
    let _turn = turn();
    let options = Options { mode: Some(Mode::Tracepoint), ..Options::default() };
    let mut probes = Probes::load(&options).unwrap();
    probes.attach().unwrap();
    assert_eq!(probes.mode(), Mode::Tracepoint);
    for state in probes.states().iter().filter(|state| state.probe.kind.is_full()) {
        assert_eq!(state.state, State::Skipped, "{}", state.probe.name);
        assert!(state.why.starts_with("it takes full mode") && !state.lost, "{}", state.why);
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn the_variables_are_those_that_the_switches_call_for() {
    let _turn = turn();
    let Some(mut live) = full(Options::default()) else { return };
    let seen = gather(&mut live, run_true, |seen| {
        seen.count(Kind::UserReturn) > 200 && seen.count(Kind::MmDrop) > 5
    });
    readings_agree(&seen);
    for kind in [Kind::FlushBegin, Kind::FlushEnd, Kind::MmDrop, Kind::RqState] {
        assert!(seen.count(kind) > 0, "no {}", kind.name());
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn the_kernels_symbols_lead_to_the_same_variables() {
    let _turn = turn();
    // A kernel without group scheduling, played by an edited copy of the BTF.
    let mut data = fs::read(KERNEL_BTF).unwrap();
    assert!(btf::rename(&mut data, "cfs_rq", "cfs_qr").unwrap() > 0);
    let file = std::env::temp_dir().join(format!("unlazy-btf-full-{}", std::process::id()));
    fs::write(&file, data).unwrap();
    let live = full(Options { btf: Some(file.clone()), ..Options::default() });
    fs::remove_file(&file).unwrap();
    let Some(mut live) = live else { return };
    let seen = gather(&mut live, run_true, |seen| seen.count(Kind::UserReturn) > 200);
    readings_agree(&seen);
}

/// A membarrier command of the calling thread; what it returned.
fn membarrier(cmd: i32) -> i64 {
    // SAFETY: the call takes three numbers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, cmd, 0, 0) }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_registration_reaches_the_run_queue_and_calls_are_seen() {
    let _turn = turn();
    let Some(mut live) = full(Options::default()) else { return };
    let mut registered = false;
    let work = || {
        run_true();
        if !registered {
            registered = true;
            let cmd = membarrier_cmd::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
            assert_eq!(membarrier(cmd), 0);
        }
        assert_eq!(membarrier(membarrier_cmd::PRIVATE_EXPEDITED_SYNC_CORE), 0);
    };
    let wanted = u32::from(bit::SYNC_CORE);
    let of_site = |site: Site| {
        move |event: &Event| {
            matches!(event, Event::RqState(state)
                if state.site == site as u8 && state.rq_state & state.mm_state & wanted != 0)
        }
    };
    let seen = gather(&mut live, work, |seen| {
        seen.count(Kind::PrivateEnd) > 50
            && seen.events(of_site(Site::Register)) > 0
            && seen.events(of_site(Site::SwitchMmExit)) > 10
    });
    let (begun, ended) = (seen.count(Kind::PrivateBegin), seen.count(Kind::PrivateEnd));
    assert!(begun.abs_diff(ended) <= 1, "{begun} begun, {ended} ended");
    let ok = |event: &Event| {
        matches!(event, Event::PrivateEnd(call)
            if call.call_flags == 1 && call.ret == 0 && call.tgid == std::process::id())
    };
    assert!(seen.events(ok) > 0);
    // Either the tracepoint or the handler's own probe tells what ran on the calling CPU.
    let handlers = seen.count(Kind::CsdLocal) + seen.count(Kind::Handler);
    assert!(handlers >= begun, "{handlers} handlers for {begun} calls");
    assert!(find("csd_function_entry").is_some());
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_flush_raises_the_generation() {
    let _turn = turn();
    let Some(mut live) = full(Options::default()) else { return };
    let tid = rustix::thread::gettid().as_raw_nonzero().get() as u32;
    let work = || {
        const LEN: usize = 4 << 20;
        // SAFETY: a mapping of our own, touched within its length and taken away again.
        unsafe {
            let at = mm::mmap_anonymous(
                std::ptr::null_mut(),
                LEN,
                mm::ProtFlags::READ | mm::ProtFlags::WRITE,
                mm::MapFlags::PRIVATE,
            )
            .unwrap();
            // Small pages take a page table, which goes with them.
            mm::madvise(at, LEN, mm::Advice::LinuxNoHugepage).unwrap();
            for page in (0..LEN).step_by(4096) {
                at.cast::<u8>().add(page).write_volatile(1);
            }
            mm::munmap(at, LEN).unwrap();
        }
    };
    let mine =
        move |event: &Event| matches!(event, Event::FlushBegin { flush, .. } if flush.tid == tid);
    let seen = gather(&mut live, work, |seen| seen.events(mine) > 20);
    // By mm: attaching a program patches text, by way of an mm of its own.
    let (mut last, mut freed) = (BTreeMap::<u64, u64>::new(), 0);
    let mut all: Vec<_> = seen.by_cpu.values().flatten().collect();
    all.sort_by_key(|&&(ts, seq, _)| (ts, seq));
    for (_, _, event) in all {
        match event {
            Event::FlushBegin { flush, freed_tables } if flush.tid == tid => {
                let before = last.insert(flush.mm, flush.generation);
                assert!(before < Some(flush.generation), "{event:?} after {before:?}");
                freed += u32::from(*freed_tables);
            }
            Event::FlushEnd { flush, .. } if flush.tid == tid => {
                assert_eq!(flush.generation, 0);
            }
            _ => {}
        }
    }
    assert!(freed > 0, "unmapping four MiB frees a page table");
}

/// A symbol of the running kernel that is this function, suffix and all.
fn symbol(function: &str) -> String {
    let table = fs::read_to_string("/proc/kallsyms").unwrap();
    let names = table.lines().filter_map(|line| line.split_whitespace().nth(2));
    let mut ours = names.filter(|name| name.split('.').next() == Some(function));
    ours.next().unwrap().to_owned()
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn probes_on_instructions_sit_where_they_are_told_to_or_nowhere() {
    let _turn = turn();
    let Some(mut live) = full(Options::default()) else { return };
    let state = |live: &mut Live, name: &str| {
        let states = live.probes().states();
        states.into_iter().find(|state| state.probe.name == name).unwrap()
    };
    let site =
        |program, function: &str, offset| SyncSite { program, symbol: symbol(function), offset };
    assert_eq!(state(&mut live, "ipi_sync_core_sync").state, State::Skipped);
    live.probes().attach_sync_sites(&[
        site("finish_task_switch_sync", "finish_task_switch", 0),
        // The second is no instruction of that function: both are refused.
        site("ipi_sync_core_sync", "ipi_sync_core", 0),
        site("ipi_sync_core_sync", "ipi_sync_core", 1 << 30),
    ]);
    assert_eq!(state(&mut live, "finish_task_switch_sync").state, State::Attached);
    let refused = state(&mut live, "ipi_sync_core_sync");
    assert_eq!(refused.state, State::Failed);
    assert!(refused.why.contains("ipi_sync_core+0x40000000: "), "{}", refused.why);

    let seen = gather(&mut live, run_true, |seen| seen.count(Kind::Serialized) > 50);
    let other = |event: &Event| matches!(event, Event::Serialized(sync) if sync.cause != SyncCause::FinishTaskSwitch as u8);
    assert_eq!(seen.events(other), 0);
}
