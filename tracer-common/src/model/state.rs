//! What the model remembers of each CPU.

use super::{
    evidence::{Evidence, SyncPoint},
    mm::Skip,
    rq::RunQueue,
    verdict::{Answer, Doubt},
};
use crate::wire::{Frame, UNKNOWN_MM, membarrier_state};

/// The most CPUs the model can tell apart.
pub const MAX_CPUS: usize = 1024;

/// An mm's `context.ctx_id`; 0 where there is none or it is not known.
pub type MmId = u64;

/// A yes or no that may not be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Way {
    /// Not known.
    #[default]
    Unknown,
    /// Inside a system call; its exit will be seen before it returns.
    InSyscall,
    /// Past the last event that precedes a return: it leaves, or has left, by this frame, unless
    /// it is switched out first. The time is a lower bound for the return.
    Leaving(Frame, u64),
    /// In user mode: a probe saw it return.
    User,
}

/// Serialization that a CPU owes before its next return to user mode (rule R1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct InSwitch {
    /// The switch, in nanoseconds.
    pub ts: u64,
    /// Who `current` still is.
    pub prev: Outgoing,
    /// Its mm, 0 without one.
    pub prev_mm: MmId,
    /// The real mm before, 0 if unknown.
    pub real_before: MmId,
    /// Laziness before.
    pub lazy_before: Tri,
    /// `finish_task_switch` will find `rq->prev_mm` set to the new task's mm and serialize.
    pub prev_mm_same: bool,
}

/// Whom a context switch switches out: `current` still is that task until `switch_to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Outgoing {
    /// The task with this pid.
    Task(u32),
    /// A task that has exited. Its pid may change any time: if it led its group and another thread
    /// calls execve, that one takes it over (`fs/exec.c:de_thread`, `kernel/pid.c:exchange_tids`).
    Exited,
}

impl Outgoing {
    /// Whether it has this pid; `next` is that of the task that comes.
    pub(super) fn is(self, tid: u32, next: u32) -> bool {
        match self {
            Self::Task(prev) => prev == tid,
            Self::Exited => tid != next,
        }
    }
}

/// `switch_mm_irqs_off` was entered outside a context switch, with interrupts off until it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Entered {
    /// When, in nanoseconds.
    pub ts: u64,
    /// The real mm then.
    pub real: MmId,
    /// Laziness then.
    pub lazy: bool,
}

/// A SYNC_CORE call left this CPU alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LeftAlone {
    /// When that was noticed, in nanoseconds.
    pub ts: u64,
    /// The caller's mm.
    pub mm: MmId,
    /// Why.
    pub why: Skip,
}

/// User code that ran on a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct UserRan {
    /// When that became certain, in nanoseconds: it ran until then; 0 for never.
    pub ts: u64,
    /// When it returned to user mode at the earliest; 0 if not known.
    pub since: u64,
    /// Of which mm.
    pub mm: MmId,
    /// Which thread.
    pub tid: u32,
    /// How it had returned.
    pub frame: Frame,
    /// How that return is known: a probe saw it, or what came next shows it.
    pub evidence: Evidence,
    /// It was on its way back by IRET, and need not have arrived.
    pub on_its_way: bool,
}

/// What is known of one CPU.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, as the kernel has them")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Cpu {
    /// A context switch has been seen since the last gap, so that the fields below hold.
    pub known: bool,
    /// Hotplug took the CPU away.
    pub offline: bool,
    /// The state of hotplug that it was last brought up to; 0 if that was not seen.
    pub brought_to: u32,
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
    /// The last return from an interrupt, or to user mode, that surely serialized had done so by this
    /// time. It is assumed to have come at once, at [`sync`](Self::sync)'s; but softirqs come before
    /// it, and a virtual CPU may stand still.
    pub returned_by: u64,
    /// The last interrupt ended at this time and its IRET has not been proved yet; 0 for none.
    pub iret_pending: u64,
    /// What R1 asks of this CPU.
    pub debt: Option<Debt>,
    /// A switch that the next event completes.
    pub in_switch: Option<InSwitch>,
    /// A switch to an mm is in progress, as far as `switch_mm_irqs_off`'s end has not been seen: the
    /// task that `current` still is.
    pub switching: Option<Outgoing>,
    /// `switch_mm_irqs_off` is running outside a context switch.
    pub entered: Option<Entered>,
    /// What `switch_mm_irqs_off` loaded last outside a context switch since the current task was
    /// switched in, and when it was entered; 0 for nothing.
    pub loaded_at: (MmId, u64),
    /// A temporary mm is loaded, and this one will be again.
    pub temporary: Option<MmId>,
    /// The CPU runs without an mm of its own and borrows `active`: that mm's `membarrier_state` as it
    /// was read last before; `None` if it does not, or if that is not known.
    pub borrowing: Option<u8>,
    /// What is known of `rq->membarrier_state`.
    pub rq: RunQueue,
    /// The last SYNC_CORE call that left this CPU alone.
    pub left_alone: Option<LeftAlone>,
    /// R2: the latest call start that this CPU was checked against, and the mm it was for.
    pub r2_checked: (MmId, u64),
    /// R2: what came of that check.
    pub r2_answer: Answer,
    /// User code of a SYNC_CORE-registered mm, or of another whose tasks are traced, that ran last.
    pub user: UserRan,
    /// `ctxs[loaded_mm_asid]`: mm and generation, when last read; mm 0 if unknown.
    pub slot: (MmId, u64),
    /// The ASID in use is a global one, flushed by broadcast: it has no slot.
    pub global_asid: bool,
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

    /// Whether it has serialized since a SYNC_CORE call began at `begin`, for clocks that agree up
    /// to `skew` (both in nanoseconds): what R2 asks.
    #[must_use]
    pub const fn serialized_since(&self, begin: u64, skew: u64) -> Answer {
        if self.sync.ts > begin.saturating_add(skew) {
            Answer::Yes
        } else if self.sync.ts.saturating_add(skew) >= begin {
            Answer::Doubted(Doubt::Clock)
        } else if self.maybe_sync.saturating_add(skew) >= begin {
            Answer::Doubted(Doubt::Unseen)
        } else {
            Answer::No
        }
    }

    /// How it is known that it has not serialized since `begin`, where that is the answer.
    #[must_use]
    pub(super) const fn not_since(&self, begin: u64, skew: u64) -> Evidence {
        if self.returned_by.saturating_add(skew) >= begin {
            Evidence::Assumed
        } else {
            Evidence::Observed
        }
    }

    /// Why a SYNC_CORE call of `mm` leaves it alone, if the call finds it as it is now.
    #[must_use]
    pub const fn why_left_alone(&self, mm: MmId) -> Skip {
        if self.offline {
            Skip::Offline
        } else if !self.known || self.logical == UNKNOWN_MM {
            Skip::Unknown
        } else if self.logical == mm {
            Skip::Raced
        } else if self.logical != 0 {
            Skip::OtherMm
        } else {
            match (self.tid == 0, self.active == mm) {
                (true, true) => Skip::IdleLazy,
                (true, false) => Skip::IdleOther,
                (false, true) => Skip::KthreadLazy,
                (false, false) => Skip::KthreadOther,
            }
        }
    }
}
