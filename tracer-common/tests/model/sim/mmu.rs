//! The MMU: `arch/x86/mm/tlb.c`.

use super::{Bug, Ipi, Job, Sim};
use tracer_common::{
    model::{Event, Func},
    wire::{self, INIT_MM, Site, tlb_reason},
};

impl Sim {
    fn tlb(&mut self, cpu: usize, task: usize, reason: u32, pages: u64) {
        let (tid, mm) = (self.tasks[task].tid, self.tasks[task].mm);
        self.emit(cpu, Event::TlbFlush(wire::TlbFlush { pages, mm, tid, reason }));
    }

    /// `switch_mm_irqs_off`; says whether CR3 was written. `generation` is the new mm's, if it was
    /// read too early.
    pub(super) fn switch_mm(
        &mut self,
        cpu: usize,
        next: u64,
        current: usize,
        generation: Option<u64>,
    ) -> bool {
        let now = self.mms[&next].generation;
        let c = &mut self.cpus[cpu];
        let was_lazy = std::mem::take(&mut c.lazy);
        let same = c.real == next;
        if same && (!was_lazy || c.slots.get(&next) == Some(&now)) {
            self.tlb_state(cpu);
            return false;
        }
        c.real = next;
        c.slots.insert(next, if same { now } else { generation.unwrap_or(now) });
        if !same && self.bug(Bug::NoCr3) && self.pick(4) == 0 {
            return false;
        }
        self.tlb(cpu, current, tlb_reason::TASK_SWITCH, u64::MAX);
        self.tlb_state(cpu);
        true
    }

    pub(super) fn enter_lazy_tlb(&mut self, cpu: usize) {
        self.cpus[cpu].lazy |= self.cpus[cpu].real != INIT_MM;
        self.tlb_state(cpu);
    }

    /// `leave_mm`, on a CPU that is lazy.
    pub(super) fn leave_mm(&mut self, cpu: usize) {
        if self.cpus[cpu].lazy {
            let me = self.current(cpu);
            self.switch_mm(cpu, INIT_MM, me, None);
        }
    }

    /// `use_temporary_mm`, and back.
    pub(super) fn text_poke(&mut self, cpu: usize) {
        self.leave_mm(cpu);
        let me = self.current(cpu);
        for temporary in [true, false] {
            self.tlb(cpu, me, tlb_reason::TASK_SWITCH, u64::MAX);
            if temporary && self.setup.full {
                let state = wire::TlbState {
                    loaded_mm: 3,
                    slot_mm: 3,
                    slot_gen: 1,
                    mm_gen: 1,
                    tid: self.tasks[me].tid,
                    asid: 1,
                    lazy: 0,
                    site: Site::SwitchMmExit as u8,
                };
                self.emit(cpu, Event::TlbState(state));
            }
        }
        self.tlb_state(cpu);
    }

    /// `flush_tlb_mm_range`: raises the generation and sends the IPIs.
    pub(super) fn flush(&mut self, cpu: usize) {
        let me = self.current(cpu);
        let mm = self.tasks[me].mm;
        let freed_tables = self.pick(2) == 0;
        let Some(entry) = self.mms.get_mut(&mm) else { return };
        entry.generation += 1;
        let generation = entry.generation;
        if self.setup.full {
            let flush = wire::Flush { mm, generation, tid: self.tasks[me].tid, zero: 0 };
            self.emit(cpu, Event::FlushBegin { freed_tables, flush });
        }
        self.tasks[me].job = Some(Job::Flush { freed_tables, generation });
        let skip_lazy = !freed_tables || self.bug(Bug::LazyTables);
        for target in 0..self.cpus.len() {
            let c = &self.cpus[target];
            if target != cpu && c.real == mm && !(c.lazy && skip_lazy) {
                self.queue(cpu, target, Ipi::Flush { mm, generation, waiter: me }, Func::FlushTlb);
            }
        }
        self.cpus[cpu].slots.insert(mm, generation);
        self.tlb(cpu, me, tlb_reason::LOCAL_MM_SHOOTDOWN, 1);
        self.tlb_state(cpu);
    }

    /// It is done when all have answered.
    pub(super) fn flush_on(&mut self, cpu: usize, freed_tables: bool, generation: u64) {
        let me = self.current(cpu);
        if self.tasks[me].waits > 0 {
            return;
        }
        self.tasks[me].job = None;
        if self.setup.full {
            let (tid, mm) = (self.tasks[me].tid, self.tasks[me].mm);
            let flush = wire::Flush { mm, generation, tid, zero: 0 };
            self.emit(cpu, Event::FlushEnd { freed_tables, flush });
        }
    }

    /// `flush_tlb_func` on another CPU.
    pub(super) fn flush_here(&mut self, cpu: usize, mm: u64, generation: u64) {
        let me = self.current(cpu);
        let now = self.mms[&mm].generation;
        let c = &mut self.cpus[cpu];
        if c.real != mm {
            return;
        }
        if c.lazy {
            self.switch_mm(cpu, INIT_MM, me, None);
            return;
        }
        let slot = c.slots.entry(mm).or_default();
        if *slot >= generation {
            return;
        }
        *slot = now;
        self.tlb(cpu, me, tlb_reason::REMOTE_SHOOTDOWN, 1);
        self.tlb_state(cpu);
    }
}
