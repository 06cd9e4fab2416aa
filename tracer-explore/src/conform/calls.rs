//! The calls in flight, and what ran on each CPU since they began.

use std::mem;

use super::{
    Conform, Left,
    call::{self, Call, Doubt, UNKNOWN},
    tally::Divergence,
    words,
};
use tracer_common::{
    model::{Event, Func, MmId},
    wire::{membarrier_cmd as cmd, membarrier_state as bit, private_flags},
};

/// What registers for SYNC_CORE.
const REGISTER: i32 = cmd::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
/// What registers for something else, and copies all bits to the run queues alike
/// (`kernel/sched/membarrier.c:sync_runqueues_membarrier_state`).
const OTHER_REGISTRATIONS: [i32; 3] = [
    cmd::REGISTER_GLOBAL_EXPEDITED,
    cmd::REGISTER_PRIVATE_EXPEDITED,
    cmd::REGISTER_PRIVATE_EXPEDITED_RSEQ,
];

impl Conform {
    /// What this event has to do with calls.
    pub(super) fn watch_calls(&mut self, at: usize, event: &Event) {
        match event {
            Event::MembarrierEnter(w) => {
                self.registered(w.mm, w.state);
                match w.cmd {
                    cmd::PRIVATE_EXPEDITED_SYNC_CORE => self.begin(at, w.tid, w.mm, false),
                    REGISTER if w.state & bit::SYNC_CORE_READY == 0 => {
                        self.begin(at, w.tid, w.mm, true);
                    }
                    REGISTER => {}
                    _ => self.tally.leave(Left::OtherCalls),
                }
            }
            Event::PrivateBegin(w)
                if w.call_flags == private_flags::SYNC_CORE && self.call_of(w.tid).is_none() =>
            {
                self.begin(at, w.tid, w.mm, false);
            }
            Event::MembarrierExit(w) => self.exits(at, event, w.cmd, w.tid, w.ret),
            Event::CsdQueue { func: Func::FlushTlb, .. } => self.flush_told(event),
            Event::CsdQueue { func, target, tid } => self.queue(*func, *target as usize, *tid),
            Event::CsdLocal { func, local } => {
                if let Some(index) = self.call_of(local.tid)
                    && matches!(func, Func::SyncCore | Func::Mb)
                {
                    self.calls[index].local = Some((*func, at as u32));
                } else {
                    self.tally.leave(Left::Functions);
                }
            }
            _ => {}
        }
        if !self.calls.is_empty() {
            self.runs(at);
        }
    }

    fn call_of(&self, tid: u32) -> Option<usize> {
        self.calls.iter().position(|call| call.tid == tid)
    }

    fn begin(&mut self, at: usize, tid: u32, mm: MmId, registers: bool) {
        if self.answers.is_none() && !registers {
            return self.tally.leave(Left::CallsUnseen);
        }
        self.strangers.remove(&tid);
        self.calls.retain(|call| call.tid != tid);
        let cpus = self.tracks.len();
        let mut call = Call {
            tid,
            mm,
            registers,
            kinds: vec![0; cpus],
            asked: vec![None; cpus],
            local: None,
            began_on: at as u32,
        };
        for cpu in 0..cpus {
            call.kinds[cpu] = self.kinds(cpu, mm);
        }
        self.calls.push(call);
    }

    /// What a CPU may run now, to a call of an mm.
    fn kinds(&self, at: usize, mm: MmId) -> u8 {
        let track = &self.tracks[at];
        if track.stages.is_empty() {
            return UNKNOWN;
        }
        // Nobody's: the mm plays no part here.
        let role = track.cast.role(mm).unwrap_or(u8::MAX);
        track.stages.iter().fold(0, |kinds, stage| kinds | 1 << call::kind(&stage.s, role))
    }

    /// What runs on a CPU, to all calls.
    fn runs(&mut self, at: usize) {
        let mut calls = mem::take(&mut self.calls);
        for call in &mut calls {
            call.kinds[at] |= self.kinds(at, call.mm);
        }
        self.calls = calls;
    }

    fn queue(&mut self, func: Func, target: usize, tid: u32) {
        if !matches!(func, Func::SyncCore | Func::Mb | Func::SyncRqState) {
            return self.tally.leave(Left::Functions);
        }
        let Some(index) = self.call_of(tid) else {
            if func == Func::Mb {
                return self.tally.leave(Left::OtherCalls);
            }
            self.strangers.insert(tid);
            return self.tally.leave(Left::Ends);
        };
        let call = &mut self.calls[index];
        if let (Some(asked), Some(track)) =
            (call.asked.get_mut(target), self.tracks.get_mut(target))
        {
            *asked = Some((func, false));
            track.asked.retain(|(_, of, _)| *of != tid);
            track.asked.push((func, tid, call.mm));
        }
    }

