//! What the bytes of a state say.

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

/// [`Cpu::g`](super::Cpu::g): what the rules remember of a CPU.
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

/// [`Task::bits`](super::Task::bits).
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
