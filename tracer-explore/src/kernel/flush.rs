//! `arch/x86/mm/tlb.c:flush_tlb_mm_range`, `native_flush_tlb_multi`, `should_flush_tlb`. Not
//! preemptible.
//!
//! Unless every access is asked for (`fine`), the generation is raised and `mm_cpumask` read in one
//! step, and so are `loaded_mm` and `is_lazy` of all CPUs, with one of them in mind. That loses nothing:
//! a mask that is read later has more CPUs in it, of those that may have an old generation; a CPU that
//! is left out by what is read at two moments is left out by what is read at one of them; and R3 and
//! R4 are broken on one CPU, by when that one was looked at.

use super::Run;
use crate::{
    bug::Flag,
    guard::Guard,
    rules::Rule,
    state::{mm, pc, store, task},
    tell::Tell,
};

/// In [`Task::flush_gen`](crate::state::Task): it is a call.
const IS_CALL: u8 = 0x80;

impl<T: Tell> Run<'_, T> {
    pub(super) fn flush(&mut self, c: usize, tables: bool) {
        let me = self.me(c);
        self.s.all.flushes -= 1;
        self.tell_syscall(c);
        self.tell_flush(c, tables, false);
        let t = &mut self.s.tasks[me];
        t.pc = pc::FLUSH;
        if tables {
            t.bits |= task::TABLES;
        }
        if !self.w.setup.fine {
            self.flush_raise(c);
        }
    }

    /// `inc_mm_tlb_gen`, a locked instruction.
    pub(super) fn flush_raise(&mut self, c: usize) {
        let me = self.me(c);
        let raises = self.does(Guard::FlushRaises);
        let generation = self.s.all.tlb_gen + u8::from(raises);
        if self.does(Guard::FlushRaiseMb) {
            self.s.drain(c);
            self.s.all.tlb_gen = generation;
        } else if raises {
            self.s.store(c, store::RAISE);
        }
        let t = &mut self.s.tasks[me];
        t.flush_gen = t.flush_gen & IS_CALL | generation;
        if self.w.protocol.invlpgb {
            // INVLPGB, TLBSYNC: every TLB is as far, and no CPU has noticed.
            t.pc = pc::FLUSH_WAIT;
            for other in self.each_cpu() {
                self.s.cpus[other].slot = generation;
            }
            return;
        }
        t.pc = pc::FLUSH_MASK;
        if !self.w.setup.fine {
            self.flush_mask(c);
        }
    }

    pub(super) fn flush_mask(&mut self, c: usize) {
        let me = self.me(c);
        let set = |cpu: &usize| self.s.all.cpumask & 1 << cpu != 0;
        let chosen = self.each_cpu().filter(|cpu| self.holds(Guard::FlushCpumask, set(cpu)));
        let others = chosen.fold(0, |mask, cpu| mask | 1 << cpu) & !(1 << c);
        let tables = self.s.tasks[me].bits & task::TABLES != 0;
        let tables = self.holds(Guard::FlushTablesAll, tables) && !self.has(Flag::TablesSkip);
        let everyone = tables || self.has(Flag::OkFlushLazy);
        let t = &mut self.s.tasks[me];
        if everyone {
            (t.mask, t.pc) = (others, pc::FLUSH_SEND);
        } else {
            t.todo = others;
            t.pc = if others == 0 { pc::FLUSH_SEND } else { pc::FLUSH_LOADED };
        }
    }

    pub(super) fn flush_loaded(&mut self, c: usize, of: u8) {
        let me = self.me(c);
        let (in_mind, stores) = (of & 7, of >> 4);
        if of != super::ONE_LOOK {
            self.s.drain_some(usize::from(in_mind), stores);
        }
        if !self.w.setup.fine {
            let todo = self.s.tasks[me].todo;
            for of in self.each_cpu().filter(|of| todo & 1 << of != 0) {
                self.s.tasks[me].cur = of as u8 | self.s.cpus[of].m_loaded << 3;
                self.flush_lazy(c, 0);
            }
            self.s.tasks[me].todo = 0;
            self.s.tasks[me].pc = pc::FLUSH_SEND;
            return self.flush_send(c);
        }
        let of = in_mind;
        let loaded = self.s.cpus[usize::from(of)].m_loaded;
        let t = &mut self.s.tasks[me];
        t.todo &= !(1 << of);
        t.cur = of | loaded << 3;
        t.pc = pc::FLUSH_LAZY;
    }

    pub(super) fn flush_lazy(&mut self, c: usize, stores: u8) {
        let me = self.me(c);
        let cur = std::mem::take(&mut self.s.tasks[me].cur);
        let (of, loaded) = (cur & 7, cur >> 3);
        self.s.drain_some(usize::from(of), stores);
        let lazy = self.s.cpus[usize::from(of)].m_lazy != 0;
        let has_it = match loaded {
            _ if !self.w.protocol.flush_looks_at_mm => true,
            mm::SWITCHING => {
                self.holds(Guard::FlushSwitching, true) && !self.has(Flag::SwitchingIgnored)
            }
            loaded => self.holds(Guard::FlushLoaded, loaded == mm::A),
        };
        let not_lazy = self.holds(Guard::FlushNotLazy, !lazy);
        let t = &mut self.s.tasks[me];
        if not_lazy && has_it {
            t.mask |= 1 << of;
        }
        t.pc = if t.todo == 0 { pc::FLUSH_SEND } else { pc::FLUSH_LOADED };
    }

    /// The IPIs, and the CPU's own share.
    pub(super) fn flush_send(&mut self, c: usize) {
        let me = self.me(c);
        let others = self.s.tasks[me].mask;
        if others != 0 {
            self.barrier(Guard::FlushSendMb, c);
        }
        for other in self.each_cpu() {
            if others & 1 << other != 0 {
                if self.does(Guard::FlushSend) {
                    self.s.cpus[other].pend |= 1 << me;
                }
                self.tell_queue(c, tracer_common::model::Func::FlushTlb, other as u32);
            }
        }
        let wanted = self.s.tasks[me].flush_gen & !IS_CALL;
        self.flush_local(c, wanted);
        self.s.tasks[me].pc = pc::FLUSH_WAIT;
    }

    /// All have answered: the flush is done.
    pub(super) fn flush_end(&mut self, c: usize) {
        let me = self.me(c);
        let t = &mut self.s.tasks[me];
        let asked = std::mem::take(&mut t.flush_gen);
        let generation = asked & !IS_CALL;
        let tables = t.bits & task::TABLES != 0;
        t.bits &= !task::TABLES;
        self.tell_flush(c, tables, true);
        self.s.all.done_gen = self.s.all.done_gen.max(generation);
        for other in self.each_cpu() {
            let cpu = &self.s.cpus[other];
            let behind = cpu.slot < generation;
            let lazy = cpu.lazy != 0 && cpu.loaded == mm::A;
            if tables {
                self.marks.check(Rule::R4, !(lazy && behind));
            }
            if self.in_user(other) {
                self.marks.check(Rule::R3, !behind);
            }
        }
        if asked & IS_CALL != 0 {
            self.call_end(c);
        } else {
            self.s.tasks[me].pc = pc::SYSCALL;
        }
    }
}
