//! Perfetto's format, decoded again.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use unlazy::{
    engine::Mms,
    export::{
        Exporter,
        perfetto::{
            Perfetto,
            proto::{Annotated, Data, DebugAnnotation, Ftrace, Trace, TrackDescriptor, event_type},
        },
    },
    stream::Facts,
};

use super::run::{self, Look, Script};

/// A slice: when it began and ended, its name, and how deep it is.
type Slice = (u64, u64, String, usize);

#[derive(Default)]
struct Read {
    tracks: BTreeMap<u64, TrackDescriptor>,
    slices: BTreeMap<u64, Vec<Slice>>,
    /// Time, track, name, notes.
    instants: Vec<(u64, u64, String, Vec<DebugAnnotation>)>,
    counters: BTreeMap<u64, Vec<i64>>,
    /// Flows: where and when each begins and ends.
    begins: BTreeMap<u64, (u64, u64)>,
    ends: BTreeMap<u64, (u64, u64)>,
    ftrace: Vec<(u32, u64, Ftrace)>,
    lost: BTreeSet<u32>,
    clocks: BTreeMap<u32, u64>,
    threads: BTreeMap<i32, (i32, String)>,
    primary_clock: Option<u32>,
}

fn export(script: &Script, facts: &Facts) -> Vec<u8> {
    let mut out = Vec::new();
    let mut perfetto = Perfetto::new(&mut out, facts, 0);
    let report = run::judge(script, &mut perfetto);
    perfetto.finish(&report).unwrap();
    out
}

/// Reads it as its rules say: a name by its number, a time by the clock that was said to hold.
fn read(bytes: &[u8]) -> Read {
    let mut read = Read::default();
    let (mut names, mut clock) = (BTreeMap::new(), None);
    let mut open: BTreeMap<u64, Vec<(u64, String)>> = BTreeMap::new();
    for packet in Trace::decode(bytes).unwrap().packet {
        if packet.sequence_flags.is_some_and(|flags| flags & 1 != 0) {
            names.clear();
            clock = packet.trace_packet_defaults.unwrap().timestamp_clock_id;
        }
        for name in packet.interned_data.into_iter().flat_map(|data| data.event_names) {
            names.insert(name.iid.unwrap(), name.name.unwrap());
        }
        match packet.data.unwrap() {
            Data::TrackDescriptor(track) => _ = read.tracks.insert(track.uuid.unwrap(), track),
            Data::ClockSnapshot(snapshot) => {
                read.primary_clock = snapshot.primary_trace_clock;
                let clocks = snapshot.clocks.into_iter();
                read.clocks = clocks.map(|c| (c.clock_id.unwrap(), c.timestamp.unwrap())).collect();
            }
            Data::SystemInfo(_) => {}
            Data::ProcessTree(tree) => {
                for thread in tree.threads {
                    let name = thread.name.unwrap_or_default();
                    read.threads.insert(thread.tid.unwrap(), (thread.tgid.unwrap(), name));
                }
            }
            Data::FtraceEvents(bundle) => {
                let cpu = bundle.cpu.unwrap();
                if bundle.lost_events == Some(true) {
                    read.lost.insert(cpu);
                }
                for event in bundle.event {
                    read.ftrace.push((cpu, event.timestamp.unwrap(), event.event.unwrap()));
                }
            }
            Data::TrackEvent(event) => {
                assert_eq!(clock, Some(3), "CLOCK_MONOTONIC holds");
                let (ts, track) = (packet.timestamp.unwrap(), event.track_uuid.unwrap());
                assert!(read.tracks.contains_key(&track), "declared before its first event");
                let name = event.name_iid.map(|iid| names[&iid].clone()).unwrap_or_default();
                let open = open.entry(track).or_default();
                match event.r#type.unwrap() {
                    event_type::SLICE_BEGIN => open.push((ts, name)),
                    event_type::SLICE_END => {
                        let (begin, name) = open.pop().expect("it had begun");
                        let depth = open.len();
                        read.slices.entry(track).or_default().push((begin, ts, name, depth));
                    }
                    event_type::INSTANT => {
                        read.instants.push((ts, track, name, event.debug_annotations));
                    }
                    event_type::COUNTER => {
                        read.counters.entry(track).or_default().push(event.counter_value.unwrap());
                    }
                    other => panic!("an event of type {other}"),
                }
                read.begins.extend(event.flow_ids.iter().map(|&flow| (flow, (ts, track))));
                read.ends
                    .extend(event.terminating_flow_ids.iter().map(|&flow| (flow, (ts, track))));
            }
        }
    }
    assert!(open.values().all(Vec::is_empty), "all has ended: {open:?}");
    read
}

