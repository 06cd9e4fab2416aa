//! What a query lets through, and how much it left out.

use tracer_common::model::Event;

use super::Call;
use crate::{
    engine::Seen,
    filter::{Filter, Returned},
    report::Finding,
};

/// How much a query left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Events.
    pub events: u64,
    /// Calls, of a format that has them.
    pub calls: u64,
    /// Findings.
    pub findings: u64,
}

/// A query at work. The default lets everything through.
#[derive(Debug, Default)]
pub(super) struct Only {
    pub(super) filter: Filter,
    pub(super) left_out: LeftOut,
}

impl Only {
    pub(super) fn new(filter: Filter) -> Self {
        Self { filter, ..Self::default() }
    }

    /// Whether an event is written. A loss always is: what is missing around it may have been lost.
    pub(super) fn event(&mut self, seen: &Seen<'_>) -> bool {
        let wanted = matches!(seen.event, Event::Gap { .. }) || self.filter.matches(seen);
        self.left_out.events += u64::from(!wanted);
        wanted
    }

    /// Whether a call is written.
    pub(super) fn call(&mut self, call: &Call, comm: Option<&str>) -> bool {
        let wanted = self.filter.matches(&Returned(call, comm));
        self.left_out.calls += u64::from(!wanted);
        wanted
    }

    /// Whether a finding is written.
    pub(super) fn finding(&mut self, finding: &Finding) -> bool {
        let wanted = self.filter.matches(finding);
        self.left_out.findings += u64::from(!wanted);
        wanted
    }
}
