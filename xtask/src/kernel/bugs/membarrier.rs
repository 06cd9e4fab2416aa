//! Bugs of membarrier: who serializes, and who knows who is registered.

use super::{Bug, Expect, Odds, Rule, Workload};
use crate::kernel::edit::{Change, Edit};

const MEMBARRIER: &str = "kernel/sched/membarrier.c";

pub(super) const LAZY_NOSYNC: Bug = Bug {
    name: "lazy-nosync",
    what: "finish_task_switch does not serialize when a user thread follows a kernel thread: its \
        membarrier_mm_sync_core_before_usermode returns early. A CPU that was lazy on the mm, and \
        so got no IPI, runs user code on without a serializing instruction.",
    recreates: "takes back 70216e18e519 (which added the sync_core)",
    // R2 needs a call to fall between going lazy and coming back.
    expect: Expect { all: &[Rule::R1], may: &[Rule::R2] },
    workload: Workload::SyncCore,
    cpus: 4,
    odds: Odds::Likely,
    edits: &[Edit {
        file: "include/linux/sched/mm.h",
        anchor: "sync_core_before_usermode(); } extern void membarrier_exec_mmap",
        change: Change::Before("if (unlazy_bug_take(LAZY_NOSYNC))\n\treturn;"),
    }],
};

pub(super) const IPI_MB: Bug = Bug {
    name: "ipi-mb",
    what: "membarrier_private_expedited sends ipi_mb for SYNC_CORE too. On the caller's own CPU \
        there is no interrupt whose IRET would serialize: the caller goes back by SYSRET.",
    recreates: "takes back 758c9373d841",
    expect: Expect::all(&[Rule::R2]),
    workload: Workload::SyncCore,
    cpus: 2,
    odds: Odds::Certain,
    edits: &[Edit {
        file: MEMBARRIER,
        anchor: "ipi_func = ipi_sync_core;",
        change: Change::Replace("ipi_func = unlazy_bug_take(IPI_MB) ? ipi_mb : ipi_sync_core;"),
    }],
};

pub(super) const IRQ_SKIP: Bug = Bug {
    name: "irq-skip",
    what: "sync_core_before_usermode does nothing in a hardirq, trusting the interrupt's IRET. The \
        interrupt's exit may schedule another thread of the mm, which leaves by SYSRET. While the \
        bug is on the handler also asks for a reschedule, so that this happens often.",
    recreates: "takes back a493d1ca1a03",
    expect: Expect::all(&[Rule::R2]),
    workload: Workload::SyncCore,
    cpus: 2,
    odds: Odds::Likely,
    edits: &[Edit {
        file: "arch/x86/include/asm/sync_core.h",
        anchor: "sync_core(); } #endif /* _ASM_X86_SYNC_CORE_H */",
        change: Change::Before(
            "if (unlazy_bug(IRQ_SKIP) && in_hardirq()) {\n\
             \tif (unlazy_bug_take(IRQ_SKIP))\n\
             \t\tunlazy_bug_resched();\n\
             \treturn;\n\
             }",
        ),
    }],
};

pub(super) const CALLER_SKIP: Bug = Bug {
    name: "caller-skip",
    what: "SYNC_CORE goes out by smp_call_function_many, which leaves out the caller's CPU: nobody \
        serializes there, and the caller goes back by SYSRET.",
    recreates: "takes back e45cdc71d1fa",
    expect: Expect::all(&[Rule::R2]),
    workload: Workload::SyncCore,
    cpus: 2,
    odds: Odds::Certain,
    edits: &[Edit {
        file: MEMBARRIER,
        anchor: "if (flags != MEMBARRIER_FLAG_SYNC_CORE) { preempt_disable();",
        change: Change::Replace(
            "if (flags != MEMBARRIER_FLAG_SYNC_CORE || unlazy_bug_take(CALLER_SKIP)) {\n\
             \tpreempt_disable();",
        ),
    }],
};

