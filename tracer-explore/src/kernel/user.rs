//! The border to user mode, and user code as far as it matters: the memory-barrier test.

use super::Run;
use crate::{
    bug::Flag,
    guard::Guard,
    rules::Rule,
    state::{pc, store, task},
    tell::Tell,
};

impl<T: Tell> Run<'_, T> {
    pub(super) fn syscall(&mut self, c: usize) {
        self.tell_syscall(c);
        self.jump(c, pc::SYSCALL);
    }

    /// By SYSRET from a system call, by IRET from anything else.
    pub(super) fn go_to_user(&mut self, c: usize) {
        let me = self.me(c);
        let from = self.s.tasks[me].pc;
        if from == pc::SYSCALL {
            self.tell_sysexit(c);
        }
        let iret = from == pc::IRET;
        if iret {
            self.sync(Guard::UserIret, c);
        }
        if self.has(Flag::OkExitSync) {
            let curr = self.s.cpus[c].curr;
            self.tell_sync(c, curr, tracer_common::model::SyncCause::SyscallExit);
            self.serialize(c);
        }
        self.tell_user(c, iret);
        let t = &mut self.s.tasks[me];
        t.pc = if t.bits & task::THEN_LOADS != 0 {
            pc::STORED
        } else if t.bits & task::THEN_CALLED != 0 || (!iret && t.bits & task::TESTS != 0) {
            pc::CALLED
        } else {
            pc::USER
        };
        t.bits &= !(task::THEN_LOADS | task::THEN_CALLED);
        self.check_user(c);
    }

    /// `y = 1`
    pub(super) fn store_y(&mut self, c: usize) {
        let me = self.me(c);
        self.s.all.tests -= 1;
        self.s.store(c, store::Y);
        if self.w.is_kthread(me as u8) {
            self.s.tasks[me].bits |= task::THEN_LOADS;
        } else {
            self.s.tasks[me].pc = pc::STORED;
        }
    }

    /// `x` is read after `y` was stored.
    pub(super) fn load_x(&mut self, c: usize, arg: u8) {
        let me = self.me(c);
        self.s.drain_some(usize::from(arg & 7), arg >> 4);
        self.s.all.read_x = 1 + (self.s.all.x | u8::from(self.s.cpus[c].holds(store::X)));
        if self.w.is_kthread(me as u8) {
            self.s.tasks[me].bits &= !task::THEN_LOADS;
        } else {
            self.s.tasks[me].pc = pc::USER;
        }
        self.check_order();
    }

    /// `y` is read after the call that came after the store of `x`.
    pub(super) fn load_y(&mut self, c: usize, arg: u8) {
        let me = self.me(c);
        self.s.drain_some(usize::from(arg & 7), arg >> 4);
        self.s.all.read_y = 1 + (self.s.all.y | u8::from(self.s.cpus[c].holds(store::Y)));
        self.s.tasks[me].bits &= !task::TESTS;
        self.s.tasks[me].pc = pc::USER;
        self.check_order();
    }

    /// One of them sees what the other has stored.
    fn check_order(&mut self) {
        let (x, y) = (self.s.all.read_x, self.s.all.read_y);
        if x != 0 && y != 0 {
            self.marks.check(Rule::Order, x == 2 || y == 2);
        }
    }
}
