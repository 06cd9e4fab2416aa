//! The way of a call's function to one CPU: of `ipi_sync_core`, or of what was sent in its place.

use tracer_common::{
    model::{Event, Func, Promise},
    wire::Vector,
};

use super::schema::Work;
use crate::engine::Seen;

/// How many runs of the function on one CPU are noted for one call.
const RUNS: usize = 16;

/// What this function of membarrier's is called; `None` for another's.
pub(super) const fn name(func: Func) -> Option<&'static str> {
    match func {
        Func::SyncCore => Some("ipi_sync_core"),
        Func::Mb => Some("ipi_mb"),
        Func::Rseq => Some("ipi_rseq"),
        _ => None,
    }
}

/// How many of membarrier's functions are queued for each CPU and have not run: a CPU takes them in
/// order (`kernel/smp.c:__flush_smp_call_function_queue`).
#[derive(Debug, Default)]
pub(super) struct Pending(Vec<u32>);

impl Pending {
    /// Takes an event, after everybody else.
    pub(super) fn event(&mut self, seen: &Seen<'_>) {
        match seen.event {
            Event::CsdQueue { func, target, .. } if name(*func).is_some() => {
                let target = *target as usize;
                if self.0.len() <= target && target < seen.cpus() {
                    self.0.resize(target + 1, 0);
                }
                if let Some(count) = self.0.get_mut(target) {
                    *count = count.saturating_add(1);
                }
            }
            Event::CsdEntry { func } if name(*func).is_some() => {
                if let Some(count) = self.0.get_mut(seen.cpu as usize) {
                    *count = count.saturating_sub(1);
                }
            }
            // Whatever was lost, nothing is known.
            Event::Gap { .. } => self.0.fill(0),
            _ => {}
        }
    }

    /// How many there are before one that is queued now.
    pub(super) fn before(&self, cpu: u32) -> u32 {
        self.0.get(cpu as usize).copied().unwrap_or_default()
    }
}

/// One run of it.
#[derive(Debug, Clone, Copy)]
struct Run {
    name: &'static str,
    interrupt: Option<(u64, Vector)>,
    begin: u64,
    end: Option<u64>,
    /// A probe saw it serialize.
    serialized: bool,
}

/// Its way to a CPU, from one call.
#[derive(Debug, Default)]
pub(super) struct Works {
    direct: Option<Run>,
    queued: Option<(u64, u32)>,
    ipi: Option<u64>,
    interrupt: Option<(u64, Vector)>,
    runs: Vec<Run>,
    closed: bool,
}

impl Works {
    pub(super) fn direct(&mut self, ts: u64, name: &'static str) {
        let (interrupt, begin, end) = (None, ts, None);
        self.direct.get_or_insert(Run { name, interrupt, begin, end, serialized: false });
    }

    pub(super) fn queued(&mut self, ts: u64, before: u32) {
        self.queued.get_or_insert((ts, before));
    }

    /// The caller sends an IPI.
    pub(super) fn ipi(&mut self, ts: u64) {
        if self.queued.is_some() {
            self.ipi.get_or_insert(ts);
        }
    }

    pub(super) fn interrupt(&mut self, ts: u64, vector: Option<Vector>) {
        if let Some(vector @ (Vector::CallFunction | Vector::CallFunctionSingle)) = vector {
            self.interrupt = Some((ts, vector));
        }
    }

    pub(super) fn interrupt_ends(&mut self, vector: Option<Vector>) {
        if vector == self.interrupt.map(|(_, vector)| vector) {
            self.interrupt = None;
        }
    }

    /// One of membarrier's functions begins here, for whomever.
    pub(super) fn begins(&mut self, ts: u64, name: &'static str) {
        if self.queued.is_some() && !self.closed && self.runs.len() < RUNS {
            let (interrupt, begin, end) = (self.interrupt, ts, None);
            self.runs.push(Run { name, interrupt, begin, end, serialized: false });
        }
    }

    /// The one that began last, if it has not ended.
    fn running(&mut self) -> Option<&mut Run> {
        let Self { direct, runs, .. } = self;
        runs.last_mut().into_iter().chain(direct).find(|run| run.end.is_none())
    }

    pub(super) fn ends(&mut self, ts: u64) {
        if let Some(run) = self.running() {
            run.end = Some(ts);
        }
    }

    /// A probe sees the instruction.
    pub(super) fn serializes(&mut self) {
        if let Some(run) = self.running() {
            run.serialized = true;
        }
    }

    /// The call has returned: it waited for its functions, so they have run.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// All in all. What is promised of `ipi_sync_core` says whether it can be told that it serialized.
    pub(super) fn told(&self, promise: Promise) -> Option<Work> {
        let serialized = |run: &Run| match promise {
            Promise::Probed => Some(run.serialized),
            Promise::Never => Some(false),
            Promise::Assumed | Promise::Audited | Promise::Undecided => None,
        };
        let of = |run: Option<&Run>| Work {
            handler: run.map(|run| run.name),
            handler_begin_ns: run.map(|run| run.begin),
            handler_end_ns: run.and_then(|run| run.end),
            handler_serialized: run
                .filter(|run| Some(run.name) == name(Func::SyncCore))
                .and_then(serialized),
            ..Work::default()
        };
        if let Some(run) = &self.direct {
            return Some(Work { direct: true, ..of(Some(run)) });
        }
        let (queued, before) = self.queued?;
        // Those before it may have run unseen; once the call has returned, it has run too.
        let last = if self.closed { self.runs.last() } else { None };
        let run = self.runs.get(before as usize).or(last);
        let interrupt = run.and_then(|run| run.interrupt);
        Some(Work {
            direct: false,
            queued_ns: Some(queued),
            behind: Some(before),
            ipi_ns: self.ipi,
            arrived_ns: interrupt.map(|(ts, _)| ts),
            vector: interrupt.map(|(_, vector)| vector.name()),
            ..of(run)
        })
    }
}
