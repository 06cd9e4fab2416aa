//! Tasks and mms: fork, exec, exit, `kthread_use_mm`.

use super::{Bug, Mm, Pos, Sim, Task};
use tracer_common::{
    model::Event,
    wire::{self, INIT_MM, Site},
};

/// So many tasks at once, the idle ones and kernel threads included.
const TASKS: usize = 16;

impl Sim {
    pub(super) fn new_mm(&mut self, state: u8) -> u64 {
        let id = self.next_mm;
        self.next_mm += 1;
        self.mms.insert(id, Mm { state, generation: 1, ..Mm::default() });
        id
    }

    /// A new task; `leader` 0 makes it its own.
    pub(super) fn add(&mut self, leader: u32, mm: u64, kthread: bool) -> usize {
        let tid = self.next_tid;
        self.next_tid += 1;
        if let Some(entry) = self.mms.get_mut(&mm) {
            entry.users += 1;
        }
        self.tasks.push(Task {
            tid,
            tgid: if leader == 0 { tid } else { leader },
            mm,
            kthread,
            pos: if kthread { Pos::Kernel } else { Pos::Syscall },
            job: None,
            waits: 0,
            asleep: false,
            on_cpu: false,
            dead: false,
            bound: false,
            stays: false,
            fpu: false,
        });
        self.tasks.len() - 1
    }

    /// clone with `CLONE_VM`, as a thread or not; or fork.
    pub(super) fn fork(&mut self, cpu: usize) {
        let alive = self.tasks.iter().filter(|task| !task.dead).count();
        if alive >= TASKS {
            return;
        }
        let me = self.current(cpu);
        let (parent_tid, mut mm) = (self.tasks[me].tid, self.tasks[me].mm);
        let leader = match self.pick(3) {
            0 => self.tasks[me].tgid,
            1 => 0,
            _ => {
                // dup_mm copies the registration too.
                mm = self.new_mm(self.mm_state(mm));
                0
            }
        };
        let child = self.add(leader, mm, false);
        self.tasks[child].pos = Pos::Fresh;
        self.emit(
            cpu,
            Event::Fork(wire::Fork {
                child_mm: mm,
                parent_tid,
                child_tid: self.tasks[child].tid,
                child_tgid: self.tasks[child].tgid,
                state: self.mm_state(mm),
                zero: [0; 3],
                comm: [0; wire::COMM_LEN],
            }),
        );
    }

    /// execve, by the only task of its group; another process may go on in the old mm (vfork).
    pub(super) fn exec(&mut self, cpu: usize) {
        let me = self.current(cpu);
        let Task { tid, tgid, mm: old, .. } = self.tasks[me];
        let group = |task: &Task| task.tgid == tgid && !task.dead && !task.kthread;
        if self.tasks.iter().filter(|task| group(task)).count() > 1 {
            return;
        }
        let mm = self.new_mm(0);
        self.cpus[cpu].rq_state = 0;
        if self.setup.full {
            self.now += 100;
            self.rq_reading(cpu, me, mm, Site::ExecMmap);
        }
        self.leave(old);
        self.tasks[me].mm = mm;
        // A thread whose leader is gone takes over its pid.
        self.tasks[me].tid = tgid;
        if let Some(entry) = self.mms.get_mut(&mm) {
            entry.users = 1;
        }
        self.cpus[cpu].active = mm;
        self.switch_mm(cpu, mm, me, None);
        self.drop_mms(cpu);
        let exec = wire::Exec { mm, tid: tgid, old_tid: tid, comm: [0; wire::COMM_LEN] };
        self.emit(cpu, Event::Exec(exec));
    }

    fn leave(&mut self, mm: u64) {
        if let Some(entry) = self.mms.get_mut(&mm) {
            entry.users -= 1;
        }
    }

