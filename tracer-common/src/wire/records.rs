//! The payloads, one type for each shape. Every `mm` is a `context.ctx_id`, 0 where there is none,
//! [`UNKNOWN_MM`](super::UNKNOWN_MM) where that is not told; a task that is not told is pid 0, as a
//! thread group.

use super::COMM_LEN;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $ty,)*
        }
    };
}

record! {
    /// `sched_switch`: fired after `rq->curr = next`, before `context_switch` touches any mm
    /// (`kernel/sched/core.c:__schedule`). Flags: [`switch_flags`].
    Switch {
        /// `prev->mm` as it is now.
        prev_mm: u64,
        /// `prev->active_mm`.
        prev_active: u64,
        /// `next->mm`.
        next_mm: u64,
        /// `prev->pid`.
        prev_tid: u32,
        /// `next->pid`.
        next_tid: u32,
        /// `next->tgid`.
        next_tgid: u32,
        /// `prev->mm->membarrier_state`, 0 without an mm.
        prev_state: u8,
        /// `next->mm->membarrier_state`, 0 without an mm.
        next_state: u8,
        /// A [`Frame`](super::Frame): how `prev` was about to leave; read only in a
        /// SYNC_CORE-registered mm.
        prev_frame: u8,
        /// A [`Frame`](super::Frame): how `next` will leave; read only in a
        /// SYNC_CORE-registered mm.
        next_frame: u8,
    }
}

/// Flags of [`Switch`].
pub mod switch_flags {
    /// The switch was a preemption (`SM_PREEMPT`).
    pub const PREEMPT: u16 = 1 << 0;
    /// `prev` is a kernel thread (`PF_KTHREAD`).
    pub const PREV_KTHREAD: u16 = 1 << 1;
    /// `next` is a kernel thread (`PF_KTHREAD`).
    pub const NEXT_KTHREAD: u16 = 1 << 2;
    /// `prev` goes to sleep or dies: it is not `TASK_RUNNING`.
    pub const PREV_BLOCKED: u16 = 1 << 3;
    /// `prev` is exiting (`PF_EXITING`).
    pub const PREV_EXITING: u16 = 1 << 4;
}

record! {
    /// `tlb_flush` (`arch/x86/mm/tlb.c`).
    TlbFlush {
        /// Pages, `u64::MAX` for all; 0 where nothing was flushed.
        pages: u64,
        /// `current->mm`.
        mm: u64,
        /// `current->pid`. In the middle of a switch this is still the previous task.
        tid: u32,
        /// `include/linux/mm_types.h:enum tlb_flush_reason`.
        reason: u32,
    }
}

/// Values of [`TlbFlush::reason`] (`include/linux/mm_types.h:enum tlb_flush_reason`).
pub mod tlb_reason {
    /// `switch_mm_irqs_off` wrote CR3.
    pub const TASK_SWITCH: u32 = 0;
    /// A shootdown from another CPU was done here.
    pub const REMOTE_SHOOTDOWN: u32 = 1;
    /// Everything was flushed here, by this CPU itself.
    pub const LOCAL_SHOOTDOWN: u32 = 2;
    /// An mm was flushed here, by this CPU itself.
    pub const LOCAL_MM_SHOOTDOWN: u32 = 3;
    /// IPIs for a shootdown were sent.
    pub const REMOTE_SEND_IPI: u32 = 4;
    /// A shootdown reached a CPU that does not run that mm.
    pub const REMOTE_WRONG_CPU: u32 = 5;
}

record! {
    /// An interrupt's entry or exit.
    Irq {
        /// `current->pid`.
        tid: u32,
        /// A [`Vector`](super::Vector).
        vector: u8,
        /// A [`Frame`](super::Frame) of `current`; read only in a SYNC_CORE-registered mm.
        frame: u8,
        /// `current->mm->membarrier_state`, 0 without an mm.
        state: u8,
        /// Zero.
        zero: u8,
    }
}

record! {
    /// `csd_queue_cpu` (`kernel/smp.c`).
    CsdQueue {
        /// The function to run.
        func: u64,
        /// The CPU it was queued for.
        target: u32,
        /// `current->pid`.
        tid: u32,
    }
}

record! {
    /// `csd_function_entry` and `csd_function_exit` of a function that another CPU queued.
    CsdRun {
        /// The function.
        func: u64,
    }
}

record! {
    /// `csd_function_entry` of a direct call on the asking CPU (its `csd` argument is NULL), with
    /// what the task's frame says about the system call it is in.
    CsdLocal {
        /// The function.
        func: u64,
        /// `current->mm`.
        mm: u64,
        /// `current->pid`.
        tid: u32,
        /// `current->tgid`.
        tgid: u32,
        /// The system call's number; -1 where unknown.
        nr: i32,
        /// Its first argument; for membarrier(2) the command.
        cmd: i32,
    }
}

