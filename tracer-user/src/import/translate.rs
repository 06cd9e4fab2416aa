//! Other tools' events as our records. What they do not tell stays untold.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use tracer_common::{
    model::MAX_CPUS,
    wire::{
        COMM_LEN, CsdLocal, CsdQueue, CsdRun, Exec, FAULT_FROM_USER, Fault, Fork, Header, Hotplug,
        IpiCpu, IpiMask, Irq, Kind, Membarrier, Rename, Switch, Task, TlbFlush, UNKNOWN_MM,
        switch_flags,
    },
};
use zerocopy::{Immutable, IntoBytes};

use super::{
    ImportError, Imported,
    names::Names,
    point::{Calls, Point, What},
    spool::Spool,
};

/// How many calls in flight are remembered.
const MOST: usize = 1 << 16;

/// A hole counts at most so many records in our numbers; all are in [`Imported::lost`].
const LARGEST_HOLE: u64 = 1 << 28;

/// What is remembered of a CPU.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OfCpu {
    /// The number of its next record.
    pub(super) seq: u32,
    /// When its last one was.
    ts: u64,
    /// It has any.
    pub(super) seen: bool,
    /// A switch was among them.
    pub(super) switched: bool,
    /// Whom the last one switched in, if nothing is missing since.
    running: Option<u32>,
}

/// A membarrier call in flight.
#[derive(Clone, Copy, Debug)]
struct InCall {
    cmd: i32,
    flags: u32,
    cpu_id: i32,
}

/// Takes events, and puts records away.
pub(super) struct Translator {
    pub(super) spool: Spool,
    pub(super) cpus: Vec<OfCpu>,
    /// How many the trace says there are; 0 if it does not.
    pub(super) cpus_told: u32,
    pub(super) names: Names,
    calls: FxHashMap<u32, InCall>,
    /// What tells of system calls. Where two do, the first counts.
    pub(super) calls_by: Option<Calls>,
    /// Calls that returned, and of which no entry was seen.
    pub(super) calls_cut: u64,
    pub(super) kinds: BTreeSet<Kind>,
    pub(super) overwritten: u64,
    /// When the first and the last event were, in nanoseconds.
    pub(super) span: Option<(u64, u64)>,
    /// When the last CPU that has events had its first switch.
    pub(super) known_at: Option<u64>,
    /// Times have more digits than a microsecond's.
    pub(super) fine: bool,
    /// `uname -r` of the traced machine.
    pub(super) release: Option<String>,
    /// The trace's clock, as ftrace calls it.
    pub(super) clock: Option<String>,
    /// Buffers with events that are left out.
    pub(super) other_buffers: Vec<String>,
}

impl Translator {
    pub(super) fn new() -> Result<Self, ImportError> {
        Ok(Self {
            spool: Spool::new().map_err(ImportError::Spool)?,
            cpus: Vec::new(),
            cpus_told: 0,
            names: Names::default(),
            calls: FxHashMap::default(),
            calls_by: None,
            calls_cut: 0,
            kinds: BTreeSet::new(),
            overwritten: 0,
            span: None,
            known_at: None,
            fine: false,
            release: None,
            clock: None,
            other_buffers: Vec::new(),
        })
    }

    /// The trace says how many CPUs there are.
    pub(super) fn has_cpus(&mut self, count: &str) {
        if let Ok(count) = count.parse()
            && count as usize <= MAX_CPUS
        {
            self.cpus_told = self.cpus_told.max(count);
        }
    }

    /// The trace says that so many events were overwritten before it was read.
    pub(super) fn overwritten(&mut self, count: u64) {
        self.overwritten = self.overwritten.saturating_add(count);
    }

