//! Every bug by name is found, by the rule it breaks and by no other; what only looks like a bug is
//! clean in its whole space.

#![expect(
    clippy::expect_used,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

use tracer_explore::{
    bug::{BUGS, Bug},
    judge, path, protocol,
    rules::Rule,
    search::{End, Limits, Outcome, search},
    setup::World,
};

/// A bug in its own bounds, on the kernel whose hole is closed: so that what is found is the bug's.
fn explore(bug: &Bug) -> (World, Outcome) {
    let protocol = protocol::find("linux-6.12-repaired").expect("known");
    let world = World::new(protocol, (bug.setup)(), bug.flags);
    let enough = bug.expect.iter().fold(0, |bits, rule| bits | rule.bit());
    let limits = Limits { enough, ..Limits::default() };
    let outcome = search(&world, &limits, &mut |_| true);
    (world, outcome)
}

fn broken(outcome: &Outcome) -> Vec<Rule> {
    outcome.broken.iter().map(|broken| broken.rule).collect()
}

#[test]
fn each_breaks_its_rule_and_no_other() {
    for bug in BUGS.iter().filter(|bug| !bug.expect.is_empty()) {
        let (world, outcome) = explore(bug);
        assert_eq!(broken(&outcome), bug.expect, "{}: {:?}", bug.name, outcome.status);
        assert_eq!(outcome.stuck, 0, "{}", bug.name);
        // The model core, told only what probes would see, says the same of the same step.
        for broken in &outcome.broken {
            let Some(rule) = broken.rule.model() else { continue };
            let walk = path::walk(&world, &broken.path);
            let found = judge::judge(&world, &walk);
            let rules: Vec<_> = found.findings().iter().map(|found| found.rule).collect();
            assert!(rules.contains(&rule), "{}: {rule:?} not in {rules:?}", bug.name);
        }
    }
}

#[test]
fn what_only_looks_like_one_is_clean() {
    for bug in BUGS.iter().filter(|bug| bug.expect.is_empty()) {
        let (_, outcome) = explore(bug);
        assert_eq!(broken(&outcome), [], "{}", bug.name);
        assert_eq!(outcome.end, End::Exhausted, "{}", bug.name);
        assert_eq!(outcome.stuck, 0, "{}", bug.name);
    }
}

/// A rule that was never asked must not read as held.
#[test]
fn what_looks_like_one_was_asked_about() {
    for (name, rule) in [
        ("call-nomb", Rule::Order),
        ("exit-nomb", Rule::Order),
        ("ok-extra-ipi", Rule::R2),
        ("ok-exit-sync", Rule::R1),
        ("ok-always-flush", Rule::R3),
        ("ok-single-slow", Rule::R6),
    ] {
        let (_, outcome) = explore(tracer_explore::bug::find(name).expect("known"));
        assert!(outcome.checked[rule as usize] > 0, "{name}: {rule:?}");
    }
}
