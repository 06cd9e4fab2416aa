//! membarrier(2) and the functions that CPUs run for one another.

use super::{Bug, CallStage, Ipi, Job, Pos, Sim, Task};
use tracer_common::{
    model::{Event, Func, SyncCause},
    wire::{self, Frame, Site, membarrier_cmd as cmd, membarrier_state as bit},
};

impl Sim {
    fn membarrier(&mut self, cpu: usize, cmd: i32, exit: bool) {
        if !self.traced {
            return;
        }
        let me = self.current(cpu);
        let task = &self.tasks[me];
        let call = wire::Membarrier {
            mm: task.mm,
            ret: 0,
            tid: task.tid,
            tgid: task.tgid,
            cmd,
            cmd_flags: 0,
            cpu_id: -1,
            state: self.mm_state(task.mm),
            frame: if exit { Frame::Sysret } else { Frame::Unknown } as u8,
            zero: [0; 2],
        };
        let event = if exit { Event::MembarrierExit(call) } else { Event::MembarrierEnter(call) };
        self.emit(cpu, event);
    }

    /// Full mode sees the function, too.
    fn private(&mut self, cpu: usize, end: bool) {
        if !self.setup.full {
            return;
        }
        let me = self.current(cpu);
        let Task { tid, tgid, mm, .. } = self.tasks[me];
        let state = self.mm_state(mm);
        let call_flags = wire::private_flags::SYNC_CORE;
        let zero = [0; 3];
        let call = wire::PrivateCall { mm, tid, tgid, call_flags, cpu_id: -1, ret: 0, state, zero };
        if end {
            self.emit(cpu, Event::PrivateEnd(call));
            self.reads_too(cpu, Site::PrivateEnd);
        } else {
            self.emit(cpu, Event::PrivateBegin(call));
            self.reads_too(cpu, Site::PrivateBegin);
        }
    }

    pub(super) fn enter_call(&mut self, cpu: usize) {
        let me = self.current(cpu);
        self.tasks[me].pos = Pos::Syscall;
        self.tasks[me].job = Some(Job::Call(CallStage::Entered));
        self.membarrier(cpu, cmd::PRIVATE_EXPEDITED_SYNC_CORE, false);
        self.private(cpu, false);
    }

    /// `membarrier_private_expedited` makes a step; it can be preempted between any two.
    pub(super) fn call_on(&mut self, cpu: usize, stage: CallStage) {
        let me = self.current(cpu);
        let next = match stage {
            CallStage::Entered if self.mutex.is_some() => return self.sleep(cpu),
            CallStage::Entered => {
                self.mutex = Some(me);
                CallStage::Locked
            }
            CallStage::Locked => CallStage::Scanned(self.scan(cpu, self.tasks[me].mm)),
            CallStage::Scanned(mask) => {
                self.send(cpu, mask);
                CallStage::Sent
            }
            CallStage::Sent if self.tasks[me].waits > 0 => return,
            CallStage::Sent => {
                self.mutex = None;
                self.tasks[me].job = None;
                self.private(cpu, true);
                self.membarrier(cpu, cmd::PRIVATE_EXPEDITED_SYNC_CORE, true);
                self.tasks[me].pos = Pos::Leaving { signal: false };
                return;
            }
        };
        self.tasks[me].job = Some(Job::Call(next));
        if self.pick(8) == 0 {
            self.switch_out(cpu, wire::switch_flags::PREEMPT);
        }
    }

    /// Whose `rq->curr->mm` is it?
    fn scan(&mut self, cpu: usize, mm: u64) -> u64 {
        let mut mask = 0;
        for target in 0..self.cpus.len() {
            let curr = self.current(target);
            if self.tasks[curr].mm != mm || (target == cpu && self.bug(Bug::NoLocal)) {
                continue;
            }
            let in_user = target != cpu && self.tasks[curr].pos == Pos::User;
            if in_user && self.bug(Bug::SkipUser) && self.pick(2) == 0 {
                continue;
            }
            mask |= 1 << target;
        }
        mask
    }

