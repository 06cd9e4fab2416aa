//! The rows that full mode adds: per-CPU variables, functions, instructions.

use super::{
    Field::{
        FlushFreedTables, FlushMm, FlushNewTlbGen, MmCtxId, MmMembarrierState, MmTlbGen, RqCpu,
        RqMembarrierState, TaskMm, TaskPid, TaskStatus, TaskTgid, TlbCtxs, TlbIsLazy, TlbLoadedMm,
        TlbLoadedMmAsid,
    },
    Missing::Unchecked,
    Need::{Important, Optional},
    Probe,
    ProbeKind::{Fentry, Fexit, Kprobe, PerCpuVar},
    Shape::{Number, Struct, Word},
    When::AtSites,
    entries::{ANY, ROW, SYSCALL, arg},
};

const MM: super::Shape = Struct("mm_struct");
const MASK: super::Shape = Struct("cpumask");
/// What a reading of `cpu_tlbstate` takes.
const TLB: &[&str] = &["runqueues", "cpu_tlbstate", "cpu_tlbstate_shared"];
const RQ: &[&str] = &["runqueues"];

/// A program on a function's entry.
const ENTRY: Probe = Probe { kind: Fentry, since: ANY, fields: &[TaskPid], reads: TLB, ..ROW };
/// A program on a function's exit.
const EXIT: Probe = Probe { kind: Fexit, ..ENTRY };
const BEFORE_CSD: &str = "any; needed before 6.5";

/// One of membarrier's handlers, for kernels where `csd_function_entry` doesn't tell.
const fn handler(name: &'static str, gives: &'static str) -> Probe {
    Probe {
        name,
        subsystem: "membarrier",
        kind: Fentry,
        need: Optional,
        gives,
        since: BEFORE_CSD,
        replaces: "csd_function_entry",
        lost_without: "whose handler an IPI ran, and that the caller's CPU serialized",
        fields: SYSCALL,
        ..ROW
    }
}

