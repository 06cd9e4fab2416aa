//! Correct changes that look like bugs: whoever complains about one of them raises a false alarm.

use super::{Bug, Expect, Odds, Workload};
use crate::kernel::edit::{Change, Edit};

const TLB: &str = "arch/x86/mm/tlb.c";
const MEMBARRIER: &str = "kernel/sched/membarrier.c";
const SCHED_MM: &str = "include/linux/sched/mm.h";
const SYNC_IN_SWITCH: &str = "sync_core_before_usermode(); } extern void membarrier_exec_mmap";
const OURS: &str = "no commit: correct";

pub(super) const LATE_SYNC: Bug = Bug {
    name: "ok-late-sync",
    what: "finish_task_switch serializes after it has dropped the lazy mm instead of before: still \
        with preemption off, still on the way of every task.",
    recreates: OURS,
    expect: Expect::NOTHING,
    workload: Workload::SyncCore,
    cpus: 4,
    odds: Odds::Certain,
    edits: &[
        Edit {
            file: SCHED_MM,
            anchor: SYNC_IN_SWITCH,
            change: Change::Before("if (unlazy_bug(OK_LATE_SYNC))\n\treturn;"),
        },
        Edit {
            file: "kernel/sched/core.c",
            anchor: "if (unlikely(prev_state == TASK_DEAD)) {",
            change: Change::Before("if (mm && unlazy_bug_take(OK_LATE_SYNC))\n\tsync_core();"),
        },
    ],
};

pub(super) const EXIT_SYNC: Bug = Bug {
    name: "ok-exit-sync",
    what: "finish_task_switch does not serialize; every return to user mode does, in \
        arch_exit_to_user_mode_prepare. Nothing that can be attached to tells so: the hardest of \
        the look-alikes.",
    recreates: OURS,
    expect: Expect::NOTHING,
    workload: Workload::SyncCore,
    cpus: 4,
    odds: Odds::Certain,
    edits: &[
        Edit {
            file: SCHED_MM,
            anchor: SYNC_IN_SWITCH,
            change: Change::Before("if (unlazy_bug(OK_EXIT_SYNC))\n\treturn;"),
        },
        Edit {
            file: "arch/x86/include/asm/entry-common.h",
            anchor: "choose_random_kstack_offset(rdtsc()",
            change: Change::Before("if (unlazy_bug_take(OK_EXIT_SYNC))\n\tsync_core();"),
        },
    ],
};

pub(super) const CPUID_SYNC: Bug = Bug {
    name: "ok-cpuid-sync",
    what: "sync_core_before_usermode serializes by CPUID instead of SERIALIZE or IRET-to-self.",
    recreates: "what x86 did before c198b121b1a1",
    expect: Expect::NOTHING,
    workload: Workload::SyncCore,
    cpus: 4,
    odds: Odds::Certain,
    edits: &[Edit {
        file: "arch/x86/include/asm/sync_core.h",
        anchor: "sync_core(); } #endif /* _ASM_X86_SYNC_CORE_H */",
        change: Change::Before(
            "if (unlazy_bug_take(OK_CPUID_SYNC)) {\n\
             \tcpuid_eax(0);\n\
             \treturn;\n\
             }",
        ),
    }],
};

pub(super) const EXTRA_IPI: Bug = Bug {
    name: "ok-extra-ipi",
    what: "membarrier_private_expedited sends its IPI to every online CPU, whatever runs there.",
    recreates: OURS,
    expect: Expect::NOTHING,
    workload: Workload::SyncCore,
    cpus: 4,
    odds: Odds::Certain,
    edits: &[Edit {
        file: MEMBARRIER,
        anchor: "cpu_rq(cpu)->curr); if (p && p->mm == mm)",
        change: Change::Replace(
            "cpu_rq(cpu)->curr);\n\
             if ((p && p->mm == mm) || unlazy_bug_take(OK_EXTRA_IPI))",
        ),
    }],
};

pub(super) const SINGLE_SLOW: Bug = Bug {
    name: "ok-single-slow",
    what: "membarrier_private_expedited does without its short way for a process of one thread.",
    recreates: OURS,
    expect: Expect::NOTHING,
    workload: Workload::Register,
    cpus: 2,
    odds: Odds::Likely,
    edits: &[Edit {
        file: MEMBARRIER,
        anchor: "(atomic_read(&mm->mm_users) == 1 || num_online_cpus() == 1)) return 0; /* * Matches",
        change: Change::Replace(
            "(atomic_read(&mm->mm_users) == 1 || num_online_cpus() == 1) &&\n\
             !unlazy_bug_take(OK_SINGLE_SLOW))\n\
             \treturn 0;\n\
             \n\
             /*\n\
             \x20* Matches",
        ),
    }],
};

