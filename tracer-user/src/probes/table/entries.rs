//! The rows of tracepoint mode.

use super::{
    Field::{
        self, MmCtxId, MmMembarrierState, TaskActiveMm, TaskComm, TaskFlags, TaskMm, TaskPid,
        TaskStatus, TaskTgid,
    },
    Missing,
    Need::{self, Important, Optional, Required},
    Probe,
    ProbeKind::{RawTp, TpBtf},
    Shape::{Number, Struct, Word},
    UsedArg,
    When::{Always, WhileRegistered},
};

pub(super) const fn arg(index: usize, name: &'static str, shape: super::Shape) -> UsedArg {
    UsedArg { index, name, shape, since: None }
}

const TASK: super::Shape = Struct("task_struct");
const INTERRUPT: &[Field] = &[TaskPid, TaskMm, TaskStatus, MmMembarrierState];
const WHOSE: &[Field] = &[TaskPid, TaskMm, MmMembarrierState];
const LIFECYCLE: &[Field] = &[TaskPid, TaskTgid, TaskMm, MmCtxId];
pub(super) const SYSCALL: &[Field] =
    &[TaskPid, TaskTgid, TaskMm, TaskStatus, MmCtxId, MmMembarrierState];

/// What most rows have in common.
pub(super) const ROW: Probe = Probe {
    name: "",
    function: "",
    subsystem: "",
    kind: TpBtf,
    when: Always,
    need: Optional,
    gives: "",
    since: "",
    config: "",
    instead: "",
    again: "",
    replaces: "",
    lost_without: "",
    reads: &[],
    only_reads: false,
    missing: Missing::Lost,
    fields: &[],
    args: &[],
};

/// The entry or exit of a system vector.
const fn vector(name: &'static str, need: Need, gives: &'static str, lost: &'static str) -> Probe {
    Probe {
        name,
        subsystem: "irq_vectors",
        need,
        gives,
        since: ANY,
        lost_without: lost,
        fields: INTERRUPT,
        ..ROW
    }
}

const RARE_ENTRY: &str = "where a rare interrupt begins";
const RARE_EXIT: &str = "the IRET of a rare interrupt";
const RARE_LOST: &str = "that interrupt's IRET as a serialization";

/// A rare vector that only some kernel configurations or machines have.
const fn configured(name: &'static str, gives: &'static str, config: &'static str) -> Probe {
    Probe { config, ..vector(name, Optional, gives, RARE_LOST) }
}

/// Every kernel that unlazy runs on at all.
pub(super) const ANY: &str = "any";
const AMD_MCE: &str = "CONFIG_X86_MCE_AMD";
const MCE_THRESHOLD: &str = "CONFIG_X86_MCE_THRESHOLD";
const THERMAL: &str = "CONFIG_X86_THERMAL_VECTOR";

