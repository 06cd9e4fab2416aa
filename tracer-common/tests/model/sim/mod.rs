//! A small kernel that is always consistent: CPUs, processes with threads, kernel threads,
//! interrupts, membarrier calls, flushes, fork, exec and exit, stepped by choices from outside. It
//! writes the events that unlazy's probes would write. It is correct, unless a [`Bug`] is planted.
//!
//! What one CPU does without letting another see a half-done state is one step; everything else
//! (the switch with its three stages, a call with its scan, its IPIs and its wait) is interleaved.

mod call;
mod life;
mod mmu;
mod sched;
mod task;

use crate::common::Entry;
use std::collections::BTreeMap;
use tracer_common::{
    model::{Event, Func, SyncCause},
    wire::{self, Frame, INIT_MM, Site, membarrier_state},
};

/// What can be wrong with a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// 758c9373d841: SYNC_CORE sends `ipi_mb`.
    IpiMb,
    /// e45cdc71d1fa: the caller's own CPU is left out.
    NoLocal,
    /// A CPU in user mode is sometimes left out.
    SkipUser,
    /// `kthread_use_mm` without a CR3 write, and a switch to a thread of that mm.
    KthreadUseMm,
    /// A switch to another mm sometimes forgets CR3.
    NoCr3,
    /// fea4e317f9e7: the generation is read before the CPU is announced.
    StaleTlb,
    /// Freed page tables, and lazy CPUs are left out.
    LazyTables,
    /// A mm is freed though a CPU is lazy on it.
    EarlyFree,
    /// `membarrier_switch_mm` is gone.
    RqStale,
    /// A registration leaves out its own CPU.
    RegSkip,
    /// `finish_task_switch` does not serialize; a probe would see it.
    LazyNosync,
    /// `ipi_sync_core` does not serialize in an interrupt; a probe would see it.
    IrqSkip,
    /// Going back from laziness asks for no generation.
    UnlazyNogen,
    /// It asks, and then flushes nothing.
    UnlazyNoflush,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pos {
    /// In user code.
    User,
    /// In a system call.
    Syscall,
    /// In a system call, past `sys_exit`; by IRET if a signal is delivered.
    Leaving { signal: bool },
    /// In the kernel by an interrupt or exception from user mode.
    Interrupt,
    /// Born, before `sys_exit`.
    Fresh,
    /// In `do_exit`, without an mm.
    Exiting,
    /// A kernel thread, or idle.
    Kernel,
}

/// What a task in a system call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// SYNC_CORE: entered, has the mutex, has filled the mask, waits for the IPIs.
    Call(CallStage),
    /// A registration, which waits for the IPIs.
    Register,
    /// A flush of its mm.
    Flush { freed_tables: bool, stage: FlushStage },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlushStage {
    Begun,
    /// Waits for the IPIs.
    Sent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallStage {
    Entered,
    Locked,
    Scanned(u64),
    Sent,
}

#[expect(clippy::struct_excessive_bools, reason = "independent facts about a task")]
#[derive(Clone, Debug)]
struct Task {
    tid: u32,
    tgid: u32,
    mm: u64,
    kthread: bool,
    pos: Pos,
    job: Option<Job>,
    /// IPIs that it waits for, with preemption disabled.
    waits: usize,
    asleep: bool,
    on_cpu: bool,
    /// Has done its last switch.
    dead: bool,
    /// Must not be switched out: see [`Sim::use_mm`].
    bound: bool,
    /// Was there from the start, and goes on for ever.
    stays: bool,
    /// Switched in since its last return to user mode.
    fpu: bool,
}

#[derive(Clone, Copy, Debug)]
enum Ipi {
    Run { func: Func, waiter: usize },
    RqState { mm: u64, waiter: usize },
    Flush { mm: u64, generation: u64, waiter: usize },
}

/// A switch between its stages.
#[derive(Clone, Copy, Debug)]
struct Switch {
    prev: usize,
    /// `rq->prev_mm`, held until the end.
    prev_mm: u64,
    prev_active: u64,
    /// The generation of the new mm, as read at the start.
    generation: u64,
    mm_done: bool,
}

#[derive(Clone, Debug)]
struct Cpu {
    current: usize,
    idle: usize,
    active: u64,
    real: u64,
    lazy: bool,
    /// `ctxs[].tlb_gen` by mm.
    slots: BTreeMap<u64, u64>,
    rq_state: u8,
    pending: Vec<Ipi>,
    switch: Option<Switch>,
}

#[derive(Clone, Debug, Default)]
struct Mm {
    state: u8,
    generation: u64,
    users: usize,
    dropped: bool,
}

/// How a run begins.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a run")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) cpus: usize,
    pub(crate) bug: Option<Bug>,
    /// The probes of full mode are attached too.
    pub(crate) full: bool,
    /// The kernel is older than 6.5: probes on functions instead of `csd_*` tracepoints.
    pub(crate) old: bool,
    /// Probes sit on the serializing instructions.
    pub(crate) probed: bool,
    /// System calls are traced from the start, not from some moment on.
    pub(crate) traced: bool,
    /// No timers, devices or NMIs: nothing that serializes by luck.
    pub(crate) quiet: bool,
}

