//! From what was judged to the one verdict.
//!
//! Loss or ignorance never reads as clean: whatever could not be seen or decided makes the run
//! inconclusive, unless something was found.

use tracer_common::model::Preemption;

use crate::{
    audit::Order,
    report::{Attach, Mode, Probe, Reason, Report, Rule, TextAudit, Verdict},
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

/// For each rule that takes full mode: what must be watched for it, as a part of the probe's name,
/// and what did not happen if it was and nothing was checked.
const NEEDS: [(&str, &[&str], &str); 4] = [
    (
        "R3",
        &["flush_tlb_mm_range", "switch_fpu_return", "cpu_tlbstate"],
        "never exercised: no process ran user code after a flush of its mm",
    ),
    (
        "R4",
        &["flush_tlb_mm_range", "enter_lazy_tlb", "cpu_tlbstate"],
        "never exercised: no flush freed page tables",
    ),
    ("R5", &["__mmdrop"], "never exercised: no mm was freed"),
    (
        "R6",
        &["switch_mm_irqs_off", "runqueues"],
        "never exercised: no registered process was switched to",
    ),
];

/// Says of each rule without a check why there was none.
pub(super) fn explain(rules: &mut [Rule], probes: &[Probe], mode: Mode, imported: bool) {
    for rule in rules.iter_mut().filter(|rule| rule.checked == 0 && rule.why.is_empty()) {
        if imported {
            "takes mms, which the trace does not tell".clone_into(&mut rule.why);
            continue;
        }
        let Some((_, needs, idle)) = NEEDS.iter().find(|(id, ..)| *id == rule.id) else { continue };
        rule.why = match mode {
            Mode::Tracepoint => "needs full mode".to_owned(),
            Mode::Full => match needs.iter().find_map(|need| missing(need, probes)) {
                Some(missing) => missing,
                None if rule.inconclusive > 0 => "nothing could be decided".to_owned(),
                None if rule.excused > 0 => "all that deviated is excused".to_owned(),
                None => (*idle).to_owned(),
            },
        };
    }
}

/// The probe of this name, if there is one and none like it is attached.
fn missing(need: &str, probes: &[Probe]) -> Option<String> {
    let mut named = probes.iter().filter(|probe| probe.name.contains(need)).peekable();
    let first = *named.peek()?;
    if named.any(|probe| probe.state == Attach::Attached) {
        return None;
    }
    let why = if first.why.is_empty() { "not attached" } else { &first.why };
    Some(format!("needs {}: {why}", first.name))
}

/// What bears on the verdict and has no place of its own in the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Circumstances<'a> {
    /// Another tool's format, if the run came in it.
    pub(super) imported: Option<&'a str>,
    /// CPUs whose state never became known.
    pub(super) never_known: usize,
    /// The run has no end.
    pub(super) cut_off: bool,
    /// Bytes of the recording that could not be read.
    pub(super) damaged: u64,
    /// Records that were read and could not be kept.
    pub(super) dropped: u64,
    /// The preemption model as it was at the end, if that was told.
    pub(super) preempt: Option<&'a str>,
}

/// What the kernel's text says against it.
fn audited(audit: &TextAudit) -> Vec<Reason> {
    let mut because = Vec::new();
    if audit.loaded_mm_switching == Order::AfterTlbGen.name() {
        because.push(reason(
            "this kernel's switch_mm_irqs_off reads the TLB generation before it announces the switch, \
             as its text says: a flush in between is lost on that CPU"
                .to_owned(),
            "a known fault of some stable kernels (CVE-2025-37964): take a later one; `unlazy doctor` \
             shows the places",
        ));
    }
    if audit.unlazy_checks_tlb_gen == Some(false) {
        because.push(reason(
            "this kernel's switch_mm_irqs_off does not look for missed flushes as a CPU ceases to be \
             lazy, as its text says"
                .to_owned(),
            "flushes that passed by a lazy CPU are lost on it: mend arch/x86/mm/tlb.c",
        ));
    }
    because
}

/// The rules of which too much could not be decided.
fn undecided(rules: &[Rule], imported: bool) -> impl Iterator<Item = Reason> {
    rules.iter().filter(|rule| !negligible(rule.checked, rule.inconclusive)).map(move |rule| {
        let untraced = rule.inconclusive_by.keys().any(|doubt| doubt.contains("before system"));
        reason(
            format!(
                "{} of {} checks of {} could not be decided",
                rule.inconclusive,
                rule.checked + rule.inconclusive,
                rule.id
            ),
            if imported {
                ""
            } else if untraced {
                "start the program under unlazy (check -- CMD), or use --syscalls always"
            } else {
                "the rules table says why; a longer run decides more"
            },
        )
    })
}

/// Kernel code was not preempted at first, and everything was judged by that; but at the end it was.
fn changed(then: Option<&str>, now: Option<&str>) -> Option<Reason> {
    let (then, now) = (then?, now?);
    let never = |model| Preemption::of(Some(model)) == Preemption::Never;
    (never(then) && !never(now)).then(|| {
        reason(
            format!(
                "the preemption model was changed from {then} to {now} while events were traced"
            ),
            "set it first (/sys/kernel/debug/sched/preempt), then trace",
        )
    })
}

