//! A report of which only a part is shown.

use serde::{Deserialize, Serialize};

use super::Report;
use crate::filter::{Filter, Subject};

/// What a query left out of the report's lists. Verdict, rules and counts are of the whole run all
/// the same.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filtered {
    /// The query.
    pub query: String,
    /// Findings that `findings` would have and has not.
    pub findings_hidden: u64,
    /// CPUs that `cpus` would have.
    pub cpus_hidden: u64,
    /// Of these, those whose state was known.
    pub cpus_hidden_known: u64,
    /// Mms that `mms` would have.
    pub mms_hidden: u64,
}

impl Report {
    /// Leaves out of the lists of CPUs, mms and findings what `filter` does not show, and notes how
    /// much that was.
    pub fn show_only(&mut self, filter: &Filter) {
        if filter.is_empty() {
            return;
        }
        let known = |report: &Self| report.cpus.iter().filter(|cpu| cpu.known).count() as u64;
        let known_before = known(self);
        let cpus_hidden = keep(&mut self.cpus, filter);
        self.filter = Some(Filtered {
            query: filter.to_string(),
            findings_hidden: keep(&mut self.findings, filter),
            cpus_hidden,
            cpus_hidden_known: known_before - known(self),
            mms_hidden: keep(&mut self.mms, filter),
        });
    }

    /// What a query left out; of a report that is shown in full, nothing.
    pub(crate) fn hidden(&self) -> Filtered {
        self.filter.clone().unwrap_or_default()
    }
}

/// Keeps what passes, and tells how many did not.
fn keep(things: &mut Vec<impl Subject>, filter: &Filter) -> u64 {
    let before = things.len();
    things.retain(|thing| filter.matches(thing));
    (before - things.len()) as u64
}
