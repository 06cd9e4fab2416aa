//! Perfetto's native format.
//!
//! ```text
//! unlazy                       a group of tracks
//!   run                        the window that was judged
//!   findings                   an instant each, with its chain
//!   events lost, ...           counters
//!   cpu N
//!     logical mm               a slice for each mm
//!     real mm                  the same; being lazy is a slice inside
//!     interrupts and IPIs      handlers, and the functions that they run
//! threads                      membarrier calls and flushes, on the threads' own tracks
//! ftrace                       sched_switch, task_newtask, task_rename, sched_process_free
//! ```
//!
//! Packets are written as the events come; Perfetto puts them in order.

mod lane;
mod packets;
pub mod proto;
mod registered;
mod sched;
mod threads;

use std::io::Write;

use tracer_common::{
    model::{Event, Func},
    wire::tlb_reason,
};

use self::{
    lane::{Lane, ROOT},
    packets::{On, Packets, note},
    proto::{
        Annotated, Clock, ClockSnapshot, CounterDescriptor, Data, DebugAnnotation, EXPLICIT,
        SystemInfo, TrackDescriptor, Utsname, clock,
    },
    registered::Registered,
    sched::Sched,
    threads::Threads,
};
use super::{ExportError, Exporter, Flows, calls::is_membarrier};
use crate::{
    engine::{Mms, Observer, Seen},
    report::{Attach, ChainLink, Finding, Probe, Report},
    stream::Facts,
};

/// The tracks of the run as a whole.
const RUN: u64 = 2;
const FINDINGS: u64 = 3;
const LOST: u64 = 4;
const REGISTERED: u64 = 5;

/// Writes Perfetto's format.
pub struct Perfetto<W> {
    to: Packets<W>,
    from: u64,
    facts: Facts,
    /// `csd_queue_cpu` tells who asks whom; else it takes other events.
    sees_queue: bool,
    begun: bool,
    lanes: Vec<Lane>,
    threads: Threads,
    sched: Sched,
    flows: Flows,
    registered: Registered,
    lost: u64,
    last: u64,
    events: u64,
}

impl<W: Write> Perfetto<W> {
    /// Writes to `to` what happened from `from` on, in nanoseconds of the run's clock.
    pub fn new(to: W, facts: &Facts, from: u64) -> Self {
        let queue =
            |probe: &Probe| probe.name == "csd:csd_queue_cpu" && probe.state == Attach::Attached;
        Self {
            to: Packets::new(to),
            from,
            facts: facts.clone(),
            sees_queue: facts.probes.iter().any(queue),
            begun: false,
            lanes: Vec::new(),
            threads: Threads::default(),
            sched: Sched::default(),
            flows: Flows::default(),
            registered: Registered::default(),
            lost: 0,
            last: from,
            events: 0,
        }
    }

    /// What stands before the first event: clocks, the machine, tracks, threads.
    fn begin(&mut self) {
        let Self { to, facts, sched, begun, .. } = self;
        if std::mem::replace(begun, true) {
            return;
        }
        let start = facts.started_ns;
        // Perfetto's ftrace events know no CLOCK_MONOTONIC; theirs is made to be the same.
        let mut clocks = vec![(clock::MONOTONIC, start), (clock::BOOTTIME, start)];
        clocks.extend(facts.realtime(start).map(|at| (clock::REALTIME, at)));
        let clock = |(id, at)| Clock { clock_id: Some(id), timestamp: Some(at) };
        to.data_at(
            start,
            Data::ClockSnapshot(ClockSnapshot {
                clocks: clocks.into_iter().map(clock).collect(),
                primary_trace_clock: Some(clock::MONOTONIC),
            }),
        );
        to.data(Data::SystemInfo(SystemInfo {
            utsname: Some(Utsname {
                sysname: Some("Linux".to_owned()),
                version: facts.kernel.version.clone(),
                release: facts.kernel.release.clone(),
                machine: facts.kernel.machine.clone(),
            }),
            tracing_service_version: Some(format!("unlazy {}", facts.unlazy)),
            num_cpus: Some(facts.cpus_possible),
        }));
        to.track(TrackDescriptor {
            uuid: Some(ROOT),
            name: Some("unlazy".to_owned()),
            child_ordering: Some(EXPLICIT),
            ..TrackDescriptor::default()
        });
        let tracks = [(RUN, "run"), (FINDINGS, "findings")];
        let counters = [(LOST, "events lost"), (REGISTERED, "SYNC_CORE-registered mms")];
        let track = |(uuid, name): (u64, &str)| TrackDescriptor {
            uuid: Some(uuid),
            name: Some(name.to_owned()),
            parent_uuid: Some(ROOT),
            sibling_order_rank: Some(uuid as i32),
            ..TrackDescriptor::default()
        };
        for one in tracks {
            to.track(track(one));
        }
        for one in counters {
            let counter = Some(CounterDescriptor { unit_name: None });
            to.track(TrackDescriptor { counter, ..track(one) });
        }
        sched.known(facts, to);
    }

    /// Makes sure that the CPU has its tracks.
    fn lane(&mut self, cpu: u32) -> &mut Lane {
        let at = cpu as usize;
        while self.lanes.len() <= at {
            self.lanes.push(Lane::new(self.lanes.len() as u32));
        }
        let lane = &mut self.lanes[at];
        lane.declare(&mut self.to);
        lane
    }