    /// `do_exit`, up to and with `exit_mm`.
    pub(super) fn exit(&mut self, cpu: usize) {
        let me = self.current(cpu);
        let mm = std::mem::take(&mut self.tasks[me].mm);
        self.cpus[cpu].rq_state = 0;
        self.enter_lazy_tlb(cpu, me);
        self.leave(mm);
        self.tasks[me].pos = Pos::Exiting;
        if self.mms[&mm].users == 0 {
            let (tid, state) = (self.tasks[me].tid, self.mm_state(mm));
            self.emit(cpu, Event::MmGone(wire::MmGone { mm, tid, state, zero: [0; 3] }));
        }
        let task = wire::Task { mm: 0, tid: self.tasks[me].tid, tgid: self.tasks[me].tgid };
        self.emit(cpu, Event::Exit(task));
    }

    /// The last reference to a mm goes: nobody uses it, and no CPU borrows it.
    pub(super) fn drop_mms(&mut self, cpu: usize) {
        let mut gone = Vec::new();
        for (&id, mm) in &self.mms {
            let held = self.cpus.iter().any(|c| {
                let switch = c.switch;
                c.active == id || switch.is_some_and(|switch| switch.prev_mm == id)
            });
            let early = self.bug(Bug::EarlyFree);
            if id != INIT_MM && mm.users == 0 && !mm.dropped && (!held || early) {
                gone.push(id);
            }
        }
        for id in gone {
            if let Some(mm) = self.mms.get_mut(&id) {
                mm.dropped = true;
            }
            if self.setup.full {
                let tid = self.tasks[self.current(cpu)].tid;
                let drop = wire::MmGone { mm: id, tid, state: 0, zero: [0; 3] };
                self.emit(cpu, Event::MmDrop(drop));
                self.reads_too(cpu, Site::MmDrop);
            }
        }
    }

    /// `kthread_use_mm`.
    ///
    /// Stock kernels have a hole here: if CR3 is not written, the kernel thread must not make room
    /// for a thread of that mm. So this kernel doesn't let it go before it has given the mm back.
    pub(super) fn use_mm(&mut self, cpu: usize) {
        let me = self.current(cpu);
        let mms: Vec<u64> = self
            .mms
            .iter()
            .filter(|(id, mm)| **id != INIT_MM && mm.users > 0)
            .map(|m| *m.0)
            .collect();
        if mms.is_empty() {
            return;
        }
        let mut mm = mms[self.pick(mms.len())];
        let active = self.cpus[cpu].active;
        if mms.contains(&active) && self.pick(4) != 0 {
            mm = active;
        }
        if let Some(entry) = self.mms.get_mut(&mm) {
            entry.users += 1;
        }
        self.tasks[me].mm = mm;
        self.cpus[cpu].active = mm;
        self.cpus[cpu].rq_state = self.mm_state(mm);
        self.tasks[me].bound = !self.switch_mm(cpu, mm, me, None);
        self.drop_mms(cpu);
        if self.pick(4) == 0 {
            self.tick_only(cpu);
        }
        self.kthread_mm(cpu, mm, true);
    }

    /// `kthread_unuse_mm`
    pub(super) fn unuse_mm(&mut self, cpu: usize) {
        let me = self.current(cpu);
        let mm = std::mem::take(&mut self.tasks[me].mm);
        self.tasks[me].bound = false;
        self.cpus[cpu].rq_state = 0;
        self.enter_lazy_tlb(cpu, me);
        self.kthread_mm(cpu, mm, false);
        self.leave(mm);
    }

    fn kthread_mm(&mut self, cpu: usize, mm: u64, used: bool) {
        if !self.setup.full {
            return;
        }
        let tid = self.tasks[self.current(cpu)].tid;
        let record = wire::KthreadMm { mm, tid, state: self.mm_state(mm), zero: [0; 3] };
        let (event, site) = if used {
            (Event::KthreadUse(record), Site::KthreadUse)
        } else {
            (Event::KthreadUnuse(record), Site::KthreadUnuse)
        };
        self.emit(cpu, event);
        self.reads_too(cpu, site);
    }
}