impl Read {
    fn named(&self, name: &str, cpu: Option<u32>) -> u64 {
        let parent = cpu.map(|cpu| self.named(&format!("cpu {cpu}"), None));
        let fits = |track: &&TrackDescriptor| {
            track.name.as_deref() == Some(name) && (cpu.is_none() || track.parent_uuid == parent)
        };
        self.tracks.values().find(fits).unwrap_or_else(|| panic!("no track {name}")).uuid.unwrap()
    }

    fn thread(&self, tid: u32) -> u64 {
        let fits = |track: &&TrackDescriptor| {
            track.thread.as_ref().is_some_and(|thread| thread.tid == Some(tid.into()))
        };
        self.tracks.values().find(fits).expect("the thread's track").uuid.unwrap()
    }

    fn slices(&self, track: u64) -> Vec<Slice> {
        let mut slices = self.slices.get(&track).cloned().unwrap_or_default();
        slices.sort();
        slices
    }
}

/// What was so from when to when on each CPU, from the states alone.
fn walk<T: PartialEq + Copy>(
    script: &Script,
    of: impl Fn(Mms) -> Option<T>,
) -> BTreeMap<u32, Vec<(u64, u64, T)>> {
    let mut states: Vec<(u32, u64, Option<T>)> = Vec::new();
    run::judge(
        script,
        Look(|seen: &unlazy::engine::Seen<'_>| {
            states.push((seen.cpu, seen.ts, of(seen.state(seen.cpu).unwrap().into())));
        }),
    );
    let last = states.last().unwrap().1;
    let mut intervals: BTreeMap<u32, Vec<(u64, u64, T)>> = BTreeMap::new();
    for cpu in 0..2 {
        let mut since: Option<(u64, T)> = None;
        let own = states.iter().filter(|state| state.0 == cpu).map(|&(_, ts, now)| (ts, now));
        for (ts, now) in own.chain([(last, None)]) {
            match since {
                Some((_, before)) if now == Some(before) => {}
                Some((begin, before)) => {
                    intervals.entry(cpu).or_default().push((begin, ts, before));
                    since = now.map(|now| (ts, now));
                }
                None => since = now.map(|now| (ts, now)),
            }
        }
    }
    intervals
}

fn mm_name(mm: u64) -> String {
    match mm {
        0 => "no mm".to_owned(),
        1 => "init_mm".to_owned(),
        mm => format!("mm {mm}"),
    }
}

#[test]
fn slices_are_the_intervals_of_the_model() {
    for script in [run::script(), run::every_kind(1)] {
        let read = read(&export(&script, &run::facts()));
        let logical = walk(&script, |mms| mms.logical);
        let real = walk(&script, |mms| mms.real);
        assert!(!logical.is_empty() && !real.is_empty());
        for (name, wanted) in [("logical mm", logical), ("real mm", real)] {
            for (cpu, wanted) in wanted {
                let slices = read.slices(read.named(name, Some(cpu)));
                let slices = slices.into_iter().filter(|slice| slice.3 == 0);
                let has: Vec<_> = slices.map(|(begin, end, name, _)| (begin, end, name)).collect();
                let wanted: Vec<_> =
                    wanted.into_iter().map(|(begin, end, mm)| (begin, end, mm_name(mm))).collect();
                assert_eq!(has, wanted, "{name} of cpu {cpu}");
            }
        }
    }
}

#[test]
fn laziness_is_a_slice_inside_the_real_mm() {
    let script = run::script();
    let read = read(&export(&script, &run::facts()));
    let wanted = walk(&script, |mms| mms.real.filter(|_| mms.lazy == Some(true)));
    assert!(!wanted[&1].is_empty());
    for (cpu, wanted) in wanted {
        let slices = read.slices(read.named("real mm", Some(cpu)));
        let lazy: Vec<_> = slices.iter().filter(|slice| slice.3 == 1).collect();
        assert!(lazy.iter().all(|slice| slice.2 == "lazy"));
        let has: Vec<_> = lazy.iter().map(|slice| (slice.0, slice.1)).collect();
        let wanted: Vec<_> = wanted.iter().map(|&(begin, end, _)| (begin, end)).collect();
        assert_eq!(has, wanted, "cpu {cpu}");
    }
}

