//! Findings, and what they belong to.

use tracer_common::model::{Config, Promise};
use unlazy::{
    explain::{Ask, BelongsTo, Outcome},
    report::Evidence,
};

use crate::{
    asked, call, ipi_then_reschedule, lazily_and_back, reason,
    story::{A, K, MB, SYNC_CORE, Story, T, U},
};

#[test]
fn a_finding_leads_to_its_call_and_to_what_was_sent_instead() {
    let story = ipi_then_reschedule(MB);
    let told = asked(&story, Ask::Finding(1));
    assert_eq!(told.findings_total, 1);
    let finding = told.finding.expect("the finding");
    assert_eq!((finding.finding.rule.as_str(), finding.finding.cpu), ("R2", 1));
    assert!(!finding.finding.chain.is_empty());
    let call = told.call.expect("its call");
    let belongs_to = BelongsTo::Call { number: Some(1), begin_ns: call.call.begin_ns };
    assert_eq!(finding.belongs_to, belongs_to);
    let other = &call.cpus[1];
    assert_eq!((other.outcome, other.finding), (Outcome::NotCovered, Some(1)));
    assert_eq!((other.targeted, reason(other)), (Some(false), None));
    let work = other.work.as_ref().expect("what was sent");
    assert_eq!(work.handler, Some("ipi_mb"));
    assert_eq!(other.serialized, None);
    let user = other.user.as_ref().expect("user code");
    assert_eq!((user.tid, user.way), (U, Some("sysret")));
    assert_eq!(call.cpus[0].outcome, Outcome::Covered);
}

#[test]
fn a_finding_of_the_switch_tells_its_switch() {
    let story = lazily_and_back(Promise::Never);
    let list = asked(&story, Ask::List).list.expect("the list");
    let rules: Vec<_> = list.findings.iter().map(|one| one.rule.as_str()).collect();
    assert_eq!(rules, ["R1", "R2"]);

    let told = asked(&story, Ask::Finding(1));
    let finding = told.finding.expect("the finding");
    let BelongsTo::Switch { prev_tid, prev_mm, next_tid, next_mm, ts_ns } = finding.belongs_to
    else {
        panic!("a switch: {:?}", finding.belongs_to)
    };
    assert_eq!((prev_tid, prev_mm, next_tid, next_mm), (0, 0, U, A));
    assert!(ts_ns < finding.finding.ts_ns);
    assert_eq!(told.call, None, "R1 is not about a call");

    let call = asked(&story, Ask::Finding(2)).call.expect("its call");
    assert_eq!((call.cpus[1].outcome, call.cpus[1].finding), (Outcome::NotCovered, Some(2)));
    assert_eq!(reason(&call.cpus[1]), Some("idle_lazy"));
}

/// The hole: a kernel thread takes the mm that it is lazy on.
#[test]
fn a_change_of_mm_without_a_switch_is_told_as_such() {
    let mut story = Story::caller_and_sleeper(Config::default());
    story.switch(1, K, false).call(0).local(0, SYNC_CORE).call_returns(0, 0);
    story.uses(1, A).switch(1, U, false).round_trip(1);
    let finding = asked(&story, Ask::Finding(1)).finding.expect("the finding");
    assert_eq!(finding.finding.rule, "R1");
    assert!(matches!(finding.belongs_to, BelongsTo::MmChange { .. }), "{:?}", finding.belongs_to);
    let call = call(&story, 1);
    assert_eq!(reason(&call.cpus[1]), Some("kthread_lazy"));
    assert_eq!((call.cpus[1].outcome, call.cpus[1].finding), (Outcome::NotCovered, Some(2)));
}

/// A CPU that a probe saw go to user mode before, and that is there still, as the call returns.
#[test]
fn a_cpu_in_user_mode_is_judged_as_the_call_returns() {
    let mut story = Story::caller_sleeper_and_runner(Config::default());
    story.user_return(1);
    let there = story.now;
    story.call(0).local(0, SYNC_CORE).call_returns(0, 0).round_trip(0).round_trip(0);
    let told = asked(&story, Ask::Finding(1));
    let call = told.call.expect("its call");
    let other = &call.cpus[1];
    assert_eq!((other.outcome, other.finding), (Outcome::NotCovered, Some(1)));
    let user = other.user.as_ref().expect("user code");
    assert_eq!((user.tid, user.since_ns, user.evidence), (T, Some(there), Evidence::Observed));
}
