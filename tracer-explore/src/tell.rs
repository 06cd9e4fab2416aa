//! What unlazy's probes would see of each step: full mode, on a kernel with `csd_*` tracepoints, with
//! probes on the serializing instructions.

use crate::{
    kernel::Run,
    state::{IDLE, mm, pc, ret},
};
use tracer_common::{
    model::{Event, Func, SyncCause},
    wire::{
        self, Frame, INIT_MM, Site, Vector, membarrier_cmd as cmd, membarrier_state as bit,
        private_flags, switch_flags, tlb_reason,
    },
};

/// Takes the events of a step.
pub trait Tell {
    /// Whether anybody listens.
    const ON: bool;
    /// An event on a CPU. All events of one CPU come in order; their times are up to the listener.
    fn event(&mut self, cpu: usize, event: Event);
}

/// Nobody listens.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Tell for Silent {
    const ON: bool = false;
    fn event(&mut self, _: usize, _: Event) {}
}

impl Tell for Vec<(u32, Event)> {
    const ON: bool = true;
    fn event(&mut self, cpu: usize, event: Event) {
        self.push((cpu as u32, event));
    }
}

/// `context.ctx_id` of an mm.
#[must_use]
pub const fn ctx_id(of: u8) -> u64 {
    match of {
        mm::NONE => 0,
        mm::INIT => INIT_MM,
        of => 9 + of as u64,
    }
}

/// A task's pid, and its process's.
#[must_use]
pub const fn pid(threads: (u8, u8), task: u8) -> (u32, u32) {
    let (a, b) = threads;
    match task {
        IDLE => (0, 0),
        n if n < a => (101 + n as u32, 101),
        n if n < a + b => (201 + (n - a) as u32, 201),
        n => (31 + (n - a - b) as u32, 31 + (n - a - b) as u32),
    }
}

const SYNC_CORE_SET: u8 = bit::PRIVATE_EXPEDITED | bit::SYNC_CORE;

