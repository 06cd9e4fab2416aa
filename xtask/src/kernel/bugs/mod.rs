//! *The* table of planted bugs, and of correct changes that only look like bugs.
//!
//! Everything about a bug is in its one entry: its edits, what is expected of unlazy, and what
//! provokes it. The kernel's own list of names is made from this table too.

mod correct;
mod lifetime;
mod membarrier;
mod tlb;

use std::fmt;

use super::edit::Edit;

/// A rule of the model, by its id in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// unlazy-sync
    R1,
    /// membarrier
    R2,
    /// stale-tlb
    R3,
    /// lazy-tables
    R4,
    /// lazy-lifetime
    R5,
    /// rq-state
    R6,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What unlazy must say when the bug is on and was provoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expect {
    /// Each of these must be found.
    pub(crate) all: &'static [Rule],
    /// These follow from the bug where the timing allows; they are no surprise.
    pub(crate) may: &'static [Rule],
}

impl Expect {
    /// A correct change: any finding is a false alarm.
    pub(crate) const NOTHING: Self = Self { all: &[], may: &[] };

    /// Just these rules.
    pub(crate) const fn all(rules: &'static [Rule]) -> Self {
        Self { all: rules, may: &[] }
    }

    /// Whether this is a change that no rule may complain about.
    pub(crate) const fn is_nothing(&self) -> bool {
        self.all.is_empty() && self.may.is_empty()
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_nothing() {
            return f.write_str("nothing");
        }
        let join = |rules: &[Rule]| rules.iter().map(Rule::to_string).collect::<Vec<_>>().join(" ");
        f.write_str(&join(self.all))?;
        if !self.may.is_empty() {
            write!(f, " (may: {})", join(self.may))?;
        }
        Ok(())
    }
}

/// How surely a run of the workload makes the bug matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odds {
    /// On every pass through the place: a run without it is a failure of the run.
    Certain,
    /// Takes two things at about the same time; many times in a minute.
    Likely,
    /// A window of a few microseconds, widened where the entry says so: may need several runs.
    Race,
}

impl fmt::Display for Odds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Race => "race",
        })
    }
}

/// What makes a bug matter. The names are keys: the workloads themselves are not described here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Threads of one registered process that sleep in system calls, call `SYNC_CORE` membarrier,
    /// and share CPUs with each other and with kernel threads.
    SyncCore,
    /// Processes that register for membarrier with more than one thread, and then exec or switch.
    Register,
    /// Threads that `mprotect` and `MADV_DONTNEED` while others of the same mm go idle, come back,
    /// and alternate with other processes.
    Flush,
    /// `munmap` of ranges that free page tables, while other CPUs are lazy on the mm.
    FreeTables,
    /// Processes that exit at a high rate.
    Exit,
    /// A kernel thread that uses the mm (the module of the `kthread_use_mm` hole).
    KthreadUse,
}

impl Workload {
    /// The key.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::SyncCore => "sync-core",
            Self::Register => "register",
            Self::Flush => "flush",
            Self::FreeTables => "free-tables",
            Self::Exit => "exit",
            Self::KthreadUse => "kthread-use",
        }
    }
}

/// A change of the kernel that `unlazy_bug=NAME` turns on at boot.
#[derive(Debug)]
pub(crate) struct Bug {
    /// For `unlazy_bug=`. Those of correct changes begin with `ok-`.
    pub(crate) name: &'static str,
    /// What is different while it is on, and where.
    pub(crate) what: &'static str,
    /// The commit of the kernel's history that it takes back, or why there is none.
    pub(crate) recreates: &'static str,
    pub(crate) expect: Expect,
    pub(crate) workload: Workload,
    /// How many CPUs the workload wants.
    pub(crate) cpus: u8,
    pub(crate) odds: Odds,
    pub(crate) edits: &'static [Edit],
}

impl Bug {
    /// Its name in the kernel's code: `lazy-nosync` is `LAZY_NOSYNC`.
    pub(crate) fn id(&self) -> String {
        self.name.replace('-', "_").to_uppercase()
    }
}

/// All of them: first the bugs, by what they break, then the correct changes.
pub(crate) const BUGS: &[Bug] = &[
    membarrier::LAZY_NOSYNC,
    membarrier::IPI_MB,
    membarrier::IRQ_SKIP,
    membarrier::CALLER_SKIP,
    membarrier::IPI_LOST,
    membarrier::RQ_STALE,
    membarrier::REG_SKIP,
    membarrier::EXEC_NORQ,
    membarrier::USE_NORQ,
    tlb::SWITCHING_LATE,
    tlb::SWITCHING_IGNORED,
    tlb::CPUMASK_LATE,
    tlb::UNLAZY_NOGEN,
    tlb::UNLAZY_NOFLUSH,
    tlb::TABLES_SKIP,
    lifetime::LAZY_DROP,
    correct::LATE_SYNC,
    correct::EXIT_SYNC,
    correct::CPUID_SYNC,
    correct::EXTRA_IPI,
    correct::SINGLE_SLOW,
    correct::USE_SYNC,
    correct::USE_RELOAD,
    correct::ALWAYS_FLUSH,
    correct::EAGER,
    correct::FLUSH_LAZY,
    correct::SLOW_UNLAZY,
    correct::SLOW_SWITCH,
];

/// The bug of this name.
pub(crate) fn find(name: &str) -> Option<&'static Bug> {
    BUGS.iter().find(|bug| bug.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_fit_a_command_line() {
        let names: BTreeSet<_> = BUGS.iter().map(|bug| bug.name).collect();
        assert_eq!(names.len(), BUGS.len());
        assert!(!names.contains("none"), "`none` is the kernel's word for no bug");
        for name in names {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
        }
    }

    #[test]
    fn a_correct_change_is_named_so_and_only_that_expects_nothing() {
        for bug in BUGS {
            assert_eq!(bug.name.starts_with("ok-"), bug.expect.is_nothing(), "{}", bug.name);
        }
    }

    #[test]
    fn every_bug_is_switched_by_its_own_key() {
        for bug in BUGS {
            assert!(!bug.edits.is_empty(), "{} edits nothing", bug.name);
            let id = bug.id();
            for edit in bug.edits {
                let code = edit.change.code();
                assert!(
                    code.contains(&format!("({id})")) || code.contains("unlazy_bug_"),
                    "{}: an edit of {} does not ask for {id}",
                    bug.name,
                    edit.file
                );
            }
        }
    }

    #[test]
    fn the_table_of_the_design_is_complete() {
        for name in [
            "lazy-nosync",
            "ipi-mb",
            "irq-skip",
            "caller-skip",
            "rq-stale",
            "reg-skip",
            "switching-late",
            "unlazy-nogen",
            "unlazy-noflush",
            "tables-skip",
            "lazy-drop",
        ] {
            assert!(find(name).is_some(), "{name}");
        }
    }
}
