//! The reconstructed state: CPUs, mms, transitions, returns to user.

use serde::{Deserialize, Serialize};

use super::Evidence;

/// In place of a `ctx_id`: no mm at all (a kernel thread's logical mm). Zero is no valid `ctx_id`.
pub const NO_MM: u64 = 0;
/// The `ctx_id` of `init_mm` (`arch/x86/include/asm/mmu.h:INIT_MM_CONTEXT`).
pub const INIT_MM: u64 = 1;

/// One CPU at the end of the window. For each mm: `None` is unknown, [`NO_MM`] is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// Its number.
    pub cpu: u32,
    /// Whether events pin its state.
    pub known: bool,
    /// The thread on it.
    pub tid: Option<u32>,
    /// That thread's process.
    pub tgid: Option<u32>,
    /// That thread's name.
    pub comm: Option<String>,
    /// `rq->curr->mm`.
    pub logical_mm: Option<u64>,
    /// `rq->curr->active_mm`.
    pub active_mm: Option<u64>,
    /// `cpu_tlbstate.loaded_mm`: what CR3 holds.
    pub real_mm: Option<u64>,
    /// `cpu_tlbstate_shared.is_lazy`.
    pub lazy: Option<bool>,
    /// The last time it is known to have serialized.
    pub last_sync: Option<LastSync>,
    /// Checks on this CPU that could not be decided.
    pub inconclusive: u64,
}

/// A core serializing event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LastSync {
    /// How long before the end of the window, in nanoseconds.
    pub ns_ago: u64,
    /// What serialized (`cr3 write`, `iret`, `ipi_sync_core`, …).
    pub cause: String,
    /// How that is known.
    pub evidence: Evidence,
}

/// One mm and what membarrier did with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Mm {
    /// `mm->context.ctx_id`; [`NO_MM`] stands for all mms that the trace does not tell apart.
    pub id: u64,
    /// A process that uses it; the first seen, if several share it.
    pub tgid: Option<u32>,
    /// That process's name.
    pub comm: Option<String>,
    /// Its registrations: `private`, `sync_core`, `rseq`, `global`.
    pub registered: Vec<String>,
    /// membarrier calls by its threads.
    pub membarrier: Membarrier,
    /// CPUs sent an IPI by these SYNC_CORE calls, summed.
    pub targeted: u64,
    /// CPUs left out by these SYNC_CORE calls, by reason, summed.
    pub skipped: Skipped,
}

/// membarrier calls that were seen, by command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Membarrier {
    /// `PRIVATE_EXPEDITED_SYNC_CORE` calls.
    pub sync_core: u64,
    /// Of these, the ones counted from the IPI's function (`ipi_sync_core`) because they began
    /// before the system call probes were attached.
    pub sync_core_inferred: u64,
    /// `PRIVATE_EXPEDITED` calls.
    pub private: u64,
    /// GLOBAL and `GLOBAL_EXPEDITED` calls.
    pub global: u64,
    /// `PRIVATE_EXPEDITED_RSEQ` calls.
    pub rseq: u64,
    /// REGISTER_… calls.
    pub register: u64,
    /// Calls of any command that returned an error.
    pub failed: u64,
}

impl Membarrier {
    /// Barriers asked for: every call but the registrations.
    pub const fn calls(&self) -> u64 {
        self.sync_core
            .saturating_add(self.private)
            .saturating_add(self.global)
            .saturating_add(self.rseq)
    }

    const fn add(&mut self, more: &Self) {
        // Destructured in full: a new count must not be forgotten here.
        let Self { sync_core, sync_core_inferred, private, global, rseq, register, failed } = *more;
        add(&mut self.sync_core, sync_core);
        add(&mut self.sync_core_inferred, sync_core_inferred);
        add(&mut self.private, private);
        add(&mut self.global, global);
        add(&mut self.rseq, rseq);
        add(&mut self.register, register);
        add(&mut self.failed, failed);
    }
}

