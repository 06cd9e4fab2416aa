//! What the running task does next.

use super::{Bug, Job, Pos, Sim};
use tracer_common::{
    model::Event,
    wire::{self, Frame, Site, Vector, membarrier_state as bit},
};

impl Sim {
    /// The running task makes a step of its own.
    pub(super) fn go_on(&mut self, cpu: usize) {
        let me = self.current(cpu);
        match self.tasks[me].pos {
            Pos::User => self.in_user(cpu, me),
            Pos::Syscall => self.in_syscall(cpu, me),
            Pos::Leaving { signal } => match self.pick(8) {
                0 => self.switch_out(cpu, 0),
                1 if !signal && self.registered(me) => {
                    self.tasks[me].pos = Pos::Leaving { signal: true };
                    let fault = self.fault(me);
                    self.emit(cpu, Event::Redirect(fault));
                }
                _ => self.return_to_user(cpu, me),
            },
            Pos::Interrupt => match self.pick(8) {
                0 | 3 => self.switch_out(cpu, 0),
                1 => self.sleep(cpu),
                2 => self.tick(cpu),
                _ => self.return_to_user(cpu, me),
            },
            Pos::Fresh => {
                self.sys_exit(cpu, me, 56);
                self.tasks[me].pos = Pos::Leaving { signal: false };
            }
            Pos::Exiting => match self.pick(4) {
                0 => self.switch_out(cpu, 0),
                1 => self.sleep(cpu),
                _ => self.last_switch(cpu),
            },
            Pos::Kernel if me == self.cpus[cpu].idle => match self.pick(8) {
                0 => self.leave_mm(cpu),
                _ => self.switch_out(cpu, 0),
            },
            Pos::Kernel => match self.pick(32) {
                0 => self.switch_out(cpu, 0),
                1 => self.text_poke(cpu),
                2..5 if self.tasks[me].mm == 0 => self.use_mm(cpu),
                2..5 => self.unuse_mm(cpu),
                5 => self.tick(cpu),
                6 | 7 => self.sleep(cpu),
                8..20 if self.tasks[me].mm != 0 => self.sleep(cpu),
                _ => {} // works on
            },
        }
    }

    fn in_user(&mut self, cpu: usize, me: usize) {
        let state = self.mm_state(self.tasks[me].mm);
        match self.pick(8) {
            0 if state & bit::SYNC_CORE_READY != 0 => self.enter_call(cpu),
            2 if state & bit::SYNC_CORE == 0 && self.tasks[me].mm != 12 => self.enter_register(cpu),
            3 => {
                self.tasks[me].pos = Pos::Interrupt;
                if self.registered(me) {
                    let fault = self.fault(me);
                    self.emit(cpu, Event::PageFault { from_user: true, fault });
                }
            }
            4 | 5 => {
                self.tasks[me].pos = Pos::Syscall;
                if self.traced && self.registered(me) {
                    let call = self.syscall(me, 0, Frame::Unknown);
                    self.emit(cpu, Event::SysEnter(call));
                }
            }
            _ => {} // goes on
        }
    }

    fn in_syscall(&mut self, cpu: usize, me: usize) {
        if let Some(job) = self.tasks[me].job {
            return match job {
                Job::Call(stage) => self.call_on(cpu, stage),
                Job::Register => self.register_on(cpu),
                Job::Flush { freed_tables, stage } => self.flush_on(cpu, freed_tables, stage),
            };
        }
        match self.pick(16) {
            0..4 => self.sleep(cpu),
            4 | 5 => self.flush(cpu),
            6 if self.registered(me) => {
                let fault = self.fault(me);
                self.emit(cpu, Event::PageFault { from_user: false, fault });
            }
            7 => self.fork(cpu),
            8 if !self.tasks[me].stays => self.exec(cpu),
            9 if !self.tasks[me].stays => self.exit(cpu),
            10 if self.pick(4) == 0 => self.text_poke(cpu),
            _ => {
                self.sys_exit(cpu, me, 0);
                self.tasks[me].pos = Pos::Leaving { signal: false };
            }
        }
    }