record! {
    /// `ipi_send_cpu` (`kernel/smp.c`, `kernel/sched/core.c`).
    IpiCpu {
        /// Who asked.
        callsite: u64,
        /// What will run there; 0 if that is not told.
        callback: u64,
        /// The CPU.
        target: u32,
        /// `current->pid`.
        tid: u32,
    }
}

record! {
    /// `ipi_send_cpumask`.
    IpiMask {
        /// Who asked.
        callsite: u64,
        /// What will run there; 0 if that is not told.
        callback: u64,
        /// The first 64 CPUs of the mask.
        mask: u64,
        /// `current->pid`.
        tid: u32,
        /// Zero.
        zero: u32,
    }
}

record! {
    /// A system call's entry or exit, in a SYNC_CORE-registered mm.
    Syscall {
        /// `current->mm`.
        mm: u64,
        /// `current->pid`.
        tid: u32,
        /// The system call's number.
        nr: i32,
        /// At exit, a [`Frame`](super::Frame): how the task is about to leave.
        frame: u8,
        /// `current->mm->membarrier_state`.
        state: u8,
        /// Zero.
        zero: [u8; 6],
    }
}

record! {
    /// membarrier(2), at entry and at exit.
    Membarrier {
        /// `current->mm`.
        mm: u64,
        /// At exit, what it returned (0 or a negative errno; a mask for queries); 0 at entry.
        ret: i64,
        /// `current->pid`.
        tid: u32,
        /// `current->tgid`.
        tgid: u32,
        /// The command, one of [`membarrier_cmd`](super::membarrier_cmd).
        cmd: i32,
        /// The flags argument.
        cmd_flags: u32,
        /// The `cpu_id` argument.
        cpu_id: i32,
        /// `current->mm->membarrier_state`.
        state: u8,
        /// At exit, a [`Frame`](super::Frame).
        frame: u8,
        /// Zero.
        zero: [u8; 2],
    }
}

record! {
    /// A page fault, a redirected return or an NMI. Flags, for a page fault: 1 if it came from user
    /// mode.
    Fault {
        /// `current->pid`.
        tid: u32,
        /// `current->mm->membarrier_state`.
        state: u8,
        /// A [`Frame`](super::Frame) of `current`.
        frame: u8,
        /// Zero.
        zero: [u8; 2],
    }
}

/// Flag of a [`Fault`] from user mode.
pub const FAULT_FROM_USER: u16 = 1;

record! {
    /// `sched_process_fork`.
    Fork {
        /// The child's mm.
        child_mm: u64,
        /// The parent's pid.
        parent_tid: u32,
        /// The child's pid.
        child_tid: u32,
        /// The child's tgid.
        child_tgid: u32,
        /// The child's `mm->membarrier_state`.
        state: u8,
        /// Zero.
        zero: [u8; 3],
        /// The child's name.
        comm: [u8; COMM_LEN],
    }
}

record! {
    /// `sched_process_exec`: the new mm is in place.
    Exec {
        /// The new mm.
        mm: u64,
        /// `current->pid`.
        tid: u32,
        /// The pid before the exec; differs if another thread than the leader called it.
        old_tid: u32,
        /// The new name.
        comm: [u8; COMM_LEN],
    }
}

record! {
    /// `sched_process_exit` and `sched_process_free`.
    Task {
        /// The task's mm; 0 once it has none.
        mm: u64,
        /// Its pid.
        tid: u32,
        /// Its tgid.
        tgid: u32,
    }
}

record! {
    /// `task_rename`.
    Rename {
        /// The task's pid.
        tid: u32,
        /// Its tgid.
        tgid: u32,
        /// The new name.
        comm: [u8; COMM_LEN],
    }
}

record! {
    /// `exit_mmap` and `__mmdrop`.
    MmGone {
        /// The mm.
        mm: u64,
        /// `current->pid`.
        tid: u32,
        /// The mm's `membarrier_state`.
        state: u8,
        /// Zero.
        zero: [u8; 3],
    }
}

/// Length of a function's name in [`FuncName`], its closing NUL included.
pub const FUNC_NAME_LEN: usize = 48;

record! {
    /// The name of a function, as the kernel's own symbol table has it; sent when an address is
    /// first seen.
    FuncName {
        /// The address.
        func: u64,
        /// The name, closed by NUL.
        name: [u8; FUNC_NAME_LEN],
    }
}

record! {
    /// `cpuhp_enter`: a step of CPU hotplug begins.
    Hotplug {
        /// The CPU that comes or goes.
        cpu: u32,
        /// The state it is to reach (`include/linux/cpuhotplug.h:enum cpuhp_state`).
        target: u32,
    }
}