    /// Who asks whom for what.
    fn sent(&mut self, seen: &Seen<'_>) {
        match seen.event {
            Event::CsdQueue { func, target, tid } => self.send(seen, *func, *target, *tid),
            // Where these are told, the queue is not.
            Event::CallMask { func, call } if !self.sees_queue && is_membarrier(*func) => {
                self.send_mask(seen, *func, call.mask, call.tid);
            }
            Event::FlushMulti { flush, .. } if !self.sees_queue => {
                self.send_mask(seen, Func::FlushTlb, flush.mask, flush.tid);
            }
            Event::Gap { lost } => {
                self.flows.lost();
                if *lost > 0 {
                    self.lost = self.lost.saturating_add(*lost);
                    self.to.counter(seen.ts, LOST, self.lost);
                }
            }
            _ => {}
        }
    }

    fn send_mask(&mut self, seen: &Seen<'_>, func: Func, mask: u64, tid: u32) {
        for target in (0..u64::BITS).filter(|&n| mask & 1 << n != 0 && n != seen.cpu) {
            self.send(seen, func, target, tid);
        }
    }

    fn send(&mut self, seen: &Seen<'_>, func: Func, target: u32, tid: u32) {
        let Some(name) = func.name() else { return };
        let flow = self.flows.send(func, target);
        let name = format!("send {name}");
        if !self.threads.send(seen, tid, (&name, target), flow, &mut self.to) {
            let track = self.lane(seen.cpu).interrupts();
            let notes = vec![note("target_cpu", Annotated::Uint(target.into()))];
            self.to.instant(seen.ts, On { track, name: &name, notes, flow, ..On::default() });
        }
    }

    /// The flow that ends with this event.
    fn arrived(&mut self, seen: &Seen<'_>) -> Option<u64> {
        match seen.event {
            Event::CsdEntry { func } => self.flows.arrive(seen.cpu, *func),
            Event::Handler { func, .. } if seen.state(seen.cpu)?.irq_depth > 0 => {
                self.flows.arrive_latest(seen.cpu, *func)
            }
            Event::TlbFlush(flush)
                if !self.sees_queue
                    && matches!(
                        flush.reason,
                        tlb_reason::REMOTE_SHOOTDOWN | tlb_reason::REMOTE_WRONG_CPU
                    ) =>
            {
                self.flows.arrive_latest(seen.cpu, Func::FlushTlb)
            }
            _ => None,
        }
    }

    fn finding(&mut self, finding: &Finding) {
        let uint = |name, value: u64| note(name, Annotated::Uint(value));
        let text = |name, value: &str| note(name, Annotated::Text(value.to_owned()));
        let mut notes = vec![
            uint("number", finding.number),
            text("rule", &finding.rule),
            text("severity", finding.severity.name()),
            uint("cpu", finding.cpu.into()),
        ];
        notes.extend(finding.tid.map(|tid| uint("tid", tid.into())));
        notes.extend(finding.tgid.map(|tgid| uint("tgid", tgid.into())));
        notes.extend(finding.comm.as_deref().map(|comm| text("comm", comm)));
        notes.extend(finding.mm.map(|mm| uint("mm", mm)));
        notes.push(text("evidence", finding.evidence.name()));
        notes.push(text("summary", &finding.summary));
        let link = |link: &ChainLink| DebugAnnotation {
            dict_entries: vec![
                uint("ts_ns", link.ts_ns),
                uint("cpu", link.cpu.into()),
                text("what", &link.what),
                text("evidence", link.evidence.name()),
            ],
            ..DebugAnnotation::default()
        };
        notes.push(DebugAnnotation {
            name: Some("chain".to_owned()),
            array_values: finding.chain.iter().map(link).collect(),
            ..DebugAnnotation::default()
        });
        let name = format!("{} on cpu {}", finding.rule, finding.cpu);
        self.to.instant(finding.ts_ns, On { track: FINDINGS, name: &name, notes, ..On::default() });
    }
}

impl<W: Write> Observer for Perfetto<W> {
    fn event(&mut self, seen: &Seen<'_>) {
        if seen.ts < self.from || self.to.has_failed() {
            return;
        }
        self.begin();
        self.events += 1;
        self.last = self.last.max(seen.ts);
        let arrived = self.arrived(seen);
        self.sched.see(seen, &mut self.to);
        self.threads.see(seen, &mut self.to);
        self.sent(seen);
        if let Some(count) = self.registered.see(seen.event) {
            self.to.counter(seen.ts, REGISTERED, count);
        }
        self.lane(seen.cpu);
        let Self { lanes, to, .. } = self;
        let lane = &mut lanes[seen.cpu as usize];
        lane.see(seen, arrived, to);
        lane.mms(seen.ts, seen.state(seen.cpu).map(Mms::from).unwrap_or_default(), to);
        if let Event::Hotplug(step) = seen.event
            && let Some(other) = lanes.get_mut(step.cpu as usize)
        {
            other.mms(seen.ts, seen.state(step.cpu).map(Mms::from).unwrap_or_default(), to);
        }
    }
}

impl<W: Write> Exporter for Perfetto<W> {
    fn finish(&mut self, report: &Report) -> Result<(), ExportError> {
        self.begin();
        for lane in &mut self.lanes {
            lane.close(self.last, &mut self.to);
        }
        self.sched.flush_all(&mut self.to);
        for finding in &report.findings {
            self.finding(finding);
        }
        let notes = vec![
            note("verdict", Annotated::Text(report.verdict.name().to_owned())),
            note("mode", Annotated::Text(report.mode.name().to_owned())),
            note("findings", Annotated::Uint(report.findings_total)),
        ];
        let window = On { track: RUN, name: "window", notes, ..On::default() };
        self.to.begin(report.window.start_ns, window);
        self.to.end(report.window.end_ns, RUN, Vec::new());
        Ok(self.to.finish()?)
    }

    fn events(&self) -> u64 {
        self.events
    }
}
