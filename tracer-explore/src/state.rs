//! The state of the abstract kernel: bytes, of a fixed number, so that it is copied, compared and
//! hashed as they are.
//!
//! A variable that other CPUs read stands here twice: as its own CPU sees it, and as the others do
//! (`m_...`, memory). In between lies the CPU's store buffer, first in, first out (x86-TSO).

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// The most CPUs there can be.
pub const CPUS: usize = 4;
/// The most tasks there can be, the idle ones not counted.
pub const TASKS: usize = 6;
/// In place of a task: the CPU's idle task.
pub const IDLE: u8 = 7;
/// How many stores a CPU holds back at most; a further one pushes the oldest out to memory.
pub const BUFFER: usize = 4;

/// mms, as they stand in a state.
pub mod mm {
    /// None: a kernel thread's.
    pub const NONE: u8 = 0;
    /// Of the process that calls.
    pub const A: u8 = 1;
    /// Of another process.
    pub const B: u8 = 2;
    /// What a thread has after it called execve.
    pub const C: u8 = 3;
    /// `init_mm`
    pub const INIT: u8 = 4;
    /// `LOADED_MM_SWITCHING`
    pub const SWITCHING: u8 = 5;
}

/// Where a CPU is, outside of its task's own code.
pub mod at {
    /// In its task's own code.
    pub const TASK: u8 = 0;
    /// In a switch to a kernel thread: `mmgrab_lazy_tlb` is next.
    pub const GRAB: u8 = 1;
    /// In `finish_task_switch` with `rq->prev_mm` set: interrupts are on again.
    pub const FINISH: u8 = 2;
}

/// Where a CPU is in `switch_mm_irqs_off`.
pub mod swm {
    /// Not in it.
    pub const OUT: u8 = 0;
    /// Lazy, and the mm stays: about to read its generation.
    pub const SAME: u8 = 1;
    /// About to change `mm_cpumask` (and all the rest, where steps are merged).
    pub const MASK: u8 = 2;
    /// About to read the generation of the next mm.
    pub const GEN: u8 = 3;
    /// About to write CR3.
    pub const CR3: u8 = 4;
}

/// Who called `switch_mm_irqs_off`.
pub mod ret {
    /// `context_switch`
    pub const SWITCH: u8 = 0;
    /// `kthread_use_mm`
    pub const USE: u8 = 1;
    /// `exec_mmap`
    pub const EXEC: u8 = 2;
    /// `leave_mm`
    pub const LEAVE: u8 = 3;
    /// `flush_tlb_func`, on a lazy CPU
    pub const FLUSH: u8 = 4;
}

/// Where a CPU is with an interrupt.
pub mod ipi {
    /// There is none.
    pub const NONE: u8 = 0;
    /// In its handler.
    pub const HANDLER: u8 = 1;
    /// Past it, on the way out.
    pub const EXIT: u8 = 2;
}

/// [`Cpu::pend`]: a function of `membarrier(2)`, of the task that holds the mutex. The bits below are
/// flushes, by task.
pub const PEND_CALL: u8 = 1 << 6;

/// [`Cpu::g`]: what the rules remember of a CPU.
pub mod ghost {
    /// R1: it owes a serialization.
    pub const DEBT: u8 = 1 << 0;
    /// R2: it has not serialized since this call began; a bit for each of two calls.
    pub const SINCE: [u8; 2] = [1 << 1, 1 << 2];
    /// R2: it has not serialized since a call began that has returned.
    pub const OWES: u8 = 1 << 3;
    /// R6: it came back to an mm that it kept lazily, and nothing was copied.
    pub const CAME_BACK: u8 = 1 << 4;
}

/// Where a task is in its own code.
pub mod pc {
    /// In user mode.
    pub const USER: u8 = 0;
    /// In a system call that may sleep.
    pub const SYSCALL: u8 = 1;
    /// In a system call, past its exit's tracepoint.
    pub const LEAVING: u8 = 2;
    /// On its way back from an interrupt of user mode.
    pub const IRET: u8 = 3;
    /// A kernel thread about its work.
    pub const WORK: u8 = 4;
    /// Gone for ever.
    pub const DEAD: u8 = 5;