/// What full mode adds, in the order in which reports list it. Variables come first: programs are
/// told of them when they are loaded.
pub(super) const FUNCTIONS: &[Probe] = &[
    Probe {
        name: "runqueues",
        subsystem: "percpu",
        kind: PerCpuVar,
        need: Important,
        gives: "rq->membarrier_state; where the other variables of a CPU are",
        since: ANY,
        lost_without: "the kernel's own variables: R3 and R6 can't be checked, R4 and R7 only in part",
        fields: &[RqCpu, RqMembarrierState],
        ..ROW
    },
    Probe {
        name: "cpu_tlbstate",
        subsystem: "percpu",
        kind: PerCpuVar,
        need: Important,
        gives: "loaded_mm, its ASID, and how far that has caught up with the mm's flushes",
        since: ANY,
        lost_without: "the real mm and its generations as the kernel has them: R3 can't be checked",
        fields: &[TlbLoadedMm, TlbLoadedMmAsid, TlbCtxs, MmCtxId, MmTlbGen],
        ..ROW
    },
    Probe {
        name: "cpu_tlbstate_shared",
        subsystem: "percpu",
        kind: PerCpuVar,
        need: Important,
        gives: "is_lazy",
        since: ANY,
        lost_without: "laziness as the kernel has it",
        fields: &[TlbIsLazy],
        ..ROW
    },
    Probe {
        name: "switch_mm_irqs_off",
        subsystem: "tlb",
        need: Optional,
        gives: "cpu_tlbstate before a change of mm",
        lost_without: "one more comparison with the kernel's variables",
        only_reads: true,
        ..ENTRY
    },
    Probe {
        name: "switch_mm_irqs_off_exit",
        function: "switch_mm_irqs_off",
        subsystem: "tlb",
        need: Important,
        gives: "cpu_tlbstate after a change of mm, and rq->membarrier_state after a switch",
        lost_without: "what a switch did to the MMU: R3 loses its base, R6 most of its checks",
        fields: &[TaskPid, TaskMm, MmCtxId, MmMembarrierState],
        args: &[arg(2, "tsk", Struct("task_struct"))],
        // The run queue alone is worth it.
        reads: RQ,
        only_reads: true,
        ..EXIT
    },
    Probe {
        name: "enter_lazy_tlb",
        subsystem: "tlb",
        need: Optional,
        gives: "cpu_tlbstate as a CPU goes lazy",
        lost_without: "one more comparison with the kernel's variables",
        only_reads: true,
        ..EXIT
    },
    Probe {
        name: "leave_mm",
        subsystem: "tlb",
        need: Optional,
        gives: "cpu_tlbstate as an idle CPU moves to init_mm",
        lost_without: "one more comparison with the kernel's variables",
        only_reads: true,
        ..EXIT
    },
    Probe {
        name: "flush_tlb_func",
        subsystem: "tlb",
        need: Important,
        gives: "cpu_tlbstate after a flush was done here",
        lost_without: "which generation a CPU has reached: R3 turns inconclusive",
        only_reads: true,
        ..EXIT
    },
    Probe {
        name: "flush_tlb_mm_range",
        subsystem: "tlb",
        need: Important,
        gives: "a flush as it begins, its mm and its generation",
        lost_without: "flushes as they begin: R3 and R4 can't be checked",
        fields: &[TaskPid, MmCtxId, MmTlbGen],
        args: &[arg(0, "mm", MM), arg(4, "freed_tables", Number)],
        missing: Unchecked,
        ..ENTRY
    },
    Probe {
        name: "flush_tlb_mm_range_exit",
        function: "flush_tlb_mm_range",
        subsystem: "tlb",
        need: Important,
        gives: "that every CPU is said to have caught up with a flush",
        lost_without: "flushes as they end: R3 and R4 can't be checked",
        fields: &[TaskPid, MmCtxId],
        args: &[arg(0, "mm", MM), arg(4, "freed_tables", Number)],
        missing: Unchecked,
        ..EXIT
    },
    Probe {
        name: "native_flush_tlb_multi",
        subsystem: "tlb",
        need: Optional,
        gives: "to which CPUs a flush goes",
        lost_without: "whom a flush was meant for",
        fields: &[TaskPid, MmCtxId, FlushMm, FlushNewTlbGen, FlushFreedTables],
        args: &[arg(0, "cpumask", MASK), arg(1, "info", Struct("flush_tlb_info"))],
        ..ENTRY
    },
    Probe {
        name: "arch_tlbbatch_flush",
        subsystem: "tlb",
        need: Optional,
        gives: "cpu_tlbstate after a batch of flushes (reclaim)",
        lost_without: "one more comparison with the kernel's variables",
        only_reads: true,
        missing: Unchecked,
        ..EXIT
    },
    Probe {
        name: "switch_fpu_return",
        subsystem: "fpu",
        need: Important,
        gives: "a task's first return to user mode after a switch, and by which way",
        lost_without: "returns to user mode as they happen: they are inferred from what comes next",
        fields: &[TaskPid, TaskMm, TaskStatus, MmCtxId, MmMembarrierState],
        ..ENTRY
    },
    Probe {
        name: "kthread_use_mm",
        subsystem: "kthread",
        need: Important,
        gives: "that a kernel thread took a process's mm",
        lost_without: "that change of logical mm, until the thread is switched out",
        fields: &[TaskPid, MmCtxId, MmMembarrierState],
        args: &[arg(0, "mm", MM)],
        ..EXIT
    },
    Probe {
        name: "kthread_unuse_mm",
        subsystem: "kthread",
        need: Important,
        gives: "that it gave the mm back",
        lost_without: "that change of logical mm, until the thread is switched out",
        fields: &[TaskPid, MmCtxId, MmMembarrierState],
        args: &[arg(0, "mm", MM)],
        ..EXIT
    },
    Probe {
        name: "__mmdrop",
        subsystem: "mm",
        need: Important,
        gives: "that an mm is freed",
        lost_without: "the end of an mm: R5 can't be checked",
        fields: &[TaskPid, MmCtxId, MmMembarrierState],
        args: &[arg(0, "mm", MM)],
        missing: Unchecked,
        ..ENTRY
    },
    Probe {
        name: "membarrier_private_expedited",
        subsystem: "membarrier",
        need: Optional,
        gives: "a private expedited call as its work begins, for whom",
        lost_without: "calls that begin before system calls are traced, as they begin",
        fields: &[TaskPid, TaskTgid, TaskMm, MmCtxId, MmMembarrierState],
        args: &[arg(0, "flags", Number), arg(1, "cpu_id", Number)],
        missing: Unchecked,
        ..ENTRY
    },
    Probe {
        name: "membarrier_private_expedited_exit",
        function: "membarrier_private_expedited",
        subsystem: "membarrier",
        need: Optional,
        gives: "that its work is done, with what result",
        lost_without: "calls that end while system calls are not traced, with their result",
        fields: &[TaskPid, TaskTgid, TaskMm, MmCtxId, MmMembarrierState],
        args: &[arg(0, "flags", Number), arg(1, "cpu_id", Number)],
        missing: Unchecked,
        ..EXIT
    },
    Probe {
        name: "membarrier_exec_mmap",
        subsystem: "membarrier",
        need: Optional,
        gives: "rq->membarrier_state as exec clears it",
        lost_without: "checks of R6 at exec",
        fields: &[TaskPid, MmCtxId, MmMembarrierState],
        args: &[arg(0, "mm", MM)],
        reads: RQ,
        only_reads: true,
        missing: Unchecked,
        ..EXIT
    },
    Probe {
        name: "ipi_sync_rq_state_exit",
        function: "ipi_sync_rq_state",
        subsystem: "membarrier",
        need: Optional,
        gives: "rq->membarrier_state on each CPU that a registration reached",
        lost_without: "checks of R6 on the other CPUs at a registration",
        fields: &[TaskPid, TaskMm, MmCtxId, MmMembarrierState],
        reads: RQ,
        only_reads: true,
        ..EXIT
    },
    Probe {
        name: "sync_runqueues_membarrier_state",
        subsystem: "membarrier",
        need: Important,
        gives: "rq->membarrier_state on the registering CPU",
        instead: "membarrier_register_private_expedited",
        lost_without: "checks of R6 at registrations",
        fields: &[TaskPid, TaskMm, MmCtxId, MmMembarrierState],
        reads: RQ,
        only_reads: true,
        missing: Unchecked,
        ..EXIT
    },
    Probe {
        name: "membarrier_register_private_expedited",
        subsystem: "membarrier",
        need: Optional,
        gives: "the same, but for global registrations",
        replaces: "sync_runqueues_membarrier_state",
        lost_without: "checks of R6 at registrations",
        fields: &[TaskPid, TaskMm, MmCtxId, MmMembarrierState],
        reads: RQ,
        only_reads: true,
        missing: Unchecked,
        ..EXIT
    },
    handler("ipi_sync_core", "SYNC_CORE's handler, on the targets and on the calling CPU"),
    handler("ipi_mb", "the handler of membarrier's other commands"),
    handler("ipi_rseq", "the handler of membarrier's RSEQ command"),
    handler("ipi_sync_rq_state", "the handler of registrations"),
    Probe {
        name: "smp_call_function_many_cond",
        subsystem: "smp",
        kind: Fentry,
        need: Optional,
        gives: "which CPUs are asked to run which function: the targets of a membarrier",
        since: BEFORE_CSD,
        replaces: "csd_queue_cpu",
        lost_without: "whom a membarrier targeted",
        fields: &[TaskPid],
        args: &[arg(0, "mask", MASK), arg(1, "func", Word)],
        ..ROW
    },
    Probe {
        name: "finish_task_switch_sync",
        function: "finish_task_switch",
        subsystem: "sched",
        kind: Kprobe,
        when: AtSites,
        need: Optional,
        gives: "that a switch to a registered mm serializes, as it does; its int3 serializes too, \
                but only where the kernel is about to",
        since: ANY,
        config: "CONFIG_KPROBES",
        instead: "the text audit, or the source's word",
        lost_without: "that serialization as observed",
        fields: &[TaskPid],
        ..ROW
    },
    Probe {
        name: "ipi_sync_core_sync",
        function: "ipi_sync_core",
        subsystem: "membarrier",
        kind: Kprobe,
        when: AtSites,
        need: Optional,
        gives: "that SYNC_CORE's handler serializes, as it does; its int3 serializes too, but only \
                where the kernel is about to",
        since: ANY,
        config: "CONFIG_KPROBES",
        instead: "the text audit, or the source's word",
        lost_without: "that serialization as observed",
        fields: &[TaskPid],
        ..ROW
    },
    Probe {
        name: "kthread_use_mm_sync",
        function: "kthread_use_mm",
        subsystem: "kthread",
        kind: Kprobe,
        when: AtSites,
        need: Optional,
        gives: "that taking an mm serializes, on kernels where it may; its int3 serializes too, but \
                only where the kernel is about to",
        since: ANY,
        config: "CONFIG_KPROBES",
        instead: "the text audit",
        lost_without: "that serialization as observed",
        fields: &[TaskPid],
        ..ROW
    },
];
