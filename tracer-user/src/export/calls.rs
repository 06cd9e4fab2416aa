//! membarrier calls, from their events: when, by whom, with what result, and whom they interrupted.

use std::collections::BTreeSet;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use tracer_common::{
    model::{Event, Func},
    wire::{membarrier_cmd as cmd, private_flags},
};

use crate::engine::{Seen, sorted};

/// How many calls are followed at once.
const MOST: usize = 1 << 20;

/// A call that has returned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// When it began, in nanoseconds; `None` if that was not seen.
    pub begin: Option<u64>,
    /// When it returned.
    pub end: u64,
    /// The CPU where it began; where it returned, if that was not seen.
    pub cpu: u32,
    /// The CPU where it returned.
    pub end_cpu: u32,
    /// The caller.
    pub tid: u32,
    /// Its process.
    pub tgid: u32,
    /// Its mm.
    pub mm: u64,
    /// The command.
    pub cmd: i32,
    /// What it returned.
    pub ret: i64,
    /// The CPUs that ran its function, or were asked to: in order, the caller's own among them if
    /// that was told.
    pub targets: Vec<u32>,
}

/// Calls in flight.
#[derive(Debug, Default)]
pub struct Calls {
    open: FxHashMap<u32, Call>,
    /// Threads whose call was handed out as its function returned; the system call's own return is
    /// still to come.
    inside: FxHashSet<u32>,
}

/// Whether membarrier has CPUs run this function.
pub(super) const fn is_membarrier(func: Func) -> bool {
    matches!(func, Func::SyncCore | Func::Mb | Func::Rseq | Func::SyncRqState)
}

/// The command that `membarrier_private_expedited` was called for.
const fn private(flags: u32) -> i32 {
    match flags {
        private_flags::SYNC_CORE => cmd::PRIVATE_EXPEDITED_SYNC_CORE,
        private_flags::RSEQ => cmd::PRIVATE_EXPEDITED_RSEQ,
        _ => cmd::PRIVATE_EXPEDITED,
    }
}

/// [`Calls`] to be written, in an order that is always the same.
pub(crate) type Freezing<'a> = (Vec<(&'a u32, &'a Call)>, BTreeSet<u32>);

/// The same, read.
pub(crate) type Frozen = (Vec<(u32, Call)>, BTreeSet<u32>);

