//! What is counted: membarrier calls by command, and what each scenario did.

use rustix::thread::MembarrierCommand;

/// A membarrier command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// `MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE`
    SyncCore,
    /// `MEMBARRIER_CMD_PRIVATE_EXPEDITED`
    Private,
    /// `MEMBARRIER_CMD_GLOBAL`
    Global,
    /// `MEMBARRIER_CMD_GLOBAL_EXPEDITED`
    GlobalExpedited,
    /// `MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ`
    Rseq,
    /// `MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE`
    RegisterSyncCore,
    /// `MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED`
    RegisterPrivate,
    /// `MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED`
    RegisterGlobalExpedited,
    /// `MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ`
    RegisterRseq,
}

impl Call {
    /// How many commands there are.
    pub(super) const NUMBER: usize = Self::RegisterRseq as usize + 1;

    /// The command as the system call wants it.
    pub(super) const fn command(self) -> MembarrierCommand {
        match self {
            Self::SyncCore => MembarrierCommand::PrivateExpeditedSyncCore,
            Self::Private => MembarrierCommand::PrivateExpedited,
            Self::Global => MembarrierCommand::Global,
            Self::GlobalExpedited => MembarrierCommand::GlobalExpedited,
            Self::Rseq => MembarrierCommand::PrivateExpeditedRseq,
            Self::RegisterSyncCore => MembarrierCommand::RegisterPrivateExpeditedSyncCore,
            Self::RegisterPrivate => MembarrierCommand::RegisterPrivateExpedited,
            Self::RegisterGlobalExpedited => MembarrierCommand::RegisterGlobalExpedited,
            Self::RegisterRseq => MembarrierCommand::RegisterPrivateExpeditedRseq,
        }
    }
}

/// Defines `Count`: each variant has a name in the JSON and an index in the shared page.
macro_rules! counts {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// Something a scenario did. Which scenario has which is in `Scenario::counts`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Count { $($(#[$doc])* $variant,)* }

        impl Count {
            /// Every variant, in the order of their indices.
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in the JSON.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

counts! {
    /// Rounds of the scenario's main loop.
    Iterations = "iterations",
    /// Threads started beside each process's first.
    Threads = "threads",
    /// Processes made by fork, vfork or `CLONE_VM`.
    Forked = "forked",
    /// Processes that came through execve.
    Execed = "execed",
    /// Processes that ended and were waited for.
    Exited = "exited",
    /// Processes that ended in another way than they should have.
    ChildFailures = "child_failures",
    /// Bursts of user code without a system call.
    Spins = "spins",
    /// Sleeps by `clock_nanosleep`.
    Sleeps = "sleeps",
    /// Round trips through a pipe.
    PipeRounds = "pipe_rounds",
    /// Round trips through a pair of futexes.
    FutexRounds = "futex_rounds",
    /// Round trips through a pair of eventfds.
    EventfdRounds = "eventfd_rounds",
    /// Calls of generated functions whose result was judged.
    Executions = "executions",
    /// New versions published (in place or rewritten).
    Patches = "patches",
    /// Published by patching an instruction that threads may be running.
    PatchedInPlace = "patched_in_place",
    /// Published by rewriting a whole function that had run before.
    Rewritten = "rewritten",
    /// Executions of a version that the thread had not run before.
    FreshExecutions = "fresh_executions",
    /// Results of code older than the protocol allows.
    Stale = "stale",
    /// Results that no version of the code ever returned.
    Garbled = "garbled",
    /// Work items a kworker carried out for a thread while it slept.
    KernelThreadRuns = "kernel_thread_runs",
    /// `madvise(MADV_DONTNEED)` on memory that other threads read.
    Discards = "discards",
    /// `mprotect` on memory that other threads read.
    Protects = "protects",
    /// `munmap` of memory that other threads had read, page tables included.
    Unmaps = "unmaps",
    /// Reads whose value was judged against the last discard.
    Reads = "reads",
    /// Reads through a translation older than a completed discard.
    StaleReads = "stale_reads",
    /// `sched_setaffinity` calls.
    Moves = "moves",
    /// Times a thread found itself on another CPU than before.
    CpuChanges = "cpu_changes",
    /// `CLONE_VM` children that share their parent's memory and run beside it.
    Siblings = "siblings",
    /// vfork children that called membarrier in their parent's mm.
    Vforks = "vforks",
    /// Threads that ended while others of their process called membarrier.
    ThreadExits = "thread_exits",
    /// Processes that execed from a thread other than their first.
    ThreadExecs = "thread_execs",
    /// SYNC_CORE calls begun by threads that were then killed.
    InsideBegun = "inside_begun",
    /// Those of them that returned before the kill.
    InsideReturned = "inside_returned",
    /// Processes that registered while their threads ran.
    MidFlight = "mid_flight",
    /// Calls made before the registration, which must fail.
    Refused = "refused",
    /// Times a spinner found that somebody else had had its CPU.
    Preemptions = "preemptions",
    /// `kthread_use_mm` calls of a kernel thread on the process's mm.
    MmUses = "mm_uses",
    /// Times that kernel thread found its CPU on another mm, so that nothing was tried.
    NotLazy = "not_lazy",
    /// Times it had given up waiting for the next step.
    Late = "late",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_names_are_unique() {
        let mut names: Vec<_> = Count::ALL.iter().map(|c| c.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Count::ALL.len());
    }
}
