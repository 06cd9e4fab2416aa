//! Runs as they may come, and what each must be taken for.

use super::*;
use crate::grid::observed::Checks;

fn rules(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

fn expects(all: &[&str], may: &[&str]) -> Expected {
    Expected { all: rules(all), may: rules(may), ..Expected::default() }
}

/// A run that ended well, in which these rules were broken.
fn run(found: &[&str]) -> Observed {
    let checks = |id: &str| (id.to_owned(), Checks { checked: 9, ..Checks::default() });
    Observed {
        end: "the command exited with 0".to_owned(),
        regular: true,
        verdict: Some(if found.is_empty() { "clean" } else { "findings" }.to_owned()),
        found: rules(found),
        rules: ["R1", "R2", "R3"].map(checks).into(),
        ..Observed::default()
    }
}

fn died(found: &[&str]) -> Observed {
    Observed {
        end: "the guest's kernel panicked: it was out of order".to_owned(),
        regular: false,
        verdict: None,
        rules: std::collections::BTreeMap::new(),
        ..run(found)
    }
}

fn surprises(expected: &Expected, runs: &[Observed]) -> Vec<Surprise> {
    match judge(expected, runs, None) {
        Verdict::Surprise(surprises) => surprises,
        good => panic!("{good}"),
    }
}

#[test]
fn what_was_expected_is_no_surprise() {
    assert_eq!(judge(&expects(&["R1"], &["R2"]), &[run(&["R1"])], None), Verdict::Expected);
    assert_eq!(judge(&expects(&["R1"], &["R2"]), &[run(&["R1", "R2"])], None), Verdict::Expected);
    assert_eq!(judge(&expects(&[], &[]), &[run(&[])], None), Verdict::Expected);
}

#[test]
fn rules_may_be_found_in_different_runs() {
    let runs = [run(&["R1"]), run(&["R2"])];
    let expected = expects(&["R1", "R2"], &[]);
    assert!(!settled(&expected, &runs[..1]));
    assert!(settled(&expected, &runs));
    assert_eq!(judge(&expected, &runs, None), Verdict::Expected);
}

#[test]
fn a_rule_that_is_not_found_is_missing() {
    let expected = expects(&["R3"], &[]);
    let runs = [run(&[]), run(&[])];
    assert_eq!(surprises(&expected, &runs), [Surprise::Missing(rules(&["R3"]), None)]);
    let mut counted = runs;
    counted[0].taken = Some(0);
    counted[1].taken = Some(7);
    let surprises = surprises(&expected, &counted);
    assert_eq!(surprises, [Surprise::Missing(rules(&["R3"]), Some(7))]);
    assert!(surprises[0].to_string().contains("7 times"));
}

#[test]
fn a_false_alarm_is_a_surprise_whatever_else_is_found() {
    let expected = expects(&["R1"], &[]);
    let runs = [run(&["R1", "R5"])];
    assert_eq!(surprises(&expected, &runs), [Surprise::Unexpected(rules(&["R5"]))]);
    // No further run could mend that.
    assert!(settled(&expects(&["R2"], &[]), &runs));
    assert_eq!(
        surprises(&Expected::default(), &[run(&["R2"])]),
        [Surprise::Unexpected(rules(&["R2"]))]
    );
}

#[test]
fn losses_and_divergences_count_in_every_row() {
    for expected in [expects(&["R1"], &[]), Expected::default()] {
        let mut run = run(&["R1"]);
        if expected.is_clean() {
            run.found.clear();
        }
        run.lost = 3;
        run.divergences = 2;
        run.verdict = Some("inconclusive".to_owned());
        assert_eq!(surprises(&expected, &[run]), [Surprise::Lost(3), Surprise::Diverged(2)]);
    }
}

#[test]
fn a_machine_may_die_of_what_was_found() {
    let expected = expects(&["R5"], &[]);
    assert_eq!(judge(&expected, &[died(&["R5"])], None), Verdict::Expected);
    let missed = surprises(&expected, &[died(&[])]);
    assert!(matches!(missed[..], [Surprise::Missing(..), Surprise::Died(_)]), "{missed:?}");
    // It did not live to show it, as one that ran to its end did.
    assert!(may_be_the_hosts(&missed));
    assert!(!may_be_the_hosts(&surprises(&expected, &[run(&[])])));
    assert!(!may_be_the_hosts(&surprises(&expected, &[died(&["R2"])])));
    // The next run may show it.
    assert!(!settled(&expected, &[died(&[])]));
    assert_eq!(judge(&expected, &[died(&[]), run(&["R5"])], None), Verdict::Expected);
    let clean = surprises(&Expected::default(), &[died(&[])]);
    assert!(matches!(clean[..], [Surprise::Died(_)]), "{clean:?}");
}

#[test]
fn undecided_is_not_clean() {
    let mut undecided = run(&[]);
    undecided.verdict = Some("inconclusive".to_owned());
    undecided.because = vec!["87 of 44970 checks of R2 could not be decided".to_owned()];
    let surprises = surprises(&Expected::default(), &[undecided.clone()]);
    assert!(matches!(&surprises[..], [Surprise::Inconclusive(why)] if why.contains("R2")));
    // Where something is to be found it is enough that it was.
    undecided.found = rules(&["R1"]);
    assert_eq!(judge(&expects(&["R1"], &[]), &[undecided], None), Verdict::Expected);
}

#[test]
fn a_rule_that_nothing_exercised_did_not_pass() {
    let expected = Expected { checked: rules(&["R1", "R3", "R4"]), ..Expected::default() };
    assert_eq!(surprises(&expected, &[run(&[])]), [Surprise::Unchecked(rules(&["R4"]))]);
    let mut unexercised = run(&[]);
    unexercised.rules.get_mut("R3").unwrap().checked = 0;
    assert_eq!(surprises(&expected, &[unexercised]), [Surprise::Unchecked(rules(&["R3", "R4"]))]);
}

#[test]
fn a_workload_that_failed_shows_nothing() {
    let mut failed = run(&["R1"]);
    failed.workload = Some(2);
    assert_eq!(surprises(&expects(&["R1"], &[]), &[failed.clone()]), [Surprise::Workload(2)]);
    // It judges the kernel too.
    failed.workload = Some(1);
    assert_eq!(judge(&expects(&["R1"], &[]), &[failed.clone()], None), Verdict::Expected);
    failed.found.clear();
    assert_eq!(judge(&Expected::default(), &[failed], None), Verdict::Expected);
}

#[test]
fn a_run_without_a_report_is_none() {
    let mut silent = run(&[]);
    silent.verdict = None;
    let surprises = surprises(&Expected::default(), &[silent]);
    assert!(matches!(&surprises[..], [Surprise::NotRun(_)]), "{surprises:?}");
}

#[test]
fn the_text_audit_speaks_where_runs_are_silent() {
    let expected = Expected { or_order: Some("after_tlb_gen"), ..expects(&["R3"], &[]) };
    let runs = [run(&[])];
    assert_eq!(judge(&expected, &runs, Some("after_tlb_gen")), Verdict::ByAudit);
    assert!(matches!(judge(&expected, &runs, Some("before_tlb_gen")), Verdict::Surprise(_)));
    assert!(matches!(judge(&expected, &runs, None), Verdict::Surprise(_)));
    // Seen is better than read.
    assert_eq!(judge(&expected, &[run(&["R3"])], Some("after_tlb_gen")), Verdict::Expected);
    // And it excuses nothing else.
    let alarm = judge(&expected, &[run(&["R1"])], Some("after_tlb_gen"));
    assert_eq!(alarm, Verdict::Surprise(vec![Surprise::Unexpected(rules(&["R1"]))]));
}
