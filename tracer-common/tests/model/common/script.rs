//! Stories: events written down as they happen, with times that advance by themselves.

use super::{
    full::{Full, Mmu},
    store::Maps,
    who::{IDLE, Who},
};
use tracer_common::{
    model::{Config, Event, Func, Model, Rule},
    wire::{self, Frame, Vector, membarrier_cmd, switch_flags, tlb_reason},
};

/// Time between two events, unless the story says otherwise.
const STEP: u64 = 1_000;

/// An event with its place and time.
pub(crate) type Entry = (u32, u64, Event);

/// A kernel whose story is told to a model, event by event.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub(super) model: Model,
    pub(crate) store: Maps,
    pub(crate) now: u64,
    pub(crate) events: Vec<Entry>,
    pub(super) cpus: Vec<Place>,
    /// The probes of full mode are attached.
    pub(super) full: Option<Full>,
}

/// What the script itself knows of a CPU.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) current: Who,
    pub(super) previous: Who,
    pub(super) active: u64,
    pub(super) mmu: Mmu,
}

impl Kernel {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let place =
            Place { current: IDLE, previous: IDLE, active: wire::INIT_MM, mmu: Mmu::default() };
        Self {
            model: Model::new(config),
            store: Maps::new(4),
            now: 1_000_000,
            events: Vec::new(),
            cpus: vec![place; 4],
            full: None,
        }
    }

    /// With system calls traced from the start.
    pub(crate) fn traced() -> Self {
        Self::traced_with(Config::default())
    }

    pub(crate) fn traced_with(config: Config) -> Self {
        let mut k = Self::with(config);
        k.cpu(0).event(Event::SyscallProbes(true));
        k
    }

    pub(crate) fn cpu(&mut self, cpu: u32) -> OnCpu<'_> {
        OnCpu { k: self, cpu }
    }

    /// Nothing happens for so many nanoseconds.
    pub(crate) fn wait(&mut self, ns: u64) {
        self.now += ns;
    }

    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.store.findings.iter().map(|finding| finding.rule).collect()
    }

    /// Nothing was found, by whatever rule.
    #[track_caller]
    pub(crate) fn clean(&self) -> &Self {
        assert!(self.store.findings.is_empty(), "{:#?}", self.store.findings);
        self
    }

    /// Exactly these were found, in this order, each as (rule, CPU, thread).
    #[track_caller]
    pub(crate) fn found(&self, expected: &[(Rule, u32, u32)]) -> &Self {
        let found: Vec<_> =
            self.store.findings.iter().map(|found| (found.rule, found.cpu, found.tid)).collect();
        assert_eq!(found, expected, "{:#?}", self.store.findings);
        self
    }

    /// The rule was decided so often, and never doubted.
    #[track_caller]
    pub(crate) fn checked(&self, rule: Rule, times: u64) -> &Self {
        let tally = self.store.tally.rules[rule as usize];
        assert_eq!((tally.checked, tally.inconclusive), (times, 0), "{rule:?}");
        self
    }

    pub(crate) fn inconclusive(&self, rule: Rule) -> u64 {
        self.store.tally.rules[rule as usize].inconclusive
    }
}

/// One CPU of the story. Every method is one event, or several that always come together.
pub(crate) struct OnCpu<'k> {
    pub(super) k: &'k mut Kernel,
    pub(super) cpu: u32,
}

