//! Bugs by name: what is different, what history it takes back, what must be found, and the smallest
//! bounds in which it shows. Beside them, correct changes that only look like bugs.

use crate::{rules::Rule, setup::Setup};

/// What is wrong with a kernel, as its steps ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is told by its entry in the table")]
#[repr(u8)]
pub enum Flag {
    LazyNosync,
    IpiMb,
    IrqSkip,
    CallerSkip,
    IpiLost,
    SingleReturn,
    RqStale,
    RegSkip,
    ExecNorq,
    UseNorq,
    SwitchingLate,
    SwitchingIgnored,
    CpumaskLate,
    UnlazyNogen,
    UnlazyNoflush,
    TablesSkip,
    LazyDrop,
    UnlazyNomb,
    CallNomb,
    CallNombNomutex,
    DropNomb,
    UseDropNomb,
    ExitNomb,
    UnuseNomb,
    IpiNomb,
    OkExtraIpi,
    OkAlwaysFlush,
    OkEager,
    OkFlushLazy,
    OkUseReload,
    OkExitSync,
    OkSingleSlow,
}

impl Flag {
    /// Whether it is about the order of accesses to memory.
    #[must_use]
    pub const fn is_about_order(self) -> bool {
        matches!(
            self,
            Self::SwitchingLate
                | Self::SwitchingIgnored
                | Self::CpumaskLate
                | Self::UnlazyNomb
                | Self::CallNomb
                | Self::CallNombNomutex
                | Self::DropNomb
                | Self::UseDropNomb
                | Self::ExitNomb
                | Self::UnuseNomb
                | Self::IpiNomb
        )
    }
}

/// A bug, or a correct change (`ok-...`).
#[derive(Debug)]
pub struct Bug {
    /// Its name on the command line; the same as that of the planted bug, where there is one.
    pub name: &'static str,
    /// What is different.
    pub about: &'static str,
    /// The commit of the kernel's history that it takes back, or what else it is.
    pub recreates: &'static str,
    /// What is found, in `setup`; nothing for a correct change.
    pub expect: &'static [Rule],
    /// What the steps ask for.
    pub flags: &'static [Flag],
    /// Bounds in which it shows.
    pub setup: fn() -> Setup,
}

const fn base(cpus: u8, a: u8, b: u8, k: u8) -> Setup {
    Setup::new(cpus, a, b, k)
}

fn call() -> Setup {
    Setup { calls: 1, ..base(2, 2, 0, 1) }
}
fn call_one() -> Setup {
    Setup { calls: 1, ..base(2, 2, 0, 0) }
}
fn call_b() -> Setup {
    Setup { calls: 1, ..base(2, 2, 1, 0) }
}
fn call_alone() -> Setup {
    Setup { calls: 1, ..base(1, 1, 0, 1) }
}
fn register() -> Setup {
    Setup { registrations: 1, ..base(2, 2, 1, 0) }
}
fn exec() -> Setup {
    Setup { execs: 1, ..base(2, 2, 0, 0) }
}
fn use_mm() -> Setup {
    Setup { uses: 1, ..base(2, 1, 1, 1) }
}
fn flush() -> Setup {
    Setup { flushes: 1, ..base(2, 2, 1, 0) }
}
fn flush_lazy() -> Setup {
    Setup { flushes: 1, ..base(2, 2, 0, 1) }
}
fn tables() -> Setup {
    Setup { flushes: 1, tables: true, ..base(2, 2, 0, 1) }
}
fn exit() -> Setup {
    Setup { exits: 2, ..base(2, 2, 0, 1) }
}
fn order() -> Setup {
    Setup { calls: 1, tests: 1, private: true, ..base(2, 2, 0, 1) }
}
fn order_use() -> Setup {
    Setup { uses: 1, ..order() }
}
fn order_exit() -> Setup {
    Setup { exits: 1, ..order() }
}

const OURS: &str = "nothing of the kernel's";

