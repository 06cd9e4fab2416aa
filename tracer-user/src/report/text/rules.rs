//! The rules: how often each was checked, and on what evidence.

use crate::report::{EvidenceMix, Report, Rule};

use super::{
    lists,
    number::{count, percent},
    page::{Ink, Line, Page},
    table::{Cell, Kind, Table},
};

pub(super) fn section(report: &Report, page: &mut Page) {
    if report.rules.is_empty() {
        return;
    }
    page.heading("Rules", "");
    let mut table = Table::new(&[
        ("id", Kind::Text),
        ("name", Kind::Text),
        ("checked", Kind::Number),
        ("findings", Kind::Number),
        ("inconclusive", Kind::Number),
        ("obs/inf/asm %", Kind::Right),
        ("", Kind::Wrapped),
    ]);
    for rule in &report.rules {
        let findings = Cell::number(rule.findings);
        let doubts = Cell::number(rule.inconclusive);
        table.row(vec![
            Cell::text(&rule.id),
            Cell::text(&rule.name),
            Cell::number(rule.checked),
            if rule.findings > 0 { findings.ink(Ink::Bad) } else { findings },
            if rule.inconclusive > 0 { doubts.ink(Ink::Doubt) } else { doubts },
            Cell::text(&mix(&rule.evidence)),
            Cell::text(remark(rule)).ink(Ink::Dim),
        ]);
    }
    table.show(page);
    for rule in &report.rules {
        details(rule, page);
    }
}

/// A rule without checks says so even if nobody said why.
fn remark(rule: &Rule) -> &str {
    match (rule.why.as_str(), rule.checked) {
        ("", 0) => "never exercised",
        (why, _) => why,
    }
}

/// What the checks rested on, as observed/inferred/assumed in percent.
fn mix(evidence: &EvidenceMix) -> String {
    let EvidenceMix { observed, inferred, assumed } = *evidence;
    let parts = [observed, inferred, assumed].map(u128::from);
    let sum = parts.iter().sum();
    if sum == 0 {
        return "-".to_owned();
    }
    parts.map(|n| percent(n, sum)).join("/")
}

/// Why a deviation was excused.
fn excuse(rule: &Rule) -> &'static str {
    match rule.id.as_str() {
        "R6" => {
            "the CPU went back to the mm that it had kept lazily, and membarrier_switch_mm copies \
             nothing then. Stock kernels do that; until the active mm changes, GLOBAL_EXPEDITED \
             calls may pass that CPU by"
        }
        _ => "stock kernels do that",
    }
}

fn details(rule: &Rule, page: &mut Page) {
    if rule.excused > 0 {
        let lead = Line::new().text("  ").ink(Ink::Dim, &format!("{} excused: ", rule.id));
        let times = format!("{} times: {}", count(rule.excused), excuse(rule));
        page.hanging(lead, Ink::Plain, &times);
    }
    let say = |page: &mut Page, what: &str, by: &std::collections::BTreeMap<String, u64>| {
        let mut by: Vec<_> = by.iter().filter(|(_, n)| **n > 0).collect();
        by.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        if !by.is_empty() {
            let lead = Line::new().text("  ").ink(Ink::Dim, &format!("{} {what}: ", rule.id));
            let items = by.iter().map(|(why, n)| format!("{why} {}", count(**n)));
            page.hanging(lead, Ink::Plain, &lists::some(items, 12));
        }
    };
    say(page, "inconclusive", &rule.inconclusive_by);
    if let Some(divergences) = &rule.divergences {
        say(page, "divergences", divergences);
    }
}
