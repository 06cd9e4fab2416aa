//! One SYNC_CORE call, or one finding, explained CPU by CPU.
//!
//! ```text
//! recording -> judge -> Explainer (an Observer) -> Explanation -> text | JSON (unlazy.explain/1)
//! ```
//!
//! All calls are counted, and one is followed: from its beginning until every CPU has run user code of
//! the mm again, for a second after its return at most. So memory does not grow with the trace. What
//! is said of a CPU is what the model made of it; nothing is judged here.

mod detail;
pub(crate) mod follow;
mod index;
mod schema;
mod tell;
pub mod text;
mod work;

use tracer_common::model::Config;

use crate::{
    engine::{Observer, Seen, Told},
    filter::Filter,
    judge::recorded,
    report::Report,
    trace::{Damage, Part, Range, TraceError},
};

pub use schema::{
    BelongsTo, Call, ExplainedCall, ExplainedCpu, ExplainedFinding, Explanation, Known, List,
    ListedFinding, Outcome, Ran, SCHEMA, Serialized, Skipped, Until, User, Work,
};

use self::{detail::Detail, follow::Step, index::Index, work::Pending};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// What there is.
    List,
    /// The call of this number, from 1.
    Call(u64),
    /// The finding of this number, from 1.
    Finding(u64),
}

/// What is asked for, and of what.
#[derive(Debug, Clone)]
pub struct Question {
    /// What is asked for.
    pub ask: Ask,
    /// The part of the run's time that counts. Numbers are counted in it.
    pub range: Range,
    /// Which calls and findings the lists have.
    pub filter: Filter,
}

impl From<Ask> for Question {
    /// Of the whole run.
    fn from(ask: Ask) -> Self {
        Self { ask, range: Range::default(), filter: Filter::default() }
    }
}

/// Why it can't be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The recording can't be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// There is no such call.
    #[error(
        "there is no call {asked}: {total} SYNC_CORE calls began in the window; without --call they are listed"
    )]
    NoCall {
        /// The number.
        asked: u64,
        /// How many there are.
        total: u64,
    },
    /// There is no such finding, or it was not kept.
    #[error(
        "there is no finding {asked}: of {total} findings {kept} were kept; without --finding they are listed"
    )]
    NoFinding {
        /// The number.
        asked: u64,
        /// How many there were.
        total: u64,
        /// How many were kept.
        kept: u64,
    },
}

/// What came of it.
#[derive(Debug)]
pub struct Explained {
    /// What was asked for.
    pub explanation: Explanation,
    /// The report on the whole run.
    pub report: Report,
    /// What could not be read, by the number of the part.
    pub damage: Vec<(usize, Damage)>,
}

/// Explains what is asked for from the parts of one run, in order.
///
/// A finding takes two passes over the recording where it belongs to a call.
///
/// # Errors
/// [`ExplainError`] if the recording can't be read, or does not have what is asked for.
pub fn explain(parts: &[Part], question: impl Into<Question>) -> Result<Explained, ExplainError> {
    let Question { ask, range, filter } = question.into();
    let config = parts.first().map_or_else(Config::default, |part| part.facts().config());
    let wanted = match ask {
        Ask::Call(number) => Some(number),
        Ask::List | Ask::Finding(_) => None,
    };
    let begin = |wanted| Explainer::new(config, wanted, filter.clone());
    let (mut explainer, mut judged) = pass(parts, range, begin(wanted))?;
    if let Ask::Finding(number) = ask
        && let Some(found) = nth(&explainer.index.found, number)
        && let BelongsTo::Call { number: Some(call), .. } = found.belongs_to
    {
        (explainer, judged) = pass(parts, range, begin(Some(call)))?;
    }
    let recorded::Recorded { report, damage } = judged;
    let mut explanation = tell::tell(explainer, &report, ask)?;
    explanation.from_ns = (range.from > 0).then_some(range.from);
    explanation.to_ns = (range.to < u64::MAX).then_some(range.to);
    Ok(Explained { explanation, report, damage })
}

fn nth<T>(all: &[T], number: u64) -> Option<&T> {
    all.get(usize::try_from(number.checked_sub(1)?).ok()?)
}

fn pass(
    parts: &[Part],
    range: Range,
    mut explainer: Explainer,
) -> Result<(Explainer, recorded::Recorded), TraceError> {
    let recorded = recorded::observe(parts, range, &mut explainer)?;
    Ok((explainer, recorded))
}

/// Looks on, counts calls, and follows one.
#[derive(Debug)]
pub(crate) struct Explainer {
    config: Config,
    wanted: Option<u64>,
    index: Index,
    pending: Pending,
    detail: Option<Detail>,
}

impl Explainer {
    fn new(config: Config, wanted: Option<u64>, filter: Filter) -> Self {
        let index = Index::new(config.sees_csd, filter);
        Self { config, wanted, index, pending: Pending::default(), detail: None }
    }

    /// Goes on where calls were followed before, and follows the one of this number.
    pub(crate) fn resume(config: Config, wanted: Option<u64>, follow: follow::Follow) -> Self {
        Self { index: Index::resume(follow), ..Self::new(config, wanted, Filter::default()) }
    }

    /// These were found before it looked on.
    pub(crate) fn earlier<'a>(&mut self, told: impl IntoIterator<Item = &'a Told>) {
        told.into_iter().for_each(|told| self.index.finding(told));
    }

    /// Whether there is nothing more to be learned of the call.
    pub(crate) fn is_over(&self) -> bool {
        self.detail.as_ref().is_some_and(|detail| detail.ended.is_some())
    }

    /// How many findings were told.
    pub(crate) fn found(&self) -> u64 {
        self.index.found.len() as u64
    }

    /// The number of the call that a finding belongs to.
    pub(crate) fn call_of(&self, finding: u64) -> Option<u64> {
        match nth(&self.index.found, finding)?.belongs_to {
            BelongsTo::Call { number, .. } => number,
            _ => None,
        }
    }

    /// What is asked for, in a run that came to this.
    ///
    /// # Errors
    /// If it is not there.
    pub(crate) fn tell(self, report: &Report, ask: Ask) -> Result<Explanation, ExplainError> {
        tell::tell(self, report, ask)
    }

    /// A call took a step.
    fn step(&mut self, step: Step, call: Call, seen: &Seen<'_>) {
        match (step, &mut self.detail) {
            (Step::Began, _) if Some(call.number) == self.wanted => {
                self.detail = Some(Detail::new(self.config, call, seen));
            }
            (_, Some(detail)) if detail.call.tid == call.tid => match step {
                Step::Returned if call.number == detail.call.number => detail.returned(call, seen),
                // Its next call began, so this one is over.
                Step::Began | Step::Returned | Step::Over => detail.over(),
            },
            _ => {}
        }
    }
}

impl Observer for Explainer {
    fn event(&mut self, seen: &Seen<'_>) {
        if let Some((step, call)) = self.index.event(seen) {
            self.step(step, call, seen);
        }
        if let Some(detail) = &mut self.detail {
            detail.event(seen, &self.pending);
        }
        self.pending.event(seen);
    }

    fn found(&mut self, told: &Told) {
        self.index.finding(told);
        let number = self.index.found.len() as u64;
        let tracer_common::model::Finding { rule, cpu, mm, since, .. } = told.finding;
        if let Some(detail) = &mut self.detail
            && rule == tracer_common::model::Rule::R2
        {
            detail.found(number, cpu, (mm, since));
        }
    }

    fn restart(&mut self, _: u64) {
        self.index.restart();
        self.detail = None;
    }
}