/// All of them.
pub const BUGS: &[Bug] = &[
    Bug {
        name: "lazy-nosync",
        about: "finish_task_switch does not serialize",
        recreates: "takes back 70216e18e519",
        expect: &[Rule::R1, Rule::R2],
        flags: &[Flag::LazyNosync],
        setup: call,
    },
    Bug {
        name: "ipi-mb",
        about: "SYNC_CORE sends ipi_mb",
        recreates: "takes back 758c9373d841",
        expect: &[Rule::R2],
        flags: &[Flag::IpiMb],
        setup: call_one,
    },
    Bug {
        name: "irq-skip",
        about: "sync_core_before_usermode does nothing in an interrupt",
        recreates: "takes back a493d1ca1a03",
        expect: &[Rule::R2],
        flags: &[Flag::IrqSkip],
        setup: three_threads,
    },
    Bug {
        name: "caller-skip",
        about: "the call leaves out the CPU that it runs on",
        recreates: "takes back e45cdc71d1fa",
        expect: &[Rule::R2],
        flags: &[Flag::CallerSkip],
        setup: call_one,
    },
    Bug {
        name: "ipi-lost",
        about: "the call sends no IPI",
        recreates: OURS,
        expect: &[Rule::R2],
        flags: &[Flag::IpiLost],
        setup: call_one,
    },
    Bug {
        name: "single-return",
        about: "SYNC_CORE returns at once if mm_users is 1, as the other commands may",
        recreates: "the other half of e45cdc71d1fa",
        expect: &[Rule::R2],
        flags: &[Flag::SingleReturn],
        setup: call_alone,
    },
    Bug {
        name: "rq-stale",
        about: "context_switch does not copy membarrier_state",
        recreates: "takes back the half of 227a4aadc75b that is in context_switch",
        expect: &[Rule::R6],
        flags: &[Flag::RqStale],
        setup: call_b,
    },
    Bug {
        name: "reg-skip",
        about: "a registration leaves out the CPU that it runs on",
        recreates: "takes back ce29ddc47b91",
        expect: &[Rule::R6],
        flags: &[Flag::RegSkip],
        setup: register,
    },
    Bug {
        name: "exec-norq",
        about: "exec_mmap does not clear rq->membarrier_state",
        recreates: "takes back the half of 227a4aadc75b that is in exec",
        expect: &[Rule::R6],
        flags: &[Flag::ExecNorq],
        setup: exec,
    },
    Bug {
        name: "use-norq",
        about: "kthread_use_mm does not copy membarrier_state",
        recreates: "takes back half of 618758ed3a4f",
        expect: &[Rule::R6],
        flags: &[Flag::UseNorq],
        setup: use_mm,
    },
    Bug {
        name: "switching-late",
        about: "LOADED_MM_SWITCHING is stored after the generation was read",
        recreates: "the mis-ordered backport of fea4e317f9e7 (6.1.170 to 6.1.176)",
        expect: &[Rule::R3],
        flags: &[Flag::SwitchingLate],
        setup: flush,
    },
    Bug {
        name: "switching-ignored",
        about: "should_flush_tlb takes LOADED_MM_SWITCHING for a foreign mm",
        recreates: "takes back fea4e317f9e7",
        expect: &[Rule::R3],
        flags: &[Flag::SwitchingIgnored],
        setup: flush,
    },
    Bug {
        name: "cpumask-late",
        about: "the generation is read before the CPU is in mm_cpumask",
        recreates: "the order that 71b3c126e611 made safe",
        expect: &[Rule::R3],
        flags: &[Flag::CpumaskLate],
        setup: flush,
    },
    Bug {
        name: "unlazy-nogen",
        about: "unlazying takes any generation for the current one",
        recreates: "the check that 94b1b03b519b introduced",
        expect: &[Rule::R3],
        flags: &[Flag::UnlazyNogen],
        setup: flush_lazy,
    },
    Bug {
        name: "unlazy-noflush",
        about: "unlazying behind the generation writes CR3 and does not catch up",
        recreates: OURS,
        expect: &[Rule::R3],
        flags: &[Flag::UnlazyNoflush],
        setup: flush_lazy,
    },
    Bug {
        name: "tables-skip",
        about: "a flush that frees page tables skips lazy CPUs",
        recreates: "the exception that 145f573b89a6 and 97807813fe70 made",
        expect: &[Rule::R4],
        flags: &[Flag::TablesSkip],
        setup: tables,
    },
    Bug {
        name: "lazy-drop",
        about: "a CPU that borrows an mm holds no reference to it",
        recreates: OURS,
        expect: &[Rule::R5],
        flags: &[Flag::LazyDrop],
        setup: exit,
    },
    Bug {
        name: "unlazy-nomb",
        about: "no smp_mb between the store of is_lazy and the load of the generation",
        recreates: "takes back 83b0177a6c48",
        expect: &[Rule::R3],
        flags: &[Flag::UnlazyNomb],
        setup: flush_lazy,
    },
    Bug {
        name: "call-nomb",
        about: "no smp_mb at the call's beginning; taking the mutex is one on x86",
        recreates: OURS,
        expect: &[],
        flags: &[Flag::CallNomb],
        setup: order,
    },
    Bug {
        name: "call-nomb-nomutex",
        about: "no smp_mb at the call's beginning, and no mutex",
        recreates: OURS,
        expect: &[Rule::Order],
        flags: &[Flag::CallNombNomutex],
        setup: order,
    },
    Bug {
        name: "drop-nomb",
        about: "mmdrop_lazy_tlb in finish_task_switch is no barrier; unlazying has one of its own",
        recreates: OURS,
        expect: &[],
        flags: &[Flag::DropNomb],
        setup: order,
    },
    Bug {
        name: "unlazy-drop-nomb",
        about: "neither of the two is a barrier",
        recreates: "83b0177a6c48 not there yet, and drop-nomb",
        expect: &[Rule::Order],
        flags: &[Flag::UnlazyNomb, Flag::DropNomb],
        setup: order,
    },
    Bug {
        name: "use-drop-nomb",
        about: "mmdrop_lazy_tlb in kthread_use_mm is no barrier; switch_mm_irqs_off has one or writes CR3",
        recreates: "half of what 618758ed3a4f asks for",
        expect: &[],
        flags: &[Flag::UseDropNomb],
        setup: order_use,
    },
    Bug {
        name: "use-nomb",
        about: "neither of the two is a barrier",
        recreates: "83b0177a6c48 not there yet, and use-drop-nomb",
        expect: &[Rule::Order],
        flags: &[Flag::UnlazyNomb, Flag::UseDropNomb],
        setup: order_use,
    },
    Bug {
        name: "exit-nomb",
        about: "no smp_mb before exit_mm clears tsk->mm: stores of x86 stay in order",
        recreates: "takes back 5bc78502322a",
        expect: &[],
        flags: &[Flag::ExitNomb],
        setup: order_exit,
    },
    Bug {
        name: "unuse-nomb",
        about: "no smp_mb before kthread_unuse_mm clears tsk->mm: stores of x86 stay in order",
        recreates: "takes back the other half of 618758ed3a4f",
        expect: &[],
        flags: &[Flag::UnuseNomb],
        setup: order_use,
    },
    Bug {
        name: "ipi-nomb",
        about: "ipi_mb does nothing: its interrupt's IRET, or the switch on its way, is a barrier",
        recreates: OURS,
        expect: &[],
        flags: &[Flag::IpiNomb],
        setup: order,
    },
    Bug {
        name: "ok-extra-ipi",
        about: "the call interrupts every CPU",
        recreates: OURS,
        expect: &[],
        flags: &[Flag::OkExtraIpi],
        setup: call,
    },
    Bug {
        name: "ok-always-flush",
        about: "unlazying always writes CR3",
        recreates: OURS,
        expect: &[],
        flags: &[Flag::OkAlwaysFlush],
        setup: flush_lazy,
    },
    Bug {
        name: "ok-eager",
        about: "nothing is kept lazily: a kernel thread runs on init_mm",
        recreates: "what x86 could choose between 4.14 and 4.19 (b956575bed91)",
        expect: &[],
        flags: &[Flag::OkEager],
        setup: call,
    },
    Bug {
        name: "ok-flush-lazy",
        about: "every flush interrupts lazy CPUs, too",
        recreates: OURS,
        expect: &[],
        flags: &[Flag::OkFlushLazy],
        setup: flush_lazy,
    },
    Bug {
        name: "ok-use-reload",
        about: "kthread_use_mm writes CR3 though the mm is loaded already",
        recreates: OURS,
        expect: &[],
        flags: &[Flag::OkUseReload],
        setup: use_mm,
    },
    Bug {
        name: "ok-exit-sync",
        about: "finish_task_switch does not serialize, but every return to user mode does",
        recreates: OURS,
        expect: &[],
        flags: &[Flag::OkExitSync],
        setup: call,
    },
    Bug {
        name: "ok-single-slow",
        about: "a registration takes the long way even if mm_users is 1",
        recreates: OURS,
        expect: &[],
        flags: &[Flag::OkSingleSlow],
        setup: register,
    },
];

fn three_threads() -> Setup {
    Setup { calls: 1, ..base(2, 3, 0, 0) }
}

/// The bug of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Bug> {
    BUGS.iter().find(|bug| bug.name == name)
}
