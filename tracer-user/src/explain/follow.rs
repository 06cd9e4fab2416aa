//! SYNC_CORE calls, each from its beginning to its return, numbered.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use tracer_common::{
    model::{CallOrigin, Event, Func},
    wire::{membarrier_cmd::PRIVATE_EXPEDITED_SYNC_CORE as SYNC_CORE, private_flags},
};

use super::schema::{Call, Known};
use crate::engine::{Seen, sorted};

/// How many calls may be under way at once; of more, the end is not told.
const OPEN: usize = 1 << 16;

/// What happened to a call with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It began.
    Began,
    /// It returned.
    Returned,
    /// It can't be followed any further.
    Over,
}

/// How many CPUs are online.
fn online(seen: &Seen<'_>) -> u32 {
    let on = |&cpu: &u32| seen.state(cpu).is_some_and(|state| !state.offline);
    (0..seen.cpus() as u32).filter(on).count() as u32
}

/// A call under way.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Open {
    call: Call,
    /// What its function was seen to return, and when and where.
    function_end: Option<(u64, u32, i64)>,
}

/// Follows calls.
#[derive(Debug, Default)]
pub(crate) struct Follow {
    sees_csd: bool,
    total: u64,
    open: FxHashMap<u32, Open>,
    dropped: Option<Call>,
}

/// [`Follow`] to be written, in an order that is always the same.
pub(crate) type Freezing<'a> = (bool, u64, Vec<(&'a u32, &'a Open)>);

/// The same, read.
pub(crate) type Frozen = (bool, u64, Vec<(u32, Open)>);

impl Follow {
    /// `sees_csd`: it can be seen whom a call targets.
    pub(crate) fn new(sees_csd: bool) -> Self {
        Self { sees_csd, ..Self::default() }
    }

    pub(crate) fn freeze(&self) -> Freezing<'_> {
        (self.sees_csd, self.total, sorted(&self.open))
    }

    pub(crate) fn thaw((sees_csd, total, open): Frozen) -> Self {
        Self { sees_csd, total, open: open.into_iter().collect(), dropped: None }
    }

    /// How many began so far.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// The calls that have not returned, in the order in which they began.
    pub(crate) fn under_way(&self) -> Vec<Call> {
        let mut calls: Vec<_> = self.open.values().map(|open| open.call.clone()).collect();
        calls.sort_by_key(|call| call.number);
        calls
    }

    /// The window opens: what came before is not counted.
    pub(crate) fn restart(&mut self) {
        *self = Self::new(self.sees_csd);
    }

    /// A call that the last event ended beside the step that it made: another of the same thread had
    /// begun.
    pub(crate) fn take_dropped(&mut self) -> Option<Call> {
        self.dropped.take()
    }

    /// Takes an event; tells which call took a step with it, if one did.
    pub(crate) fn event(&mut self, seen: &Seen<'_>) -> Option<(Step, Call)> {
        match seen.event {
            Event::MembarrierEnter(w) if w.cmd == SYNC_CORE => {
                self.drop_call(w.tid);
                self.begin(seen, w.tid, (w.mm, Some(w.tgid)), Known::SystemCall)
            }
            Event::PrivateBegin(w) if w.call_flags == private_flags::SYNC_CORE => {
                let call = seen.task(w.tid)?.call?;
                if call.origin != CallOrigin::Private || call.begin != seen.ts {
                    return None;
                }
                self.drop_call(w.tid);
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
                    self.drop_call(w.tid);
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

    fn drop_call(&mut self, tid: u32) {
        self.dropped = self.forget(tid).map(|(_, call)| call);
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
        Some((Step::Returned, call))
    }

    /// A call that was under way is heard of no more.
    fn forget(&mut self, tid: u32) -> Option<(Step, Call)> {
        let open = self.open.get(&tid)?;
        if open.function_end.is_some() {
            return self.returned(tid);
        }
        let Open { call, .. } = self.open.remove(&tid)?;
        Some((Step::Over, call))
    }
}