    fn return_to_user(&mut self, cpu: usize, me: usize) {
        let frame = self.frame(me);
        self.tasks[me].pos = Pos::User;
        let first = std::mem::take(&mut self.tasks[me].fpu);
        if first && self.setup.full {
            let (tid, mm) = (self.tasks[me].tid, self.tasks[me].mm);
            let state = self.mm_state(mm);
            let ret = wire::UserReturn { mm, tid, frame: frame as u8, state, zero: [0; 2] };
            self.reads(cpu, me, Site::UserReturn);
            self.emit_too(cpu, Event::UserReturn(ret));
        }
    }

    fn sys_exit(&mut self, cpu: usize, me: usize, nr: i32) {
        if self.traced && self.registered(me) {
            let call = self.syscall(me, nr, self.frame(me));
            self.emit(cpu, Event::SysExit(call));
        }
    }

    fn syscall(&self, me: usize, nr: i32, frame: Frame) -> wire::Syscall {
        let (tid, mm) = (self.tasks[me].tid, self.tasks[me].mm);
        wire::Syscall { mm, tid, nr, frame: frame as u8, state: self.mm_state(mm), zero: [0; 6] }
    }

    fn fault(&self, me: usize) -> wire::Fault {
        let (tid, mm) = (self.tasks[me].tid, self.tasks[me].mm);
        wire::Fault { tid, state: self.mm_state(mm), frame: 0, zero: [0; 2] }
    }

    fn irq(&self, me: usize, vector: Vector) -> wire::Irq {
        let (tid, mm) = (self.tasks[me].tid, self.tasks[me].mm);
        let frame = self.frame(me) as u8;
        wire::Irq { tid, vector: vector as u8, frame, state: self.mm_state(mm), zero: 0 }
    }

    pub(super) fn nmi(&mut self, cpu: usize) {
        let me = self.current(cpu);
        if self.registered(me) && !self.setup.quiet {
            let fault = self.fault(me);
            self.emit(cpu, Event::Nmi(fault));
        }
    }

    /// The timer, or a device with one or two handlers.
    pub(super) fn tick(&mut self, cpu: usize) {
        if !self.setup.quiet {
            self.tick_only(cpu);
            self.after_irq(cpu);
        }
    }

    /// The same, and nobody is preempted.
    pub(super) fn tick_only(&mut self, cpu: usize) {
        if self.setup.quiet {
            return;
        }
        let (vector, handlers) =
            [(Vector::LocalTimer, 1), (Vector::Device, 1), (Vector::Device, 2)][self.pick(3)];
        for _ in 0..handlers {
            self.irq_entry(cpu, vector);
            self.irq_exit(cpu, vector);
        }
    }

    /// The functions that other CPUs have queued here run.
    pub(super) fn call_function(&mut self, cpu: usize) {
        self.irq_entry(cpu, Vector::CallFunction);
        for ipi in std::mem::take(&mut self.cpus[cpu].pending) {
            self.ipi(cpu, ipi);
        }
        self.irq_exit(cpu, Vector::CallFunction);
        self.after_irq(cpu);
    }

    fn irq_entry(&mut self, cpu: usize, vector: Vector) {
        let me = self.current(cpu);
        if self.tasks[me].pos == Pos::User {
            self.tasks[me].pos = Pos::Interrupt;
        }
        let irq = self.irq(me, vector);
        self.emit(cpu, Event::IrqEntry(irq));
    }

    fn irq_exit(&mut self, cpu: usize, vector: Vector) {
        let irq = self.irq(self.current(cpu), vector);
        self.emit(cpu, Event::IrqExit(irq));
    }

    /// An interrupt of kernel code may end in a preemption.
    fn after_irq(&mut self, cpu: usize) {
        if self.cpus[cpu].switch.is_none() && self.preemptible(cpu) && self.pick(4) == 0 {
            self.switch_out(cpu, wire::switch_flags::PREEMPT);
        }
    }

    fn preemptible(&self, cpu: usize) -> bool {
        let me = self.current(cpu);
        me != self.cpus[cpu].idle && self.may_switch(me)
    }

    pub(super) fn may_switch(&self, me: usize) -> bool {
        let task = &self.tasks[me];
        task.waits == 0 && (!task.bound || self.bug(Bug::KthreadUseMm)) && task.pos != Pos::User
    }
}