/// Decides the verdict, and says why it isn't clean.
pub(super) fn decide(report: &mut Report, circumstances: &Circumstances<'_>) {
    let Circumstances { imported, never_known, cut_off, damaged, dropped, preempt } =
        *circumstances;
    explain(&mut report.rules, &report.probes, report.mode, imported.is_some());
    let mut because = Vec::new();
    let divergences: u64 =
        report.rules.iter().filter(|rule| rule.id == "R7").map(|rule| rule.findings).sum();
    let broken = report.findings_total.saturating_sub(divergences);
    if let Some(format) = imported {
        because.push(reason(
            format!("imported from {format}: no event of it tells an mm, so no rule can be judged"),
            "what was counted stands below; for a verdict trace with `unlazy record`",
        ));
    }
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
    if damaged > 0 {
        because.push(reason(
            format!("{damaged} bytes of the recording are damaged"),
            "what is whole was judged; what was there is lost",
        ));
    }
    if cut_off {
        because.push(reason(
            "the recording has no end: whoever wrote it was stopped, or the file is cut off"
                .to_owned(),
            "what is there was judged; losses at the end don't show",
        ));
    }
    if report.events.lost.total > 0 {
        because.push(if dropped > 0 {
            reason(
                format!(
                    "{} events were lost, {dropped} of them because they could not be written in time",
                    report.events.lost.total
                ),
                "record to a faster disk, or to one with more room",
            )
        } else {
            reason(
                format!("{} events were lost", report.events.lost.total),
                "give larger buffers (--buffer 64MiB), or trace a shorter time",
            )
        });
    }
    if report.events.unreadable > 0 {
        because.push(reason(
            format!("{} records could not be read", report.events.unreadable),
            "the eBPF object and this program disagree: rebuild both with `cargo xtask build`",
        ));
    }
    because.extend(undecided(&report.rules, imported.is_some()));
    because.extend(audited(&report.text_audit));
    because.extend(changed(report.kernel.preempt.as_deref(), preempt));
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

    fn seen() -> Report {
        let mut report = Report::default();
        report.events.total = 1;
        report
    }

    fn rule(id: &str, findings: u64, inconclusive: u64) -> Rule {
        Rule { id: id.to_owned(), checked: 10, findings, inconclusive, ..Rule::default() }
    }

    fn verdict(mut report: Report) -> Verdict {
        decide(&mut report, &Circumstances::default());
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
        decide(&mut report, &Circumstances { never_known: 1, ..Circumstances::default() });
        assert_eq!(report.verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_run_without_an_end_is_never_clean() {
        let mut report = seen();
        decide(&mut report, &Circumstances { cut_off: true, ..Circumstances::default() });
        assert_eq!(report.verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_change_of_the_preemption_model_is_never_clean() {
        for (start, end, expected) in [
            (Some("voluntary"), None, Verdict::Clean),
            (Some("voluntary"), Some("voluntary"), Verdict::Clean),
            (Some("voluntary"), Some("full"), Verdict::Inconclusive),
            (Some("none or voluntary"), Some("voluntary"), Verdict::Clean),
            (Some("full"), Some("voluntary"), Verdict::Clean),
            (Some("dynamic"), Some("lazy"), Verdict::Clean),
            (None, Some("full"), Verdict::Clean),
        ] {
            let mut report = seen();
            report.kernel.preempt = start.map(str::to_owned);
            decide(&mut report, &Circumstances { preempt: end, ..Circumstances::default() });
            assert_eq!(report.verdict, expected, "{start:?} {end:?}");
        }
    }

    #[test]
    fn an_import_is_never_clean() {
        let mut report = seen();
        let imported = Some("ftrace text");
        decide(&mut report, &Circumstances { imported, ..Circumstances::default() });
        assert_eq!(report.verdict, Verdict::Inconclusive);
        assert!(report.because[0].what.contains("ftrace text"), "{:?}", report.because);
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
    fn what_is_excused_is_no_finding() {
        let mut report = seen();
        report.rules = vec![Rule { excused: 7, ..rule("R6", 0, 0) }];
        assert_eq!(verdict(report), Verdict::Clean);
    }

    fn why(id: &str, mode: Mode, probes: &[(&str, Attach)], change: impl Fn(&mut Rule)) -> String {
        let probe = |&(name, state): &(&str, Attach)| Probe {
            name: name.to_owned(),
            state,
            why: if state == Attach::Attached { "" } else { "no such function" }.to_owned(),
            ..Probe::default()
        };
        let mut unchecked = Rule { checked: 0, ..rule(id, 0, 0) };
        change(&mut unchecked);
        let mut report = Report { mode, rules: vec![unchecked], ..seen() };
        report.probes = probes.iter().map(probe).collect();
        decide(&mut report, &Circumstances::default());
        std::mem::take(&mut report.rules[0].why)
    }

    #[test]
    fn a_rule_without_checks_says_why() {
        let both = [("__mmdrop", Attach::Attached), ("cpu_tlbstate", Attach::Failed)];
        assert_eq!(why("R5", Mode::Tracepoint, &both, |_| ()), "needs full mode");
        assert_eq!(why("R5", Mode::Full, &both, |_| ()), "never exercised: no mm was freed");
        let needs = "needs cpu_tlbstate: no such function";
        assert_eq!(why("R4", Mode::Full, &both, |_| ()), needs);
        assert_eq!(why("R5", Mode::Full, &both, |rule| rule.checked = 1), "");
        let decided = why("R5", Mode::Full, &both, |rule| rule.inconclusive = 1);
        assert_eq!(decided, "nothing could be decided");
        assert_eq!(why("R1", Mode::Full, &both, |_| ()), "");
    }

    #[test]
    fn a_divergence_is_ours() {
        let mut report = seen();
        report.rules = vec![rule("R7", 3, 0)];
        report.findings_total = 3;
        assert_eq!(verdict(report), Verdict::Inconclusive);
    }
}
