//! Bugs of the lazy TLB: flushes that a CPU misses, and page tables that go from under it.

use super::{Bug, Expect, Odds, Rule, Workload};
use crate::kernel::edit::{Change, Edit};

const TLB: &str = "arch/x86/mm/tlb.c";

pub(super) const SWITCHING_LATE: Bug = Bug {
    name: "switching-late",
    what: "switch_mm_irqs_off stores LOADED_MM_SWITCHING only after it has read the generation and \
        chosen the ASID. A flush in between sees the previous mm loaded and sends no IPI. A delay \
        (unlazy_bug_delay=) widens the window.",
    recreates: "the mis-ordered stable backport of fea4e317f9e7 (6.1.170 to 6.1.176)",
    expect: Expect::all(&[Rule::R3]),
    workload: Workload::Flush,
    cpus: 4,
    odds: Odds::Race,
    edits: &[
        Edit {
            file: TLB,
            anchor: "this_cpu_write(cpu_tlbstate.loaded_mm, LOADED_MM_SWITCHING); barrier();",
            change: Change::Replace(
                "if (!unlazy_bug(SWITCHING_LATE)) {\n\
                 \tthis_cpu_write(cpu_tlbstate.loaded_mm, LOADED_MM_SWITCHING);\n\
                 \tbarrier();\n\
                 }",
            ),
        },
        Edit {
            file: TLB,
            anchor: "choose_new_asid(next, next_tlb_gen, &new_asid, &need_flush);",
            change: Change::After(
                // Counts only what a flush fell into.
                "if (unlazy_bug(SWITCHING_LATE)) {\n\
                 \tunlazy_bug_delay();\n\
                 \tthis_cpu_write(cpu_tlbstate.loaded_mm, LOADED_MM_SWITCHING);\n\
                 \tbarrier();\n\
                 \tif (atomic64_read(&next->context.tlb_gen) != next_tlb_gen)\n\
                 \t\t(void)unlazy_bug_take(SWITCHING_LATE);\n\
                 }",
            ),
        },
    ],
};

pub(super) const SWITCHING_IGNORED: Bug = Bug {
    name: "switching-ignored",
    what: "should_flush_tlb takes LOADED_MM_SWITCHING for a foreign mm: a CPU that has read the \
        generation, but not yet loaded the mm, gets no IPI. A delay there widens the window.",
    recreates: "takes back fea4e317f9e7",
    expect: Expect::all(&[Rule::R3]),
    workload: Workload::Flush,
    cpus: 4,
    odds: Odds::Race,
    edits: &[
        Edit {
            file: TLB,
            anchor: "if (loaded_mm == LOADED_MM_SWITCHING) return true;",
            change: Change::Replace(
                "if (loaded_mm == LOADED_MM_SWITCHING &&\n\
                 \x20   !unlazy_bug_take(SWITCHING_IGNORED))\n\
                 \treturn true;",
            ),
        },
        Edit {
            file: TLB,
            anchor: "choose_new_asid(next, next_tlb_gen, &new_asid, &need_flush);",
            change: Change::After("if (unlazy_bug(SWITCHING_IGNORED))\n\tunlazy_bug_delay();"),
        },
    ],
};

pub(super) const CPUMASK_LATE: Bug = Bug {
    name: "cpumask-late",
    what: "switch_mm_irqs_off reads the generation before it enters the CPU into mm_cpumask(next): \
        a flush in between is not sent here. A delay widens the window.",
    recreates: "the order that 71b3c126e611 made safe",
    expect: Expect::all(&[Rule::R3]),
    workload: Workload::Flush,
    cpus: 4,
    odds: Odds::Race,
    edits: &[
        Edit {
            file: TLB,
            anchor: "if (next != &init_mm) cpumask_set_cpu(cpu, mm_cpumask(next));",
            change: Change::Before(
                "if (unlazy_bug(CPUMASK_LATE)) {\n\
                 \tnext_tlb_gen = atomic64_read(&next->context.tlb_gen);\n\
                 \tunlazy_bug_delay();\n\
                 }",
            ),
        },
        Edit {
            file: TLB,
            anchor: "next_tlb_gen = atomic64_read(&next->context.tlb_gen); choose_new_asid",
            change: Change::Replace(
                // Counts only what a flush fell into.
                "if (!unlazy_bug(CPUMASK_LATE))\n\
                 \tnext_tlb_gen = atomic64_read(&next->context.tlb_gen);\n\
                 else if (atomic64_read(&next->context.tlb_gen) != next_tlb_gen)\n\
                 \t(void)unlazy_bug_take(CPUMASK_LATE);\n\
                 choose_new_asid",
            ),
        },
    ],
};