    /// membarrier(2): entered.
    pub const CALL: u8 = 8;
    /// About to look at the next `rq->curr`.
    pub const SCAN: u8 = 9;
    /// About to look at that task's mm.
    pub const SCAN_MM: u8 = 10;
    /// About to send the IPIs.
    pub const SEND: u8 = 11;
    /// Waiting for them, not preemptible.
    pub const WAIT: u8 = 12;
    /// About to return from the call.
    pub const CALL_END: u8 = 13;

    /// `flush_tlb_mm_range`: about to raise the generation; not preemptible from there.
    pub const FLUSH: u8 = 16;
    /// About to look at `mm_cpumask`.
    pub const FLUSH_MASK: u8 = 17;
    /// About to look at a CPU's `loaded_mm`.
    pub const FLUSH_LOADED: u8 = 18;
    /// About to look at its `is_lazy`.
    pub const FLUSH_LAZY: u8 = 19;
    /// About to send the IPIs.
    pub const FLUSH_SEND: u8 = 20;
    /// Waiting for them.
    pub const FLUSH_WAIT: u8 = 21;

    /// `exit_mm`
    pub const EXIT: u8 = 24;
    /// `mmput`, after it.
    pub const EXIT_PUT: u8 = 25;
    /// About to be switched out for the last time.
    pub const EXITED: u8 = 26;
    /// `exec_mmap`
    pub const EXEC: u8 = 27;
    /// `mmput` of the old mm, after it.
    pub const EXEC_PUT: u8 = 28;

    /// `kthread_use_mm`: about to drop the mm that it had borrowed.
    pub const USE_DROP: u8 = 32;
    /// `kthread_unuse_mm`: about to drop the mm.
    pub const UNUSE_DROP: u8 = 33;

    /// A registration: about to set the bits.
    pub const REGISTER: u8 = 40;
    /// In `synchronize_rcu`.
    pub const RCU: u8 = 41;
    /// Has told the run queues.
    pub const REGISTERED: u8 = 42;

    /// In user mode, between its store and its load (the memory-barrier test).
    pub const STORED: u8 = 48;
    /// In user mode, after its call, before its load.
    pub const CALLED: u8 = 49;

    /// Whether this is user mode.
    #[must_use]
    pub const fn is_user(pc: u8) -> bool {
        matches!(pc, USER | STORED | CALLED)
    }
}

/// [`Task::bits`].
pub mod task {
    /// `on_cpu`, as other CPUs see it: nobody else may pick it.
    pub const ON_CPU: u8 = 1 << 0;
    /// It was preempted on an interrupt's exit path in kernel code: that IRET is still to come.
    pub const KERNEL_IRET: u8 = 1 << 1;
    /// It works on a registration rather than on a call.
    pub const REGISTERS: u8 = 1 << 2;
    /// Its flush frees page tables.
    pub const TABLES: u8 = 1 << 3;
    /// Its call is the one of slot 1.
    pub const SECOND: u8 = 1 << 4;
    /// It stored before its call, and will load after it.
    pub const TESTS: u8 = 1 << 5;
    /// What it was going back to from an interrupt, in user mode, is its load.
    pub const THEN_LOADS: u8 = 1 << 6;
    /// Likewise, after its call.
    pub const THEN_CALLED: u8 = 1 << 7;
}

/// A CPU.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Cpu {
    /// `rq->curr`
    pub curr: u8,
    /// The same, in memory.
    pub m_curr: u8,
    /// [`at`]
    pub at: u8,
    /// The task that was switched out, until `finish_task`.
    pub prev: u8,
    /// `rq->prev_mm`
    pub prev_mm: u8,
    /// `active_mm` of its task, if that has no mm.
    pub active: u8,
    /// `loaded_mm`; the previous one in the middle of a switch.
    pub loaded: u8,
    /// The same, in memory, where it may be [`mm::SWITCHING`].
    pub m_loaded: u8,
    /// `is_lazy`
    pub lazy: u8,
    /// The same, in memory.
    pub m_lazy: u8,
    /// `ctxs[].tlb_gen` of A.
    pub slot: u8,
    /// Whether `rq->membarrier_state` has the bits of a registration.
    pub rq_state: u8,
    /// [`ipi`]
    pub ipi: u8,
    /// The functions that wait to be run here: [`PEND_CALL`], and flushes by task.
    pub pend: u8,
    /// [`swm`]
    pub swm: u8,
    /// The mm that it loads.
    pub swm_to: u8,
    /// [`ret`]; while a flush's handler is in it, the flushing task in the bits from 4 on.
    pub swm_ret: u8,
    /// The generation that it has read.
    pub swm_gen: u8,
    /// [`ghost`]
    pub g: u8,
    /// How many stores it holds back.
    pub held: u8,
    /// Them.
    pub buffer: [u8; BUFFER],
}

