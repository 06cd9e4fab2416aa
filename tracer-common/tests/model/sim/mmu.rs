//! The MMU: `arch/x86/mm/tlb.c`.

use super::{Bug, FlushStage, Ipi, Job, Sim};
use tracer_common::{
    model::{Event, Func},
    wire::{self, INIT_MM, Site, tlb_reason},
};

/// `poking_mm`
const POKING_MM: u64 = 3;

impl Sim {
    fn tlb(&mut self, cpu: usize, task: usize, reason: u32, pages: u64) {
        let (tid, mm) = (self.tasks[task].tid, self.tasks[task].mm);
        self.emit(cpu, Event::TlbFlush(wire::TlbFlush { pages, mm, tid, reason }));
    }

    /// What full mode reads of `cpu_tlbstate` while `task` is `current`.
    fn reading(&self, cpu: usize, task: usize, site: Site) -> Event {
        let c = &self.cpus[cpu];
        Event::TlbState(wire::TlbState {
            loaded_mm: c.real,
            slot_mm: c.real,
            slot_gen: c.slots.get(&c.real).copied().unwrap_or(0),
            mm_gen: self.mms.get(&c.real).map_or(1, |mm| mm.generation),
            tid: self.tasks[task].tid,
            asid: 0,
            lazy: c.lazy.into(),
            site: site as u8,
        })
    }

    pub(super) fn reads(&mut self, cpu: usize, task: usize, site: Site) {
        if self.setup.full {
            let reading = self.reading(cpu, task, site);
            self.emit(cpu, reading);
        }
    }

    /// At the same time as the record before it.
    pub(super) fn reads_too(&mut self, cpu: usize, site: Site) {
        if self.setup.full {
            let reading = self.reading(cpu, self.current(cpu), site);
            self.emit_too(cpu, reading);
        }
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
        self.reads(cpu, current, Site::SwitchMmEntry);
        let written = self.load_mm(cpu, next, current, generation);
        self.reads(cpu, current, Site::SwitchMmExit);
        written
    }

    fn load_mm(&mut self, cpu: usize, next: u64, current: usize, generation: Option<u64>) -> bool {
        let now = self.mms.get(&next).map_or(1, |mm| mm.generation);
        let nogen = self.bug(Bug::UnlazyNogen);
        let c = &mut self.cpus[cpu];
        let was_lazy = std::mem::take(&mut c.lazy);
        let same = c.real == next;
        if same && (!was_lazy || nogen || c.slots.get(&next) == Some(&now)) {
            return false;
        }
        c.real = next;
        if !(same && self.setup.bug == Some(Bug::UnlazyNoflush)) {
            c.slots.insert(next, if same { now } else { generation.unwrap_or(now) });
        }
        if !same && self.bug(Bug::NoCr3) && self.pick(4) == 0 {
            return false;
        }
        self.tlb(cpu, current, tlb_reason::TASK_SWITCH, u64::MAX);
        true
    }

    pub(super) fn enter_lazy_tlb(&mut self, cpu: usize, current: usize) {
        self.cpus[cpu].lazy |= self.cpus[cpu].real != INIT_MM;
        self.reads(cpu, current, Site::EnterLazyTlb);
    }

    /// `leave_mm`, on a CPU that is lazy.
    pub(super) fn leave_mm(&mut self, cpu: usize) {
        if self.cpus[cpu].lazy {
            let me = self.current(cpu);
            self.switch_mm(cpu, INIT_MM, me, None);
            self.reads(cpu, me, Site::LeaveMm);
        }
    }

    /// `use_temporary_mm`, and back.
    pub(super) fn text_poke(&mut self, cpu: usize) {
        self.leave_mm(cpu);
        let me = self.current(cpu);
        let home = self.cpus[cpu].real;
        self.switch_mm(cpu, POKING_MM, me, None);
        self.switch_mm(cpu, home, me, None);
    }

    /// `flush_tlb_mm_range` begins.
    pub(super) fn flush(&mut self, cpu: usize) {
        let me = self.current(cpu);
        let mm = self.tasks[me].mm;
        let freed_tables = self.pick(2) == 0;
        let Some(entry) = self.mms.get(&mm) else { return };
        if self.setup.full {
            let generation = entry.generation + 1;
            let flush = wire::Flush { mm, generation, tid: self.tasks[me].tid, zero: 0 };
            self.emit(cpu, Event::FlushBegin { freed_tables, flush });
            self.reads_too(cpu, Site::FlushRangeEntry);
        }
        self.tasks[me].job = Some(Job::Flush { freed_tables, stage: FlushStage::Begun });
    }

    pub(super) fn flush_on(&mut self, cpu: usize, freed_tables: bool, stage: FlushStage) {
        let me = self.current(cpu);
        match stage {
            FlushStage::Begun => {
                self.flush_all(cpu, freed_tables);
                self.tasks[me].job = Some(Job::Flush { freed_tables, stage: FlushStage::Sent });
            }
            FlushStage::Sent if self.tasks[me].waits > 0 => {}
            FlushStage::Sent => {
                self.tasks[me].job = None;
                if self.setup.full {
                    let (tid, mm) = (self.tasks[me].tid, self.tasks[me].mm);
                    let flush = wire::Flush { mm, generation: 0, tid, zero: 0 };
                    self.emit(cpu, Event::FlushEnd { freed_tables, flush });
                    self.reads_too(cpu, Site::FlushRangeExit);
                }
            }
        }
    }

    /// It raises the generation and sends the IPIs; its own CPU comes last.
    fn flush_all(&mut self, cpu: usize, freed_tables: bool) {
        let me = self.current(cpu);
        let mm = self.tasks[me].mm;
        let Some(entry) = self.mms.get_mut(&mm) else { return };
        entry.generation += 1;
        let generation = entry.generation;
        let skip_lazy = !freed_tables || self.bug(Bug::LazyTables);
        for target in 0..self.cpus.len() {
            let c = &self.cpus[target];
            if target != cpu && c.real == mm && !(c.lazy && skip_lazy) {
                self.queue(cpu, target, Ipi::Flush { mm, generation, waiter: me }, Func::FlushTlb);
            }
        }
        let now = self.mms[&mm].generation;
        self.cpus[cpu].slots.insert(mm, now);
        self.tlb(cpu, me, tlb_reason::LOCAL_MM_SHOOTDOWN, 1);
        self.reads(cpu, me, Site::FlushTlbFunc);
    }

    /// `flush_tlb_func` on another CPU.
    pub(super) fn flush_here(&mut self, cpu: usize, mm: u64, generation: u64) {
        let me = self.current(cpu);
        let now = self.mms[&mm].generation;
        let c = &mut self.cpus[cpu];
        if c.real == mm && c.lazy {
            self.switch_mm(cpu, INIT_MM, me, None);
        } else if c.real == mm {
            let slot = c.slots.entry(mm).or_default();
            if *slot < generation {
                *slot = now;
                self.tlb(cpu, me, tlb_reason::REMOTE_SHOOTDOWN, 1);
            }
        }
        self.reads(cpu, me, Site::FlushTlbFunc);
    }
}