pub(super) const UNLAZY_NOGEN: Bug = Bug {
    name: "unlazy-nogen",
    what: "switch_mm_irqs_off, unlazying, takes any generation for the current one: flushes that \
        were left to it are never made.",
    recreates: "the check that 94b1b03b519b introduced",
    expect: Expect::all(&[Rule::R3]),
    workload: Workload::Flush,
    cpus: 4,
    odds: Odds::Likely,
    edits: &[Edit {
        file: TLB,
        anchor: "new_asid = prev_asid;",
        change: Change::Before("if (unlazy_bug_take(UNLAZY_NOGEN))\n\treturn;"),
    }],
};

pub(super) const UNLAZY_NOFLUSH: Bug = Bug {
    name: "unlazy-noflush",
    what: "switch_mm_irqs_off, unlazying behind the generation, loads CR3 without flushing and \
        without catching up. A CPU without PCID flushes all the same; only the recorded generation \
        stays behind there.",
    recreates: "nothing of the kernel's: one wrong constant",
    expect: Expect::all(&[Rule::R3]),
    workload: Workload::Flush,
    cpus: 4,
    odds: Odds::Likely,
    edits: &[
        Edit {
            file: TLB,
            anchor: "prev_asid; need_flush = true;",
            change: Change::Replace(
                "prev_asid;\n\
                 need_flush = !unlazy_bug_take(UNLAZY_NOFLUSH);",
            ),
        },
        Edit {
            file: TLB,
            anchor: "false); trace_tlb_flush(TLB_FLUSH_ON_TASK_SWITCH, 0);",
            // Without PCID, CR3's no-flush bit is reserved.
            change: Change::Replace(
                "unlazy_bug(UNLAZY_NOFLUSH) &&\n\
                 \t\t!static_cpu_has(X86_FEATURE_PCID));\n\
                 \n\
                 trace_tlb_flush(TLB_FLUSH_ON_TASK_SWITCH, 0);",
            ),
        },
    ],
};

pub(super) const TABLES_SKIP: Bug = Bug {
    name: "tables-skip",
    what: "native_flush_tlb_multi skips lazy CPUs even when page tables were freed: such a CPU may \
        still walk them.",
    recreates: "the exception that 145f573b89a6 and 97807813fe70 made",
    expect: Expect::all(&[Rule::R4]),
    workload: Workload::FreeTables,
    cpus: 4,
    odds: Odds::Likely,
    edits: &[
        Edit {
            file: TLB,
            anchor: "if (info->freed_tables) on_each_cpu_mask",
            change: Change::Replace(
                "if (info->freed_tables && !unlazy_bug(TABLES_SKIP))\n\
                 \ton_each_cpu_mask",
            ),
        },
        Edit {
            file: TLB,
            anchor: "if (per_cpu(cpu_tlbstate_shared.is_lazy, cpu)) return false;",
            // Counts only CPUs that are really left out.
            change: Change::Before(
                "if (unlazy_bug(TABLES_SKIP) && info->freed_tables &&\n\
                 \x20   per_cpu(cpu_tlbstate_shared.is_lazy, cpu))\n\
                 \t(void)unlazy_bug_take(TABLES_SKIP);",
            ),
        },
    ],
};
