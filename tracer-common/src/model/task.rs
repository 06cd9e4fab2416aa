//! What the model remembers of tasks.

use super::state::{MAX_CPUS, MmId, Tri};

/// How a membarrier call is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum CallOrigin {
    /// Its system call's entry was seen.
    #[default]
    Entered,
    /// `membarrier_private_expedited` was seen to begin, and the system call's entry was not.
    Private,
    /// Only its work was seen (`ipi_sync_core` on the caller's CPU): it began before system calls
    /// were traced.
    Inferred,
}

/// A membarrier call in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Call {
    /// The command.
    pub cmd: i32,
    /// The caller's mm.
    pub mm: MmId,
    /// When it began, in nanoseconds: the system call's entry where that was seen, else the
    /// function's; where the call is inferred, when it was first noticed.
    ///
    /// membarrier(2) promises something about what its siblings do *between its entry and its
    /// return*, so the entry is the right mark: who serialized after it, but before the function
    /// began, has broken no promise. The function's own beginning asks for a little more, and no
    /// more than a right kernel gives: `kernel/sched/membarrier.c:membarrier_private_expedited` asks
    /// each CPU what it runs only after it has begun, and whom it leaves out serializes later.
    pub begin: u64,
    /// How it is known.
    pub origin: CallOrigin,
    /// Whom it interrupted, and why not the others, has been counted.
    pub accounted: bool,
    /// `membarrier_private_expedited` was seen to begin.
    pub inside: bool,
    /// It was seen to return: when, and what.
    pub ended: Option<(u64, i32)>,
    /// Whom it interrupted: a bit for each CPU.
    pub targets: [u64; MAX_CPUS / 64],
}

impl Call {
    pub(super) const fn new(cmd: i32, mm: MmId, begin: u64, origin: CallOrigin) -> Self {
        Self {
            cmd,
            mm,
            begin,
            origin,
            accounted: false,
            inside: false,
            ended: None,
            targets: [0; MAX_CPUS / 64],
        }
    }

    /// Notes that it interrupted this CPU, and says whether that is news.
    pub(super) fn target(&mut self, cpu: u32) -> bool {
        let new = !self.targeted(cpu);
        if let Some(word) = self.targets.get_mut(cpu as usize / 64) {
            *word |= 1 << (cpu % 64);
        }
        new
    }

    /// Whether the call interrupted this CPU.
    #[must_use]
    pub fn targeted(&self, cpu: u32) -> bool {
        self.targets.get(cpu as usize / 64).is_some_and(|word| word & 1 << (cpu % 64) != 0)
    }
}

/// A flush that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PendingFlush {
    /// The mm.
    pub mm: MmId,
    /// A generation that it asks for at least.
    pub generation: u64,
    /// It frees page tables.
    pub freed_tables: bool,
}

/// What is known of one task: of a registered mm, or in the middle of something.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a task")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Task {
    /// The knowledge below is from this epoch; older knowledge is void (events were lost since).
    pub epoch: u32,
    /// Born, and has not run yet: its first return is by IRET (`ret_from_fork_asm`), whatever its
    /// frame says.
    pub fresh: bool,
    /// Has been seen running: its frame can be believed.
    pub ran: bool,
    /// Has been in user mode for sure: its next return is not its first one, which is by IRET whatever
    /// its frame says.
    pub grown: bool,
    /// Was switched out after its system call's exit had been seen.
    pub left: Tri,
    /// May execute an IRET in kernel code when it goes on; see
    /// [`Cpu::kernel_iret`](super::Cpu::kernel_iret).
    pub kernel_iret: bool,
    /// It slept as it was last switched out of a system call that registers, of its own will: what it
    /// has done on the way since, it has done on the CPU where it runs now.
    pub slept: bool,
    /// It has been switched out, on an mm that is registered for something: in which epoch, and
    /// whether against its will. So it may have been in the middle of anything.
    pub out: Option<(u32, bool)>,
    /// Its membarrier call in flight, or the last one that was counted before its system call
    /// returned.
    pub call: Option<Call>,
    /// Its flush in flight. The end of a later one of the same mm ends it too, so a lost end does no
    /// harm.
    pub flush: Option<PendingFlush>,
}
