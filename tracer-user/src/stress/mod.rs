//! The built-in workload: threads that make the interesting things happen.
//!
//! `unlazy stress` exists so that a tracer (ours or another) has something to see, and so that what
//! it saw can be held against exact counts. It needs no rights beyond an ordinary user's.
//!
//! # Processes
//! Membarrier registration belongs to the mm, so each [`Scenario`] runs in a process of its own:
//! the parent ([`run`]) starts `/proc/self/exe` once per scenario with a hidden first argument
//! ([`CHILD_ARG`]), which the program's `main` hands to [`child_entry`] before anything else. That
//! gives each scenario a fresh, unregistered mm and one thread, whatever the parent's state. The
//! children ignore SIGINT, SIGTERM and SIGHUP (the parent takes those and ends the run in order)
//! and are killed by the kernel when the parent dies.
//!
//! # Counts
//! All processes count into one shared page of atomics. A membarrier call is counted when, and only
//! when, it has returned 0; a failed one is counted by its errno. No thread is ever killed between
//! a call and its count (unless [`Plan::kill_inside`] asks for it, and then the number of calls
//! that are uncertain for this reason is reported), so at the end of an undisturbed run the numbers
//! are exact.
//!
//! # Fairness
//! Bursts of user code are limited to 40 % of the machine over all scenarios, storms sleep now and
//! then, and the children run at nice 5: a tracer on the same CPUs gets its turn.

mod calls;
mod child;
mod counts;
mod pace;
mod parent;
mod report;
mod scenarios;
mod shared;
mod sys;
mod text;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use child::{CHILD_ARG, child_entry};
pub use parent::run;
pub use report::{
    CallCounts, JitCounts, ProcessCalls, ProcessCounts, RegisterCounts, Report, SCHEMA,
    ScenarioReport,
};
pub use text::text;

use counts::Count;

/// One kind of interesting thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// SYNC_CORE storms against spinning, sleeping and ping-ponging threads
    SyncCore,
    /// Threads run code that another patches and publishes by SYNC_CORE; every result is judged
    Jit,
    /// Lazy entry and unlazy: short sleeps (idle) and kernel threads that run in between
    Lazy,
    /// TLB shootdowns by munmap, mprotect and madvise under threads that read the memory
    Shootdown,
    /// Storms of fork, vfork, exec and exit, with membarrier calls in the short-lived processes
    Procs,
    /// Threads of a registered process are moved from CPU to CPU while SYNC_CORE is called
    Migrate,
    /// Processes, not threads, that share a registered mm (clone with `CLONE_VM` alone)
    Siblings,
    /// Fresh processes register SYNC_CORE while their threads run, and call it at once
    Register,
}

impl Scenario {
    /// Every scenario, in the order of their discriminants.
    pub const ALL: [Self; 8] = [
        Self::SyncCore,
        Self::Jit,
        Self::Lazy,
        Self::Shootdown,
        Self::Procs,
        Self::Migrate,
        Self::Siblings,
        Self::Register,
    ];