    fn cpu(&mut self, cpu: u32) -> Result<&mut OfCpu, &'static str> {
        let index = cpu as usize;
        if index >= MAX_CPUS {
            return Err("it is of a CPU beyond 1023, and unlazy tells 1024 apart");
        }
        if index >= self.cpus.len() {
            self.cpus.resize(index + 1, OfCpu::default());
        }
        Ok(&mut self.cpus[index])
    }

    /// The trace says that so many events of a CPU were lost here.
    pub(super) fn lost(
        &mut self,
        cpu: u32,
        count: u64,
        imported: &mut Imported,
    ) -> Result<(), &'static str> {
        let count = count.max(1);
        let of_cpu = self.cpu(cpu)?;
        of_cpu.seq = of_cpu.seq.wrapping_add(count.min(LARGEST_HOLE) as u32);
        of_cpu.running = None;
        imported.lost = imported.lost.saturating_add(count);
        // Calls may have ended, and others begun.
        self.calls.clear();
        Ok(())
    }

    /// Takes an event. The outer error is ours, the inner one says why it can't be taken.
    pub(super) fn take(
        &mut self,
        point: &Point<'_>,
        imported: &mut Imported,
    ) -> Result<Result<(), &'static str>, ImportError> {
        let Point { cpu, ts, .. } = *point;
        let of_cpu = match self.cpu(cpu) {
            Ok(of_cpu) => of_cpu,
            Err(why) => return Ok(Err(why)),
        };
        if of_cpu.seen && ts < of_cpu.ts {
            // Something is missing where it should have stood.
            of_cpu.seq = of_cpu.seq.wrapping_add(1);
            of_cpu.running = None;
            imported.backwards += 1;
            return Ok(Ok(()));
        }
        let running = match point.what {
            What::Switch { prev, .. } => Some(prev),
            _ => point.tid.or(of_cpu.running),
        };
        let Some(tid) = running.filter(|&tid| i32::try_from(tid).is_ok()) else {
            return Ok(Err("its task is not told"));
        };
        if let What::Switch { next, .. } = point.what {
            of_cpu.running = Some(next);
        }
        (of_cpu.ts, of_cpu.seen) = (ts, true);
        if matches!(point.what, What::Switch { .. }) && !of_cpu.switched {
            of_cpu.switched = true;
            self.known_at = self.known_at.max(Some(ts));
        }
        self.fine |= ts % 1000 != 0;
        let (first, last) = self.span.unwrap_or((ts, ts));
        self.span = Some((first.min(ts), last.max(ts)));
        self.names.learn(point, tid);
        let before = imported.events;
        self.translate(point, tid, imported).map_err(ImportError::Spool)?;
        imported.unused += u64::from(imported.events == before);
        Ok(Ok(()))
    }

    fn put(
        &mut self,
        point: &Point<'_>,
        (kind, flags): (Kind, u16),
        payload: &(impl IntoBytes + Immutable),
        imported: &mut Imported,
    ) -> std::io::Result<()> {
        let Some(of_cpu) = self.cpus.get_mut(point.cpu as usize) else { return Ok(()) };
        let header = Header { ts: point.ts, seq: of_cpu.seq, kind: kind as u16, flags };
        of_cpu.seq = of_cpu.seq.wrapping_add(1);
        self.kinds.insert(kind);
        imported.events += 1;
        let record = [header.as_bytes(), payload.as_bytes()].concat();
        self.spool.push(point.cpu, point.ts, &record)
    }

    fn translate(
        &mut self,
        point: &Point<'_>,
        tid: u32,
        imported: &mut Imported,
    ) -> std::io::Result<()> {
        let mm = if tid == 0 { 0 } else { UNKNOWN_MM };
        match point.what {
            What::Switch { prev, next, blocked, preempted, .. } => {
                let flags = [
                    (preempted, switch_flags::PREEMPT),
                    (blocked, switch_flags::PREV_BLOCKED),
                    (prev == 0, switch_flags::PREV_KTHREAD),
                    (next == 0, switch_flags::NEXT_KTHREAD),
                ]
                .iter()
                .fold(0, |flags, &(set, flag)| flags | if set { flag } else { 0 });
                // The idle task has no mm of its own; of others that is not known.
                let mm = |tid: u32| if tid == 0 { 0 } else { UNKNOWN_MM };
                let payload = Switch {
                    prev_mm: mm(prev),
                    prev_active: UNKNOWN_MM,
                    next_mm: mm(next),
                    prev_tid: prev,
                    next_tid: next,
                    next_tgid: self.names.tgid_of(next),
                    prev_state: 0,
                    next_state: 0,
                    prev_frame: 0,
                    next_frame: 0,
                };
                self.put(point, (Kind::Switch, flags), &payload, imported)
            }
            What::TlbFlush { pages, reason } => {
                let payload = TlbFlush { pages, mm: UNKNOWN_MM, tid, reason };
                self.put(point, (Kind::TlbFlush, 0), &payload, imported)
            }
            What::Irq { vector, entry } => {
                let kind = if entry { Kind::IrqEntry } else { Kind::IrqExit };
                let payload = Irq { tid, vector: vector as u8, frame: 0, state: 0, zero: 0 };
                self.put(point, (kind, 0), &payload, imported)
            }
            What::CsdQueue { target, func } => {
                let payload = CsdQueue { func: self.names.function(func), target, tid };
                self.put(point, (Kind::CsdQueue, 0), &payload, imported)
            }
            What::CsdEntry { func, local: false } => {
                let payload = CsdRun { func: self.names.function(func) };
                self.put(point, (Kind::CsdEntry, 0), &payload, imported)
            }
            What::CsdEntry { func, local: true } => {
                let (func, tgid) = (self.names.function(func), self.names.tgid(point, tid));
                let payload = CsdLocal { func, mm, tid, tgid, nr: -1, cmd: -1 };
                self.put(point, (Kind::CsdLocal, 0), &payload, imported)
            }
            What::CsdExit { func } => {
                let payload = CsdRun { func: self.names.function(func) };
                self.put(point, (Kind::CsdExit, 0), &payload, imported)
            }
            What::IpiCpu { target, callsite, callback } => {
                let (callsite, callback) =
                    (self.names.function(callsite), self.names.function(callback));
                let payload = IpiCpu { callsite, callback, target, tid };
                self.put(point, (Kind::IpiCpu, 0), &payload, imported)
            }
            What::IpiMask { mask, callsite, callback } => {
                let (callsite, callback) =
                    (self.names.function(callsite), self.names.function(callback));
                let payload = IpiMask { callsite, callback, mask, tid, zero: 0 };
                self.put(point, (Kind::IpiMask, 0), &payload, imported)
            }
            What::MembarrierEnter { .. } | What::MembarrierExit { .. } => {
                self.membarrier(point, tid, imported)
            }
            What::PageFault { user } => {
                let flags = FAULT_FROM_USER * u16::from(user);
                let payload = Fault { tid, state: 0, frame: 0, zero: [0; 2] };
                self.put(point, (Kind::PageFault, flags), &payload, imported)
            }
            What::Nmi => {
                let payload = Fault { tid, state: 0, frame: 0, zero: [0; 2] };
                self.put(point, (Kind::Nmi, 0), &payload, imported)
            }
            What::Hotplug { cpu, target } => {
                self.put(point, (Kind::Hotplug, 0), &Hotplug { cpu, target }, imported)
            }
            What::Fork { .. }
            | What::Exec { .. }
            | What::Exit { .. }
            | What::Free { .. }
            | What::Rename { .. } => self.life(point, imported),
            What::Unused => Ok(()),
        }
    }

    /// Tasks come and go.
    fn life(&mut self, point: &Point<'_>, imported: &mut Imported) -> std::io::Result<()> {
        match point.what {
            What::Fork { parent, child, child_comm } => {
                let payload = Fork {
                    child_mm: UNKNOWN_MM,
                    parent_tid: parent,
                    child_tid: child,
                    child_tgid: 0,
                    state: 0,
                    zero: [0; 3],
                    comm: comm(child_comm),
                };
                self.put(point, (Kind::Fork, 0), &payload, imported)
            }
            What::Exec { tid, old } => {
                let payload = Exec { mm: UNKNOWN_MM, tid, old_tid: old, comm: comm(point.comm) };
                self.put(point, (Kind::Exec, 0), &payload, imported)
            }
            What::Rename { tid, comm: name } => {
                let tgid = self.names.tgid_of(tid);
                let payload = Rename { tid, tgid, comm: comm(name) };
                self.put(point, (Kind::Rename, 0), &payload, imported)
            }
            What::Exit { tid } => {
                let payload = Task { mm: UNKNOWN_MM, tid, tgid: 0 };
                self.put(point, (Kind::Exit, 0), &payload, imported)
            }
            What::Free { tid } => {
                self.calls.remove(&tid);
                let payload = Task { mm: 0, tid, tgid: 0 };
                self.put(point, (Kind::Free, 0), &payload, imported)
            }
            _ => Ok(()),
        }
    }

    /// A call begins, or returns: what it was is told only as it begins.
    fn membarrier(
        &mut self,
        point: &Point<'_>,
        tid: u32,
        imported: &mut Imported,
    ) -> std::io::Result<()> {
        let (What::MembarrierEnter { from, .. } | What::MembarrierExit { from, .. }) = point.what
        else {
            return Ok(());
        };
        if *self.calls_by.get_or_insert(from) != from {
            return Ok(());
        }
        let tgid = self.names.tgid(point, tid);
        let (kind, call, ret) = match point.what {
            What::MembarrierEnter { cmd, flags, cpu_id, .. } => {
                let call = InCall { cmd, flags, cpu_id };
                if self.calls.len() < MOST {
                    self.calls.insert(tid, call);
                }
                (Kind::MembarrierEnter, Some(call), 0)
            }
            What::MembarrierExit { ret, .. } => {
                (Kind::MembarrierExit, self.calls.remove(&tid), ret)
            }
            _ => return Ok(()),
        };
        let Some(InCall { cmd, flags, cpu_id }) = call else {
            self.calls_cut += 1;
            return Ok(());
        };
        let payload = Membarrier {
            mm: UNKNOWN_MM,
            ret,
            tid,
            tgid,
            cmd,
            cmd_flags: flags,
            cpu_id,
            state: 0,
            frame: 0,
            zero: [0; 2],
        };
        self.put(point, (kind, 0), &payload, imported)
    }
}

/// A name as the wire has it.
fn comm(name: &str) -> [u8; COMM_LEN] {
    let mut bytes = [0; COMM_LEN];
    for (to, from) in bytes[..COMM_LEN - 1].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    bytes
}
