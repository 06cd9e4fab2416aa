//! What the screens show and the engine does not keep: recent calls, who interrupts whom, rates.
//!
//! All of it is bounded, whatever the machine does, and is part of every checkpoint.

mod calls;
mod ipis;
mod rate;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracer_common::{
    model::{Event, Finding, Func},
    wire::{UNKNOWN_MM, Vector, tlb_reason},
};

pub(super) use self::calls::{Calls, Row};
use self::{ipis::Senders, rate::Rate};
use super::kept::add;
use crate::{
    engine::{FreezeError, FrozenReader, FrozenWriter, Observer, Seen},
    explain::follow::Follow,
    export::calls as followed,
    report::Attach,
    stream::Facts,
    tui::snapshot::Slice,
};

/// How many mms are counted.
const MMS: usize = 4096;
/// Of how many mms it is remembered whose they are.
const OWNERS: usize = 8192;
/// How many threads that have ended are remembered by name.
const NAMES: usize = 4096;
/// How many pairs of CPUs are counted that interrupt one another.
const CELLS: usize = 1 << 16;
/// The numbers of vectors are below this.
const VECTORS: usize = 16;

/// What was counted of one mm.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct MmCounts {
    pub(super) membarrier_ns: Option<u64>,
    pub(super) flushes: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
    /// The last flush that was asked for: the mm's own generation, as far as it was read.
    pub(super) generation: u64,
}

/// What was counted of one CPU.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct CpuCounts {
    pub(super) events: Rate,
    pub(super) interrupts: Rate,
    pub(super) vectors: [u64; VECTORS],
    /// `cpu_tlbstate` as it was last read: the ASID, its slot's mm and generation.
    pub(super) asid: Option<(u16, u64, u64)>,
}

/// What is counted, but for calls under way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Counted {
    /// Events judged since the recording began, losses and notes included.
    pub(super) index: u64,
    /// When the last of them happened.
    pub(super) ts: u64,
    /// When the window opened.
    pub(super) since: u64,
    pub(super) cpus: Vec<CpuCounts>,
    pub(super) mms: BTreeMap<u64, MmCounts>,
    /// Whose an mm is: the process.
    pub(super) owners: BTreeMap<u64, u32>,
    /// IPIs by target and source; `u32::MAX` where that was not seen.
    pub(super) cells: BTreeMap<(u32, u32), u64>,
    pub(super) senders: Senders,
    /// The last names of threads that have ended: process and name.
    pub(super) names: BTreeMap<u32, (u32, Box<str>)>,
}

/// Looks on, and counts.
pub(super) struct Collector {
    sees_ipis: bool,
    pub(super) counted: Counted,
    pub(super) calls: Calls,
    follow: Follow,
    other: followed::Calls,
    /// Somebody wants to know of certain events.
    pub(super) watch: Option<Watch>,
    /// Findings, with how many events show each, until they are taken.
    pub(super) broken: Vec<(u64, Finding)>,
    /// What happened when, by the millisecond, until it is taken.
    pub(super) happened: Vec<(u64, Slice)>,
    /// Whether the two above are noted: by who sees all of a run.
    pub(super) notes: bool,
}

