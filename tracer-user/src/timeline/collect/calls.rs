//! The last calls: SYNC_CORE, other membarrier commands, flushes of other CPUs' TLBs.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use tracer_common::{
    model::{Event, Func, Skip},
    wire::{membarrier_cmd as cmd, tlb_reason},
};

use crate::{
    engine::Seen,
    explain,
    export::calls,
    tui::snapshot::{CallKind, Cover},
};

/// How many are kept.
const KEPT: usize = 256;
/// How many flushes are followed at once.
const FLUSHES: usize = 4096;
/// How many rows back a call is looked for that something new is known of.
const BACK: usize = KEPT;

/// A call, and what became of each CPU.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::timeline) struct Row {
    kind: u8,
    pub(in crate::timeline) call: explain::Call,
    /// [`COVERS`] by number, by CPU.
    coverage: Vec<u8>,
}

/// As they are written down.
const COVERS: [Cover; 11] = [
    Cover::Unknown,
    Cover::Own,
    Cover::Targeted,
    Cover::KthreadLazy,
    Cover::KthreadOther,
    Cover::IdleLazy,
    Cover::IdleOther,
    Cover::OtherMm,
    Cover::Offline,
    Cover::Raced,
    Cover::Unknown,
];

const KINDS: [CallKind; 3] = [CallKind::SyncCore, CallKind::Membarrier, CallKind::Flush];
const SYNC_CORE: u8 = 0;
const MEMBARRIER: u8 = 1;
const FLUSH: u8 = 2;

const OWN: u8 = 1;
const TARGETED: u8 = 2;

const fn skipped(why: Skip) -> u8 {
    match why {
        Skip::KthreadLazy => 3,
        Skip::KthreadOther => 4,
        Skip::IdleLazy => 5,
        Skip::IdleOther => 6,
        Skip::OtherMm => 7,
        Skip::Offline => 8,
        Skip::Raced => 9,
        Skip::Unknown => 0,
    }
}

impl Row {
    pub(in crate::timeline) fn kind(&self) -> CallKind {
        KINDS.get(usize::from(self.kind)).copied().unwrap_or_default()
    }

    pub(in crate::timeline) fn coverage(&self) -> Vec<Cover> {
        let cover = |&cover: &u8| COVERS.get(usize::from(cover)).copied().unwrap_or_default();
        self.coverage.iter().map(cover).collect()
    }

    fn cover(&mut self, cpu: u32, how: u8) {
        if let Some(slot) = self.coverage.get_mut(cpu as usize)
            && *slot != OWN
        {
            *slot = how;
        }
    }
}

/// A flush under way.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Flush {
    mm: u64,
    begin: u64,
    /// Its beginning and its end are seen.
    whole: bool,
    /// The row's number, if it has one.
    row: Option<u64>,
}

/// The last calls.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::timeline) struct Calls {
    rows: VecDeque<Row>,
    omitted: u64,
    membarriers: u64,
    flushes: u64,
    flushing: BTreeMap<u32, Flush>,
}

