//! `kernel/sched/core.c`: `__schedule`, `context_switch`, `finish_task_switch`.

use super::Run;
use crate::{
    bug::Flag,
    guard::Guard,
    state::{IDLE, at, ghost, ipi, mm, pc, ret, store, task},
    tell::Tell,
};

impl<T: Tell> Run<'_, T> {
    /// `__schedule`: takes `rq->lock`, which is a full barrier, stores `rq->curr` and goes on in
    /// `context_switch`.
    ///
    /// A switch to a kernel thread ends at once: `mmgrab_lazy_tlb` is a locked instruction. That it
    /// does not wait until the stores before it have drained by themselves asks more of the others,
    /// never less.
    pub(super) fn schedule(&mut self, c: usize, next: u8, preempt: bool) {
        self.barrier(Guard::ScheduleMb, c);
        if let Some((of, stores)) = self.s.releases(next) {
            self.s.drain_some(of, stores);
        }
        let prev = self.s.cpus[c].curr;
        let (prev_mm, next_mm) = (self.s.mm_of(prev), self.s.mm_of(next));
        let active = self.s.active(c);
        self.tell_switch(c, prev, next, preempt);
        if prev != IDLE && self.s.tasks[usize::from(prev)].pc == pc::EXITED {
            self.s.tasks[usize::from(prev)].pc = pc::DEAD;
        }
        if next != IDLE {
            self.s.tasks[usize::from(next)].bits |= task::ON_CPU;
        }
        let cpu = &mut self.s.cpus[c];
        (cpu.curr, cpu.prev, cpu.prev_mm) = (next, prev, mm::NONE);
        cpu.ipi = ipi::NONE;
        self.s.store(c, store::curr(next));
        if prev_mm != next_mm {
            self.logical(c, next_mm);
        }
        if self.holds(Guard::ToKernel, next_mm == mm::NONE) {
            self.switch_to_kernel(c, prev_mm, active);
        } else {
            self.switch_to_user(c, prev_mm, active, next_mm);
        }
    }

    /// `enter_lazy_tlb`, `mmgrab_lazy_tlb`
    fn switch_to_kernel(&mut self, c: usize, prev_mm: u8, active: u8) {
        self.s.cpus[c].active = active;
        self.s.cpus[c].g &= !ghost::CAME_BACK;
        if self.has(Flag::OkEager) && self.s.cpus[c].loaded != mm::INIT {
            let prev = self.s.cpus[c].prev;
            self.s.cpus[c].at = at::GRAB;
            self.begin_switch_mm(c, mm::INIT, ret::SWITCH, prev);
            return;
        }
        self.enter_lazy_tlb(c, self.s.cpus[c].prev);
        if !self.holds(Guard::GrabFromUser, prev_mm != mm::NONE) {
            // The reference goes along with the mm.
            return self.finish(c);
        }
        if self.w.setup.fine {
            self.s.cpus[c].at = at::GRAB;
        } else {
            self.grab(c);
        }
    }

    pub(super) fn grab(&mut self, c: usize) {
        self.barrier(Guard::GrabMb, c);
        let takes = self.does(Guard::GrabLazy) && !self.has(Flag::LazyDrop);
        if self.s.cpus[c].active == mm::A && takes {
            self.s.all.count += 1;
        }
        self.finish(c);
    }

    /// `membarrier_switch_mm`, `switch_mm_irqs_off`
    fn switch_to_user(&mut self, c: usize, prev_mm: u8, active: u8, next_mm: u8) {
        let state = u8::from(self.registered(next_mm));
        let copies = self.holds(Guard::SwitchCopies, active != next_mm);
        let borrowed = self.holds(Guard::SetsPrevMm, prev_mm == mm::NONE);
        let cpu = &mut self.s.cpus[c];
        if copies {
            if !self.w.has(Flag::RqStale) {
                cpu.rq_state = state;
                cpu.g &= !ghost::CAME_BACK;
            }
        } else if prev_mm == mm::NONE && cpu.rq_state != state {
            cpu.g |= ghost::CAME_BACK;
        }
        if borrowed {
            cpu.prev_mm = active;
        }
        cpu.active = next_mm;
        let prev = cpu.prev;
        self.begin_switch_mm(c, next_mm, ret::SWITCH, prev);
    }

    /// `switch_mm_irqs_off` has returned to `context_switch`.
    pub(super) fn switched(&mut self, c: usize) {
        if self.s.cpus[c].at == at::GRAB {
            return self.grab(c);
        }
        let cpu = &self.s.cpus[c];
        let (prev, prev_mm, mine) = (cpu.prev, cpu.prev_mm, self.s.mm_of(cpu.curr));
        self.tell_rq(c, prev, mine, tracer_common::wire::Site::SwitchMmExit);
        self.check_rq(c);
        let p = &self.w.protocol;
        let lazy = p.exit_lazy_syncs && self.holds(Guard::HookLazy, prev_mm == mine);
        let logical = p.logical_syncs && self.holds(Guard::HookLogical, self.s.mm_of(prev) != mine);
        if (lazy || logical)
            && self.holds(Guard::HookRegistered, self.registered(mine))
            && self.does(Guard::HookSync)
        {
            self.tell_sync(c, prev, tracer_common::model::SyncCause::FinishTaskSwitch);
            self.serialize(c);
        }
        self.finish(c);
    }

    /// `finish_task_switch`, up to where interrupts are on again.
    fn finish(&mut self, c: usize) {
        let has_mm = self.holds(Guard::FinishHasMm, self.s.cpus[c].prev_mm != mm::NONE);
        let cpu = &mut self.s.cpus[c];
        let prev = std::mem::replace(&mut cpu.prev, IDLE);
        cpu.at = if has_mm { at::FINISH } else { at::TASK };
        if prev != IDLE && self.does(Guard::OffCpu) {
            self.s.store(c, store::off_cpu(prev));
        }
    }

    /// The rest of it: `membarrier_mm_sync_core_before_usermode`, then `mmdrop_lazy_tlb`.
    pub(super) fn finish_late(&mut self, c: usize) {
        let prev_mm = std::mem::take(&mut self.s.cpus[c].prev_mm);
        let curr = self.s.cpus[c].curr;
        let skips = self.has(Flag::LazyNosync) || self.has(Flag::OkExitSync);
        if self.w.protocol.finish_syncs
            && !skips
            && self.holds(Guard::FinishSameMm, self.s.mm_of(curr) == prev_mm)
            && self.holds(Guard::FinishRegistered, self.registered(prev_mm))
            && self.does(Guard::FinishSync)
        {
            self.tell_sync(c, curr, tracer_common::model::SyncCause::FinishTaskSwitch);
            self.serialize(c);
        }
        if !self.has(Flag::DropNomb) {
            self.barrier(Guard::FinishDropMb, c);
        }
        self.s.cpus[c].at = at::TASK;
        if prev_mm == mm::A && self.does(Guard::FinishDrop) && !self.has(Flag::LazyDrop) {
            self.drop_a_on(c);
        }
    }

    /// A task that was preempted in kernel code leaves that interrupt.
    pub(super) fn kernel_iret(&mut self, c: usize) {
        let me = self.me(c);
        self.s.tasks[me].bits &= !task::KERNEL_IRET;
        self.sync(Guard::KernelIret, c);
    }

    /// A timer's interrupt in kernel code, and another task runs.
    pub(super) fn preempt(&mut self, c: usize, next: u8) {
        let me = self.me(c);
        self.tell_interrupt(c, tracer_common::wire::Vector::LocalTimer, true);
        self.tell_interrupt(c, tracer_common::wire::Vector::LocalTimer, false);
        self.s.tasks[me].bits |= task::KERNEL_IRET;
        self.schedule(c, next, true);
    }
}
