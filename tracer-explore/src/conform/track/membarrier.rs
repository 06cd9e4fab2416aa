//! What membarrier does to a CPU: the copy of `membarrier_state`, registrations, handlers.

use crate::{
    conform::{
        Conform, Left, cast,
        follow::{INNER, Stage, is_registered, steps},
    },
    state::{PEND_CALL, Task, mm, pc, task},
    step::Step,
};
use tracer_common::{
    model::{Event, Func, MmId},
    wire::{RqState, Site, membarrier_state},
};

const REGISTER: u64 = steps(&[
    Step::RegisterSet,
    Step::Rcu,
    Step::CallLock,
    Step::ScanCurr,
    Step::ScanMm,
    Step::Send,
    Step::RegisterEnd,
]);

impl Conform {
    pub(super) fn rq_state(&mut self, at: usize, event: &Event, w: &RqState) -> bool {
        if !self.sees.csd {
            return self.leave(Left::RqUnseen);
        }
        self.registered(w.mm, w.mm_state as u8);
        let site = Site::from_u8(w.site);
        if site == Some(Site::Register) {
            return self.register(at, w.tid, Some(event));
        }
        if self.told(at, INNER, event) {
            return true;
        }
        match site {
            Some(Site::ExecMmap) => self.exec(at, event, w.mm),
            Some(Site::SyncRqState) => self.own_share(at, event, w),
            Some(Site::KthreadUse) => self.rq_reading(at, w),
            _ => false,
        }
    }

    /// A look at the run queue at any time.
    fn rq_reading(&mut self, at: usize, w: &RqState) -> bool {
        let set = w.rq_state & u32::from(membarrier_state::SYNC_CORE) != 0;
        let track = &mut self.tracks[at];
        let alike = |stage: &Stage| {
            let cpu = &stage.s.cpus[0];
            track.cast.real(stage.s.mm_of(cpu.curr)) == w.mm && (cpu.rq_state != 0) == set
        };
        let stages: Vec<_> = track.stages.iter().filter(|stage| alike(stage)).cloned().collect();
        let passes = !stages.is_empty();
        if passes {
            track.stages = stages;
            self.tally.readings += 1;
        }
        passes
    }

    /// What is known of an mm's registrations.
    pub(in crate::conform) fn registered(&mut self, of: MmId, bits: u8) {
        if of != 0 && bits != 0 {
            self.mms.insert(of, bits);
        }
    }

    /// A registration is over, at the latest now.
    pub(in crate::conform) fn register(
        &mut self,
        at: usize,
        tid: u32,
        event: Option<&Event>,
    ) -> bool {
        let mine = self.calls.iter().position(|call| call.registers && call.tid == tid);
        let Some(mine) = mine else {
            return event
                .is_none_or(|event| self.told(at, INNER, event) || self.leave(Left::RqUnseen));
        };
        let mm = self.calls[mine].mm;
        self.end_call(mine, at, self.now, event.unwrap_or(&Event::SwitchCr3));
        if !self.registering(at, mm) {
            return false;
        }
        let done = match event {
            Some(event) => self.told(at, REGISTER, event),
            None => self.reaches(at, REGISTER, is_registered),
        };
        done && self.recast(at, mm, 0)
    }

    /// What a registration does on its own CPU.
    fn own_share(&mut self, at: usize, event: &Event, w: &RqState) -> bool {
        if !self.calls.iter().any(|call| call.registers && call.tid == w.tid) {
            return self.leave(Left::RqUnseen);
        }
        let done = self.registering(at, w.mm) && self.told(at, REGISTER, event);
        for stage in &mut self.tracks[at].stages {
            // It is over when that is told; until then the task does as it likes.
            let me = usize::from(stage.s.cpus[0].curr);
            if let Some(task) = stage.s.tasks.get_mut(me) {
                *task = cast::task(mm::A, false);
            }
        }
        done && self.recast(at, w.mm, 0)
    }

    /// Lets the running task be about to register, alone in its mm or not.
    fn registering(&mut self, at: usize, mm: MmId) -> bool {
        if !self.focus(at, mm) {
            return false;
        }
        let mut stages = Vec::new();
        for stage in &self.tracks[at].stages {
            for users in [1, 3] {
                let mut one = stage.clone();
                one.s.all.users = users;
                one.s.all.registered = 0;
                let Some(me) = one.s.tasks.get_mut(usize::from(one.s.cpus[0].curr)) else {
                    return false;
                };
                (me.pc, me.bits) = (pc::REGISTER, me.bits | task::REGISTERS);
                stages.push(one);
            }
        }
        self.tracks[at].stages = stages;
        true
    }

    /// A registration for something else may have copied `membarrier_state` to this run queue.
    pub(in crate::conform) fn may_copy(&mut self, at: usize) {
        let stages = &mut self.tracks[at].stages;
        for n in 0..stages.len() {
            let mut other = stages[n].clone();
            other.s.cpus[0].rq_state ^= 1;
            if !stages.contains(&other) {
                stages.push(other);
            }
        }
    }

    /// A function of membarrier runs, and so answers who has asked for it: for which mm.
    pub(super) fn answers(&mut self, at: usize, func: Func) -> Option<MmId> {
        let asked = &mut self.tracks[at].asked;
        let index = asked.iter().position(|(asked, ..)| *asked == func)?;
        let (_, tid, mm) = asked.remove(index);
        self.ran(at, tid);
        Some(mm)
    }

    /// A function of membarrier runs.
    pub(super) fn handler(&mut self, at: usize, event: &Event, func: Func) -> bool {
        if func == Func::FlushTlb {
            self.flush_told(event);
            return true;
        }
        if !matches!(func, Func::SyncCore | Func::Mb | Func::SyncRqState) || !self.sees.csd {
            return self.leave(match func {
                Func::Mb | Func::Rseq => Left::OtherCalls,
                _ => Left::Functions,
            });
        }
        let Some(mm) = self.answers(at, func) else {
            return match func {
                Func::Mb => self.leave(Left::OtherCalls),
                Func::SyncRqState => {
                    self.may_copy(at);
                    self.leave(Left::OtherCalls)
                }
                _ if !self.strangers.is_empty() => self.leave(Left::Ends),
                _ => false,
            };
        };
        let registers = func == Func::SyncRqState;
        if registers && !self.focus(at, mm) {
            return false;
        }
        for stage in &mut self.tracks[at].stages {
            let bits = if registers { task::REGISTERS } else { 0 };
            stage.s.tasks[usize::from(cast::ASKER)] =
                Task { mm: mm::A, m_mm: mm::A, pc: pc::WAIT, mask: 1, bits, ..Task::default() };
            stage.s.all.mutex = cast::ASKER + 1;
            stage.s.all.registered = stage.s.all.registered.max(u8::from(registers));
            stage.s.cpus[0].pend = PEND_CALL;
        }
        self.told(at, INNER | steps(&[Step::Deliver]), event)
    }
}
