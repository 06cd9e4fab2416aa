//! From what was judged to the one verdict.
//!
//! Loss or ignorance never reads as clean: whatever could not be seen or decided makes the run
//! inconclusive, unless something was found.

use crate::{
    audit::Order,
    report::{Reason, Report, Verdict},
};

fn reason(what: String, remedy: &str) -> Reason {
    Reason { what, remedy: remedy.to_owned() }
}

/// The share of a rule's checks that may stay undecided in a run that is otherwise clean: one in a
/// thousand. They are counted and shown all the same.
const NEGLIGIBLE: u64 = 1000;

const fn negligible(checked: u64, inconclusive: u64) -> bool {
    inconclusive.saturating_mul(NEGLIGIBLE) <= checked.saturating_add(inconclusive)
}

/// Decides the verdict, and says why it isn't clean.
pub(super) fn decide(report: &mut Report, never_known: usize) {
    let mut because = Vec::new();
    let divergences: u64 =
        report.rules.iter().filter(|rule| rule.id == "R7").map(|rule| rule.findings).sum();
    let broken = report.findings_total.saturating_sub(divergences);
    if broken > 0 {
        because.push(reason(
            format!("{broken} times a rule was broken"),
            "read the findings below; --json has every one with its chain of events",
        ));
    }
    if divergences > 0 {
        because.push(reason(
            format!("the reconstruction diverged from the kernel {divergences} times (R7)"),
            "a fault of unlazy until shown otherwise: report it with the --json file",
        ));
    }
    if report.events.lost.total > 0 {
        because.push(reason(
            format!("{} events were lost", report.events.lost.total),
            "give larger buffers (--buffer 64MiB), or trace a shorter time",
        ));
    }
    if report.events.unreadable > 0 {
        because.push(reason(
            format!("{} records could not be read", report.events.unreadable),
            "the eBPF object and this program disagree: rebuild both with `cargo xtask build`",
        ));
    }
    for rule in &report.rules {
        if rule.inconclusive > 0 && !negligible(rule.checked, rule.inconclusive) {
            let untraced = rule.inconclusive_by.keys().any(|doubt| doubt.contains("before system"));
            because.push(reason(
                format!(
                    "{} of {} checks of {} could not be decided",
                    rule.inconclusive,
                    rule.checked + rule.inconclusive,
                    rule.id
                ),
                if untraced {
                    "start the program under unlazy (check -- CMD), or use --syscalls always"
                } else {
                    "the rules table says why; a longer run decides more"
                },
            ));
        }
    }
    if report.text_audit.loaded_mm_switching == Order::AfterTlbGen.name() {
        because.push(reason(
            "this kernel's switch_mm_irqs_off reads the TLB generation before it announces the switch, \
             as its text says: a flush in between is lost on that CPU"
                .to_owned(),
            "a known fault of some stable kernels (CVE-2025-37964): take a later one; `unlazy doctor` \
             shows the places",
        ));
    }
    if report.text_audit.unlazy_checks_tlb_gen == Some(false) {
        because.push(reason(
            "this kernel's switch_mm_irqs_off does not look for missed flushes as a CPU ceases to be \
             lazy, as its text says"
                .to_owned(),
            "flushes that passed by a lazy CPU are lost on it: mend arch/x86/mm/tlb.c",
        ));
    }
    if never_known > 0 {
        because.push(reason(
            format!("the state of {never_known} CPUs never became known"),
            "they did not switch once since tracing began; trace longer",
        ));
    }
    if report.events.total == 0 {
        because.push(reason(
            "no event was seen".to_owned(),
            "trace longer; `unlazy doctor` says whether the probes work",
        ));
    }
    report.verdict = if broken > 0 {
        Verdict::Findings
    } else if because.is_empty() {
        Verdict::Clean
    } else {
        Verdict::Inconclusive
    };
    report.because = because;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Rule;

    fn seen() -> Report {
        let mut report = Report::default();
        report.events.total = 1;
        report
    }

    fn rule(id: &str, findings: u64, inconclusive: u64) -> Rule {
        Rule { id: id.to_owned(), checked: 10, findings, inconclusive, ..Rule::default() }
    }

    fn verdict(mut report: Report) -> Verdict {
        decide(&mut report, 0);
        report.verdict
    }

    #[test]
    fn clean_needs_events_and_no_doubt() {
        assert_eq!(verdict(seen()), Verdict::Clean);
        assert_eq!(verdict(Report::default()), Verdict::Inconclusive);
    }

    #[test]
    fn loss_is_never_clean() {
        let mut report = seen();
        report.events.lost.total = 1;
        assert_eq!(verdict(report), Verdict::Inconclusive);
    }

    #[test]
    fn what_cannot_be_read_is_never_clean() {
        let mut report = seen();
        report.events.unreadable = 1;
        assert_eq!(verdict(report), Verdict::Inconclusive);
    }

    #[test]
    fn more_than_one_undecided_check_in_a_thousand_is_never_clean() {
        let mut report = seen();
        report.rules = vec![rule("R2", 0, 1)];
        assert_eq!(verdict(report), Verdict::Inconclusive);
        let mut report = seen();
        report.rules = vec![Rule { checked: 998, ..rule("R2", 0, 1) }];
        assert_eq!(verdict(report), Verdict::Inconclusive);
        let mut report = seen();
        report.rules = vec![Rule { checked: 999, ..rule("R2", 0, 1) }];
        assert_eq!(verdict(report), Verdict::Clean);
    }

    #[test]
    fn an_unknown_cpu_is_never_clean() {
        let mut report = seen();
        decide(&mut report, 1);
        assert_eq!(report.verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_finding_wins_over_doubt() {
        let mut report = seen();
        report.rules = vec![rule("R1", 1, 5)];
        report.findings_total = 1;
        report.events.lost.total = 7;
        assert_eq!(verdict(report), Verdict::Findings);
    }

    #[test]
    fn a_divergence_is_ours() {
        let mut report = seen();
        report.rules = vec![rule("R7", 3, 0)];
        report.findings_total = 3;
        assert_eq!(verdict(report), Verdict::Inconclusive);
    }
}
