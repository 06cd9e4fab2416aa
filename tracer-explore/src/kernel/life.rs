//! mms that come and go: `kthread_use_mm`, `kthread_unuse_mm`, `exit_mm`, `exec_mmap`.
//!
//! Who takes an mm by `kthread_use_mm` holds `mm_users` (its callers do, or `mmget_not_zero` it). What
//! `exit_mmap` does to the page tables is left out; it flushes with freed tables, which is a flush.

use super::Run;
use crate::{
    bug::Flag,
    guard::Guard,
    state::{ghost, mm, pc, ret, store},
    tell::Tell,
};
use tracer_common::wire::Site;

impl<T: Tell> Run<'_, T> {
    /// `kthread_use_mm`: from `mmgrab` to the store of `tsk->mm`, and on in `switch_mm_irqs_off`.
    pub(super) fn use_mm(&mut self, c: usize) {
        let me = self.me(c);
        let all = &mut self.s.all;
        all.uses -= 1;
        all.users += 1;
        all.count += u8::from(self.w.does(Guard::UseGrab));
        self.barrier(Guard::UseGrabMb, c);
        let borrowed = self.s.active(c);
        let t = &mut self.s.tasks[me];
        t.cur = borrowed;
        t.mm = mm::A;
        self.s.store(c, store::mm(me as u8, mm::A));
        self.logical(c, mm::A);
        let state = u8::from(self.registered(mm::A));
        let copies = self.does(Guard::UseCopies) && !self.has(Flag::UseNorq);
        let cpu = &mut self.s.cpus[c];
        cpu.active = mm::A;
        if copies {
            cpu.rq_state = state;
        }
        cpu.g &= !ghost::CAME_BACK;
        self.begin_switch_mm(c, mm::A, ret::USE, me as u8);
    }

    /// `switch_mm_irqs_off` has returned.
    pub(super) fn used(&mut self, c: usize) {
        let me = self.me(c);
        let borrowed = self.s.tasks[me].cur == mm::A;
        let p = &self.w.protocol;
        let if_borrowed = p.use_syncs || p.exit_lazy_syncs;
        if (p.logical_syncs || (if_borrowed && self.holds(Guard::UseBorrowed, borrowed)))
            && self.holds(Guard::UseRegistered, self.registered(mm::A))
            && self.does(Guard::UseSync)
        {
            self.sync_in_use(c);
        }
        self.s.tasks[me].pc = pc::USE_DROP;
    }

    /// `mmdrop_lazy_tlb` of what it had borrowed, and the return.
    pub(super) fn use_drop(&mut self, c: usize) {
        let me = self.me(c);
        if !self.has(Flag::UseDropNomb) {
            self.barrier(Guard::UseDropMb, c);
        }
        let t = &mut self.s.tasks[me];
        let borrowed = std::mem::take(&mut t.cur);
        t.pc = pc::WORK;
        self.tell_kthread(c, true);
        self.tell_rq(c, me as u8, mm::A, Site::KthreadUse);
        self.check_rq(c);
        if borrowed == mm::A && self.does(Guard::UseDrop) && !self.has(Flag::LazyDrop) {
            self.drop_a_on(c);
        }
    }

    pub(super) fn unuse_mm(&mut self, c: usize) {
        let me = self.me(c);
        if !self.has(Flag::UnuseNomb) {
            self.barrier(Guard::UnuseMb, c);
        }
        self.let_go(c, Guard::UnuseClears);
        if self.does(Guard::UnuseGrab) && !self.has(Flag::LazyDrop) {
            self.s.all.count += 1;
        }
        self.s.tasks[me].pc = pc::UNUSE_DROP;
    }

    pub(super) fn unuse_drop(&mut self, c: usize) {
        self.barrier(Guard::UnuseDropMb, c);
        self.jump(c, pc::WORK);
        self.tell_kthread(c, false);
        if self.does(Guard::UnuseDrop) {
            self.drop_a_on(c);
        }
        self.put(c);
    }

    /// The running task has no mm any more, and keeps it lazily.
    fn let_go(&mut self, c: usize, clears: Guard) {
        let me = self.me(c);
        self.s.tasks[me].mm = mm::NONE;
        self.s.store(c, store::mm(me as u8, mm::NONE));
        self.logical(c, mm::NONE);
        if self.does(clears) {
            self.s.cpus[c].rq_state = 0;
        }
        let cpu = &mut self.s.cpus[c];
        cpu.active = mm::A;
        cpu.g &= !ghost::CAME_BACK;
        if self.does(Guard::GoesLazy) {
            self.enter_lazy_tlb(c, me as u8);
        }
    }

    /// `mmput`
    fn put(&mut self, c: usize) {
        self.s.all.users -= 1;
        if self.holds(Guard::LastUser, self.s.all.users == 0) {
            self.drop_a_on(c);
        }
    }

    /// A reference to A is dropped by the task that runs here.
    pub(super) fn drop_a_on(&mut self, c: usize) {
        self.drop_a();
        if self.s.all.count == 0 {
            self.tell_drop(c);
        }
    }

    pub(super) fn exit(&mut self, c: usize) {
        self.s.all.exits -= 1;
        self.tell_syscall(c);
        self.jump(c, pc::EXIT);
    }

    pub(super) fn exit_mm(&mut self, c: usize) {
        if !self.has(Flag::ExitNomb) {
            self.barrier(Guard::ExitMb, c);
        }
        if self.does(Guard::ExitGrab) && !self.has(Flag::LazyDrop) {
            self.s.all.count += 1;
        }
        self.let_go(c, Guard::ExitClears);
        self.jump(c, pc::EXIT_PUT);
    }

    pub(super) fn exit_put(&mut self, c: usize) {
        self.barrier(Guard::ExitPutMb, c);
        self.tell_exit(c);
        self.put(c);
        self.jump(c, pc::EXITED);
    }

    pub(super) fn exec(&mut self, c: usize) {
        self.s.all.execs -= 1;
        self.tell_syscall(c);
        self.jump(c, pc::EXEC);
    }

    /// The thread shares A with others that are not of its group (`vfork`): those of its group are
    /// gone by here.
    pub(super) fn exec_mmap(&mut self, c: usize) {
        let me = self.me(c);
        self.barrier(Guard::ExecMb, c);
        if self.does(Guard::ExecClears) && !self.has(Flag::ExecNorq) {
            self.s.cpus[c].rq_state = 0;
        }
        self.tell_rq(c, me as u8, mm::C, Site::ExecMmap);
        self.s.tasks[me].mm = mm::C;
        self.s.store(c, store::mm(me as u8, mm::C));
        self.logical(c, mm::C);
        let cpu = &mut self.s.cpus[c];
        cpu.active = mm::C;
        cpu.g &= !ghost::CAME_BACK;
        self.begin_switch_mm(c, mm::C, ret::EXEC, me as u8);
    }

    /// It leaves by IRET.
    pub(super) fn exec_put(&mut self, c: usize) {
        self.barrier(Guard::ExecPutMb, c);
        self.put(c);
        self.jump(c, pc::IRET);
    }
}
