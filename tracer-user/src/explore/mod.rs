//! `unlazy explore`: what the exhaustive search found, shown and written like what was traced.

mod encode;
mod json;
mod mutants;
mod table;
pub mod text;
mod write;

pub use json::{Explored, OfRule, explored};
pub use mutants::mutants;
pub use write::write;

use tracer_explore::{rules::Rule, search::Outcome};

/// What came of a rule in a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds in the whole space.
    Holds,
    /// It is broken.
    Broken,
    /// Nothing was checked against it, in the whole space.
    NotExercised,
    /// The space was not exhausted, and it was not seen broken.
    Open,
}

impl Verdict {
    /// The words that are printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Broken => "broken",
            Self::NotExercised => "not exercised",
            Self::Open => "undecided",
        }
    }
}

/// What came of a rule.
#[must_use]
pub fn verdict(outcome: &Outcome, rule: Rule) -> Verdict {
    let exhausted = outcome.end == tracer_explore::search::End::Exhausted;
    if outcome.of(rule).is_some() {
        Verdict::Broken
    } else if !exhausted {
        Verdict::Open
    } else if outcome.checked[rule as usize] == 0 {
        Verdict::NotExercised
    } else {
        Verdict::Holds
    }
}
