//! Context switches: `kernel/sched/core.c:__schedule`, `context_switch`, `finish_task_switch`.

use super::{Bug, Pos, Sim, Switch};
use tracer_common::{
    model::{Event, SyncCause},
    wire::{self, Site, switch_flags},
};

impl Sim {
    /// The running task goes to sleep.
    pub(super) fn sleep(&mut self, cpu: usize) {
        let me = self.current(cpu);
        if self.may_switch(me) {
            self.tasks[me].asleep = true;
            self.switch_out(cpu, switch_flags::PREV_BLOCKED);
        }
    }

    pub(super) fn last_switch(&mut self, cpu: usize) {
        let me = self.current(cpu);
        self.tasks[me].dead = true;
        self.switch_out(cpu, switch_flags::PREV_BLOCKED);
    }

    /// Somebody wakes up, or a dead task is freed.
    pub(super) fn wake(&mut self) {
        let task = self.pick(self.tasks.len());
        self.tasks[task].asleep = false;
    }

    /// Another task runs, if there is one, or idle.
    pub(super) fn switch_out(&mut self, cpu: usize, flags: u16) {
        let prev = self.current(cpu);
        if !self.may_switch(prev) {
            return;
        }
        let idles = self.cpus.len();
        let ready: Vec<usize> = (idles..self.tasks.len())
            .filter(|&task| {
                let task = &self.tasks[task];
                !task.asleep && !task.dead && !task.on_cpu
            })
            .collect();
        let idle = self.cpus[cpu].idle;
        let mm = self.cpus[cpu].active;
        let siblings: Vec<usize> =
            ready.iter().copied().filter(|&task| self.tasks[task].mm == mm).collect();
        let next = match self.pick(ready.len() + 1) {
            0 => idle,
            n if siblings.is_empty() || self.pick(2) == 0 => ready[n - 1],
            n => siblings[n % siblings.len()],
        };
        if next == prev {
            return;
        }
        self.tasks[next].on_cpu = true;
        self.tasks[next].fpu = true;
        self.switch(cpu, prev, next, flags);
    }

    /// `rq->curr = next`, `trace_sched_switch`, and for a kernel thread `enter_lazy_tlb`.
    fn switch(&mut self, cpu: usize, prev: usize, next: usize, flags: u16) {
        let (p, n) = (&self.tasks[prev], &self.tasks[next]);
        let flag = |on: bool, bit: u16| if on { bit } else { 0 };
        let active = self.cpus[cpu].active;
        let switch = wire::Switch {
            prev_mm: p.mm,
            prev_active: active,
            next_mm: n.mm,
            prev_tid: p.tid,
            next_tid: n.tid,
            next_tgid: n.tgid,
            prev_state: self.mm_state(p.mm),
            next_state: self.mm_state(n.mm),
            prev_frame: self.frame(prev) as u8,
            next_frame: self.frame(next) as u8,
        };
        let flags = flags
            | flag(p.kthread, switch_flags::PREV_KTHREAD)
            | flag(n.kthread, switch_flags::NEXT_KTHREAD)
            | flag(p.pos == Pos::Exiting, switch_flags::PREV_EXITING);
        let lazy = switch.next_mm == 0;
        let generation = self.mms.get(&switch.next_mm).map_or(0, |mm| mm.generation);
        let prev_mm = if switch.prev_mm == 0 && !lazy { active } else { 0 };
        self.cpus[cpu].current = next;
        self.cpus[cpu].switch =
            Some(Switch { prev, prev_mm, prev_active: active, generation, mm_done: lazy });
        self.emit(cpu, Event::Switch { flags, switch });
        if lazy {
            self.enter_lazy_tlb(cpu, prev);
        } else {
            self.cpus[cpu].active = switch.next_mm;
        }
    }

    /// The switch in progress makes a step.
    pub(super) fn switch_on(&mut self, cpu: usize) {
        let Some(switch) = self.cpus[cpu].switch else { return };
        let next = self.current(cpu);
        let mm = self.tasks[next].mm;
        if !switch.mm_done {
            if mm != switch.prev_active && !self.bug(Bug::RqStale) {
                self.cpus[cpu].rq_state = self.mm_state(mm);
            }
            let generation = self.bug(Bug::StaleTlb).then_some(switch.generation);
            self.switch_mm(cpu, mm, switch.prev, generation);
            if self.cpus[cpu].rq_state | self.mm_state(mm) != 0 {
                self.rq_reading(cpu, switch.prev, mm, Site::SwitchMmExit);
            }
            self.cpus[cpu].switch = Some(Switch { mm_done: true, ..switch });
            return;
        }
        // finish_task_switch: interrupts are enabled again before it serializes.
        if self.pick(4) == 0 {
            if self.cpus[cpu].pending.is_empty() {
                self.tick(cpu);
            } else {
                self.call_function(cpu);
            }
        }
        if switch.prev_mm == mm && self.registered(next) && !self.bug(Bug::LazyNosync) {
            self.serializes(cpu, SyncCause::FinishTaskSwitch);
        }
        self.cpus[cpu].switch = None;
        self.tasks[switch.prev].on_cpu = false;
        self.drop_mms(cpu);
        if self.tasks[switch.prev].dead {
            let prev = &self.tasks[switch.prev];
            let task = wire::Task { mm: 0, tid: prev.tid, tgid: prev.tgid };
            self.emit(cpu, Event::Free(task));
        }
    }
}
