//! `arch/x86/mm/tlb.c`: `switch_mm_irqs_off`, `enter_lazy_tlb`, `leave_mm`.
//!
//! Interrupts are off in all of it. Unless its inner order is in question
//! ([`windows`](crate::setup::World::windows)), all of a context switch is one step. That loses nothing
//! where the order is right. What another CPU does in the middle of it is one of:
//! - a look at `rq->curr`, which finds the old task or the new one: it might have come before or after.
//!   Whatever serializes then does so later, which covers more calls, not fewer;
//! - a flush that raises the generation before this CPU reads it: it might have come before; and if
//!   it then finds the CPU not lazy and its `mm_cpumask` set, or `LOADED_MM_SWITCHING`, it interrupts
//!   it for nothing, which serializes once more;
//! - a flush that raises it after it was read: the barrier before the read has let everybody know of
//!   `is_lazy` and `mm_cpumask`, so this CPU is interrupted, as if the flush had come after the switch.

use super::Run;
use crate::{
    bug::Flag,
    guard::Guard,
    state::{IDLE, at, ipi, mm, pc, ret, store, swm},
    tell::Tell,
};
use tracer_common::{
    model::SyncCause,
    wire::{Site, tlb_reason},
};

impl<T: Tell> Run<'_, T> {
    pub(super) fn enter_lazy_tlb(&mut self, c: usize, current: u8) {
        if self.holds(Guard::EnterLazyLoaded, self.s.cpus[c].loaded != mm::INIT) {
            self.s.cpus[c].lazy = 1;
            self.s.store(c, store::lazy(1));
        }
        self.tell_tlb_state(c, current, Site::EnterLazyTlb);
    }

    /// Whether each part is a step of its own.
    fn in_parts(&self) -> bool {
        self.w.setup.fine || self.has(Flag::SwitchingLate) || self.has(Flag::CpumaskLate)
    }

    /// `switch_mm_irqs_off` is entered; `current` is who that is to its probes.
    pub(super) fn begin_switch_mm(&mut self, c: usize, to: u8, back: u8, current: u8) {
        self.tell_tlb_state(c, current, Site::SwitchMmEntry);
        let cpu = &mut self.s.cpus[c];
        let was_lazy = cpu.lazy != 0;
        (cpu.swm_to, cpu.swm_ret) = (to, back);
        if self.holds(Guard::SwitchWasLazy, was_lazy) {
            self.s.cpus[c].lazy = 0;
            self.s.store(c, store::lazy(0));
        }
        let reload = back == ret::USE && self.has(Flag::OkUseReload);
        let other = self.holds(Guard::SwitchReal, self.s.cpus[c].loaded != to);
        let looks = other || self.holds(Guard::UnlazyWasLazy, was_lazy);
        let cpu = &mut self.s.cpus[c];
        if other {
            cpu.swm = if self.w.has(Flag::CpumaskLate) { swm::GEN } else { swm::MASK };
            if !self.w.has(Flag::SwitchingLate) && self.does(Guard::StoreSwitching) {
                self.s.store(c, store::loaded(mm::SWITCHING));
            }
            if !self.w.windows {
                self.switch_mask(c);
            }
        } else if reload || (was_lazy && self.w.has(Flag::OkAlwaysFlush)) {
            cpu.swm = swm::GEN;
            if !self.w.windows {
                self.switch_gen(c);
            }
        } else if !looks || (self.w.protocol.invlpgb && to == mm::A) {
            // Two threads of a process; or a global ASID, which is never behind.
            self.end_switch_mm(c);
        } else {
            cpu.swm = swm::SAME;
            if !self.w.windows {
                self.switch_same(c);
            }
        }
    }

    /// Unlazying: `smp_mb`, and the generation is read.
    pub(super) fn switch_same(&mut self, c: usize) {
        if !self.has(Flag::UnlazyNomb) {
            self.barrier(Guard::UnlazyMb, c);
        }
        let generation = self.s.all.tlb_gen;
        let nogen = self.has(Flag::UnlazyNogen);
        let behind = self.holds(Guard::UnlazyBehind, self.s.cpus[c].slot != generation);
        let cpu = &mut self.s.cpus[c];
        if cpu.swm_to != mm::A || !behind || nogen {
            return self.end_switch_mm(c);
        }
        cpu.swm_gen = if self.w.has(Flag::UnlazyNoflush) { cpu.slot } else { generation };
        if self.in_parts() {
            self.s.cpus[c].swm = swm::CR3;
        } else {
            self.switch_cr3(c);
        }
    }

    /// `mm_cpumask`: locked instructions.
    pub(super) fn switch_mask(&mut self, c: usize) {
        self.barrier(Guard::CpumaskMb, c);
        let cpu = &self.s.cpus[c];
        let (from, to, bit) = (cpu.loaded, cpu.swm_to, 1 << c);
        if from == mm::A && self.does(Guard::CpumaskClear) {
            self.s.all.cpumask &= !bit;
        }
        if to == mm::A && self.does(Guard::CpumaskSet) {
            self.s.all.cpumask |= bit;
        }
        if !self.in_parts() {
            self.switch_gen(c);
        } else if self.has(Flag::CpumaskLate) {
            self.s.cpus[c].swm = swm::CR3;
        } else {
            self.s.cpus[c].swm = swm::GEN;
        }
    }

    /// The next mm's generation is read.
    pub(super) fn switch_gen(&mut self, c: usize) {
        let generation = self.s.all.tlb_gen;
        let cpu = &mut self.s.cpus[c];
        cpu.swm_gen = generation;
        if !self.in_parts() {
            return self.switch_cr3(c);
        }
        let cpu = &mut self.s.cpus[c];
        if self.w.has(Flag::CpumaskLate) && cpu.loaded != cpu.swm_to {
            cpu.swm = swm::MASK;
        } else {
            cpu.swm = swm::CR3;
            if self.w.has(Flag::SwitchingLate) {
                self.s.store(c, store::loaded(mm::SWITCHING));
            }
        }
    }

    /// CR3 is written, and `loaded_mm` stored.
    pub(super) fn switch_cr3(&mut self, c: usize) {
        self.sync(Guard::Cr3Serializes, c);
        let catches_up = self.does(Guard::SwitchCatchesUp);
        let cpu = &mut self.s.cpus[c];
        let to = cpu.swm_to;
        if to == mm::A && catches_up {
            cpu.slot = cpu.swm_gen;
        }
        self.tell_cr3(c);
        self.s.cpus[c].loaded = to;
        if self.does(Guard::StoreLoaded) {
            self.s.store(c, store::loaded(to));
        }
        self.end_switch_mm(c);
    }

    /// It returns to its caller.
    fn end_switch_mm(&mut self, c: usize) {
        let cpu = &mut self.s.cpus[c];
        cpu.swm = swm::OUT;
        cpu.swm_gen = 0;
        cpu.swm_to = 0;
        let back = std::mem::take(&mut cpu.swm_ret);
        let current = if back & 0xf == ret::SWITCH { cpu.prev } else { cpu.curr };
        self.tell_tlb_state(c, current, Site::SwitchMmExit);
        match back & 0xf {
            ret::SWITCH => self.switched(c),
            ret::USE => self.used(c),
            ret::EXEC => {
                self.check_rq(c);
                self.tell_exec(c);
                self.jump(c, pc::EXEC_PUT);
            }
            ret::LEAVE => self.tell_tlb_state(c, IDLE, Site::LeaveMm),
            _ => self.flushed(c, back >> 4),
        }
    }

    /// The idle task lets go of the mm that it borrows.
    pub(super) fn leave_mm(&mut self, c: usize) {
        self.begin_switch_mm(c, mm::INIT, ret::LEAVE, IDLE);
    }

    /// `flush_tlb_func` for the flush of task `from`, in an interrupt.
    pub(super) fn flush_func(&mut self, c: usize, from: u8) {
        let wanted = self.s.tasks[usize::from(from)].flush_gen & 0x7f;
        let generation = self.s.all.tlb_gen;
        let mine = self.s.cpus[c].loaded == mm::A;
        if self.holds(Guard::FuncLoaded, mine) {
            if self.holds(Guard::FuncLazy, self.s.cpus[c].lazy != 0) {
                let cpu = &mut self.s.cpus[c];
                cpu.ipi = ipi::HANDLER;
                let current = cpu.curr;
                return self.begin_switch_mm(c, mm::INIT, ret::FLUSH | from << 4, current);
            }
            if self.holds(Guard::FuncBehind, wanted > self.s.cpus[c].slot) {
                // What is flushed is what is loaded.
                if mine && self.does(Guard::FuncCatchesUp) {
                    self.s.cpus[c].slot = generation;
                }
                self.sync(Guard::FuncSerializes, c);
                self.tell_tlb(c, tlb_reason::REMOTE_SHOOTDOWN);
            }
        }
        self.flushed(c, from);
    }

    /// It is done, and says so.
    fn flushed(&mut self, c: usize, from: u8) {
        let curr = self.s.cpus[c].curr;
        self.tell_tlb_state(c, curr, Site::FlushTlbFunc);
        self.barrier(Guard::FuncRelease, c);
        if self.does(Guard::FuncAnswers) {
            self.s.tasks[usize::from(from)].mask &= !(1 << c);
        }
        self.tell_run(c, tracer_common::model::Func::FlushTlb, false);
        self.handled(c);
    }

    /// `flush_tlb_func`, called by the CPU that flushes.
    pub(super) fn flush_local(&mut self, c: usize, wanted: u8) {
        let raised = u8::from(self.s.cpus[c].holds(store::RAISE));
        let generation = self.s.all.tlb_gen + raised;
        let cpu = &self.s.cpus[c];
        debug_assert!(cpu.at == at::TASK, "a flush runs in a task");
        let mine = cpu.loaded == mm::A;
        if self.holds(Guard::LocalLoaded, mine)
            && self.holds(Guard::LocalBehind, wanted > self.s.cpus[c].slot)
        {
            if mine && self.does(Guard::LocalCatchesUp) {
                self.s.cpus[c].slot = generation;
            }
            self.sync(Guard::LocalSerializes, c);
            self.tell_tlb(c, tlb_reason::LOCAL_MM_SHOOTDOWN);
        }
        let curr = self.s.cpus[c].curr;
        self.tell_tlb_state(c, curr, Site::FlushTlbFunc);
    }

    /// `sync_core` where a kernel thread takes an mm.
    pub(super) fn sync_in_use(&mut self, c: usize) {
        let curr = self.s.cpus[c].curr;
        self.tell_sync(c, curr, SyncCause::KthreadUse);
        self.serialize(c);
    }
}
