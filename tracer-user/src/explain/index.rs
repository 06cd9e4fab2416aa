//! All SYNC_CORE calls of the window, counted; a few of them, and the findings, kept.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use tracer_common::{
    model::{self, CallOrigin, Event, Func, Rule},
    wire::{membarrier_cmd::PRIVATE_EXPEDITED_SYNC_CORE as SYNC_CORE, private_flags},
};

use super::schema::{BelongsTo, Call, Known};
use crate::engine::{Seen, Told};

/// How many calls are listed, from the first on.
const LISTED: usize = 50;

/// How many of the slowest.
const SLOWEST: usize = 10;

/// How many calls may be under way at once; of more, the end is not told.
const OPEN: usize = 1 << 16;

/// How many calls are remembered by their beginning, so that a finding can name its own.
const RECENT: usize = 1 << 16;

/// How many switches of each CPU are remembered, for the same reason.
const SWITCHES: usize = 4;

/// What happened to a call with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It began.
    Began,
    /// It returned.
    Returned,
    /// It can't be followed any further.
    Over,
}

/// A switch, as far as a finding needs it.
#[derive(Debug, Clone, Copy)]
struct Switched {
    ts: u64,
    prev: (u32, u64),
    next: (u32, u64),
}

/// What a finding of the engine's list belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) rule: Rule,
    pub(super) cpu: u32,
    pub(super) mm: u64,
    pub(super) since: u64,
    pub(super) belongs_to: BelongsTo,
}

/// How many CPUs are online.
fn online(seen: &Seen<'_>) -> u32 {
    let on = |&cpu: &u32| seen.state(cpu).is_some_and(|state| !state.offline);
    (0..seen.cpus() as u32).filter(on).count() as u32
}

/// A call under way.
#[derive(Debug)]
struct Open {
    call: Call,
    /// What its function was seen to return, and when and where.
    function_end: Option<(u64, u32, i64)>,
}

/// Counts calls.
#[derive(Debug, Default)]
pub(super) struct Index {
    sees_csd: bool,
    pub(super) total: u64,
    pub(super) listed: Vec<Call>,
    pub(super) slowest: Vec<Call>,
    pub(super) found: Vec<Found>,
    open: FxHashMap<u32, Open>,
    recent: VecDeque<(u64, u64, u64)>,
    switches: Vec<VecDeque<Switched>>,
}

impl Index {
    /// `sees_csd`: it can be seen whom a call targets.
    pub(super) fn new(sees_csd: bool) -> Self {
        Self { sees_csd, ..Self::default() }
    }

    /// The window opens: what came before is not counted.
    pub(super) fn restart(&mut self) {
        *self = Self::new(self.sees_csd);
    }

    /// Takes an event; tells which call took a step with it, if one did.
    pub(super) fn event(&mut self, seen: &Seen<'_>) -> Option<(Step, Call)> {
        match seen.event {
            Event::Switch { switch, .. } => {
                let cpu = seen.cpu as usize;
                if self.switches.len() <= cpu {
                    self.switches.resize_with(cpu + 1, VecDeque::new);
                }
                let switches = self.switches.get_mut(cpu)?;
                if switches.len() == SWITCHES {
                    switches.pop_front();
                }
                switches.push_back(Switched {
                    ts: seen.ts,
                    prev: (switch.prev_tid, switch.prev_mm),
                    next: (switch.next_tid, switch.next_mm),
                });
                None
            }
            Event::MembarrierEnter(w) if w.cmd == SYNC_CORE => {
                self.forget(w.tid);
                self.begin(seen, w.tid, (w.mm, Some(w.tgid)), Known::SystemCall)
            }
            Event::PrivateBegin(w) if w.call_flags == private_flags::SYNC_CORE => {
                let call = seen.task(w.tid)?.call?;
                if call.origin != CallOrigin::Private || call.begin != seen.ts {
                    return None;
                }
                self.forget(w.tid);
                self.begin(seen, w.tid, (w.mm, Some(w.tgid)), Known::Function)
            }
            Event::PrivateEnd(w) if w.call_flags == private_flags::SYNC_CORE => {
                let open = self.open.get_mut(&w.tid)?;
                open.function_end = Some((seen.ts, seen.cpu, w.ret.into()));
                (open.call.known_by != Known::SystemCall).then(|| self.returned(w.tid)).flatten()
            }
            Event::MembarrierExit(w) if w.cmd == SYNC_CORE => {
                let open = self.open.get_mut(&w.tid)?;
                open.function_end = Some((seen.ts, seen.cpu, w.ret));
                let Call { targeted, known_by, .. } = open.call;
                if targeted.is_none() && self.sees_csd && known_by != Known::Work {
                    // Nobody's function was seen, not even its own. A call that fails does so before
                    // it asks anyone (kernel/sched/membarrier.c:membarrier_private_expedited).
                    open.call.targeted = Some(0);
                    open.call.skipped = (w.ret >= 0).then(|| online(seen));
                }
                self.returned(w.tid)
            }
            Event::CsdLocal { func: Func::SyncCore, local: w }
            | Event::Handler { func: Func::SyncCore, handler: w } => {
                let call = seen.task(w.tid)?.call?;
                let inferred = call.origin == CallOrigin::Inferred && call.begin == seen.ts;
                if inferred && call.cmd == SYNC_CORE {
                    self.forget(w.tid);
                    let began = self.begin(seen, w.tid, (w.mm, Some(w.tgid)), Known::Work);
                    self.targets(seen, w.tid);
                    return began;
                }
                self.targets(seen, w.tid);
                None
            }
            Event::CsdQueue { func: Func::SyncCore, tid, .. } => {
                self.targets(seen, *tid);
                None
            }
            Event::CallMask { func: Func::SyncCore, call } => {
                self.targets(seen, call.tid);
                None
            }
            Event::Exit(w) | Event::Free(w) => self.forget(w.tid),
            _ => None,
        }
    }