pub(super) const USE_SYNC: Bug = Bug {
    name: "ok-use-sync",
    what: "kthread_use_mm serializes when its mm is registered for SYNC_CORE: the hole that stock \
        kernels have there is closed.",
    recreates: OURS,
    expect: Expect::NOTHING,
    workload: Workload::KthreadUse,
    cpus: 2,
    odds: Odds::Certain,
    edits: &[Edit {
        file: "kernel/kthread.c",
        anchor: "switch_mm_irqs_off(active_mm, mm, tsk);",
        change: Change::After(
            "if (unlazy_bug_take(OK_USE_SYNC))\n\
             \tmembarrier_mm_sync_core_before_usermode(mm);",
        ),
    }],
};

pub(super) const USE_RELOAD: Bug = Bug {
    name: "ok-use-reload",
    what: "kthread_use_mm goes to init_mm first, so that taking the mm writes CR3 even when the \
        kernel thread was lazy on it: the same hole, closed the other way.",
    recreates: OURS,
    expect: Expect::NOTHING,
    workload: Workload::KthreadUse,
    cpus: 2,
    odds: Odds::Certain,
    edits: &[Edit {
        file: "kernel/kthread.c",
        anchor: "switch_mm_irqs_off(active_mm, mm, tsk);",
        change: Change::Before(
            "if (unlazy_bug_take(OK_USE_RELOAD))\n\
             \tswitch_mm_irqs_off(active_mm, &init_mm, tsk);",
        ),
    }],
};

pub(super) const ALWAYS_FLUSH: Bug = Bug {
    name: "ok-always-flush",
    what: "switch_mm_irqs_off flushes and writes CR3 whenever it unlazies, whatever the generation.",
    recreates: OURS,
    expect: Expect::NOTHING,
    workload: Workload::Flush,
    cpus: 4,
    odds: Odds::Certain,
    edits: &[Edit {
        file: TLB,
        anchor: "next_tlb_gen) return;",
        change: Change::Replace(
            "next_tlb_gen && !unlazy_bug_take(OK_ALWAYS_FLUSH))\n\
             \treturn;",
        ),
    }],
};

pub(super) const EAGER: Bug = Bug {
    name: "ok-eager",
    what: "enter_lazy_tlb loads init_mm at once: no CPU is ever lazy.",
    recreates: "what x86 could choose between 4.14 and 4.19 (b956575bed91)",
    expect: Expect::NOTHING,
    workload: Workload::Flush,
    cpus: 4,
    odds: Odds::Certain,
    edits: &[Edit {
        file: TLB,
        anchor: "this_cpu_write(cpu_tlbstate_shared.is_lazy, true);",
        change: Change::Before(
            "if (unlazy_bug_take(OK_EAGER)) {\n\
             \tswitch_mm_irqs_off(NULL, &init_mm, NULL);\n\
             \treturn;\n\
             }",
        ),
    }],
};

pub(super) const FLUSH_LAZY: Bug = Bug {
    name: "ok-flush-lazy",
    what: "should_flush_tlb does not leave out lazy CPUs: each flush sends them to init_mm.",
    recreates: OURS,
    expect: Expect::NOTHING,
    workload: Workload::Flush,
    cpus: 4,
    odds: Odds::Certain,
    edits: &[Edit {
        file: TLB,
        anchor: "if (per_cpu(cpu_tlbstate_shared.is_lazy, cpu)) return false;",
        change: Change::Replace(
            "if (per_cpu(cpu_tlbstate_shared.is_lazy, cpu) && !unlazy_bug_take(OK_FLUSH_LAZY))\n\
             \treturn false;",
        ),
    }],
};

pub(super) const SLOW_UNLAZY: Bug = Bug {
    name: "ok-slow-unlazy",
    what: "switch_mm_irqs_off waits between clearing is_lazy and reading the generation: flushes of \
        that time come as IPIs, or are seen in the generation.",
    recreates: OURS,
    expect: Expect::NOTHING,
    workload: Workload::Flush,
    cpus: 4,
    odds: Odds::Certain,
    edits: &[Edit {
        file: TLB,
        anchor: "if (!was_lazy) return;",
        change: Change::After("if (unlazy_bug_take(OK_SLOW_UNLAZY))\n\tunlazy_bug_delay();"),
    }],
};

pub(super) const SLOW_SWITCH: Bug = Bug {
    name: "ok-slow-switch",
    what: "switch_mm_irqs_off waits between choosing the ASID and loading CR3, as it does for \
        `switching-late`, but with LOADED_MM_SWITCHING stored in time: flushes of that time come \
        as IPIs.",
    recreates: OURS,
    expect: Expect::NOTHING,
    workload: Workload::Flush,
    cpus: 4,
    odds: Odds::Certain,
    edits: &[Edit {
        file: TLB,
        anchor: "choose_new_asid(next, next_tlb_gen, &new_asid, &need_flush);",
        change: Change::After("if (unlazy_bug_take(OK_SLOW_SWITCH))\n\tunlazy_bug_delay();"),
    }],
};