impl OnCpu<'_> {
    pub(super) fn place(&mut self) -> &mut Place {
        &mut self.k.cpus[self.cpu as usize]
    }

    /// The running task.
    pub(crate) fn who(&mut self) -> Who {
        self.place().current
    }

    /// The running task has changed without an event.
    pub(crate) fn becomes(&mut self, who: Who) -> &mut Self {
        let place = self.place();
        place.current = who;
        if who.mm != 0 {
            place.active = who.mm;
        }
        self
    }

    /// The running kernel thread borrows another mm, without an event.
    pub(crate) fn borrows(&mut self, mm: u64) -> &mut Self {
        self.place().active = mm;
        self
    }

    /// The running task has returned to user mode.
    pub(crate) fn in_user(&mut self) -> &mut Self {
        self.place().current.in_user = true;
        self
    }

    pub(crate) fn event(&mut self, event: Event) -> &mut Self {
        self.k.now += STEP;
        self.at_once(event)
    }

    /// At the same time as the event before.
    pub(super) fn at_once(&mut self, event: Event) -> &mut Self {
        let now = self.k.now;
        self.k.events.push((self.cpu, now, event));
        self.k.model.step(&mut self.k.store, self.cpu, now, &event);
        // Time goes on, and nothing comes in between.
        self.k.model.until(&mut self.k.store, now + STEP);
        self
    }

    fn switch(&mut self, flags: u16, next: Who) -> &mut Self {
        let place = self.place();
        let prev = place.current;
        let prev_active = if prev.mm == 0 { place.active } else { prev.mm };
        place.active = if next.mm == 0 { prev_active } else { next.mm };
        let outgoing = Who { tid: prev.pid_taken_for.unwrap_or(prev.tid), ..prev };
        (place.current, place.previous) = (next, outgoing);
        let flag = |on: bool, bit: u16| if on { bit } else { 0 };
        let frame = |who: Who| if who.state == 0 { Frame::Unknown } else { who.frame } as u8;
        self.event(Event::Switch {
            flags: flags
                | flag(prev.kthread, switch_flags::PREV_KTHREAD)
                | flag(next.kthread, switch_flags::NEXT_KTHREAD)
                | flag(prev.exiting, switch_flags::PREV_EXITING),
            switch: wire::Switch {
                prev_mm: prev.mm,
                prev_active,
                next_mm: next.mm,
                prev_tid: prev.tid,
                next_tid: next.tid,
                next_tgid: next.tgid,
                prev_state: prev.state,
                next_state: next.state,
                prev_frame: frame(prev),
                next_frame: frame(next),
            },
        });
        self.context_switch(outgoing, prev_active, next)
    }

    /// The running task sleeps, and another one runs.
    pub(crate) fn sleeps_for(&mut self, next: Who) -> &mut Self {
        self.switch(switch_flags::PREV_BLOCKED, next)
    }

    /// The running task makes room on its way back to user mode, or a kernel thread yields.
    pub(crate) fn yields_to(&mut self, next: Who) -> &mut Self {
        self.switch(0, next)
    }

    /// The running task is preempted in kernel code.
    pub(crate) fn preempted_by(&mut self, next: Who) -> &mut Self {
        self.switch(switch_flags::PREEMPT, next)
    }

    /// The switch writes CR3: `current` is still the task before.
    pub(crate) fn cr3_in_switch(&mut self) -> &mut Self {
        let previous = self.place().previous;
        self.tlb(previous, tlb_reason::TASK_SWITCH, u64::MAX)
    }

    /// CR3 is written for the running task.
    pub(crate) fn cr3(&mut self) -> &mut Self {
        let current = self.who();
        self.tlb(current, tlb_reason::TASK_SWITCH, u64::MAX)
    }

    pub(super) fn tlb(&mut self, who: Who, reason: u32, pages: u64) -> &mut Self {
        self.event(Event::TlbFlush(wire::TlbFlush { pages, mm: who.mm, tid: who.tid, reason }))
    }

    fn irq(&mut self, vector: Vector) -> wire::Irq {
        let who = self.who();
        let frame = if who.state == 0 { Frame::Unknown } else { who.frame };
        wire::Irq {
            tid: who.tid,
            vector: vector as u8,
            frame: frame as u8,
            state: who.state,
            zero: 0,
        }
    }

    pub(crate) fn irq_entry(&mut self, vector: Vector) -> &mut Self {
        let place = self.place();
        if place.current.in_user {
            place.current.in_user = false;
            place.current.frame = Frame::Interrupt;
        }
        let irq = self.irq(vector);
        self.event(Event::IrqEntry(irq))
    }

    /// The handler is done; the IRET is still to come.
    pub(crate) fn irq_exit(&mut self, vector: Vector) -> &mut Self {
        let irq = self.irq(vector);
        self.event(Event::IrqExit(irq))
    }

    /// The timer ticks, and the interrupted code goes on.
    pub(crate) fn tick(&mut self) -> &mut Self {
        let in_user = self.who().in_user;
        self.irq_entry(Vector::LocalTimer).irq_exit(Vector::LocalTimer);
        self.place().current.in_user = in_user;
        self
    }

    /// Another CPU's function runs here, in an interrupt.
    pub(crate) fn ipi(&mut self, func: Func) -> &mut Self {
        self.irq_entry(Vector::CallFunctionSingle)
            .event(Event::CsdEntry { func })
            .event(Event::CsdExit { func })
            .irq_exit(Vector::CallFunctionSingle)
    }

    /// The same, with what the function does.
    pub(crate) fn ipi_with(&mut self, func: Func, does: impl FnOnce(&mut Self)) -> &mut Self {
        self.irq_entry(Vector::CallFunctionSingle).event(Event::CsdEntry { func });
        does(self);
        self.event(Event::CsdExit { func }).irq_exit(Vector::CallFunctionSingle)
    }

    /// The same, and the interrupted code goes on.
    pub(crate) fn ipi_and_back(&mut self, func: Func) -> &mut Self {
        let in_user = self.who().in_user;
        self.ipi(func);
        self.place().current.in_user = in_user;
        self
    }

    /// System calls are traced from now on.
    pub(crate) fn traced(&mut self) -> &mut Self {
        self.event(Event::SyscallProbes(true))
    }

    /// No longer.
    pub(crate) fn untraced(&mut self) -> &mut Self {
        self.event(Event::SyscallProbes(false))
    }

    fn syscall(&mut self, frame: Frame) -> wire::Syscall {
        let who = self.who();
        let (nr, state) = (0, who.state);
        wire::Syscall { mm: who.mm, tid: who.tid, nr, frame: frame as u8, state, zero: [0; 6] }
    }

    fn enters(&mut self) {
        let place = self.place();
        place.current.frame = Frame::Sysret;
        place.current.in_user = false;
    }

    pub(crate) fn sys_enter(&mut self) -> &mut Self {
        self.enters();
        let call = self.syscall(Frame::Unknown);
        self.event(Event::SysEnter(call))
    }

    /// The system call is done; the return is still to come.
    pub(crate) fn sys_exit(&mut self) -> &mut Self {
        let frame = self.who().frame;
        let call = self.syscall(frame);
        self.event(Event::SysExit(call))
    }

    /// It comes back from its system call by SYSRET, runs user code and calls again.
    pub(crate) fn round_trip(&mut self) -> &mut Self {
        self.sys_exit().in_user().sys_enter()
    }

    fn membarrier(&mut self, cmd: i32, ret: i64, frame: Frame) -> wire::Membarrier {
        let who = self.who();
        wire::Membarrier {
            mm: who.mm,
            ret,
            tid: who.tid,
            tgid: who.tgid,
            cmd,
            cmd_flags: 0,
            cpu_id: -1,
            state: who.state,
            frame: frame as u8,
            zero: [0; 2],
        }
    }

    pub(crate) fn membarrier_enter(&mut self, cmd: i32) -> &mut Self {
        self.enters();
        let call = self.membarrier(cmd, 0, Frame::Unknown);
        self.event(Event::MembarrierEnter(call))
    }

    pub(crate) fn membarrier_exit(&mut self, cmd: i32, ret: i64) -> &mut Self {
        let call = self.membarrier(cmd, ret, Frame::Sysret);
        self.event(Event::MembarrierExit(call)).in_user()
    }

    /// A SYNC_CORE call is entered.
    pub(crate) fn call(&mut self) -> &mut Self {
        self.membarrier_enter(membarrier_cmd::PRIVATE_EXPEDITED_SYNC_CORE)
    }

    /// It returns 0, to user mode.
    pub(crate) fn call_returns(&mut self) -> &mut Self {
        self.membarrier_exit(membarrier_cmd::PRIVATE_EXPEDITED_SYNC_CORE, 0)
    }

    pub(crate) fn queues(&mut self, func: Func, target: u32) -> &mut Self {
        let tid = self.who().tid;
        self.event(Event::CsdQueue { func, target, tid })
    }

    /// The caller's own share of the work, by a direct call.
    pub(crate) fn local(&mut self, func: Func) -> &mut Self {
        let who = self.who();
        let (nr, cmd) = (324, membarrier_cmd::PRIVATE_EXPEDITED_SYNC_CORE);
        let local = wire::CsdLocal { func: 0, mm: who.mm, tid: who.tid, tgid: who.tgid, nr, cmd };
        self.event(Event::CsdLocal { func, local })
    }

    fn fault(&mut self) -> wire::Fault {
        let who = self.who();
        wire::Fault { tid: who.tid, state: who.state, frame: 0, zero: [0; 2] }
    }

    /// A page fault in user mode.
    pub(crate) fn page_fault(&mut self) -> &mut Self {
        let place = self.place();
        place.current.in_user = false;
        place.current.frame = Frame::Interrupt;
        let fault = self.fault();
        self.event(Event::PageFault { from_user: true, fault })
    }

    pub(crate) fn kernel_fault(&mut self) -> &mut Self {
        let fault = self.fault();
        self.event(Event::PageFault { from_user: false, fault })
    }

    /// A signal is delivered: its handler comes next.
    pub(crate) fn signal(&mut self) -> &mut Self {
        self.place().current.frame = Frame::SyscallIret;
        let fault = self.fault();
        self.event(Event::Redirect(fault))
    }

    pub(crate) fn nmi(&mut self) -> &mut Self {
        let fault = self.fault();
        self.event(Event::Nmi(fault))
    }

    pub(crate) fn forks(&mut self, child: Who) -> &mut Self {
        let parent_tid = self.who().tid;
        self.event(Event::Fork(wire::Fork {
            child_mm: child.mm,
            parent_tid,
            child_tid: child.tid,
            child_tgid: child.tgid,
            state: child.state,
            zero: [0; 3],
            comm: [0; wire::COMM_LEN],
        }))
    }

    /// `exec_mmap` to `mm`, and `sched_process_exec`; `pid` is the pid from then on.
    pub(crate) fn execs(&mut self, mm: u64, pid: u32) -> &mut Self {
        let old_tid = self.who().tid;
        let new = Who { tid: pid, ..self.who().with_mm(mm) };
        let comm = [0; wire::COMM_LEN];
        if self.exec_mmap(new) {
            return self.event(Event::Exec(wire::Exec { mm, tid: pid, old_tid, comm }));
        }
        self.becomes(new).cr3().event(Event::Exec(wire::Exec { mm, tid: pid, old_tid, comm }))
    }

    fn task(&mut self) -> wire::Task {
        let who = self.who();
        wire::Task { mm: who.mm, tid: who.tid, tgid: who.tgid }
    }

    /// `do_exit`: `exit_mm`, and `sched_process_exit` after it.
    pub(crate) fn exits(&mut self) -> &mut Self {
        let who = self.who();
        self.becomes(who.after_exit_mm());
        self.lets_go();
        let task = self.task();
        self.event(Event::Exit(task))
    }

    pub(crate) fn frees(&mut self, who: Who) -> &mut Self {
        self.event(Event::Free(wire::Task { mm: 0, tid: who.tid, tgid: who.tgid }))
    }

    pub(crate) fn hotplug(&mut self, cpu: u32, target: u32) -> &mut Self {
        self.event(Event::Hotplug(wire::Hotplug { cpu, target }))
    }

    pub(crate) fn gap(&mut self) -> &mut Self {
        self.event(Event::Gap { lost: 1 })
    }
}
