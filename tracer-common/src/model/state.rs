//! What the model remembers: of each CPU, of each mm, of tasks that are off CPU.

use super::evidence::SyncPoint;
use crate::wire::{Frame, membarrier_state};

/// The most CPUs the model can tell apart.
pub const MAX_CPUS: usize = 1024;

/// An mm's `context.ctx_id`; 0 where there is none or it is not known.
pub type MmId = u64;

/// A yes or no that may not be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tri {
    /// Not known.
    #[default]
    Unknown,
    /// No.
    No,
    /// Yes.
    Yes,
}

/// How far the current task is on its way back to user mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// Not known.
    #[default]
    Unknown,
    /// Inside a system call; its exit will be seen before it returns.
    InSyscall,
    /// Past the last event that precedes a return: it leaves, or has left, by this frame, unless
    /// it is switched out first. The time is a lower bound for the return.
    Leaving(Frame, u64),
}

/// Serialization that a CPU owes before its next return to user mode (rule R1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debt {
    /// The mm that became the logical mm.
    pub mm: MmId,
    /// When, in nanoseconds: at the earliest.
    pub since: u64,
    /// The CPU may have serialized since, unseen.
    pub maybe_paid: bool,
}

/// A switch to a user task whose CR3 write, if any, is the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InSwitch {
    /// The switch, in nanoseconds.
    pub ts: u64,
    /// The task that `current` still is until `switch_to`.
    pub prev_tid: u32,
    /// Its mm, 0 without one.
    pub prev_mm: MmId,
    /// The real mm before, 0 if unknown.
    pub real_before: MmId,
    /// Laziness before.
    pub lazy_before: Tri,
    /// `finish_task_switch` will find `rq->prev_mm` set to the new task's mm and serialize.
    pub prev_mm_same: bool,
}

/// What is known of one CPU.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, as the kernel has them")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// A context switch has been seen since the last gap, so that the fields below hold.
    pub known: bool,
    /// Hotplug took the CPU away.
    pub offline: bool,
    /// An event of this CPU has been seen.
    pub seen: bool,
    /// It was known at some time.
    pub was_known: bool,
    /// After an unseen switch: the logical mm before it, and a time before it. 0 where there is
    /// none.
    pub dark: (MmId, u64),
    /// Its records are being lost.
    pub losing: bool,
    /// The running task's pid; 0 is the idle task.
    pub tid: u32,
    /// Its thread group: the pid it takes over if it calls execve without being the leader.
    pub tgid: u32,
    /// It is a kernel thread (the idle task is one).
    pub kthread: bool,
    /// The logical mm: `rq->curr->mm`; 0 for a kernel thread without one.
    pub logical: MmId,
    /// `logical`'s `membarrier_state`, when last read.
    pub state: u8,
    /// `rq->curr->active_mm`; 0 if unknown.
    pub active: MmId,
    /// The real mm: `cpu_tlbstate.loaded_mm`; 0 if unknown.
    pub real: MmId,
    /// `cpu_tlbstate_shared.is_lazy`.
    pub lazy: Tri,
    /// Interrupts that began and have not ended.
    pub irq_depth: u8,
    /// The interrupt whose IRET is pending hit user mode for sure, so that this IRET is the task's
    /// return to user mode.
    pub irq_from_user: bool,
    /// It was a device's. Its handlers each have an entry and an exit (shared lines).
    pub irq_device: bool,
    /// The current task may have executed an IRET in kernel code since it was last seen to run user
    /// code: it was preempted on an interrupt's exit path, or had a page fault there.
    pub kernel_iret: bool,
    /// The way of the current task back to user mode.
    pub way: Way,
    /// Seen in user mode by a probe on its return, at this time; 0 otherwise.
    pub in_user: u64,
    /// The current task was switched in at this time.
    pub switched_at: u64,
    /// The last serialization that surely happened.
    pub sync: SyncPoint,
    /// A time after which no unseen serialization was possible.
    pub maybe_sync: u64,
    /// The last interrupt ended at this time and its IRET has not been proved yet; 0 for none.
    pub iret_pending: u64,
    /// What R1 asks of this CPU.
    pub debt: Option<Debt>,
    /// A switch that the next event completes.
    pub in_switch: Option<InSwitch>,
    /// R2: the latest call start that this CPU was checked against, and the mm it was for.
    pub r2_checked: (MmId, u64),
    /// `ctxs[loaded_mm_asid]`: mm and generation, when last read; mm 0 if unknown.
    pub slot: (MmId, u64),
    /// R3: the latest flush generation that this CPU was checked against, and its mm.
    pub r3_checked: (MmId, u64),
    /// The last event, in nanoseconds.
    pub last_ts: u64,
    /// Checks on this CPU that could not be decided.
    pub inconclusive: u64,
}

impl Cpu {
    /// Whether the logical mm is registered for SYNC_CORE, as far as the scheduler cares.
    #[must_use]
    pub const fn registered(&self) -> bool {
        self.state & membarrier_state::SYNC_CORE != 0
    }
}

/// How a membarrier call is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallOrigin {
    /// Its entry was seen.
    #[default]
    Entered,
    /// Only its work was seen (`ipi_sync_core` on the caller's CPU): it began before system calls
    /// were traced.
    Inferred,
}

