//! What the model says: findings, and how often each rule was exercised.

use super::{
    evidence::{Evidence, SyncPoint},
    state::{LeftAlone, MmId},
};

/// A rule of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Rule {
    /// unlazy-sync
    R1 = 0,
    /// membarrier
    R2 = 1,
    /// stale-tlb
    R3 = 2,
    /// lazy-tables
    R4 = 3,
    /// lazy-lifetime
    R5 = 4,
    /// rq-state
    R6 = 5,
    /// shape
    R7 = 6,
}

/// How bad it is to break a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// A promise of the kernel was broken.
    Violation,
    /// The discipline that keeps the promise was broken; another event may yet save it.
    Hazard,
    /// The reconstruction disagrees with the kernel: a fault of ours until shown otherwise.
    SelfCheck,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 7] =
        [Self::R1, Self::R2, Self::R3, Self::R4, Self::R5, Self::R6, Self::R7];

    /// `R1` and so on.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::R1 => "R1",
            Self::R2 => "R2",
            Self::R3 => "R3",
            Self::R4 => "R4",
            Self::R5 => "R5",
            Self::R6 => "R6",
            Self::R7 => "R7",
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::R1 => "unlazy-sync",
            Self::R2 => "membarrier",
            Self::R3 => "stale-tlb",
            Self::R4 => "lazy-tables",
            Self::R5 => "lazy-lifetime",
            Self::R6 => "rq-state",
            Self::R7 => "shape",
        }
    }

    /// How bad it is to break it.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::R2 | Self::R3 | Self::R5 => Severity::Violation,
            Self::R1 | Self::R4 | Self::R6 => Severity::Hazard,
            Self::R7 => Severity::SelfCheck,
        }
    }
}

impl Severity {
    /// The word reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Violation => "violation",
            Self::Hazard => "hazard",
            Self::SelfCheck => "self-check",
        }
    }
}

/// Why a check could not be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(usize)]
pub enum Doubt {
    /// Events were lost, or tracing had just begun: an unseen serialization was possible.
    Unseen = 0,
    /// Whether the return was by SYSRET or by IRET is not known.
    Frame = 1,
    /// Two CPUs' times are too close to be ordered.
    Clock = 2,
    /// Calls were made before system calls were traced.
    Untraced = 3,
    /// The TLB may have been flushed by broadcast or by the hypervisor, which the generations don't
    /// show.
    Elsewhere = 4,
    /// Which mm it was is not told ([`UNKNOWN_MM`](crate::wire::UNKNOWN_MM)).
    Identity = 5,
}

/// How many doubts there are.
pub const DOUBTS: usize = 6;

impl Doubt {
    /// Every doubt.
    pub const ALL: [Self; DOUBTS] =
        [Self::Unseen, Self::Frame, Self::Clock, Self::Untraced, Self::Elsewhere, Self::Identity];

    /// The words reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unseen => "a serialization may have gone unseen",
            Self::Frame => "kind of return not known",
            Self::Clock => "clocks too close to order",
            Self::Untraced => "calls made before system calls were traced",
            Self::Elsewhere => "perhaps flushed by broadcast or by the hypervisor",
            Self::Identity => "the trace does not tell which mm it was",
        }
    }
}

/// Whether a CPU has serialized since something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Answer {
    /// Surely.
    Yes,
    /// That can't be decided.
    Doubted(Doubt),
    /// Surely not.
    #[default]
    No,
}

/// Which mismatch R7 found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Divergence {
    /// Another task was switched out than was thought to run.
    Task = 0,
    /// Its mm was not the logical mm.
    Logical = 1,
    /// Its `active_mm` was not the active mm.
    Active = 2,
    /// CR3 was not written though the real mm differed.
    Cr3Missing = 3,
    /// CR3 was written though the real mm was the same and not lazy.
    Cr3Extra = 4,
    /// The real mm is neither the active mm nor `init_mm`.
    Real = 5,
    /// Laziness was read otherwise.
    Lazy = 6,
}

impl Divergence {
    /// Every divergence.
    pub const ALL: [Self; 7] = [
        Self::Task,
        Self::Logical,
        Self::Active,
        Self::Cr3Missing,
        Self::Cr3Extra,
        Self::Real,
        Self::Lazy,
    ];