#[test]
fn a_call_is_a_slice_of_its_thread_and_flows_to_its_targets() {
    let read = read(&export(&run::script(), &run::facts()));
    let thread = read.thread(run::CALLER);
    let calls = read.slices(thread);
    let [(begin, end, name, 0)] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(name, "membarrier PRIVATE_EXPEDITED_SYNC_CORE");
    assert_eq!(read.begins.len(), 1);
    for (flow, (sent, from)) in &read.begins {
        assert_eq!(*from, thread);
        assert!(begin < sent && sent < end, "inside of the call");
        let (arrived, at) = read.ends[flow];
        assert_eq!(at, read.named("interrupts and IPIs", Some(1)));
        let handlers = read.slices(at);
        let handler = handlers.iter().find(|slice| slice.0 == arrived).unwrap();
        assert_eq!((&*handler.2, handler.3), ("ipi_sync_core", 1), "inside of the interrupt");
    }
    let flush = &read.slices(read.thread(102))[0];
    assert_eq!(flush.2, "flush_tlb_mm_range");
}

#[test]
fn the_scheduler_s_events_are_there_with_their_names() {
    let read = read(&export(&run::script(), &run::facts()));
    assert_eq!(read.threads[&101], (100, "jit\u{1b}[31m".to_owned()));
    let states: Vec<_> = read
        .ftrace
        .iter()
        .filter_map(|(cpu, _, event)| match event {
            Ftrace::SchedSwitch(switch) => {
                Some((*cpu, switch.prev_pid?, switch.prev_state?, switch.next_pid?))
            }
            _ => None,
        })
        .collect();
    assert!(states.contains(&(1, 101, 1, 0)), "it slept: {states:?}");
    assert!(states.contains(&(0, 100, 0x100, 102)), "it was preempted: {states:?}");
    let has = |wanted: fn(&Ftrace) -> bool| read.ftrace.iter().any(|(_, _, one)| wanted(one));
    assert!(has(|one| matches!(one, Ftrace::TaskNewtask(task) if task.pid == Some(102))));
    assert!(has(|one| {
        matches!(one, Ftrace::TaskRename(task) if task.newcomm.as_deref() == Some("prog"))
    }));
    assert_eq!(read.lost, BTreeSet::from([1]));
    for cpu in 0..2 {
        let times = read.ftrace.iter().filter(|one| one.0 == cpu).map(|one| one.1);
        assert!(times.is_sorted());
    }
}

#[test]
fn findings_have_their_chain_and_losses_are_counted() {
    let read = read(&export(&run::script(), &run::facts()));
    let findings = read.named("findings", None);
    let (_, _, name, notes) = read.instants.iter().find(|one| one.1 == findings).unwrap();
    assert!(name.starts_with("R7 on cpu"), "{name}");
    let note = |name: &str| notes.iter().find(|note| note.name.as_deref() == Some(name)).unwrap();
    assert_eq!(note("severity").value, Some(Annotated::Text("self-check".to_owned())));
    let chain = &note("chain").array_values;
    assert!(!chain.is_empty());
    for link in chain {
        let names: Vec<_> = link.dict_entries.iter().filter_map(|e| e.name.as_deref()).collect();
        assert_eq!(names, ["ts_ns", "cpu", "what", "evidence"]);
    }
    assert_eq!(read.counters[&read.named("events lost", None)], [3]);
    assert_eq!(read.counters[&read.named("SYNC_CORE-registered mms", None)], [1]);
}

#[test]
fn the_clock_is_monotonic_and_utc_is_known() {
    let read = read(&export(&run::script(), &run::facts()));
    assert_eq!(read.primary_clock, Some(3));
    let utc = run::START + run::TO_REALTIME as u64;
    assert_eq!(read.clocks, BTreeMap::from([(1, utc), (3, run::START), (6, run::START)]));
    let unknown = Facts { to_realtime_ns: None, ..run::facts() };
    let read = self::read(&export(&run::script(), &unknown));
    assert!(!read.clocks.contains_key(&1));
}