pub(crate) struct Sim {
    setup: Setup,
    choices: Vec<u8>,
    at: usize,
    now: u64,
    traced: bool,
    next_tid: u32,
    next_mm: u64,
    cpus: Vec<Cpu>,
    tasks: Vec<Task>,
    mms: BTreeMap<u64, Mm>,
    /// `membarrier_ipi_mutex`
    mutex: Option<usize>,
    events: Vec<Entry>,
}

/// Each CPU's clock is off by so much.
const OFFSETS: [u64; 3] = [0, 60, 25];

/// The events of a run, in the order of their times.
pub(crate) fn run(setup: Setup, choices: Vec<u8>) -> Vec<Entry> {
    let mut sim = Sim::new(setup, choices);
    while sim.at < sim.choices.len() {
        sim.step();
    }
    sim.events.sort_by_key(|event| event.1);
    sim.events
}

impl Sim {
    fn new(setup: Setup, choices: Vec<u8>) -> Self {
        let mut sim = Self {
            setup,
            choices,
            at: 0,
            now: 1_000_000,
            traced: false,
            next_tid: 100,
            next_mm: 10,
            cpus: Vec::new(),
            tasks: Vec::new(),
            mms: BTreeMap::from([(INIT_MM, Mm { users: 1, ..Mm::default() })]),
            mutex: None,
            events: Vec::new(),
        };
        for _ in 0..setup.cpus {
            let idle = sim.add(0, 0, true);
            sim.tasks[idle].tid = 0;
            sim.tasks[idle].on_cpu = true;
            sim.cpus.push(Cpu {
                current: idle,
                idle,
                active: INIT_MM,
                real: INIT_MM,
                lazy: false,
                slots: BTreeMap::new(),
                rq_state: 0,
                pending: Vec::new(),
                switch: None,
            });
        }
        for threads in [3, 2, 1] {
            let mm = sim.new_mm(0);
            let leader = sim.next_tid;
            for _ in 0..threads {
                let task = sim.add(leader, mm, false);
                sim.tasks[task].stays = true;
            }
        }
        for _ in 0..2 {
            sim.add(0, 0, true);
        }
        if setup.traced {
            sim.trace();
        }
        sim
    }

    fn trace(&mut self) {
        self.traced = true;
        self.emit(0, Event::SyscallProbes(true));
    }

    /// One of `n` ways.
    fn pick(&mut self, n: usize) -> usize {
        let choice = self.choices.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(choice) % n
    }

    fn emit(&mut self, cpu: usize, event: Event) {
        self.now += [80, 150, 1_000, 5_000][self.pick(4)];
        self.events.push((cpu as u32, self.now + OFFSETS[cpu], event));
    }

    /// At the same time as the event before.
    fn emit_too(&mut self, cpu: usize, event: Event) {
        self.events.push((cpu as u32, self.now + OFFSETS[cpu], event));
    }

    fn step(&mut self) {
        let cpu = self.pick(self.cpus.len());
        if self.cpus[cpu].switch.is_some() {
            return self.switch_on(cpu);
        }
        match self.pick(16) {
            0 => self.tick(cpu),
            1..4 => self.wake(),
            4 if self.pick(4) == 0 => self.nmi(cpu),
            5 if !self.traced => self.trace(),
            5..9 if !self.cpus[cpu].pending.is_empty() => self.call_function(cpu),
            _ => self.go_on(cpu),
        }
    }

    fn mm_state(&self, mm: u64) -> u8 {
        self.mms.get(&mm).map_or(0, |mm| mm.state)
    }

    fn registered(&self, task: usize) -> bool {
        self.mm_state(self.tasks[task].mm) & membarrier_state::SYNC_CORE != 0
    }

    fn current(&self, cpu: usize) -> usize {
        self.cpus[cpu].current
    }

    /// What the saved registers of a task say; read only in a registered mm.
    fn frame(&self, task: usize) -> Frame {
        if !self.registered(task) {
            return Frame::Unknown;
        }
        match self.tasks[task].pos {
            Pos::User | Pos::Interrupt => Frame::Interrupt,
            Pos::Leaving { signal: true } | Pos::Kernel => Frame::SyscallIret,
            Pos::Syscall | Pos::Leaving { .. } | Pos::Fresh | Pos::Exiting => Frame::Sysret,
        }
    }

    fn bug(&self, bug: Bug) -> bool {
        self.setup.bug == Some(bug)
    }

    /// Probes on functions tell what the `csd_*` tracepoints would.
    fn handlers(&self) -> bool {
        self.setup.full && self.setup.old
    }

    /// An instruction serialized.
    fn serializes(&mut self, cpu: usize, cause: SyncCause) {
        if self.setup.full && self.setup.probed {
            let tid = self.tasks[self.current(cpu)].tid;
            let record = wire::Serialized { tid, cause: cause as u8, zero: [0; 3] };
            self.emit(cpu, Event::Serialized(record));
        }
    }

    /// Full mode reads the run queue's copy beside the state of `mm`.
    fn rq_reading(&mut self, cpu: usize, current: usize, mm: u64, site: Site) {
        let (rq_state, mm_state) = (self.cpus[cpu].rq_state, self.mm_state(mm));
        if self.setup.full && mm != 0 {
            let reading = wire::RqState {
                mm,
                rq_state: rq_state.into(),
                mm_state: mm_state.into(),
                tid: self.tasks[current].tid,
                site: site as u8,
                zero: [0; 3],
            };
            self.emit_too(cpu, Event::RqState(reading));
        }
    }
}