impl Calls {
    /// Those that are kept.
    pub(in crate::timeline) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }

    /// How many are not.
    pub(in crate::timeline) const fn omitted(&self) -> u64 {
        self.omitted
    }

    fn row(&mut self, kind: u8, number: u64) -> Option<&mut Row> {
        let rows = self.rows.iter_mut().rev().take(BACK);
        rows.into_iter().find(|row| row.kind == kind && row.call.number == number)
    }

    fn push(&mut self, kind: u8, call: explain::Call, seen: &Seen<'_>) -> Option<&mut Row> {
        if self.rows.len() == KEPT {
            self.rows.pop_front();
            self.omitted += 1;
        }
        let offline = |cpu| seen.state(cpu).is_some_and(|state| state.offline);
        let mut coverage: Vec<u8> = (0..seen.cpus() as u32)
            .map(|cpu| if offline(cpu) { skipped(Skip::Offline) } else { 0 })
            .collect();
        if let Some(own) = coverage.get_mut(call.cpu as usize) {
            *own = OWN;
        }
        self.rows.push_back(Row { kind, call, coverage });
        self.rows.back_mut()
    }

    /// A SYNC_CORE call took a step.
    pub(in crate::timeline) fn sync_core(&mut self, call: &explain::Call, seen: &Seen<'_>) {
        let began = call.end_ns.is_none() && call.begin_ns == seen.ts;
        if let Some(row) = self.row(SYNC_CORE, call.number) {
            row.call = call.clone();
            if call.end_ns.is_some() {
                left_alone(row, seen);
            }
        } else if began {
            self.push(SYNC_CORE, call.clone(), seen);
        }
    }

    /// Another membarrier call returned; its length, if it counts here.
    pub(in crate::timeline) fn membarrier(
        &mut self,
        call: &calls::Call,
        seen: &Seen<'_>,
    ) -> Option<u64> {
        let interrupts = matches!(
            call.cmd,
            cmd::PRIVATE_EXPEDITED | cmd::PRIVATE_EXPEDITED_RSEQ | cmd::GLOBAL_EXPEDITED
        );
        if !interrupts {
            return None;
        }
        self.membarriers += 1;
        let latency = call.begin.map(|begin| call.end.saturating_sub(begin));
        let told = explain::Call {
            number: self.membarriers,
            begin_ns: call.begin.unwrap_or(call.end),
            tid: call.tid,
            tgid: Some(call.tgid),
            comm: seen.comm(call.tid).map(str::to_owned),
            mm: call.mm,
            cpu: call.cpu,
            end_ns: Some(call.end),
            end_cpu: Some(call.end_cpu),
            latency_ns: latency,
            returned: Some(call.ret),
            targeted: (!call.targets.is_empty()).then_some(call.targets.len() as u32),
            ..explain::Call::default()
        };
        let row = self.push(MEMBARRIER, told, seen)?;
        call.targets.iter().for_each(|&cpu| row.cover(cpu, TARGETED));
        latency
    }

    /// What an event tells of calls that are listed.
    pub(in crate::timeline) fn event(&mut self, seen: &Seen<'_>) {
        match seen.event {
            Event::CsdQueue { func: Func::SyncCore, target, tid } => {
                self.targeted(*tid, [*target]);
            }
            Event::CallMask { func: Func::SyncCore, call } => {
                let others = (0..u64::BITS).filter(|&n| call.mask & 1 << n != 0 && n != seen.cpu);
                self.targeted(call.tid, others);
            }
            Event::CsdLocal { func: Func::SyncCore, local: w }
            | Event::Handler { func: Func::SyncCore, handler: w } => {
                // The model has just decided why the others were left alone.
                if let Some(row) = self.open(w.tid) {
                    left_alone(row, seen);
                }
            }
            Event::CsdQueue { func: Func::FlushTlb, target, tid } => {
                if let Some(row) = self.flush_row(*tid, seen) {
                    row.cover(*target, TARGETED);
                    *row.call.targeted.get_or_insert(0) += 1;
                }
            }
            Event::TlbFlush(flush) if flush.reason == tlb_reason::REMOTE_SEND_IPI => {
                let whole = self.flushing.get(&flush.tid).is_some_and(|flush| flush.whole);
                if !whole {
                    self.flush_begins(flush.tid, flush.mm, seen.ts, false);
                }
                self.flush_row(flush.tid, seen);
            }
            Event::FlushBegin { flush, .. } => {
                self.flush_begins(flush.tid, flush.mm, seen.ts, true);
            }
            Event::FlushMulti { flush, .. } => {
                self.flush_row(flush.tid, seen);
            }
            Event::FlushEnd { flush, .. } => {
                if let Some(Flush { begin, row: Some(number), .. }) =
                    self.flushing.remove(&flush.tid)
                    && let Some(row) = self.row(FLUSH, number)
                {
                    row.call.end_ns = Some(seen.ts);
                    row.call.end_cpu = Some(seen.cpu);
                    row.call.latency_ns = Some(seen.ts.saturating_sub(begin));
                }
            }
            Event::Exit(task) | Event::Free(task) => {
                self.flushing.remove(&task.tid);
            }
            Event::Gap { .. } => self.flushing.clear(),
            _ => {}
        }
    }

    /// The SYNC_CORE call of this thread that is under way.
    fn open(&mut self, tid: u32) -> Option<&mut Row> {
        self.rows
            .iter_mut()
            .rev()
            .find(|row| row.kind == SYNC_CORE && row.call.tid == tid && row.call.end_ns.is_none())
    }

    fn targeted(&mut self, tid: u32, targets: impl IntoIterator<Item = u32>) {
        if let Some(row) = self.open(tid) {
            targets.into_iter().for_each(|cpu| row.cover(cpu, TARGETED));
        }
    }

    fn flush_begins(&mut self, tid: u32, mm: u64, begin: u64, whole: bool) {
        if self.flushing.len() >= FLUSHES {
            self.flushing.clear();
        }
        self.flushing.insert(tid, Flush { mm, begin, whole, row: None });
    }

    /// The row of this thread's flush, now that it asks other CPUs.
    fn flush_row(&mut self, tid: u32, seen: &Seen<'_>) -> Option<&mut Row> {
        let &Flush { mm, begin, row, .. } = self.flushing.get(&tid)?;
        let Some(number) = row else {
            self.flushes += 1;
            let number = self.flushes;
            if let Some(flush) = self.flushing.get_mut(&tid) {
                flush.row = Some(number);
            }
            let call = explain::Call {
                number,
                begin_ns: begin,
                tid,
                tgid: seen.tgid(tid),
                comm: seen.comm(tid).map(str::to_owned),
                mm,
                cpu: seen.cpu,
                ..explain::Call::default()
            };
            return self.push(FLUSH, call, seen);
        };
        self.row(FLUSH, number)
    }
}

/// Notes why the model says, as of this event, that CPUs were left alone.
fn left_alone(row: &mut Row, seen: &Seen<'_>) {
    for cpu in 0..row.coverage.len() as u32 {
        let open = row.coverage.get(cpu as usize) == Some(&0);
        if open
            && let Some(left) = seen.state(cpu).and_then(|state| state.left_alone)
            && (left.ts, left.mm) == (seen.ts, row.call.mm)
        {
            row.cover(cpu, skipped(left.why));
        }
    }
}