/// Asks of each event whether it is wanted.
pub(super) type Wanted = Box<dyn Fn(&Seen<'_>) -> bool + Send>;

/// Looks for events.
pub(super) struct Watch {
    pub(super) wanted: Wanted,
    /// Only the beginnings of SYNC_CORE calls.
    pub(super) calls: bool,
    /// The last one's number.
    pub(super) hit: Option<u64>,
}

impl Collector {
    pub(super) fn new(facts: &Facts) -> Self {
        let config = facts.config();
        let cpus = facts.cpus_possible as usize;
        Self {
            sees_ipis: sees_ipis(facts),
            counted: Counted { cpus: vec![CpuCounts::default(); cpus], ..Counted::default() },
            calls: Calls::default(),
            follow: Follow::new(config.sees_csd),
            other: followed::Calls::default(),
            watch: None,
            broken: Vec::new(),
            happened: Vec::new(),
            notes: false,
        }
    }

    /// SYNC_CORE calls that began since the window opened.
    pub(super) const fn calls_total(&self) -> u64 {
        self.follow.total()
    }

    pub(super) fn freeze(&self, to: &mut FrozenWriter) -> Result<(), FreezeError> {
        to.put(&self.counted)?;
        to.put(&self.calls)?;
        to.put(&self.follow.freeze())?;
        to.put(&self.other.freeze())
    }

    /// Passes over all of it but the SYNC_CORE calls that were under way.
    pub(super) fn thaw_follow(from: &mut FrozenReader<'_>) -> Result<Follow, FreezeError> {
        let (_, _): (Counted, Calls) = (from.get()?, from.get()?);
        let follow = Follow::thaw(from.get()?);
        let _: followed::Frozen = from.get()?;
        Ok(follow)
    }

    pub(super) fn thaw(facts: &Facts, from: &mut FrozenReader<'_>) -> Result<Self, FreezeError> {
        let (counted, calls) = (from.get()?, from.get()?);
        let (follow, other) = (Follow::thaw(from.get()?), followed::Calls::thaw(from.get()?));
        Ok(Self { counted, calls, follow, other, ..Self::new(facts) })
    }

    fn happened(&mut self, ts: u64, more: Slice) {
        const MILLISECOND: u64 = 1_000_000;
        match self.happened.last_mut() {
            Some((last, sum)) if *last / MILLISECOND == ts / MILLISECOND => *sum = add(*sum, more),
            _ => self.happened.push((ts, more)),
        }
    }

    fn mm(&mut self, id: u64) -> Option<&mut MmCounts> {
        let mms = &mut self.counted.mms;
        if id == 0 || id == UNKNOWN_MM || (mms.len() >= MMS && !mms.contains_key(&id)) {
            return None;
        }
        Some(mms.entry(id).or_default())
    }

    fn cell(&mut self, from: u32, to: u32) {
        let cells = &mut self.counted.cells;
        if cells.len() < CELLS || cells.contains_key(&(to, from)) {
            *cells.entry((to, from)).or_default() += 1;
        }
    }

    fn owner(&mut self, mm: u64, tgid: u32) {
        let owners = &mut self.counted.owners;
        if mm == 0 || mm == UNKNOWN_MM || tgid == 0 || owners.get(&mm) == Some(&tgid) {
            return;
        }
        if owners.len() >= OWNERS {
            // The lowest is the oldest: they are never used again.
            owners.pop_first();
        }
        owners.insert(mm, tgid);
    }

    fn interrupt(&mut self, seen: &Seen<'_>, vector: u8) {
        if let Some(cpu) = self.counted.cpus.get_mut(seen.cpu as usize) {
            cpu.interrupts.add(seen.ts);
            if let Some(count) = cpu.vectors.get_mut(usize::from(vector)) {
                *count += 1;
            }
        }
        let ipi = matches!(
            Vector::from_u8(vector),
            Some(Vector::CallFunction | Vector::CallFunctionSingle | Vector::Reschedule)
        );
        if ipi && !self.sees_ipis {
            self.cell(u32::MAX, seen.cpu);
        }
    }

    /// Counts what belongs to an mm, and whose it is.
    fn mms(&mut self, seen: &Seen<'_>) {
        match seen.event {
            Event::Switch { switch, .. } => self.owner(switch.next_mm, switch.next_tgid),
            Event::Fork(fork) => self.owner(fork.child_mm, fork.child_tgid),
            Event::Exec(exec) => self.owner(exec.mm, exec.tid),
            Event::FlushBegin { flush, .. } => {
                if let Some(mm) = self.mm(flush.mm) {
                    mm.flushes += 1;
                }
            }
            Event::TlbState(state) => {
                if let Some(cpu) = self.counted.cpus.get_mut(seen.cpu as usize) {
                    cpu.asid = Some((state.asid, state.slot_mm, state.slot_gen));
                }
                if state.mm_gen != 0
                    && let Some(mm) = self.mm(state.loaded_mm)
                {
                    mm.generation = mm.generation.max(state.mm_gen);
                }
            }
            Event::MmGone(gone) => {
                // Of those that made calls the engine keeps some.
                let mms = &mut self.counted.mms;
                if mms.get(&gone.mm).is_some_and(|mm| mm.membarrier_ns.is_none()) {
                    mms.remove(&gone.mm);
                }
            }
            Event::CsdQueue { func: Func::FlushTlb, .. } => {
                let logical = seen.state(seen.cpu).filter(|cpu| cpu.known).map(|cpu| cpu.logical);
                if let Some(mm) = logical.and_then(|mm| self.mm(mm)) {
                    mm.sent += 1;
                }
            }
            Event::TlbFlush(flush) if flush.reason == tlb_reason::REMOTE_SHOOTDOWN => {
                if let Some(mm) = self.mm(flush.mm) {
                    mm.received += 1;
                }
            }
            _ => {}
        }
    }

    /// Keeps the names of threads that end: rows still speak of them.
    fn names(&mut self, seen: &Seen<'_>) {
        let Event::Exit(task) = seen.event else { return };
        let names = &mut self.counted.names;
        if let Some(comm) = seen.comm(task.tid) {
            if names.len() >= NAMES {
                names.pop_first();
            }
            names.insert(task.tid, (task.tgid, comm.into()));
        }
    }

    /// Follows calls; whether a SYNC_CORE call began.
    fn follow(&mut self, seen: &Seen<'_>) -> bool {
        let before = self.follow.total();
        let step = self.follow.event(seen);
        if let Some(call) = self.follow.take_dropped() {
            self.calls.sync_core(&call, seen);
        }
        if let Some((_, call)) = step {
            self.calls.sync_core(&call, seen);
            if let (Some(latency), Some(mm)) = (call.latency_ns, self.mm(call.mm)) {
                *mm.membarrier_ns.get_or_insert(0) += latency;
            }
        }
        if let Some(call) = self.other.see(seen)
            && let Some(latency) = self.calls.membarrier(&call, seen)
            && let Some(mm) = self.mm(call.mm)
        {
            *mm.membarrier_ns.get_or_insert(0) += latency;
        }
        self.calls.event(seen);
        self.follow.total() > before
    }
}

/// Whether it is seen who sends an IPI (Linux 6.4 and later).
pub(super) fn sees_ipis(facts: &Facts) -> bool {
    let sees = |name| {
        facts.probes.iter().any(|probe| probe.name == name && probe.state == Attach::Attached)
    };
    sees("ipi_send_cpu") && sees("ipi_send_cpumask")
}

impl Observer for Collector {
    fn event(&mut self, seen: &Seen<'_>) {
        self.counted.index += 1;
        self.counted.ts = seen.ts;
        if let Some(cpu) = self.counted.cpus.get_mut(seen.cpu as usize) {
            cpu.events.add(seen.ts);
        }
        match seen.event {
            Event::IrqEntry(irq) => self.interrupt(seen, irq.vector),
            Event::IpiCpu(ipi) => {
                self.cell(seen.cpu, ipi.target);
                self.counted.senders.sent(seen, ipi.tid, ipi.callback, [ipi.target]);
            }
            Event::IpiMask(ipi) => {
                let targets = || (0..u64::BITS).filter(|cpu| ipi.mask & 1 << cpu != 0);
                targets().for_each(|target| self.cell(seen.cpu, target));
                self.counted.senders.sent(seen, ipi.tid, ipi.callback, targets());
            }
            _ => {}
        }
        self.counted.senders.event(seen);
        self.mms(seen);
        self.names(seen);
        let began = self.follow(seen);
        if self.notes {
            let lost = if let Event::Gap { lost } = seen.event { *lost } else { 0 };
            let more = Slice { events: 1, calls: began.into(), lost, ..Slice::default() };
            self.happened(seen.ts, more);
        }
        let index = self.counted.index;
        if let Some(watch) = &mut self.watch
            && (!watch.calls || began)
            && (watch.wanted)(seen)
        {
            watch.hit = Some(index);
        }
    }

    fn broken(&mut self, finding: &Finding) {
        if self.notes {
            self.happened(
                finding.ts.max(self.counted.ts),
                Slice { findings: 1, ..Slice::default() },
            );
            // It shows as soon as the event that is being judged has been.
            self.broken.push((self.counted.index + 1, *finding));
        }
    }

    fn restart(&mut self, ts: u64) {
        let (index, cpus) = (self.counted.index, self.counted.cpus.len());
        let owners = std::mem::take(&mut self.counted.owners);
        let names = std::mem::take(&mut self.counted.names);
        self.counted = Counted {
            index,
            ts: self.counted.ts,
            since: ts,
            cpus: vec![CpuCounts::default(); cpus],
            owners,
            names,
            ..Counted::default()
        };
        self.calls = Calls::default();
        self.follow.restart();
        self.other = followed::Calls::default();
        self.broken.clear();
    }
}