    fn send(&mut self, cpu: usize, mask: u64) {
        let me = self.current(cpu);
        let Task { tid, tgid, mm, .. } = self.tasks[me];
        let func = if self.bug(Bug::IpiMb) { Func::Mb } else { Func::SyncCore };
        if self.handlers() {
            let call = wire::CallMask { func: 0, mask, tid, zero: 0 };
            self.emit(cpu, Event::CallMask { func, call });
        }
        for target in 0..self.cpus.len() {
            if mask & (1 << target) != 0 && target != cpu {
                self.queue(cpu, target, Ipi::Run { func, waiter: me }, func);
            }
        }
        if mask & (1 << cpu) != 0 && !self.bug(Bug::NoLocal) {
            let (nr, cmd) = (324, cmd::PRIVATE_EXPEDITED_SYNC_CORE);
            let local = wire::CsdLocal { func: 0, mm, tid, tgid, nr, cmd };
            let func = Func::SyncCore;
            self.emit(
                cpu,
                if self.handlers() {
                    Event::Handler { func, handler: local }
                } else {
                    Event::CsdLocal { func, local }
                },
            );
            self.serializes(cpu, SyncCause::IpiSyncCore);
        }
    }

    pub(super) fn queue(&mut self, cpu: usize, target: usize, ipi: Ipi, func: Func) {
        let me = self.current(cpu);
        self.tasks[me].waits += 1;
        let tid = self.tasks[me].tid;
        if !self.handlers() {
            self.emit(cpu, Event::CsdQueue { func, target: target as u32, tid });
        }
        self.cpus[target].pending.push(ipi);
    }

    /// A queued function runs.
    pub(super) fn ipi(&mut self, cpu: usize, ipi: Ipi) {
        let (func, waiter) = match ipi {
            Ipi::Run { func, waiter } => (func, waiter),
            Ipi::RqState { waiter, .. } => (Func::SyncRqState, waiter),
            Ipi::Flush { waiter, .. } => (Func::FlushTlb, waiter),
        };
        if !self.handlers() {
            self.emit(cpu, Event::CsdEntry { func });
        } else if func != Func::FlushTlb {
            let Task { tid, tgid, mm, .. } = self.tasks[self.current(cpu)];
            let handler = wire::CsdLocal { func: 0, mm, tid, tgid, nr: 0, cmd: 0 };
            self.emit(cpu, Event::Handler { func, handler });
        }
        match ipi {
            Ipi::Run { func: Func::SyncCore, .. } if !self.bug(Bug::IrqSkip) => {
                self.serializes(cpu, SyncCause::IpiSyncCore);
            }
            Ipi::Run { .. } => {}
            Ipi::RqState { mm, .. } => self.sync_rq_state(cpu, mm),
            Ipi::Flush { mm, generation, .. } => self.flush_here(cpu, mm, generation),
        }
        if !self.handlers() {
            self.emit(cpu, Event::CsdExit { func });
        }
        self.tasks[waiter].waits -= 1;
    }

    /// `ipi_sync_rq_state`
    fn sync_rq_state(&mut self, cpu: usize, mm: u64) {
        let me = self.current(cpu);
        let mine = self.tasks[me].mm;
        if mine == mm {
            self.cpus[cpu].rq_state = self.mm_state(mm);
        }
        if self.setup.full {
            self.now += 100;
            self.rq_reading(cpu, me, mine, Site::SyncRqState);
        }
    }

    /// `membarrier_register_private_expedited` and `sync_runqueues_membarrier_state`
    pub(super) fn enter_register(&mut self, cpu: usize) {
        let me = self.current(cpu);
        let mm = self.tasks[me].mm;
        self.tasks[me].pos = Pos::Syscall;
        self.membarrier(cpu, cmd::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, false);
        self.tasks[me].job = Some(Job::Register);
        if let Some(entry) = self.mms.get_mut(&mm) {
            entry.state |= bit::PRIVATE_EXPEDITED | bit::SYNC_CORE;
        }
        if !self.bug(Bug::RegSkip) {
            self.sync_rq_state(cpu, mm);
        }
        for target in 0..self.cpus.len() {
            if target != cpu && self.tasks[self.current(target)].mm == mm {
                self.queue(cpu, target, Ipi::RqState { mm, waiter: me }, Func::SyncRqState);
            }
        }
    }

    pub(super) fn register_on(&mut self, cpu: usize) {
        let me = self.current(cpu);
        if self.tasks[me].waits > 0 {
            return;
        }
        if self.setup.full {
            self.now += 100;
            self.rq_reading(cpu, me, self.tasks[me].mm, Site::Register);
        }
        if let Some(entry) = self.mms.get_mut(&self.tasks[me].mm) {
            entry.state |= bit::SYNC_CORE_READY;
        }
        self.tasks[me].job = None;
        self.membarrier(cpu, cmd::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, true);
        self.tasks[me].pos = Pos::Leaving { signal: false };
    }
}