/// A task.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Task {
    /// `mm`
    pub mm: u8,
    /// The same, in memory.
    pub m_mm: u8,
    /// [`pc`]
    pub pc: u8,
    /// [`task`]
    pub bits: u8,
    /// CPUs that it has yet to look at.
    pub todo: u8,
    /// CPUs that it has chosen; then those that it waits for.
    pub mask: u8,
    /// The CPU that it looks at, and what it has read there.
    pub cur: u8,
    /// The generation that its flush asks for.
    pub flush_gen: u8,
}

/// What there is once.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Global {
    /// A's `context.tlb_gen`.
    pub tlb_gen: u8,
    /// R3: the greatest generation that a flush has asked for which is done.
    pub done_gen: u8,
    /// A's `mm_cpumask`.
    pub cpumask: u8,
    /// A's `mm_users`.
    pub users: u8,
    /// A's `mm_count`.
    pub count: u8,
    /// A's registration for SYNC_CORE: 0 none, 1 the bits are set, 2 and the READY bit.
    pub registered: u8,
    /// Who holds `membarrier_ipi_mutex`: the task's number plus 1.
    pub mutex: u8,
    /// Calls that may still begin, and so on.
    pub calls: u8,
    /// Flushes.
    pub flushes: u8,
    /// `kthread_use_mm`s.
    pub uses: u8,
    /// Threads of A that may still exit.
    pub exits: u8,
    /// Threads of A that may still call execve.
    pub execs: u8,
    /// Registrations.
    pub registrations: u8,
    /// Slots of calls in flight: a bit for each.
    pub slots: u8,
    /// A call has returned.
    pub promised: u8,
    /// The memory-barrier test: whether `y` may still be stored.
    pub tests: u8,
    /// `x` in memory.
    pub x: u8,
    /// `y` in memory.
    pub y: u8,
    /// What the caller read of `y` after its call: 0 nothing yet, 1 the old value, 2 the new one.
    pub read_y: u8,
    /// What the other thread read of `x` after it had stored `y`: the same.
    pub read_x: u8,
    /// Zero.
    pub zero: [u8; 4],
}

/// The whole of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct State {
    /// The CPUs.
    pub cpus: [Cpu; CPUS],
    /// The tasks.
    pub tasks: [Task; TASKS],
    /// The rest.
    pub all: Global,
}

impl State {
    /// All zero.
    #[must_use]
    pub fn zero() -> Self {
        Self::new_zeroed()
    }

    /// A task's mm; none for an idle task.
    #[must_use]
    pub fn mm_of(&self, task: u8) -> u8 {
        self.tasks.get(usize::from(task)).map_or(mm::NONE, |task| task.mm)
    }

    /// The mm that a CPU's task uses or borrows.
    #[must_use]
    pub fn active(&self, cpu: usize) -> u8 {
        match self.mm_of(self.cpus[cpu].curr) {
            mm::NONE => self.cpus[cpu].active,
            own => own,
        }
    }
}

/// Stores, as they stand in a buffer.
pub mod store {
    use super::{Cpu, State};