    /// A finding was told.
    pub(super) fn finding(&mut self, told: &Told) {
        let model::Finding { rule, cpu, mm, since, .. } = told.finding;
        let belongs_to = match rule {
            Rule::R2 => {
                let number = self.number(mm, since);
                BelongsTo::Call { number, begin_ns: since }
            }
            Rule::R1 => {
                let switches = self.switches.get(cpu as usize);
                match switches.and_then(|all| all.iter().rev().find(|one| one.ts == since)) {
                    Some(&Switched { ts, prev, next }) if next.1 == mm => BelongsTo::Switch {
                        ts_ns: ts,
                        prev_tid: prev.0,
                        prev_mm: prev.1,
                        next_tid: next.0,
                        next_mm: next.1,
                    },
                    _ => BelongsTo::MmChange { ts_ns: since },
                }
            }
            Rule::R3 | Rule::R4 if since != 0 => BelongsTo::Flush { ts_ns: since },
            _ => BelongsTo::Nothing,
        };
        self.found.push(Found { rule, cpu, mm, since, belongs_to });
    }

    /// The number of the call that began then.
    fn number(&self, mm: u64, begin: u64) -> Option<u64> {
        let of = |&&(of, began, _): &&(u64, u64, u64)| (of, began) == (mm, begin);
        self.recent.iter().rev().find(of).map(|&(_, _, number)| number)
    }

    fn begin(
        &mut self,
        seen: &Seen<'_>,
        tid: u32,
        (mm, tgid): (u64, Option<u32>),
        known_by: Known,
    ) -> Option<(Step, Call)> {
        self.total += 1;
        let call = Call {
            number: self.total,
            known_by,
            begin_ns: seen.ts,
            tid,
            tgid,
            comm: seen.comm(tid).map(str::to_owned),
            mm,
            cpu: seen.cpu,
            ..Call::default()
        };
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((mm, seen.ts, self.total));
        if self.listed.len() < LISTED {
            self.listed.push(call.clone());
        }
        if self.open.len() < OPEN {
            self.open.insert(tid, Open { call: call.clone(), function_end: None });
        }
        Some((Step::Began, call))
    }

    /// Notes whom it targets, as the model has it.
    fn targets(&mut self, seen: &Seen<'_>, tid: u32) {
        let Some(open) = self.open.get_mut(&tid) else { return };
        let Some(call) = seen.task(tid).and_then(|task| task.call.as_ref()) else { return };
        if !self.sees_csd || call.cmd != SYNC_CORE {
            return;
        }
        let targeted = if call.origin == CallOrigin::Inferred {
            // Whom else it targeted was not noted.
            None
        } else {
            Some(call.targets.iter().map(|word| word.count_ones()).sum::<u32>())
        };
        open.call.targeted = targeted;
        open.call.skipped = targeted.map(|targeted| online(seen).saturating_sub(targeted));
    }

    fn returned(&mut self, tid: u32) -> Option<(Step, Call)> {
        let Open { mut call, function_end } = self.open.remove(&tid)?;
        let (ts, cpu, ret) = function_end?;
        call.end_ns = Some(ts);
        call.end_cpu = Some(cpu);
        call.returned = Some(ret);
        call.latency_ns =
            (call.known_by == Known::SystemCall).then(|| ts.saturating_sub(call.begin_ns));
        self.list(&call);
        Some((Step::Returned, call))
    }

    /// A call that was under way is heard of no more.
    fn forget(&mut self, tid: u32) -> Option<(Step, Call)> {
        let open = self.open.get(&tid)?;
        if open.function_end.is_some() {
            return self.returned(tid);
        }
        let Open { call, .. } = self.open.remove(&tid)?;
        self.list(&call);
        Some((Step::Over, call))
    }

    fn list(&mut self, call: &Call) {
        let index = usize::try_from(call.number - 1).unwrap_or(usize::MAX);
        if let Some(listed) = self.listed.get_mut(index) {
            listed.clone_from(call);
        }
        let Some(latency) = call.latency_ns else { return };
        let at = self.slowest.partition_point(|slow| slow.latency_ns >= Some(latency));
        if at < SLOWEST {
            self.slowest.insert(at, call.clone());
            self.slowest.truncate(SLOWEST);
        }
    }
}