    /// The name on the command line and in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SyncCore => "sync-core",
            Self::Jit => "jit",
            Self::Lazy => "lazy",
            Self::Shootdown => "shootdown",
            Self::Procs => "procs",
            Self::Migrate => "migrate",
            Self::Siblings => "siblings",
            Self::Register => "register",
        }
    }

    /// The name (`comm`) of the scenario's process; children that it forks inherit it.
    pub fn comm(self) -> String {
        // A comm has room for 15 bytes; the longest name has 9.
        format!("ul-{}", self.name())
    }

    /// SYNC_CORE calls a second that the scenario aims at unless told otherwise. The sum is what a
    /// small machine bears beside a tracer.
    const fn default_rate(self) -> u64 {
        match self {
            Self::SyncCore => 8_000,
            Self::Jit | Self::Lazy => 3_000,
            Self::Migrate | Self::Siblings => 2_000,
            Self::Procs => 1_000,
            Self::Shootdown | Self::Register => 500,
        }
    }

    /// What the scenario counts besides membarrier calls.
    const fn counts(self) -> &'static [Count] {
        use Count as C;
        match self {
            Self::SyncCore => {
                &[C::Spins, C::Sleeps, C::PipeRounds, C::FutexRounds, C::EventfdRounds]
            }
            Self::Jit => &[
                C::Executions,
                C::FreshExecutions,
                C::Patches,
                C::PatchedInPlace,
                C::Rewritten,
                C::Stale,
                C::Garbled,
            ],
            Self::Lazy => &[C::Sleeps, C::KernelThreadRuns],
            Self::Shootdown => {
                &[C::Discards, C::Protects, C::Unmaps, C::Reads, C::StaleReads, C::Sleeps]
            }
            Self::Procs => &[
                C::Forked,
                C::Execed,
                C::Exited,
                C::Vforks,
                C::ThreadExits,
                C::ThreadExecs,
                C::InsideBegun,
                C::InsideReturned,
                C::ChildFailures,
            ],
            Self::Migrate => &[C::Moves, C::CpuChanges, C::Spins, C::Sleeps],
            Self::Siblings => &[C::Siblings, C::Exited, C::Spins, C::Sleeps, C::ChildFailures],
            Self::Register => &[C::Forked, C::Exited, C::MidFlight, C::Refused, C::ChildFailures],
        }
    }
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How long, at most.
    pub duration: Duration,
    /// Which scenarios; each at most once, at least one.
    pub scenarios: Vec<Scenario>,
    /// If set, each scenario ends after exactly this many successful SYNC_CORE calls.
    pub calls: Option<u64>,
    /// Threads (or processes) that each scenario uses, about; `None` means by the number of CPUs.
    pub threads: Option<usize>,
    /// SYNC_CORE calls a second that each scenario aims at; `None` means its own default.
    pub rate: Option<u64>,
    /// Kill some processes of `procs` while a thread of theirs is inside membarrier. What such a
    /// thread's last call came to can't be known from user space.
    pub kill_inside: bool,
}

/// Why the workload could not run.
#[derive(Debug, thiserror::Error)]
pub enum StressError {
    /// The kernel lacks what everything here is about.
    #[error(
        "this kernel's membarrier does not support PRIVATE_EXPEDITED_SYNC_CORE (query says {query:#x}); \
         it needs CONFIG_MEMBARRIER and Linux 4.16 or later, and no seccomp filter that refuses it"
    )]
    NoSyncCore {
        /// The commands it supports, by `MEMBARRIER_CMD_QUERY`.
        query: u32,
    },
    /// A system call failed that should not have.
    #[error("cannot {what}{}", remedy(.source))]
    System {
        /// What was being done.
        what: &'static str,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// A scenario's short-lived processes ended in a way they should not have.
    #[error("{failures} short-lived processes failed; the first one ended with {first}")]
    Children {
        /// How many.
        failures: u64,
        /// The first one's end.
        first: String,
    },
}

impl StressError {
    /// Wraps an error with what was being done; for `map_err`.
    fn system<E: Into<std::io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }
}

/// What to do about an error of the kernel's, where something can be done.
fn remedy(error: &std::io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => {
            " (take fewer --threads or name a --scenario, or raise the limits that `ulimit -a` shows)"
        }
        Some(libc::EPERM | libc::EACCES) => {
            " (a security policy of this system forbids it; name the other scenarios by --scenario)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn the_names_on_the_command_line_are_the_names_in_the_report() {
        for (index, scenario) in Scenario::ALL.into_iter().enumerate() {
            assert_eq!(scenario as usize, index);
            let value = scenario.to_possible_value().expect("no scenario is hidden");
            assert_eq!(value.get_name(), scenario.name());
            let json = serde_json::to_value(scenario).expect("a scenario as JSON");
            assert_eq!(json, scenario.name());
            assert!(scenario.comm().len() <= 15, "{} is too long", scenario.comm());
        }
        assert_eq!(Scenario::value_variants(), Scenario::ALL);
    }

    #[test]
    fn the_default_rates_stay_sensible() {
        let sum: u64 = Scenario::ALL.iter().map(|s| s.default_rate()).sum();
        assert!((10_000..=30_000).contains(&sum), "{sum}");
    }
}
