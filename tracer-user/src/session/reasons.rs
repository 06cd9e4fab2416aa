//! From what was judged to the one verdict.
//!
//! Loss or ignorance never reads as clean: whatever could not be seen or decided makes the run
//! inconclusive, unless something was found.

use crate::report::{Reason, Report, Verdict};

fn reason(what: String, remedy: &str) -> Reason {
    Reason { what, remedy: remedy.to_owned() }
}

/// Decides the verdict, and says why it isn't clean.
pub(super) fn decide(report: &mut Report) {
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
    let undecided: u64 = report.rules.iter().map(|rule| rule.inconclusive).sum();
    if undecided > 0 {
        let untraced: u64 = report
            .rules
            .iter()
            .flat_map(|rule| &rule.inconclusive_by)
            .filter(|(doubt, _)| doubt.contains("before system calls"))
            .map(|(_, count)| count)
            .sum();
        because.push(reason(
            format!("{undecided} checks could not be decided"),
            if untraced > 0 {
                "start the program under unlazy (check -- CMD), or use --syscalls always"
            } else {
                "the rules table says why; a longer run decides more"
            },
        ));
    }
    let unknown = report.cpus.iter().filter(|cpu| !cpu.known).count();
    if unknown > 0 {
        because.push(reason(
            format!("the state of {unknown} CPUs is not known at the end"),
            "they did not switch since tracing began, or lost events; trace longer",
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
    use crate::report::{Cpu, Rule};

    fn seen() -> Report {
        let mut report = Report::default();
        report.events.total = 1;
        report
    }

    fn rule(id: &str, findings: u64, inconclusive: u64) -> Rule {
        Rule { id: id.to_owned(), checked: 10, findings, inconclusive, ..Rule::default() }
    }

    fn verdict(mut report: Report) -> Verdict {
        decide(&mut report);
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
    fn an_undecided_check_is_never_clean() {
        let mut report = seen();
        report.rules = vec![rule("R2", 0, 1)];
        assert_eq!(verdict(report), Verdict::Inconclusive);
    }

    #[test]
    fn an_unknown_cpu_is_never_clean() {
        let mut report = seen();
        report.cpus = vec![Cpu { known: false, ..Cpu::default() }];
        assert_eq!(verdict(report), Verdict::Inconclusive);
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
