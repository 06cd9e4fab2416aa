//! Functions that CPUs run for one another: `kernel/smp.c`, and the way out of an interrupt.
//!
//! Timers and devices that interrupt and return are left out: they end in IRET, and to serialize more
//! never breaks a rule.

use super::Run;
use crate::{
    bug::Flag,
    guard::Guard,
    state::{Task, at, ipi, pc, task},
    tell::Tell,
};
use tracer_common::{
    model::{Func, SyncCause},
    wire::Vector,
};

/// The number of [`PEND_CALL`](crate::state::PEND_CALL).
const CALL_BIT: u8 = 6;

impl<T: Tell> Run<'_, T> {
    /// The interrupt comes, and its handler runs. What it answers is seen once its stores are.
    pub(super) fn deliver(&mut self, c: usize, bit: u8) {
        self.s.cpus[c].pend &= !(1 << bit);
        self.tell_interrupt(c, Vector::CallFunction, true);
        if bit != CALL_BIT {
            self.tell_run(c, Func::FlushTlb, true);
            return self.flush_func(c, bit);
        }
        // The mutex lets one of them wait; without it there may be two.
        let waits = |t: &Task| t.pc == pc::WAIT && t.mask & 1 << c != 0;
        while let Some(holder) = self.s.tasks.iter().position(waits) {
            if !self.answer(c, holder) {
                break;
            }
        }
        self.handled(c);
    }

    /// A function of `membarrier(2)` runs for this task; whether it has answered.
    fn answer(&mut self, c: usize, holder: usize) -> bool {
        let func = if self.s.tasks[holder].bits & task::REGISTERS != 0 {
            Func::SyncRqState
        } else if self.w.setup.private || self.has(Flag::IpiMb) {
            Func::Mb
        } else {
            Func::SyncCore
        };
        self.tell_run(c, func, true);
        match func {
            Func::SyncRqState => self.sync_rq_state(c),
            Func::SyncCore if !self.has(Flag::IrqSkip) && self.does(Guard::IpiSyncCore) => {
                let curr = self.s.cpus[c].curr;
                self.tell_sync(c, curr, SyncCause::IpiSyncCore);
                self.serialize(c);
            }
            // With or without a barrier: its answer is a store behind all that it has stored.
            _ => self.barrier(Guard::IpiRelease, c),
        }
        if self.does(Guard::IpiAnswers) {
            self.s.tasks[holder].mask &= !(1 << c);
        }
        self.tell_run(c, func, false);
        self.does(Guard::IpiAnswers)
    }

    /// The handler is done.
    pub(super) fn handled(&mut self, c: usize) {
        self.s.cpus[c].ipi = ipi::EXIT;
        self.tell_interrupt(c, Vector::CallFunction, false);
    }

    /// IRET
    pub(super) fn ipi_return(&mut self, c: usize) {
        self.s.cpus[c].ipi = ipi::NONE;
        self.sync(Guard::IpiIret, c);
        let cpu = &self.s.cpus[c];
        if cpu.at == at::TASK
            && let Some(t) = self.s.tasks.get(usize::from(cpu.curr))
            && pc::is_user(t.pc)
        {
            self.tell_user(c, true);
            self.check_user(c);
        }
    }

    /// Another task runs first; the IRET comes when this one runs again.
    pub(super) fn ipi_preempt(&mut self, c: usize, next: u8) {
        self.s.cpus[c].ipi = ipi::NONE;
        let me = self.me(c);
        let t = &mut self.s.tasks[me];
        let user = pc::is_user(t.pc);
        match t.pc {
            pc::STORED => t.bits |= task::THEN_LOADS,
            pc::CALLED => t.bits |= task::THEN_CALLED,
            _ => {}
        }
        if user {
            t.pc = pc::IRET;
        } else {
            t.bits |= task::KERNEL_IRET;
        }
        self.schedule(c, next, !user);
    }
}