/// A sum that is too large stays at the most.
const fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// Why a CPU got no IPI from a SYNC_CORE call, summed over the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Skipped {
    /// It ran a kernel thread, lazy on this mm.
    pub kthread_lazy: u64,
    /// It ran a kernel thread, with another real mm.
    pub kthread_other: u64,
    /// It was idle, lazy on this mm.
    pub idle_lazy: u64,
    /// It was idle, with another real mm.
    pub idle_other: u64,
    /// It ran a thread of another mm.
    pub other_mm: u64,
    /// It was offline.
    pub offline: u64,
    /// It changed mm while the call was choosing its targets.
    pub raced: u64,
    /// Its state was not known.
    pub unknown: u64,
}

impl Skipped {
    /// All of them with their names, in the order of the fields.
    pub const fn by_reason(&self) -> [(&'static str, u64); 8] {
        // Destructured in full: a new reason must not be forgotten here.
        let Self {
            kthread_lazy,
            kthread_other,
            idle_lazy,
            idle_other,
            other_mm,
            offline,
            raced,
            unknown,
        } = *self;
        [
            ("kthread_lazy", kthread_lazy),
            ("kthread_other", kthread_other),
            ("idle_lazy", idle_lazy),
            ("idle_other", idle_other),
            ("other_mm", other_mm),
            ("offline", offline),
            ("raced", raced),
            ("unknown", unknown),
        ]
    }

    /// The sum.
    pub fn total(&self) -> u64 {
        self.by_reason().iter().fold(0, |sum, &(_, n)| sum.saturating_add(n))
    }

    const fn add(&mut self, more: &Self) {
        let Self {
            kthread_lazy,
            kthread_other,
            idle_lazy,
            idle_other,
            other_mm,
            offline,
            raced,
            unknown,
        } = *more;
        add(&mut self.kthread_lazy, kthread_lazy);
        add(&mut self.kthread_other, kthread_other);
        add(&mut self.idle_lazy, idle_lazy);
        add(&mut self.idle_other, idle_other);
        add(&mut self.other_mm, other_mm);
        add(&mut self.offline, offline);
        add(&mut self.raced, raced);
        add(&mut self.unknown, unknown);
    }
}

/// How logical and real mm moved. `None`: this mode cannot tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Transitions {
    /// Context switches.
    pub switches: u64,
    /// Those of `switches` that no event told: the kernel runs no probes for some tasks (a sandbox
    /// hides its agent so), but their next neighbour's events show that they were switched out.
    pub unseen_switches: u64,
    /// Changes of a CPU's logical mm.
    pub logical_changes: Option<u64>,
    /// A kernel thread came and kept the mm: `enter_lazy_tlb`.
    pub enter_lazy: Option<u64>,
    /// Back to the mm that was kept, with no CR3 write: **no serialization**.
    pub unlazy_same_mm: Option<u64>,
    /// Back to the mm that was kept, but its flush generation was behind: CR3 written.
    pub unlazy_flushed: Option<u64>,
    /// A lazy CPU went to `init_mm` for real (remote flush, or deep idle).
    pub lazy_to_init_mm: Option<u64>,
    /// CR3 writes of `switch_mm_irqs_off`.
    pub cr3_writes: Option<u64>,
}

/// Returns to user mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UserReturns {
    /// Seen by a probe on the way out.
    pub observed: u64,
    /// Concluded from what the thread did next.
    pub inferred: u64,
    /// Of both, those by SYSRET: not serializing.
    pub sysret: u64,
    /// Of both, those by IRET: serializing.
    pub iret: u64,
    /// Of both, those whose way out is not known; taken as not serializing.
    pub unknown: u64,
}

/// What membarrier did with one mm, or with several together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MembarrierTotal {
    /// Calls that succeeded, by command.
    #[serde(flatten)]
    pub calls: Membarrier,
    /// CPUs that SYNC_CORE calls interrupted, the callers' own included.
    pub targeted: u64,
    /// CPUs that they left alone, by reason.
    pub skipped: Skipped,
}

impl MembarrierTotal {
    /// Adds some more; a sum that is too large stays at the most.
    pub const fn add(&mut self, more: &Self) {
        let Self { calls, targeted, skipped } = more;
        self.calls.add(calls);
        add(&mut self.targeted, *targeted);
        self.skipped.add(skipped);
    }
}

impl Mm {
    /// What membarrier did with it.
    pub const fn total(&self) -> MembarrierTotal {
        MembarrierTotal { calls: self.membarrier, targeted: self.targeted, skipped: self.skipped }
    }
}
