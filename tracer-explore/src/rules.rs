//! The rules as the search asks them: R1 to R6 of the model core, and one that no tracer can see.

use tracer_common::model;

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
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
    /// The order of memory that every membarrier promises: what the caller stored before is seen by
    /// its siblings, or it sees after what they stored.
    Order = 6,
}

/// How many there are.
pub const RULES: usize = 7;

impl Rule {
    /// Every rule.
    pub const ALL: [Self; RULES] =
        [Self::R1, Self::R2, Self::R3, Self::R4, Self::R5, Self::R6, Self::Order];

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
            Self::Order => "order",
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.model() {
            Some(rule) => rule.name(),
            None => "memory order",
        }
    }

    /// The model core's rule; `None` for the one that it can't see.
    #[must_use]
    pub const fn model(self) -> Option<model::Rule> {
        Some(match self {
            Self::R1 => model::Rule::R1,
            Self::R2 => model::Rule::R2,
            Self::R3 => model::Rule::R3,
            Self::R4 => model::Rule::R4,
            Self::R5 => model::Rule::R5,
            Self::R6 => model::Rule::R6,
            Self::Order => return None,
        })
    }

    /// Its bit in [`Marks`].
    #[must_use]
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What a step had to do with the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Rules that it was checked against: bits.
    pub checked: u8,
    /// Rules that it broke: bits.
    pub broken: u8,
}

impl Marks {
    /// A check, and whether it came out well.
    pub const fn check(&mut self, rule: Rule, holds: bool) {
        self.checked |= rule.bit();
        if !holds {
            self.broken |= rule.bit();
        }
    }
}
