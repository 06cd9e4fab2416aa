//! What a row's runs come to, against what was expected.

use std::collections::BTreeSet;
use std::fmt;

use super::observed::Observed;
use super::plan::Expected;

/// Something that was not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Surprise {
    /// Rules that were found broken and should not have been.
    Unexpected(BTreeSet<String>),
    /// Rules that should have been, in none of the runs; and how often the kernel says that the bug
    /// made a difference.
    Missing(BTreeSet<String>, Option<u64>),
    /// Rules that nothing exercised, so that nothing is known of them.
    Unchecked(BTreeSet<String>),
    /// Events were lost.
    Lost(u64),
    /// The reconstruction and the kernel disagreed.
    Diverged(u64),
    /// A run that should have been clean was not, without a finding.
    Inconclusive(String),
    /// The workload failed, or saw itself what the kernel's promises rule out: its exit code.
    Workload(i64),
    /// The machine did not end well.
    Died(String),
    /// No run came about.
    NotRun(String),
}

/// How a row ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As expected.
    Expected,
    /// The runs did not show it; the text audit did.
    ByAudit,
    /// Not as expected; at least one surprise.
    Surprise(Vec<Surprise>),
}

impl Verdict {
    /// Whether the row is as it should be.
    pub(super) const fn is_good(&self) -> bool {
        matches!(self, Self::Expected | Self::ByAudit)
    }
}

/// Whether the runs so far settle a row that may be run again.
pub(super) fn settled(expected: &Expected, runs: &[Observed]) -> bool {
    missing(expected, runs).is_empty() || runs.iter().any(|run| surprising(expected, run))
}

/// Rules that are still to be found.
fn missing(expected: &Expected, runs: &[Observed]) -> BTreeSet<String> {
    let found: BTreeSet<_> = runs.iter().flat_map(|run| &run.found).collect();
    expected.all.iter().filter(|rule| !found.contains(rule)).cloned().collect()
}

/// Whether a run is bad, whatever the next one shows.
fn surprising(expected: &Expected, run: &Observed) -> bool {
    run.lost > 0 || run.divergences > 0 || !unexpected(expected, run).is_empty()
}

fn unexpected(expected: &Expected, run: &Observed) -> BTreeSet<String> {
    run.found
        .iter()
        .filter(|&rule| !expected.all.contains(rule) && !expected.may.contains(rule))
        .cloned()
        .collect()
}

/// Judges a row by its runs; `order` is what the text audit says of this kernel.
pub(super) fn judge(expected: &Expected, runs: &[Observed], order: Option<&str>) -> Verdict {
    let mut surprises = Vec::new();
    let missing = missing(expected, runs);
    let by_audit = !missing.is_empty() && expected.or_order.is_some() && expected.or_order == order;
    let unexpected: BTreeSet<_> = runs.iter().flat_map(|run| unexpected(expected, run)).collect();
    if !unexpected.is_empty() {
        surprises.push(Surprise::Unexpected(unexpected));
    }
    if !missing.is_empty() && !by_audit {
        let taken = runs.iter().filter_map(|run| run.taken).reduce(|a, b| a + b);
        surprises.push(Surprise::Missing(missing.clone(), taken));
    }
    let sum = |count: fn(&Observed) -> u64| runs.iter().map(count).sum::<u64>();
    let lost = sum(|run| run.lost);
    if lost > 0 {
        surprises.push(Surprise::Lost(lost));
    }
    let diverged = sum(|run| run.divergences);
    if diverged > 0 {
        surprises.push(Surprise::Diverged(diverged));
    }
    for run in runs.iter().filter(|run| !run.regular) {
        // A kernel that frees what it still uses may take itself down, once that was told.
        if expected.is_clean() || !missing.is_empty() {
            surprises.push(Surprise::Died(run.end.clone()));
        }
    }
    for code in runs.iter().filter_map(|run| run.workload) {
        // 1 is stale code or data. Where the kernel is wrong, that may well be; and QEMU's emulator now
        // and then runs on in its translation of code that has changed, whatever the kernel does. So
        // it is no verdict on the kernel.
        if code > 1 {
            surprises.push(Surprise::Workload(code));
        }
    }
    if expected.is_clean() {
        surprises.extend(unclean(expected, runs));
    }
    match (surprises.is_empty(), by_audit) {
        (true, false) => Verdict::Expected,
        (true, true) => Verdict::ByAudit,
        (false, _) => Verdict::Surprise(surprises),
    }
}

