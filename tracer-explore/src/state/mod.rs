//! The state of the abstract kernel: bytes, of a fixed number, so that it is copied, compared and
//! hashed as they are.
//!
//! A variable that other CPUs read stands here twice: as its own CPU sees it, and as the others do
//! (`m_...`, memory). In between lies the CPU's store buffer, first in, first out (x86-TSO).

mod codes;
pub mod store;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

pub use codes::{at, ghost, ipi, mm, pc, ret, swm, task};

/// The most CPUs there can be.
pub const CPUS: usize = 4;
/// The most tasks there can be, the idle ones not counted.
pub const TASKS: usize = 6;
/// In place of a task: the CPU's idle task.
pub const IDLE: u8 = 7;
/// How many stores a CPU holds back at most; a further one pushes the oldest out to memory.
pub const BUFFER: usize = 4;

/// [`Cpu::pend`]: a function of `membarrier(2)`, of the task that holds the mutex. The bits below are
/// flushes, by task.
pub const PEND_CALL: u8 = 1 << 6;

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