pub(super) const IPI_LOST: Bug = Bug {
    name: "ipi-lost",
    what: "membarrier_private_expedited drops one of the CPUs that it found running the mm: a \
        thread there goes on in user mode as if no call had been.",
    recreates: "nothing of the kernel's: the plainest failure there can be",
    expect: Expect::all(&[Rule::R2]),
    workload: Workload::SyncCore,
    cpus: 4,
    odds: Odds::Certain,
    edits: &[Edit {
        file: MEMBARRIER,
        anchor: "on_each_cpu_mask(tmpmask, ipi_func, NULL, true);",
        change: Change::Before(
            "if (unlazy_bug(IPI_LOST))\n\
             \tunlazy_bug_lose_one(tmpmask);",
        ),
    }],
};

pub(super) const RQ_STALE: Bug = Bug {
    name: "rq-stale",
    what: "membarrier_switch_mm leaves rq->membarrier_state as the previous mm had it.",
    recreates: "takes back the half of 227a4aadc75b that is in context_switch",
    expect: Expect::all(&[Rule::R6]),
    workload: Workload::Register,
    cpus: 2,
    odds: Odds::Certain,
    edits: &[Edit {
        file: "kernel/sched/sched.h",
        anchor: "WRITE_ONCE(rq->membarrier_state, membarrier_state);",
        change: Change::Before("if (unlazy_bug_take(RQ_STALE))\n\treturn;"),
    }],
};

pub(super) const REG_SKIP: Bug = Bug {
    name: "reg-skip",
    what: "sync_runqueues_membarrier_state runs ipi_sync_rq_state on all CPUs of the mm but the \
        caller's. Only a process of more than one thread gets that far when it registers.",
    recreates: "takes back ce29ddc47b91",
    expect: Expect::all(&[Rule::R6]),
    workload: Workload::Register,
    cpus: 4,
    odds: Odds::Likely,
    edits: &[Edit {
        file: MEMBARRIER,
        anchor: "on_each_cpu_mask(tmpmask, ipi_sync_rq_state, mm, true);",
        change: Change::Replace(
            "if (unlazy_bug_take(REG_SKIP)) {\n\
             \tpreempt_disable();\n\
             \tsmp_call_function_many(tmpmask, ipi_sync_rq_state, mm, true);\n\
             \tpreempt_enable();\n\
             } else {\n\
             \ton_each_cpu_mask(tmpmask, ipi_sync_rq_state, mm, true);\n\
             }",
        ),
    }],
};

pub(super) const EXEC_NORQ: Bug = Bug {
    name: "exec-norq",
    what: "membarrier_exec_mmap leaves rq->membarrier_state as the old program registered it. It \
        matters when a registered process execs, until that CPU switches to another mm.",
    recreates: "takes back the half of 227a4aadc75b that is in exec",
    expect: Expect::all(&[Rule::R6]),
    workload: Workload::Register,
    cpus: 2,
    odds: Odds::Certain,
    edits: &[Edit {
        file: MEMBARRIER,
        anchor: "this_cpu_write(runqueues.membarrier_state, 0);",
        change: Change::Replace(
            "if (!this_cpu_read(runqueues.membarrier_state) || !unlazy_bug_take(EXEC_NORQ))\n\
             \tthis_cpu_write(runqueues.membarrier_state, 0);",
        ),
    }],
};

pub(super) const USE_NORQ: Bug = Bug {
    name: "use-norq",
    what: "kthread_use_mm leaves rq->membarrier_state as it was before the kernel thread took the \
        mm.",
    recreates: "takes back the first half of 618758ed3a4f",
    expect: Expect { all: &[Rule::R6], may: &[Rule::R1, Rule::R2] },
    workload: Workload::KthreadUse,
    cpus: 2,
    odds: Odds::Certain,
    edits: &[Edit {
        file: "kernel/kthread.c",
        anchor: "membarrier_update_current_mm(mm);",
        change: Change::Replace(
            "if (!unlazy_bug_take(USE_NORQ))\n\
             \tmembarrier_update_current_mm(mm);",
        ),
    }],
};
