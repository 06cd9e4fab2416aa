//! R7, shape: the reconstruction equals what the kernel says of itself, wherever it says it.

use super::{
    super::{At, Cpu, Divergence, Evidence, Finding, Rule, Store},
    finding, report,
};

/// What was expected turned out true.
pub(in crate::model) fn passed<S: Store>(s: &mut S) {
    s.tally().passed(Rule::R7, Evidence::Observed);
}

/// It did not.
pub(in crate::model) fn mismatch<S: Store>(
    s: &mut S,
    c: &Cpu,
    at: At,
    divergence: Divergence,
    expected: u64,
    actual: u64,
) {
    let found = Finding {
        divergence: Some(divergence),
        expected,
        actual,
        ..finding(Rule::R7, c, at, c.logical, c.tid, Evidence::Observed)
    };
    report(s, &found);
}

/// Holds one against the other.
pub(in crate::model) fn equal<S: Store>(
    s: &mut S,
    c: &Cpu,
    at: At,
    what: Divergence,
    expected: u64,
    actual: u64,
) {
    if expected == actual {
        passed(s);
    } else {
        mismatch(s, c, at, what, expected, actual);
    }
}