/// The tracepoints, in the order in which reports list them.
pub(super) const TRACEPOINTS: &[Probe] = &[
    Probe {
        name: "sched_switch",
        subsystem: "sched",
        need: Required,
        gives: "who runs, on whose mm, registered for what, and how it will leave the kernel",
        since: ANY,
        lost_without: "everything: no CPU's state can be reconstructed",
        fields: &[
            TaskPid,
            TaskTgid,
            TaskFlags,
            TaskMm,
            TaskActiveMm,
            TaskStatus,
            MmCtxId,
            MmMembarrierState,
        ],
        args: &[
            arg(0, "preempt", Number),
            arg(1, "prev", TASK),
            arg(2, "next", TASK),
            UsedArg { index: 3, name: "prev_state", shape: Number, since: Some("5.18") },
        ],
        ..ROW
    },
    Probe {
        name: "tlb_flush",
        again: "tlb_flush_again",
        subsystem: "tlb",
        need: Important,
        gives: "CR3 writes by switch_mm_irqs_off, shootdowns, lazy CPUs moved to init_mm",
        since: ANY,
        lost_without: "CR3 writes: the real mm is a guess, checks of R1 and R2 turn inconclusive",
        fields: &[TaskPid, TaskMm, MmCtxId],
        args: &[arg(0, "reason", Number), arg(1, "pages", Number)],
        ..ROW
    },
    vector(
        "local_timer_entry",
        Optional,
        "where the timer interrupt begins",
        "nesting of interrupts",
    ),
    vector(
        "local_timer_exit",
        Important,
        "the timer interrupt's IRET",
        "that IRET as a serialization",
    ),
    vector("reschedule_entry", Optional, "where a reschedule IPI begins", "nesting of interrupts"),
    vector("reschedule_exit", Important, "a reschedule IPI's IRET", "that IRET as a serialization"),
    vector(
        "call_function_entry",
        Optional,
        "where a function-call IPI to many begins",
        "nesting of interrupts",
    ),
    vector(
        "call_function_exit",
        Important,
        "that IPI's IRET: how membarrier serializes CPUs",
        "that IRET as a serialization",
    ),
    vector(
        "call_function_single_entry",
        Optional,
        "where a function-call IPI to one begins",
        "nesting of interrupts",
    ),
    vector(
        "call_function_single_exit",
        Important,
        "that IPI's IRET: how membarrier serializes CPUs",
        "that IRET as a serialization",
    ),
    vector("irq_work_entry", Optional, "where an irq_work IPI begins", "nesting of interrupts"),
    vector("irq_work_exit", Optional, "its IRET", "that IRET as a serialization"),
    Probe {
        name: "irq_handler_entry",
        subsystem: "irq",
        gives: "where a device interrupt's handler begins",
        since: ANY,
        lost_without: "nesting of interrupts",
        fields: INTERRUPT,
        ..ROW
    },
    Probe {
        name: "irq_handler_exit",
        subsystem: "irq",
        gives: "a device interrupt's IRET",
        since: ANY,
        lost_without: "that IRET as a serialization",
        fields: INTERRUPT,
        ..ROW
    },
    configured("thermal_apic_entry", RARE_ENTRY, THERMAL),
    configured("thermal_apic_exit", RARE_EXIT, THERMAL),
    configured("threshold_apic_entry", RARE_ENTRY, MCE_THRESHOLD),
    configured("threshold_apic_exit", RARE_EXIT, MCE_THRESHOLD),
    configured("deferred_error_apic_entry", RARE_ENTRY, AMD_MCE),
    configured("deferred_error_apic_exit", RARE_EXIT, AMD_MCE),
    configured("error_apic_entry", RARE_ENTRY, ""),
    configured("error_apic_exit", RARE_EXIT, ""),
    configured("spurious_apic_entry", RARE_ENTRY, ""),
    configured("spurious_apic_exit", RARE_EXIT, ""),
    configured("x86_platform_ipi_entry", RARE_ENTRY, ""),
    configured("x86_platform_ipi_exit", RARE_EXIT, ""),
    Probe {
        name: "csd_queue_cpu",
        again: "csd_queue_cpu_again",
        subsystem: "csd",
        kind: RawTp,
        need: Optional,
        gives: "which CPU is asked to run which function: the targets of a membarrier",
        since: "6.5",
        instead: "the call_function vectors",
        lost_without: "whom a membarrier targeted",
        fields: &[TaskPid],
        args: &[arg(0, "cpu", Number), arg(2, "func", Word)],
        ..ROW
    },
    Probe {
        name: "csd_function_entry",
        subsystem: "csd",
        kind: RawTp,
        need: Important,
        gives: "ipi_sync_core and its like as they run, on the target and on the calling CPU",
        since: "6.5",
        instead: "the call_function vectors",
        lost_without: "which function an IPI ran, and that the caller's CPU serialized",
        fields: SYSCALL,
        args: &[arg(0, "func", Word), arg(1, "csd", Word)],
        ..ROW
    },
    Probe {
        name: "csd_function_exit",
        subsystem: "csd",
        kind: RawTp,
        gives: "where such a function ends",
        since: "6.5",
        instead: "the call_function vectors",
        lost_without: "the end of the function, before its interrupt's",
        args: &[arg(0, "func", Word)],
        ..ROW
    },
    Probe {
        name: "ipi_send_cpu",
        again: "ipi_send_cpu_again",
        subsystem: "ipi",
        gives: "an IPI to one CPU, and who asked for it",
        since: "6.4",
        lost_without: "who sent an IPI",
        fields: &[TaskPid],
        args: &[arg(0, "cpu", Number), arg(1, "callsite", Number), arg(2, "callback", Word)],
        ..ROW
    },
    Probe {
        name: "ipi_send_cpumask",
        again: "ipi_send_cpumask_again",
        subsystem: "ipi",
        gives: "an IPI to several CPUs, and who asked for it",
        since: "6.4",
        lost_without: "who sent an IPI",
        fields: &[TaskPid],
        args: &[
            arg(0, "cpumask", Struct("cpumask")),
            arg(1, "callsite", Number),
            arg(2, "callback", Word),
        ],
        ..ROW
    },
    // Before sys_enter: a call whose beginning is seen must be seen to end, or it would count for none.
    Probe {
        name: "sys_exit",
        subsystem: "raw_syscalls",
        when: WhileRegistered,
        need: Important,
        gives: "membarrier calls as they end, with their result; how a task leaves the kernel",
        since: ANY,
        lost_without: "results of membarrier calls: R2 can't be checked",
        fields: SYSCALL,
        args: &[arg(0, "regs", Struct("pt_regs")), arg(1, "ret", Number)],
        ..ROW
    },
    Probe {
        name: "sys_enter",
        subsystem: "raw_syscalls",
        when: WhileRegistered,
        need: Important,
        gives: "membarrier calls as they begin; that a task ran user code until now",
        since: ANY,
        lost_without: "membarrier calls: R2 can't be checked",
        fields: SYSCALL,
        args: &[arg(0, "regs", Struct("pt_regs")), arg(1, "id", Number)],
        ..ROW
    },
    Probe {
        name: "page_fault_user",
        subsystem: "exceptions",
        when: WhileRegistered,
        gives: "that a task ran user code until now, and an IRET to come",
        since: ANY,
        lost_without: "one kind of evidence that a task had returned to user mode",
        fields: WHOSE,
        ..ROW
    },
    Probe {
        name: "page_fault_kernel",
        subsystem: "exceptions",
        when: WhileRegistered,
        gives: "the IRET of a fault in kernel mode",
        since: ANY,
        lost_without: "that IRET as a serialization",
        fields: WHOSE,
        ..ROW
    },
    Probe {
        name: "signal_deliver",
        subsystem: "signal",
        when: WhileRegistered,
        gives: "that a task enters a signal handler, by IRET",
        since: ANY,
        lost_without: "that IRET as a serialization",
        fields: WHOSE,
        ..ROW
    },
    Probe {
        name: "rseq_ip_fixup",
        subsystem: "rseq",
        when: WhileRegistered,
        gives: "that a restartable sequence is aborted, by IRET",
        since: ANY,
        config: "CONFIG_RSEQ",
        lost_without: "that IRET as a serialization",
        fields: WHOSE,
        ..ROW
    },
    Probe {
        name: "nmi_handler",
        subsystem: "nmi",
        when: WhileRegistered,
        gives: "an NMI's IRET",
        since: ANY,
        lost_without: "that IRET as a serialization",
        fields: WHOSE,
        ..ROW
    },
    Probe {
        name: "sched_process_fork",
        subsystem: "sched",
        need: Important,
        gives: "new tasks, their mm and name",
        since: ANY,
        lost_without: "tasks are known only once they run",
        fields: &[TaskPid, TaskTgid, TaskMm, TaskComm, MmCtxId, MmMembarrierState],
        args: &[arg(0, "parent", TASK), arg(1, "child", TASK)],
        ..ROW
    },
    Probe {
        name: "sched_process_exec",
        subsystem: "sched",
        need: Important,
        gives: "that a task has a new mm and name",
        since: ANY,
        lost_without: "exec as a change of logical mm",
        fields: &[TaskPid, TaskMm, TaskComm, MmCtxId],
        args: &[arg(0, "p", TASK), arg(1, "old_pid", Number)],
        ..ROW
    },
    Probe {
        name: "sched_process_exit",
        subsystem: "sched",
        need: Important,
        gives: "that a task begins to exit",
        since: ANY,
        lost_without: "that a task in the middle of a membarrier call never finishes it",
        fields: LIFECYCLE,
        args: &[arg(0, "p", TASK)],
        ..ROW
    },
    Probe {
        name: "sched_process_free",
        subsystem: "sched",
        gives: "that a task is gone and its id may be used anew",
        since: ANY,
        lost_without: "nothing but memory of tasks that are gone",
        fields: LIFECYCLE,
        args: &[arg(0, "p", TASK)],
        ..ROW
    },
    Probe {
        name: "task_rename",
        subsystem: "task",
        gives: "new names of tasks",
        since: ANY,
        lost_without: "names that a task gives itself",
        fields: &[TaskPid, TaskTgid],
        args: &[arg(0, "task", TASK), arg(1, "comm", Word)],
        ..ROW
    },
    Probe {
        name: "exit_mmap",
        subsystem: "mmap",
        gives: "that an mm lost its last user",
        since: "6.1",
        instead: "the exit of its last task",
        lost_without: "when the last registered mm is gone; system calls are watched a little longer",
        fields: &[TaskPid, MmCtxId, MmMembarrierState],
        args: &[arg(0, "mm", Struct("mm_struct"))],
        ..ROW
    },
    Probe {
        name: "cpuhp_enter",
        subsystem: "cpuhp",
        gives: "CPUs that come and go",
        since: ANY,
        lost_without: "CPU hotplug: a CPU that came back is taken for one that was idle",
        args: &[arg(0, "cpu", Number), arg(1, "target", Number)],
        ..ROW
    },
    Probe {
        name: "cpuhp_multi_enter",
        subsystem: "cpuhp",
        gives: "the same, for steps with several callbacks",
        since: ANY,
        lost_without: "some steps of CPU hotplug",
        args: &[arg(0, "cpu", Number), arg(1, "target", Number)],
        ..ROW
    },
];