    /// `rq->curr = task`
    #[must_use]
    pub const fn curr(task: u8) -> u8 {
        1 << 5 | task
    }
    /// `loaded_mm = mm`
    #[must_use]
    pub const fn loaded(mm: u8) -> u8 {
        2 << 5 | mm
    }
    /// `is_lazy = lazy`
    #[must_use]
    pub const fn lazy(lazy: u8) -> u8 {
        3 << 5 | lazy
    }
    /// `task->mm = mm`
    #[must_use]
    pub const fn mm(task: u8, mm: u8) -> u8 {
        4 << 5 | task << 2 | mm
    }
    /// `task->on_cpu = 0`
    #[must_use]
    pub const fn off_cpu(task: u8) -> u8 {
        5 << 5 | task
    }
    /// `x = 1`
    pub const X: u8 = 6 << 5;
    /// Whether this stores `rq->curr`.
    #[must_use]
    pub const fn is_curr(store: u8) -> bool {
        store >> 5 == 1
    }
    /// Whether this stores `loaded_mm`.
    #[must_use]
    pub const fn is_loaded(store: u8) -> bool {
        store >> 5 == 2
    }
    /// Whether this stores `is_lazy`.
    #[must_use]
    pub const fn is_lazy(store: u8) -> bool {
        store >> 5 == 3
    }
    /// Whether this stores this task's mm.
    #[must_use]
    pub const fn is_mm_of(store: u8, task: u8) -> bool {
        store >> 5 == 4 && (store & 0x1f) >> 2 == task
    }
    /// `y = 1`
    pub const Y: u8 = 6 << 5 | 1;
    /// A's `tlb_gen` is raised: by a plain store, where the barrier is dropped.
    pub const RAISE: u8 = 6 << 5 | 2;

    impl State {
        /// A CPU stores.
        pub fn store(&mut self, cpu: usize, store: u8) {
            if usize::from(self.cpus[cpu].held) == super::BUFFER {
                self.drain_one(cpu);
            }
            let c = &mut self.cpus[cpu];
            c.buffer[usize::from(c.held)] = store;
            c.held += 1;
        }

        /// The oldest store of a CPU reaches memory; says which.
        pub fn drain_one(&mut self, cpu: usize) -> u8 {
            let c = &mut self.cpus[cpu];
            let store = c.buffer[0];
            if c.held == 0 {
                return 0;
            }
            c.buffer[0] = 0;
            c.buffer.rotate_left(1);
            c.held -= 1;
            let arg = store & 0x1f;
            match store >> 5 {
                1 => c.m_curr = arg,
                2 => c.m_loaded = arg,
                3 => c.m_lazy = arg,
                4 => self.tasks[usize::from(arg >> 2)].m_mm = arg & 3,
                5 => self.tasks[usize::from(arg)].bits &= !super::task::ON_CPU,
                _ if store == X => self.all.x = 1,
                _ if store == RAISE => self.all.tlb_gen += 1,
                _ => self.all.y = 1,
            }
            store
        }

        /// So many of the oldest stores of a CPU reach memory.
        pub fn drain_some(&mut self, cpu: usize, stores: u8) {
            for _ in 0..stores {
                self.drain_one(cpu);
            }
        }

        /// The store that lets others pick a task, if it waits: whose, and how many go with it.
        #[must_use]
        pub fn releases(&self, task: u8) -> Option<(usize, u8)> {
            let release = off_cpu(task);
            self.cpus.iter().enumerate().find_map(|(cpu, c)| {
                let held = &c.buffer[..usize::from(c.held)];
                Some((cpu, held.iter().position(|&store| store == release)? as u8 + 1))
            })
        }

        /// A full barrier: all its stores reach memory before it goes on.
        pub fn drain(&mut self, cpu: usize) {
            while self.cpus[cpu].held > 0 {
                self.drain_one(cpu);
            }
        }
    }

    impl Cpu {
        /// How many of its stores may have reached memory when another CPU reads what these stores
        /// write: as many as it takes to make a difference.
        pub fn prefixes(&self, writes: impl Fn(u8) -> bool) -> impl Iterator<Item = u8> {
            let held = self.buffer;
            let with = move |&n: &u8| n == 0 || writes(held[usize::from(n) - 1]);
            (0..=self.held).filter(with)
        }

        /// Whether this store waits.
        #[must_use]
        pub fn holds(&self, store: u8) -> bool {
            self.buffer[..usize::from(self.held)].contains(&store)
        }
    }
}
