//! `kernel/sched/membarrier.c:membarrier_private_expedited`.
//!
//! The CPUs are looked at in any order: the kernel goes by their numbers, but numbers mean nothing
//! here, so that CPUs can be taken for one another.
//!
//! Unless every access is asked for (`fine`), they are looked at all at once, with one of them in mind.
//! That loses nothing: R2 is broken on one CPU, by what that one did and when it was looked at. When
//! the others were decides only which of them are interrupted, which is no matter to that one.

use super::Run;
use crate::{
    bug::Flag,
    guard::Guard,
    rules::Rule,
    state::{IDLE, PEND_CALL, ghost, mm, pc, store, task},
    tell::Tell,
};
use tracer_common::model::{Func, SyncCause};

impl<T: Tell> Run<'_, T> {
    /// User code calls: what the call promises counts from here.
    pub(super) fn call(&mut self, c: usize) {
        let me = self.me(c);
        self.s.all.calls -= 1;
        let slot = usize::from(self.s.all.slots & 1 != 0);
        self.s.all.slots |= 1 << slot;
        self.s.tasks[me].pc = pc::CALL;
        if slot == 1 {
            self.s.tasks[me].bits |= task::SECOND;
        }
        self.tell_call(c, false);
        if self.w.setup.tests > 0 {
            self.s.tasks[me].bits |= task::TESTS;
            self.s.store(c, store::X);
        }
        if !self.w.setup.private {
            for other in self.each_cpu() {
                self.s.cpus[other].g |= ghost::SINCE[slot];
            }
        }
        if self.has(Flag::SingleReturn) && self.s.all.users == 1 {
            self.s.drain(c);
            self.s.tasks[me].pc = pc::CALL_END;
        } else if !self.w.setup.fine && self.s.all.mutex == 0 {
            // To begin as late as it can asks for the most.
            self.call_lock(c);
        }
    }

    /// `smp_mb`, and the mutex, which is one too. (A registration takes the mutex here, after its
    /// grace period.)
    pub(super) fn call_lock(&mut self, c: usize) {
        let me = self.me(c);
        let free = self.has(Flag::CallNombNomutex);
        if !free {
            self.barrier(Guard::CallMb, c);
            self.barrier(Guard::CallLockMb, c);
        }
        if self.w.protocol.call_flushes {
            self.tell_flush(c, false, false);
            self.s.tasks[me].flush_gen = 0x80;
            self.s.tasks[me].pc = pc::FLUSH;
            return;
        }
        if !free {
            self.s.all.mutex = me as u8 + 1;
        }
        let t = &mut self.s.tasks[me];
        t.todo = (1 << self.w.setup.cpus) - 1;
        t.pc = pc::SCAN;
    }

    /// `rcu_dereference(cpu_rq(cpu)->curr)`
    pub(super) fn scan_curr(&mut self, c: usize, of: u8) {
        let me = self.me(c);
        if of == super::ONE_LOOK {
            return self.scan_all(c);
        }
        let (of, stores) = (of & 7, of >> 4);
        self.s.drain_some(usize::from(of), stores);
        let there = &self.s.cpus[usize::from(of)];
        let curr = if usize::from(of) == c { there.curr } else { there.m_curr };
        let t = &mut self.s.tasks[me];
        t.todo &= !(1 << of);
        t.cur = of | curr << 3;
        t.pc = pc::SCAN_MM;
        // Where its mm can't change, it does not matter when that is read.
        let changes = curr != IDLE && self.w.mm_changes(curr);
        if !(self.w.setup.fine || changes) || usize::from(of) == c {
            self.scan_mm(c, 0);
        }
    }

    /// The rest of the CPUs, each with its task's mm.
    fn scan_all(&mut self, c: usize) {
        let me = self.me(c);
        let todo = std::mem::take(&mut self.s.tasks[me].todo);
        for of in self.each_cpu().filter(|of| todo & 1 << of != 0) {
            let there = &self.s.cpus[of];
            let curr = if of == c { there.curr } else { there.m_curr };
            let its = self.s.tasks.get(usize::from(curr)).map_or(mm::NONE, |task| task.m_mm);
            if self.chooses(its) {
                self.s.tasks[me].mask |= 1 << of;
            }
        }
        self.s.tasks[me].pc = pc::SEND;
    }

    /// `p->mm == mm`
    pub(super) fn scan_mm(&mut self, c: usize, arg: u8) {
        let me = self.me(c);
        self.s.drain_some(usize::from(arg & 7), arg >> 4);
        let cur = std::mem::take(&mut self.s.tasks[me].cur);
        let (of, who) = (cur & 7, cur >> 3);
        let its = self.s.tasks.get(usize::from(who)).map_or(mm::NONE, |task| task.m_mm);
        let chosen = self.chooses(its);
        let changed = self.s.cpus[usize::from(of)].m_curr != who;
        let again = self.w.protocol.scan_rechecks
            && its != mm::A
            && self.holds(Guard::ScanChanged, changed);
        let t = &mut self.s.tasks[me];
        if again {
            // Whoever runs there now may have come from that task without a change of the mm.
            t.todo |= 1 << of;
            t.pc = pc::SCAN;
            return;
        }
        if chosen {
            t.mask |= 1 << of;
        }
        if !self.w.setup.fine {
            return self.scan_all(c);
        }
        t.pc = if t.todo == 0 { pc::SEND } else { pc::SCAN };
    }

    /// Whether a CPU is to be interrupted whose task has this mm.
    fn chooses(&self, its: u8) -> bool {
        self.holds(Guard::ScanMm, its == mm::A) || self.has(Flag::OkExtraIpi)
    }

    /// `on_each_cpu_mask`: not preemptible from here. Queueing is a locked instruction. The CPU's own
    /// share is done at once.
    pub(super) fn send(&mut self, c: usize) {
        let me = self.me(c);
        let registers = self.s.tasks[me].bits & task::REGISTERS != 0;
        let own = 1 << c;
        let chosen = std::mem::take(&mut self.s.tasks[me].mask);
        let mut others = chosen & !own;
        if self.has(Flag::IpiLost) && !registers {
            others = 0;
        }
        if others != 0 {
            self.barrier(Guard::CallSendMb, c);
        }
        let func = match (registers, self.w.setup.private || self.has(Flag::IpiMb)) {
            (true, _) => Func::SyncRqState,
            (false, true) => Func::Mb,
            (false, false) => Func::SyncCore,
        };
        for other in self.each_cpu() {
            if others & 1 << other != 0 {
                if self.does(Guard::CallSend) {
                    self.s.cpus[other].pend |= PEND_CALL;
                }
                self.tell_queue(c, func, other as u32);
            }
        }
        if chosen & own != 0 {
            if registers && self.does(Guard::RegisterOwnIpi) && !self.has(Flag::RegSkip) {
                self.sync_rq_state(c);
            } else if !self.w.setup.private
                && self.does(Guard::CallOwnSync)
                && !self.has(Flag::CallerSkip)
            {
                // on_each_cpu_mask: this CPU too.
                self.tell_local(c, func);
                if func == Func::SyncCore {
                    let curr = self.s.cpus[c].curr;
                    self.tell_sync(c, curr, SyncCause::IpiSyncCore);
                    self.serialize(c);
                } else {
                    self.s.drain(c);
                }
            }
        }
        let t = &mut self.s.tasks[me];
        t.mask = others;
        t.pc = if others == 0 { pc::CALL_END } else { pc::WAIT };
    }

    /// All have answered: the call returns, and what it promised holds.
    pub(super) fn call_end(&mut self, c: usize) {
        let me = self.me(c);
        self.barrier(Guard::CallEndMb, c);
        let bits = self.s.tasks[me].bits;
        let slot = usize::from(bits & task::SECOND != 0);
        self.s.all.slots &= !(1 << slot);
        if self.s.all.mutex == me as u8 + 1 && self.does(Guard::CallUnlocks) {
            self.s.all.mutex = 0;
        }
        let t = &mut self.s.tasks[me];
        t.bits &= !task::SECOND;
        t.pc = pc::LEAVING;
        self.tell_call(c, true);
        if self.w.setup.private {
            return;
        }
        self.s.all.promised = 1;
        for other in self.each_cpu() {
            let g = &mut self.s.cpus[other].g;
            if *g & ghost::SINCE[slot] != 0 {
                *g = *g & !ghost::SINCE[slot] | ghost::OWES;
            }
            if self.in_user(other) {
                let g = &mut self.s.cpus[other].g;
                let holds = *g & ghost::OWES == 0;
                *g &= !ghost::OWES;
                self.marks.check(Rule::R2, holds);
            }
        }
    }
}