/// What keeps runs without a finding from being clean.
fn unclean(expected: &Expected, runs: &[Observed]) -> Vec<Surprise> {
    let mut surprises = Vec::new();
    for run in runs.iter().filter(|run| run.regular) {
        match run.verdict.as_deref() {
            Some("inconclusive") if run.lost == 0 && run.divergences == 0 => {
                surprises.push(Surprise::Inconclusive(run.because.join("; ")));
            }
            None => surprises.push(Surprise::NotRun(format!("{}, and no report", run.end))),
            Some(_) => {}
        }
    }
    let unchecked: BTreeSet<_> = expected
        .checked
        .iter()
        .filter(|&rule| {
            runs.iter().any(|run| run.verdict.is_some())
                && runs.iter().all(|run| run.rules.get(rule).is_none_or(|rule| rule.checked == 0))
        })
        .cloned()
        .collect();
    if !unchecked.is_empty() {
        surprises.push(Surprise::Unchecked(unchecked));
    }
    surprises
}

/// Whether all of it may come of the host: events that are lost and CPUs that are taken away for so long
/// that nothing can be decided, where it is too busy; a guest that dies, since an old emulator may run
/// on in its translation of text that the kernel has just patched, and what such a guest did not live
/// to show. Never what was found.
pub(super) fn may_be_the_hosts(surprises: &[Surprise]) -> bool {
    let died = surprises.iter().any(|surprise| matches!(surprise, Surprise::Died(_)));
    surprises.iter().all(|surprise| match surprise {
        Surprise::Lost(_) | Surprise::Inconclusive(_) | Surprise::Died(_) => true,
        Surprise::Missing(..) => died,
        Surprise::Unexpected(_)
        | Surprise::Unchecked(_)
        | Surprise::Diverged(_)
        | Surprise::Workload(_)
        | Surprise::NotRun(_) => false,
    })
}

fn list(rules: &BTreeSet<String>) -> String {
    rules.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Surprise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected(rules) => write!(f, "UNEXPECTED {}", list(rules)),
            Self::Missing(rules, None) => write!(f, "MISSING {}", list(rules)),
            Self::Missing(rules, Some(0)) => {
                write!(f, "MISSING {} (the bug never made a difference)", list(rules))
            }
            Self::Missing(rules, Some(taken)) => {
                write!(f, "MISSING {} (the bug made a difference {taken} times)", list(rules))
            }
            Self::Unchecked(rules) => write!(f, "NEVER CHECKED {}", list(rules)),
            Self::Lost(events) => write!(f, "LOST {events} events"),
            Self::Diverged(times) => write!(f, "DIVERGED {times} times"),
            Self::Inconclusive(why) => write!(f, "INCONCLUSIVE: {why}"),
            Self::Workload(code) => write!(f, "THE WORKLOAD FAILED with {code}"),
            Self::Died(how) => write!(f, "DIED: {how}"),
            Self::NotRun(why) => write!(f, "NOT RUN: {why}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected => f.write_str("as expected"),
            Self::ByAudit => f.write_str("by the text audit; not seen in a run"),
            Self::Surprise(surprises) => {
                let words: Vec<_> = surprises.iter().map(Surprise::to_string).collect();
                f.write_str(&words.join("; "))
            }
        }
    }
}

#[cfg(test)]
mod tests;