    /// A CPU runs what this task has asked it to.
    pub(super) fn ran(&mut self, at: usize, tid: u32) {
        for call in self.calls.iter_mut().chain(self.doubts.iter_mut().map(|doubt| &mut doubt.call))
        {
            if call.tid == tid
                && let Some(Some((_, ran))) = call.asked.get_mut(at)
            {
                *ran = true;
            }
        }
    }

    fn exits(&mut self, at: usize, event: &Event, cmd: i32, tid: u32, ret: i64) {
        if cmd == REGISTER && ret == 0 && !self.tracks[at].stages.is_empty() {
            let mine = self.calls.iter().any(|call| call.registers && call.tid == tid);
            if mine && !self.register(at, tid, None) {
                self.diverge(at, self.now, event, "the registration does something else");
            }
            return;
        }
        if OTHER_REGISTRATIONS.contains(&cmd) {
            self.may_copy(at);
        }
        let Some(index) = self.call_of(tid) else {
            if cmd == cmd::PRIVATE_EXPEDITED_SYNC_CORE && self.answers.is_some() {
                self.tally.leave(Left::Ends);
            }
            return;
        };
        if ret != 0 || (cmd != cmd::PRIVATE_EXPEDITED_SYNC_CORE && cmd != REGISTER) {
            self.calls.swap_remove(index);
            return self.tally.leave(Left::FailedCalls);
        }
        self.end_call(index, at, self.now, event);
    }

    /// A call is over: each CPU was interrupted, or left out, as the abstract kernel may do it.
    pub(super) fn end_call(&mut self, index: usize, at: usize, ts: u64, event: &Event) {
        self.runs(at);
        let call = self.calls.swap_remove(index);
        let Some(answers) = &self.answers else { return };
        let registers = usize::from(call.registers);
        let answers = &answers[registers];
        self.tally.calls[registers] += 1;
        let on = at as u32;
        let mut doubts = Vec::new();
        for cpu in 0..self.tracks.len() {
            let own = call.local.is_some_and(|(_, on)| on as usize == cpu);
            if !own && cpu != at {
                self.tally.answers[usize::from(call.asked[cpu].is_none())] += 1;
            }
            if call.kinds[cpu] & UNKNOWN != 0 {
                // It has run there unseen.
                self.tracks[cpu].asked.retain(|(_, tid, _)| *tid != call.tid);
            }
            if call::fault(&call, answers, cpu, on).is_some() {
                doubts.push(Doubt { call: call.clone(), cpu, ts, on, event: *event });
            }
        }
        self.doubts.append(&mut doubts);
    }

    /// The task of a CPU turns out to have changed its mm unseen, some time since it was switched in:
    /// any call may have found it with or without.
    pub(super) fn changed_unseen(&mut self, at: usize) {
        self.runs(at);
        let mut doubts = mem::take(&mut self.doubts);
        for doubt in doubts.iter_mut().filter(|doubt| doubt.cpu == at) {
            doubt.call.kinds[at] |= self.kinds(at, doubt.call.mm);
        }
        self.doubts = doubts;
    }

    /// A CPU's next switch may explain what was done about it: it tells whether the task before it
    /// still had its mm, and it may have been there to be seen before it could be told.
    pub(super) fn settle_doubts(&mut self, at: usize, switched: bool) {
        if self.doubts.is_empty() {
            return;
        }
        let mut waiting = mem::take(&mut self.doubts);
        waiting.retain_mut(|doubt| {
            if !(switched && doubt.cpu == at) && doubt.ts + PATIENCE > self.now {
                return true;
            }
            doubt.call.kinds[doubt.cpu] |= self.kinds(doubt.cpu, doubt.call.mm);
            self.decide(doubt);
            false
        });
        self.doubts = waiting;
    }

    /// Whether a doubt is a divergence.
    pub(super) fn decide(&mut self, doubt: &Doubt) {
        let Doubt { call, cpu, ts, on, event } = doubt;
        let Some(answers) = &self.answers else { return };
        let answers = &answers[usize::from(call.registers)];
        let Some(why) = call::fault(call, answers, *cpu, *on) else { return };
        let possible = call::possible(call, answers, *cpu, *on);
        let mut could: Vec<_> = possible
            .asked
            .iter()
            .map(|func| format!("have CPU {cpu} run {}", func.name().unwrap_or("?")))
            .collect();
        if possible.left {
            could.push(format!("leave out CPU {cpu}"));
        }
        let (tid, observed) = (call.tid, words(event, |id| id));
        let divergence = Divergence { ts: *ts, cpu: *on, tid, observed, why, could };
        self.tally.diverge(|| divergence);
    }
}

/// For how long, in nanoseconds, a CPU's next switch is waited for.
const PATIENCE: u64 = 1_000_000_000;