record! {
    /// `cpu_tlbstate` and `cpu_tlbstate_shared` of this CPU, all read between the same two records of
    /// this CPU.
    TlbState {
        /// `loaded_mm`'s `ctx_id`; `u64::MAX` for `LOADED_MM_SWITCHING`.
        loaded_mm: u64,
        /// `ctxs[loaded_mm_asid].ctx_id`.
        slot_mm: u64,
        /// `ctxs[loaded_mm_asid].tlb_gen`.
        slot_gen: u64,
        /// `loaded_mm`'s `context.tlb_gen`, read last; 0 if it could not be read.
        mm_gen: u64,
        /// `current->pid`. In the middle of a switch this is still the previous task.
        tid: u32,
        /// `loaded_mm_asid`.
        asid: u16,
        /// `is_lazy`.
        lazy: u8,
        /// A [`Site`](super::Site).
        site: u8,
    }
}

record! {
    /// A flush of an mm, at the beginning and at the end of `flush_tlb_mm_range`. Flags:
    /// [`FLUSH_FREED_TABLES`].
    Flush {
        /// The mm.
        mm: u64,
        /// At the beginning, a generation that this flush asks for at least: one more than the mm's
        /// then. At the end 0: what had begun with the same task and mm is done.
        generation: u64,
        /// `current->pid`.
        tid: u32,
        /// Zero.
        zero: u32,
    }
}

record! {
    /// A shootdown. Flags: [`FLUSH_FREED_TABLES`].
    FlushMulti {
        /// The mm; 0 for all.
        mm: u64,
        /// `flush_tlb_info.new_tlb_gen`.
        generation: u64,
        /// The first 64 CPUs of those that may have the mm loaded; lazy ones are left out later.
        mask: u64,
        /// `current->pid`.
        tid: u32,
        /// Zero.
        zero: u32,
    }
}

record! {
    /// `membarrier_private_expedited`.
    PrivateCall {
        /// `current->mm`.
        mm: u64,
        /// `current->pid`.
        tid: u32,
        /// `current->tgid`.
        tgid: u32,
        /// Its `flags` argument: which of the private expedited commands
        /// ([`private_flags`]).
        call_flags: u32,
        /// Its `cpu_id` argument.
        cpu_id: i32,
        /// At the end, what it returned; 0 at the beginning.
        ret: i32,
        /// `current->mm->membarrier_state`.
        state: u8,
        /// Zero.
        zero: [u8; 3],
    }
}

/// Values of [`PrivateCall::call_flags`] (`kernel/sched/membarrier.c:MEMBARRIER_FLAG_*`).
pub mod private_flags {
    /// `PRIVATE_EXPEDITED`
    pub const NONE: u32 = 0;
    /// `PRIVATE_EXPEDITED_SYNC_CORE`
    pub const SYNC_CORE: u32 = 1;
    /// `PRIVATE_EXPEDITED_RSEQ`
    pub const RSEQ: u32 = 2;
}

record! {
    /// `smp_call_function_many_cond`, before its condition is asked.
    CallMask {
        /// The function to run.
        func: u64,
        /// The first 64 CPUs of the mask.
        mask: u64,
        /// `current->pid`.
        tid: u32,
        /// Zero.
        zero: u32,
    }
}

/// Flag of a [`Flush`] that frees page tables.
pub const FLUSH_FREED_TABLES: u16 = 1;

record! {
    /// `rq->membarrier_state` of this CPU, once a switch or a registration is complete.
    RqState {
        /// `rq->curr->mm`.
        mm: u64,
        /// `rq->membarrier_state`.
        rq_state: u32,
        /// `rq->curr->mm->membarrier_state`, read after it.
        mm_state: u32,
        /// `current->pid`. In the middle of a switch this is still the previous task.
        tid: u32,
        /// A [`Site`](super::Site).
        site: u8,
        /// Zero.
        zero: [u8; 3],
    }
}

record! {
    /// A return to user mode, seen on its way out (`switch_fpu_return`).
    UserReturn {
        /// `current->mm`.
        mm: u64,
        /// `current->pid`.
        tid: u32,
        /// A [`Frame`](super::Frame); read only in a SYNC_CORE-registered mm.
        frame: u8,
        /// `current->mm->membarrier_state`.
        state: u8,
        /// Zero.
        zero: [u8; 2],
    }
}

record! {
    /// A serializing instruction on this CPU, seen by a probe that sits on it, or on an instruction
    /// that leads to it and nowhere else.
    Serialized {
        /// `current->pid`.
        tid: u32,
        /// A serialization cause, as a number.
        cause: u8,
        /// Zero.
        zero: [u8; 3],
    }
}

record! {
    /// `kthread_use_mm` and `kthread_unuse_mm`, at their end.
    KthreadMm {
        /// The mm taken or given back.
        mm: u64,
        /// `current->pid`.
        tid: u32,
        /// The mm's `membarrier_state`.
        state: u8,
        /// Zero.
        zero: [u8; 3],
    }
}
