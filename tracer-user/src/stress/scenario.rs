//! The scenarios by name, and what each of them counts.

use serde::{Deserialize, Serialize};

use super::counts::Count;

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
    /// Fresh processes register, in every order, while their threads run; some exec afterwards
    Register,
    /// Sleepers preempt a spinner of the same process on its CPU while SYNC_CORE is called
    Preempt,
    /// Two processes take turns on a CPU while another CPU flushes the memory of one of them
    SwitchFlush,
    /// Threads sleep and leave their CPUs lazy on the mm while another CPU flushes it
    LazyFlush,
    /// A kernel thread uses the process's mm and sleeps there, unseen by a SYNC_CORE call; needs
    /// the module that `cargo xtask hole` loads, and two CPUs
    Hole,
    /// The steps of `hole`, but the kernel thread never uses the mm: nothing may be found
    HoleControl,
}

impl Scenario {
    /// Every scenario, in the order of their discriminants.
    pub const ALL: [Self; 13] = [
        Self::SyncCore,
        Self::Jit,
        Self::Lazy,
        Self::Shootdown,
        Self::Procs,
        Self::Migrate,
        Self::Siblings,
        Self::Register,
        Self::Preempt,
        Self::SwitchFlush,
        Self::LazyFlush,
        Self::Hole,
        Self::HoleControl,
    ];

    /// Those that run unless others are named: all that work on any kernel.
    pub fn usual() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|scenario| !scenario.needs_module())
    }

    /// Whether it needs a kernel module of ours.
    pub const fn needs_module(self) -> bool {
        matches!(self, Self::Hole | Self::HoleControl)
    }

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
            Self::Preempt => "preempt",
            Self::SwitchFlush => "switch-flush",
            Self::LazyFlush => "lazy-flush",
            Self::Hole => "hole",
            Self::HoleControl => "hole-control",
        }
    }

    /// The name (`comm`) of the scenario's process; children that it forks inherit it.
    pub fn comm(self) -> String {
        // A comm has room for 15 bytes; the longest name has 12.
        format!("ul-{}", self.name())
    }

    /// SYNC_CORE calls a second that the scenario aims at unless told otherwise. The sum is what a
    /// small machine bears beside a tracer.
    pub(super) const fn default_rate(self) -> u64 {
        match self {
            Self::SyncCore => 8_000,
            Self::Jit | Self::Lazy => 3_000,
            Self::Migrate | Self::Siblings | Self::Preempt => 2_000,
            Self::Procs => 1_000,
            Self::Shootdown | Self::Register | Self::SwitchFlush | Self::LazyFlush => 500,
            Self::Hole | Self::HoleControl => 200,
        }
    }

    /// What the scenario counts besides membarrier calls.
    pub(super) const fn counts(self) -> &'static [Count] {
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
            Self::Register => {
                &[C::Forked, C::Exited, C::Execed, C::MidFlight, C::Refused, C::ChildFailures]
            }
            Self::Preempt => &[C::Spins, C::Sleeps, C::Preemptions],
            Self::SwitchFlush => &[
                C::Forked,
                C::Exited,
                C::PipeRounds,
                C::EventfdRounds,
                C::Discards,
                C::Reads,
                C::StaleReads,
                C::ChildFailures,
            ],
            Self::LazyFlush => &[C::Discards, C::Unmaps, C::Reads, C::StaleReads, C::Sleeps],
            Self::Hole | Self::HoleControl => &[
                C::KernelThreadRuns,
                C::MmUses,
                C::NotLazy,
                C::Late,
                C::Patches,
                C::Executions,
                C::Stale,
                C::Garbled,
            ],
        }
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
        let sum: u64 = Scenario::usual().map(Scenario::default_rate).sum();
        assert!((10_000..=30_000).contains(&sum), "{sum}");
    }
}