impl Calls {
    pub(crate) fn freeze(&self) -> Freezing<'_> {
        (sorted(&self.open), self.inside.iter().copied().collect())
    }

    pub(crate) fn thaw((open, inside): Frozen) -> Self {
        Self { open: open.into_iter().collect(), inside: inside.into_iter().collect() }
    }

    /// Takes an event; a call that it ends is handed out.
    pub fn see(&mut self, seen: &Seen<'_>) -> Option<Call> {
        self.take(seen.cpu, seen.ts, seen.event)
    }

    fn take(&mut self, cpu: u32, ts: u64, event: &Event) -> Option<Call> {
        match event {
            Event::MembarrierEnter(w) => {
                self.inside.remove(&w.tid);
                let call =
                    Call { tid: w.tid, tgid: w.tgid, mm: w.mm, cmd: w.cmd, ..Call::default() };
                self.begin(cpu, ts, call);
            }
            Event::PrivateBegin(w) if !self.open.contains_key(&w.tid) => {
                let (tid, tgid, mm) = (w.tid, w.tgid, w.mm);
                let call = Call { tid, tgid, mm, cmd: private(w.call_flags), ..Call::default() };
                self.inside.insert(tid);
                self.begin(cpu, ts, call);
            }
            Event::CsdQueue { func, target, tid } if is_membarrier(*func) => {
                self.target(*tid, *target);
            }
            Event::CallMask { func, call } if is_membarrier(*func) => {
                let others = (0..u64::BITS).filter(|&n| call.mask & 1 << n != 0 && n != cpu);
                for target in others {
                    self.target(call.tid, target);
                }
            }
            Event::CsdLocal { func, local: w } | Event::Handler { func, handler: w }
                if is_membarrier(*func) =>
            {
                self.target(w.tid, cpu);
            }
            Event::PrivateEnd(w) if self.inside.contains(&w.tid) => {
                let call = self.open.remove(&w.tid)?;
                return Some(Call { end: ts, end_cpu: cpu, ret: w.ret.into(), ..call });
            }
            Event::MembarrierExit(w) => {
                let call = self.open.remove(&w.tid);
                if self.inside.remove(&w.tid) && call.is_none() {
                    return None;
                }
                let (tid, tgid, mm) = (w.tid, w.tgid, w.mm);
                let call = call.filter(|call| (call.cmd, call.mm) == (w.cmd, mm)).unwrap_or(Call {
                    cpu,
                    tid,
                    tgid,
                    mm,
                    cmd: w.cmd,
                    ..Call::default()
                });
                return Some(Call { end: ts, end_cpu: cpu, ret: w.ret, ..call });
            }
            Event::Free(task) => {
                self.open.remove(&task.tid);
                self.inside.remove(&task.tid);
            }
            // An end, or a target, may have been among what was lost.
            Event::Gap { .. } => {
                self.open.clear();
                self.inside.clear();
            }
            _ => {}
        }
        None
    }

    fn begin(&mut self, cpu: u32, ts: u64, call: Call) {
        if self.open.len() < MOST {
            self.open.insert(call.tid, Call { begin: Some(ts), cpu, ..call });
        }
    }

    fn target(&mut self, tid: u32, target: u32) {
        if let Some(call) = self.open.get_mut(&tid)
            && let Err(at) = call.targets.binary_search(&target)
        {
            call.targets.insert(at, target);
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::wire::{Membarrier, PrivateCall};

    use super::*;

    fn membarrier(ret: i64) -> Membarrier {
        Membarrier {
            mm: 7,
            ret,
            tid: 100,
            tgid: 100,
            cmd: cmd::PRIVATE_EXPEDITED_SYNC_CORE,
            cmd_flags: 0,
            cpu_id: 0,
            state: 0,
            frame: 1,
            zero: [0; 2],
        }
    }

    fn private_call(ret: i32) -> PrivateCall {
        PrivateCall {
            mm: 7,
            tid: 100,
            tgid: 100,
            call_flags: private_flags::SYNC_CORE,
            cpu_id: -1,
            ret,
            state: 0,
            zero: [0; 3],
        }
    }

    const fn queue(target: u32) -> Event {
        Event::CsdQueue { func: Func::SyncCore, target, tid: 100 }
    }

    #[test]
    fn a_call_has_its_targets_and_its_result() {
        let mut calls = Calls::default();
        assert_eq!(calls.take(0, 10, &Event::MembarrierEnter(membarrier(0))), None);
        assert_eq!(calls.take(0, 11, &Event::PrivateBegin(private_call(0))), None);
        for target in [3, 1, 3] {
            assert_eq!(calls.take(0, 12, &queue(target)), None);
        }
        assert_eq!(calls.take(0, 14, &Event::PrivateEnd(private_call(0))), None);
        let call = calls.take(2, 15, &Event::MembarrierExit(membarrier(-1)));
        let call = call.expect("it is over");
        assert_eq!((call.begin, call.end, call.cpu, call.end_cpu), (Some(10), 15, 0, 2));
        assert_eq!((call.targets, call.ret), (vec![1, 3], -1));
    }

    #[test]
    fn a_call_is_told_once_however_it_is_seen() {
        let mut calls = Calls::default();
        calls.take(0, 11, &Event::PrivateBegin(private_call(0)));
        calls.take(0, 12, &queue(1));
        let call = calls.take(0, 14, &Event::PrivateEnd(private_call(-1))).expect("it is over");
        assert_eq!((call.cmd, call.ret, &call.targets[..]), (32, -1, &[1][..]));
        assert_eq!(calls.take(0, 15, &Event::MembarrierExit(membarrier(0))), None);
        // The next one was entered unseen.
        let call = calls.take(0, 20, &Event::MembarrierExit(membarrier(0))).expect("it is over");
        assert_eq!((call.begin, call.end), (None, 20));
    }

    #[test]
    fn what_may_lack_targets_is_not_told_as_if_it_had_none() {
        let mut calls = Calls::default();
        calls.take(0, 10, &Event::MembarrierEnter(membarrier(0)));
        calls.take(1, 11, &Event::Gap { lost: 3 });
        let call = calls.take(0, 15, &Event::MembarrierExit(membarrier(0))).expect("it is over");
        assert_eq!(call.begin, None);
    }
}