/// A membarrier call in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The command.
    pub cmd: i32,
    /// The caller's mm.
    pub mm: MmId,
    /// When it was entered, in nanoseconds; where it is inferred, when it was first noticed.
    pub begin: u64,
    /// How it is known.
    pub origin: CallOrigin,
    /// Whom it interrupted, and why not the others, has been counted.
    pub accounted: bool,
    /// Whom it interrupted: a bit for each CPU.
    pub targets: [u64; MAX_CPUS / 64],
}

impl Call {
    pub(super) const fn new(cmd: i32, mm: MmId, begin: u64, origin: CallOrigin) -> Self {
        Self { cmd, mm, begin, origin, accounted: false, targets: [0; MAX_CPUS / 64] }
    }

    pub(super) fn target(&mut self, cpu: u32) {
        if let Some(word) = self.targets.get_mut(cpu as usize / 64) {
            *word |= 1 << (cpu % 64);
        }
    }

    /// Whether the call interrupted this CPU.
    #[must_use]
    pub fn targeted(&self, cpu: u32) -> bool {
        self.targets.get(cpu as usize / 64).is_some_and(|word| word & 1 << (cpu % 64) != 0)
    }
}

/// What is known of one task of a SYNC_CORE-registered mm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// The knowledge below is from this epoch; older knowledge is void (events were lost since).
    pub epoch: u32,
    /// Born, and has not run yet: its first return is by IRET (`ret_from_fork_asm`), whatever its
    /// frame says.
    pub fresh: bool,
    /// Has been seen running: its frame can be believed.
    pub ran: bool,
    /// Was switched out after its system call's exit had been seen.
    pub left: Tri,
    /// May execute an IRET in kernel code when it goes on; see [`Cpu::kernel_iret`].
    pub kernel_iret: bool,
    /// Its membarrier call in flight.
    pub call: Option<Call>,
}

/// How many completed calls are held back until their order against other CPUs' events is sure.
const RECENT: usize = 8;

/// A completed call: when it began and when it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Done {
    begin: u64,
    end: u64,
}

/// Things that are done, of which the latest that are too fresh to be ordered against another CPU's
/// clock are held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completed {
    settled: u64,
    recent: [Done; RECENT],
}

impl Completed {
    /// Notes that what `mark` stands for (a call's start, a flush's generation) was done at `end`.
    pub fn push(&mut self, mark: u64, end: u64) {
        // The slot that ended first makes room. Its mark moves on to the newcomer, which delays it
        // by less than the clocks' uncertainty and never brings it forward.
        let mut oldest = 0;
        let mut index = 0;
        while index < RECENT {
            if self.recent[index].end < self.recent[oldest].end {
                oldest = index;
            }
            index += 1;
        }
        let mark = mark.max(self.recent[oldest].begin);
        self.recent[oldest] = Done { begin: mark, end };
    }

    /// The greatest mark among those done at least `skew` before `now`.
    pub fn before(&mut self, now: u64, skew: u64) -> u64 {
        let mut index = 0;
        while index < RECENT {
            let done = &mut self.recent[index];
            if done.end != 0 && done.end.saturating_add(skew) < now {
                self.settled = self.settled.max(done.begin);
                *done = Done::default();
            }
            index += 1;
        }
        self.settled
    }
}

/// Why a SYNC_CORE call did not interrupt a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Skip {
    /// A kernel thread ran there, lazy on the caller's mm.
    KthreadLazy = 0,
    /// A kernel thread ran there, on another mm or none.
    KthreadOther = 1,
    /// The CPU was idle, lazy on the caller's mm.
    IdleLazy = 2,
    /// The CPU was idle, on another mm or none.
    IdleOther = 3,
    /// Another process ran there.
    OtherMm = 4,
    /// The CPU was offline.
    Offline = 5,
    /// It ran the caller's mm when the call's work was seen, but not when the call looked.
    Raced = 6,
    /// Not known.
    Unknown = 7,
}

/// How many reasons [`Skip`] has.
pub const SKIPS: usize = 8;

/// Membarrier calls of one mm, by command, those that returned 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// `PRIVATE_EXPEDITED_SYNC_CORE`, the inferred ones included.
    pub sync_core: u64,
    /// Those of `sync_core` whose entry and exit were not seen.
    pub sync_core_inferred: u64,
    /// `PRIVATE_EXPEDITED`.
    pub private: u64,
    /// `GLOBAL` and `GLOBAL_EXPEDITED`.
    pub global: u64,
    /// `PRIVATE_EXPEDITED_RSEQ`.
    pub rseq: u64,
    /// The REGISTER commands.
    pub register: u64,
    /// Calls that failed.
    pub failed: u64,
}

/// What is known of one mm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mm {
    /// `membarrier_state`, when last read.
    pub state: u8,
    /// A process that was seen to use it.
    pub tgid: u32,
    /// Its calls.
    pub calls: CallCounts,
    /// CPUs that its SYNC_CORE calls interrupted, the caller's own included.
    pub targeted: u64,
    /// CPUs that they did not, by [`Skip`].
    pub skipped: [u64; SKIPS],
    /// Starts of SYNC_CORE calls that have returned 0.
    pub completed: Completed,
    /// Generations of flushes that are done.
    pub flushed: Completed,
}