impl<T: Tell> Run<'_, T> {
    fn threads(&self) -> (u8, u8) {
        (self.w.setup.threads_a, self.w.setup.threads_b)
    }

    fn tid(&self, task: u8) -> u32 {
        pid(self.threads(), task).0
    }

    fn tgid(&self, task: u8) -> u32 {
        pid(self.threads(), task).1
    }

    /// `membarrier_state` of an mm.
    fn bits(&self, of: u8) -> u8 {
        if of != mm::A {
            return 0;
        }
        if self.w.setup.private {
            return bit::PRIVATE_EXPEDITED | bit::PRIVATE_EXPEDITED_READY;
        }
        match self.s.all.registered {
            0 => 0,
            1 => SYNC_CORE_SET,
            _ => SYNC_CORE_SET | bit::SYNC_CORE_READY,
        }
    }

    fn bits_of(&self, task: u8) -> u8 {
        self.bits(self.s.mm_of(task))
    }

    fn is_kernel(&self, task: u8) -> bool {
        task == IDLE || self.w.is_kthread(task)
    }

    /// What the saved registers of a task say; read only in an mm that is registered for SYNC_CORE.
    fn frame(&self, task: u8) -> u8 {
        if self.bits_of(task) & bit::SYNC_CORE == 0 {
            return 0;
        }
        let frame = match self.s.tasks.get(usize::from(task)).map_or(pc::WORK, |t| t.pc) {
            _ if self.is_kernel(task) => Frame::SyscallIret,
            pc::USER | pc::STORED | pc::CALLED | pc::IRET => Frame::Interrupt,
            _ => Frame::Sysret,
        };
        frame as u8
    }

    pub(crate) fn tell_switch(&mut self, c: usize, prev: u8, next: u8, preempt: bool) {
        if !T::ON {
            return;
        }
        let at = self.s.tasks.get(usize::from(prev)).map_or(pc::WORK, |t| t.pc);
        let runs_on = preempt || prev == IDLE || matches!(at, pc::IRET | pc::LEAVING);
        let exiting = matches!(at, pc::EXITED | pc::EXIT_PUT | pc::EXIT);
        let flag = |on: bool, bit: u16| if on { bit } else { 0 };
        let flags = flag(preempt, switch_flags::PREEMPT)
            | flag(!runs_on, switch_flags::PREV_BLOCKED)
            | flag(exiting, switch_flags::PREV_EXITING)
            | flag(self.is_kernel(prev), switch_flags::PREV_KTHREAD)
            | flag(self.is_kernel(next), switch_flags::NEXT_KTHREAD);
        let switch = wire::Switch {
            prev_mm: ctx_id(self.s.mm_of(prev)),
            prev_active: ctx_id(self.s.active(c)),
            next_mm: ctx_id(self.s.mm_of(next)),
            prev_tid: self.tid(prev),
            next_tid: self.tid(next),
            next_tgid: self.tgid(next),
            prev_state: self.bits_of(prev),
            next_state: self.bits_of(next),
            prev_frame: self.frame(prev),
            next_frame: self.frame(next),
        };
        self.tell.event(c, Event::Switch { flags, switch });
    }

    pub(crate) fn tell_tlb_state(&mut self, c: usize, current: u8, site: Site) {
        if !T::ON {
            return;
        }
        let cpu = &self.s.cpus[c];
        let of_a = cpu.loaded == mm::A;
        let global = of_a && self.w.protocol.invlpgb;
        let loaded = ctx_id(cpu.loaded);
        let state = wire::TlbState {
            loaded_mm: loaded,
            slot_mm: loaded,
            slot_gen: if of_a { cpu.slot.into() } else { 1 },
            mm_gen: if of_a { self.s.all.tlb_gen.into() } else { 1 },
            tid: self.tid(current),
            asid: if global { 6 } else { 0 },
            lazy: cpu.lazy,
            site: site as u8,
        };
        self.tell.event(c, Event::TlbState(state));
    }

    fn tlb(&mut self, c: usize, current: u8, reason: u32) {
        let (mm, tid) = (ctx_id(self.s.mm_of(current)), self.tid(current));
        let flush = wire::TlbFlush { pages: u64::MAX, mm, tid, reason };
        self.tell.event(c, Event::TlbFlush(flush));
    }

    pub(crate) fn tell_tlb(&mut self, c: usize, reason: u32) {
        if T::ON {
            self.tlb(c, self.s.cpus[c].curr, reason);
        }
    }

    /// `switch_mm_irqs_off` wrote CR3; in a context switch `current` is still the previous task.
    pub(crate) fn tell_cr3(&mut self, c: usize) {
        if T::ON {
            let cpu = &self.s.cpus[c];
            let switch = cpu.swm_ret & 0xf == ret::SWITCH;
            self.tlb(c, if switch { cpu.prev } else { cpu.curr }, tlb_reason::TASK_SWITCH);
        }
    }

    pub(crate) fn tell_rq(&mut self, c: usize, current: u8, of: u8, site: Site) {
        if !T::ON || of == mm::NONE || self.w.setup.private {
            return;
        }
        let state = wire::RqState {
            mm: ctx_id(of),
            rq_state: if self.s.cpus[c].rq_state == 0 { 0 } else { SYNC_CORE_SET.into() },
            mm_state: self.bits(of).into(),
            tid: self.tid(current),
            site: site as u8,
            zero: [0; 3],
        };
        self.tell.event(c, Event::RqState(state));
    }

    pub(crate) fn tell_sync(&mut self, c: usize, current: u8, cause: SyncCause) {
        if T::ON {
            let tid = self.tid(current);
            let record = wire::Serialized { tid, cause: cause as u8, zero: [0; 3] };
            self.tell.event(c, Event::Serialized(record));
        }
    }

    pub(crate) fn tell_interrupt(&mut self, c: usize, vector: Vector, entry: bool) {
        if !T::ON {
            return;
        }
        let curr = self.s.cpus[c].curr;
        let irq = wire::Irq {
            tid: self.tid(curr),
            vector: vector as u8,
            frame: self.frame(curr),
            state: self.bits_of(curr),
            zero: 0,
        };
        self.tell.event(c, if entry { Event::IrqEntry(irq) } else { Event::IrqExit(irq) });
    }

    pub(crate) fn tell_run(&mut self, c: usize, func: Func, entry: bool) {
        if T::ON {
            let event = if entry { Event::CsdEntry { func } } else { Event::CsdExit { func } };
            self.tell.event(c, event);
        }
    }

    pub(crate) fn tell_queue(&mut self, c: usize, func: Func, target: u32) {
        if T::ON {
            let tid = self.tid(self.s.cpus[c].curr);
            self.tell.event(c, Event::CsdQueue { func, target, tid });
        }
    }

    pub(crate) fn tell_local(&mut self, c: usize, func: Func) {
        if T::ON {
            let curr = self.s.cpus[c].curr;
            let (tid, tgid, mm) = (self.tid(curr), self.tgid(curr), ctx_id(self.s.mm_of(curr)));
            let cmd = cmd::PRIVATE_EXPEDITED_SYNC_CORE;
            let local = wire::CsdLocal { func: 0, mm, tid, tgid, nr: 324, cmd };
            self.tell.event(c, Event::CsdLocal { func, local });
        }
    }

    /// A system call of a registered process begins.
    pub(crate) fn tell_syscall(&mut self, c: usize) {
        self.syscall_event(c, Frame::Unknown, Event::SysEnter);
    }

    pub(crate) fn tell_sysexit(&mut self, c: usize) {
        self.syscall_event(c, Frame::Sysret, Event::SysExit);
    }

    fn syscall_event(&mut self, c: usize, frame: Frame, event: impl Fn(wire::Syscall) -> Event) {
        let curr = self.s.cpus[c].curr;
        let state = self.bits_of(curr);
        if T::ON && state & bit::SYNC_CORE != 0 {
            let (mm, tid) = (ctx_id(self.s.mm_of(curr)), self.tid(curr));
            let frame = frame as u8;
            let call = wire::Syscall { mm, tid, nr: 0, frame, state, zero: [0; 6] };
            self.tell.event(c, event(call));
        }
    }

    fn membarrier(&mut self, c: usize, cmd: i32, end: bool) {
        let curr = self.s.cpus[c].curr;
        let state = self.bits_of(curr);
        let sysret = end && state & bit::SYNC_CORE != 0;
        let call = wire::Membarrier {
            mm: ctx_id(self.s.mm_of(curr)),
            ret: 0,
            tid: self.tid(curr),
            tgid: self.tgid(curr),
            cmd,
            cmd_flags: 0,
            cpu_id: -1,
            state,
            frame: if sysret { Frame::Sysret } else { Frame::Unknown } as u8,
            zero: [0; 2],
        };
        let event = if end { Event::MembarrierExit(call) } else { Event::MembarrierEnter(call) };
        self.tell.event(c, event);
    }

    fn private(&mut self, c: usize, end: bool) {
        let curr = self.s.cpus[c].curr;
        let none = self.w.setup.private;
        let call = wire::PrivateCall {
            mm: ctx_id(self.s.mm_of(curr)),
            tid: self.tid(curr),
            tgid: self.tgid(curr),
            call_flags: if none { private_flags::NONE } else { private_flags::SYNC_CORE },
            cpu_id: -1,
            ret: 0,
            state: self.bits_of(curr),
            zero: [0; 3],
        };
        let event = if end { Event::PrivateEnd(call) } else { Event::PrivateBegin(call) };
        self.tell.event(c, event);
        self.tell_tlb_state(c, curr, if end { Site::PrivateEnd } else { Site::PrivateBegin });
    }

    /// A call begins, or is about to return.
    pub(crate) fn tell_call(&mut self, c: usize, end: bool) {
        if !T::ON {
            return;
        }
        let private = self.w.setup.private;
        let cmd = if private { cmd::PRIVATE_EXPEDITED } else { cmd::PRIVATE_EXPEDITED_SYNC_CORE };
        if end {
            self.private(c, true);
            self.membarrier(c, cmd, true);
        } else {
            self.membarrier(c, cmd, false);
            self.private(c, false);
        }
    }

    pub(crate) fn tell_register(&mut self, c: usize, end: bool) {
        if T::ON {
            self.membarrier(c, cmd::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, end);
        }
    }

    /// The running task returns to user mode.
    pub(crate) fn tell_user(&mut self, c: usize, iret: bool) {
        if !T::ON {
            return;
        }
        let curr = self.s.cpus[c].curr;
        self.tell_tlb_state(c, curr, Site::UserReturn);
        let state = self.bits_of(curr);
        let frame = match (state & bit::SYNC_CORE != 0, iret) {
            (false, _) => Frame::Unknown,
            (true, false) => Frame::Sysret,
            (true, true) => Frame::Interrupt,
        };
        let back = wire::UserReturn {
            mm: ctx_id(self.s.mm_of(curr)),
            tid: self.tid(curr),
            frame: frame as u8,
            state,
            zero: [0; 2],
        };
        self.tell.event(c, Event::UserReturn(back));
    }

    pub(crate) fn tell_flush(&mut self, c: usize, freed_tables: bool, end: bool) {
        if !T::ON {
            return;
        }
        let curr = self.s.cpus[c].curr;
        let generation = if end { 0 } else { u64::from(self.s.all.tlb_gen) + 1 };
        let (mm, tid) = (ctx_id(mm::A), self.tid(curr));
        let flush = wire::Flush { mm, generation, tid, zero: 0 };
        let (event, site) = if end {
            (Event::FlushEnd { freed_tables, flush }, Site::FlushRangeExit)
        } else {
            (Event::FlushBegin { freed_tables, flush }, Site::FlushRangeEntry)
        };
        self.tell.event(c, event);
        self.tell_tlb_state(c, curr, site);
    }

    pub(crate) fn tell_kthread(&mut self, c: usize, takes: bool) {
        if !T::ON {
            return;
        }
        let curr = self.s.cpus[c].curr;
        let (tid, state) = (self.tid(curr), self.bits(mm::A));
        let record = wire::KthreadMm { mm: ctx_id(mm::A), tid, state, zero: [0; 3] };
        let (event, site) = if takes {
            (Event::KthreadUse(record), Site::KthreadUse)
        } else {
            (Event::KthreadUnuse(record), Site::KthreadUnuse)
        };
        self.tell.event(c, event);
        self.tell_tlb_state(c, curr, site);
    }

    pub(crate) fn tell_exec(&mut self, c: usize) {
        if T::ON {
            let tid = self.tid(self.s.cpus[c].curr);
            let comm = [0; wire::COMM_LEN];
            let exec = wire::Exec { mm: ctx_id(mm::C), tid, old_tid: tid, comm };
            self.tell.event(c, Event::Exec(exec));
        }
    }

    pub(crate) fn tell_exit(&mut self, c: usize) {
        if T::ON {
            let curr = self.s.cpus[c].curr;
            let (tid, tgid) = (self.tid(curr), self.tgid(curr));
            self.tell.event(c, Event::Exit(wire::Task { mm: 0, tid, tgid }));
        }
    }

    /// `__mmdrop` of A.
    pub(crate) fn tell_drop(&mut self, c: usize) {
        if T::ON {
            let curr = self.s.cpus[c].curr;
            let (mm, tid) = (ctx_id(mm::A), self.tid(curr));
            let gone = wire::MmGone { mm, tid, state: 0, zero: [0; 3] };
            self.tell.event(c, Event::MmDrop(gone));
            self.tell_tlb_state(c, curr, Site::MmDrop);
        }
    }
}
