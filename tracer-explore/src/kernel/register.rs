//! `kernel/sched/membarrier.c:membarrier_register_private_expedited`,
//! `sync_runqueues_membarrier_state`.

use super::Run;
use crate::{
    bug::Flag,
    guard::Guard,
    state::{mm, pc, task},
    tell::Tell,
};
use tracer_common::wire::Site;

impl<T: Tell> Run<'_, T> {
    pub(super) fn register(&mut self, c: usize) {
        let me = self.me(c);
        self.s.all.registrations -= 1;
        let t = &mut self.s.tasks[me];
        t.pc = pc::REGISTER;
        t.bits |= task::REGISTERS;
        self.tell_register(c, false);
    }

    /// The bits are set. Alone in its mm, the task then tells its own run queue; else it waits for a
    /// grace period.
    pub(super) fn register_set(&mut self, c: usize) {
        let me = self.me(c);
        self.barrier(Guard::RegisterSetMb, c);
        if self.does(Guard::RegisterSets) {
            self.s.all.registered = self.s.all.registered.max(1);
        }
        let alone = self.holds(Guard::RegisterAlone, self.s.all.users == 1);
        if alone && !self.has(Flag::OkSingleSlow) {
            if self.does(Guard::RegisterOwn) {
                self.s.cpus[c].rq_state = 1;
            }
            self.barrier(Guard::RegisterAloneMb, c);
            self.s.tasks[me].pc = pc::REGISTERED;
            return;
        }
        let t = &mut self.s.tasks[me];
        t.todo = (1 << self.w.setup.cpus) - 1;
        t.pc = pc::RCU;
    }

    /// A CPU was seen where a grace period may end.
    pub(super) fn rcu(&mut self, c: usize, of: u8) {
        let me = self.me(c);
        self.s.tasks[me].todo &= !(1 << of);
    }

    /// `ipi_sync_rq_state`
    pub(super) fn sync_rq_state(&mut self, c: usize) {
        let curr = self.s.cpus[c].curr;
        let mine = self.s.mm_of(curr);
        if self.holds(Guard::RqMine, mine == mm::A) {
            self.s.cpus[c].rq_state = u8::from(self.s.all.registered > 0);
            self.s.cpus[c].g &= !crate::state::ghost::CAME_BACK;
        }
        self.barrier(Guard::RqMb, c);
        self.tell_rq(c, curr, mine, Site::SyncRqState);
    }

    /// The READY bit, and the return.
    pub(super) fn register_end(&mut self, c: usize) {
        let me = self.me(c);
        self.barrier(Guard::RegisterEndMb, c);
        let curr = self.s.cpus[c].curr;
        self.tell_rq(c, curr, mm::A, Site::Register);
        if self.does(Guard::RegisterReady) {
            self.s.all.registered = 2;
        }
        self.check_rq(c);
        if self.s.all.mutex == me as u8 + 1 && self.does(Guard::RegisterUnlocks) {
            self.s.all.mutex = 0;
        }
        let t = &mut self.s.tasks[me];
        t.bits &= !task::REGISTERS;
        t.pc = pc::LEAVING;
        self.tell_register(c, true);
    }
}