    /// The words reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Task => "another task was running",
            Self::Logical => "another logical mm",
            Self::Active => "another active mm",
            Self::Cr3Missing => "no CR3 write though the real mm changed",
            Self::Cr3Extra => "a CR3 write though the real mm did not change",
            Self::Real => "another real mm",
            Self::Lazy => "lazy or not",
        }
    }
}

/// A rule was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub rule: Rule,
    /// Where.
    pub cpu: u32,
    /// By whom: the running task.
    pub tid: u32,
    /// On which mm.
    pub mm: MmId,
    /// When it became certain, in nanoseconds.
    pub ts: u64,
    /// When the obligation began: the logical mm's change (R1), the call's entry (R2), the flush
    /// (R3, R4); 0 where there is none.
    pub since: u64,
    /// The CPU's last serialization before it.
    pub last_sync: SyncPoint,
    /// R2: the last call on this mm that left the CPU alone, if that is the one in question.
    pub left_alone: Option<LeftAlone>,
    /// The weakest link.
    pub evidence: Evidence,
    /// R7: what differed.
    pub divergence: Option<Divergence>,
    /// A number that belongs to the rule: the generation behind (R3, R4), the states (R6); for R7
    /// what was expected, or 0.
    pub expected: u64,
    /// What was found instead.
    pub actual: u64,
}

/// How often one rule was exercised, and with what result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RuleTally {
    /// Checks that were decided.
    pub checked: u64,
    /// Those that failed.
    pub findings: u64,
    /// Checks that could not be decided.
    pub inconclusive: u64,
    /// The decided ones by their weakest link.
    pub evidence: [u64; 3],
    /// The undecided ones by [`Doubt`].
    pub doubts: [u64; DOUBTS],
    /// Deviations that stock kernels are known to have and that were proven to be just that; in none
    /// of the above.
    pub excused: u64,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tally {
    /// By [`Rule`].
    pub rules: [RuleTally; 7],
    /// R7's findings by [`Divergence`].
    pub divergences: [u64; 7],
    /// Context switches.
    pub switches: u64,
    /// Those of `switches` that no event told: the kernel ran no probe for the task that was
    /// switched out, and another was running at the next event.
    pub unseen_switches: u64,
    /// Those of `switches` whose mms are not told.
    pub unknown_mms: u64,
    /// Changes of a CPU's logical mm.
    pub logical_changes: u64,
    /// A CPU became lazy.
    pub enter_lazy: u64,
    /// A lazy CPU went back to the mm it had, without a CR3 write.
    pub unlazy_same_mm: u64,
    /// A lazy CPU went back to the mm it had, with a CR3 write.
    pub unlazy_flushed: u64,
    /// A lazy CPU went to `init_mm` for real.
    pub lazy_to_init_mm: u64,
    /// CR3 writes by `switch_mm_irqs_off`.
    pub cr3_writes: u64,
    /// Returns to user mode of SYNC_CORE-registered processes that a probe saw.
    pub returns_observed: u64,
    /// Those that were inferred from what came next.
    pub returns_inferred: u64,
    /// Those by SYSRET.
    pub sysret: u64,
    /// Those by IRET.
    pub iret: u64,
}

impl Tally {
    pub(super) const fn rule(&mut self, rule: Rule) -> &mut RuleTally {
        &mut self.rules[rule as usize]
    }

    /// A check that came out well.
    pub(super) const fn passed(&mut self, rule: Rule, evidence: Evidence) {
        let tally = self.rule(rule);
        tally.checked += 1;
        tally.evidence[evidence as usize] += 1;
    }

    /// A check that could not be decided.
    pub(super) const fn doubted(&mut self, rule: Rule, doubt: Doubt) {
        let tally = self.rule(rule);
        tally.inconclusive += 1;
        tally.doubts[doubt as usize] += 1;
    }

    /// A deviation that stock kernels are known to have.
    pub(super) const fn excused(&mut self, rule: Rule) {
        self.rule(rule).excused += 1;
    }

    /// A check that failed.
    pub(super) const fn failed(&mut self, finding: &Finding) {
        let tally = self.rule(finding.rule);
        tally.checked += 1;
        tally.findings += 1;
        tally.evidence[finding.evidence as usize] += 1;
        if let Some(divergence) = finding.divergence {
            self.divergences[divergence as usize] += 1;
        }
    }
}
