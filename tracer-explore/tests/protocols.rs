//! The protocols, in small spaces; `docs/explore.md` has the large ones.

#![expect(
    clippy::expect_used,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

use tracer_explore::{
    judge, path, protocol,
    rules::Rule,
    search::{End, Limits, Outcome, search},
    setup::{Setup, World},
    step::Step,
};

fn world(protocol: &str, setup: Setup) -> World {
    World::new(protocol::find(protocol).expect("known"), setup, &[])
}

fn explore(protocol: &str, setup: Setup) -> Outcome {
    search(&world(protocol, setup), &Limits::default(), &mut |_| true)
}

fn broken(outcome: &Outcome) -> Vec<Rule> {
    assert_eq!(outcome.end, End::Exhausted);
    assert_eq!(outcome.stuck, 0);
    outcome.broken.iter().map(|broken| broken.rule).collect()
}

/// 2 CPUs, 2 threads of A, a kernel thread that may take A, a call.
fn small() -> Setup {
    Setup { calls: 1, uses: 1, ..Setup::new(2, 2, 0, 1) }
}

#[test]
fn today_the_hole_breaks_both_rules() {
    let outcome = explore("linux-6.12", small());
    assert_eq!(broken(&outcome), [Rule::R1, Rule::R2]);
    for broken in &outcome.broken {
        assert!(broken.path.iter().any(|action| action.step == Step::Use), "{broken:?}");
    }
}

#[test]
fn without_that_step_nothing_is_broken() {
    let outcome = explore("linux-6.12", small().without(Step::Use));
    assert_eq!(broken(&outcome), []);
    assert!(outcome.checked[Rule::R2 as usize] > 0);
}

#[test]
fn each_repair_holds() {
    for protocol in ["linux-6.12-repaired", "sync-on-logical-switch", "exit-lazy-tlb"] {
        let outcome = explore(protocol, small());
        assert_eq!(broken(&outcome), [], "{protocol}");
        assert!(outcome.checked[Rule::R2 as usize] > 0, "{protocol}");
    }
}

/// A second hole, with no kernel thread in it: a call reads `rq->curr`, that task makes room for a
/// sibling, goes elsewhere and exits; then the call reads its mm, which is none, and leaves out the
/// CPU on which the sibling runs. `kthread_unuse_mm` opens the same one.
#[test]
fn a_task_that_exits_while_it_is_looked_at_hides_its_sibling() {
    let exits = Setup { calls: 1, exits: 1, ..Setup::new(3, 3, 0, 0) };
    let outcome = search(
        &world("linux-6.12", exits),
        &Limits { enough: Rule::R2.bit(), ..Limits::default() },
        &mut |_| true,
    );
    let broken = outcome.of(Rule::R2).expect("R2 is broken");
    assert!(broken.path.iter().any(|action| action.step == Step::Exit));
    assert_eq!(self::broken(&explore("linux-6.12-use-syncs", small())), [Rule::R2]);
}

/// The discipline (R1) is given up, and the promise (R2) is kept all the same; but not where flushes
/// are broadcast.
#[test]
fn a_flush_would_do_as_a_membarrier_unless_it_is_broadcast() {
    assert_eq!(broken(&explore("flush-as-membarrier", small())), [Rule::R1]);
    let broadcast = broken(&explore("flush-as-membarrier-invlpgb", small()));
    assert_eq!(broadcast, [Rule::R1, Rule::R2]);
}

/// What is merged into one step loses nothing: with every access a step of its own, the same rules
/// are broken.
#[test]
fn merged_steps_judge_as_single_ones() {
    let call = Setup { calls: 1, ..Setup::new(2, 2, 0, 1) };
    let flush = Setup { flushes: 1, ..Setup::new(2, 1, 1, 1) };
    let tables = Setup { tables: true, ..flush };
    let used = Setup { calls: 1, uses: 1, ..Setup::new(2, 1, 0, 1) };
    let exits = Setup { exits: 1, ..Setup::new(2, 1, 1, 1) };
    for protocol in ["linux-6.1", "linux-6.12", "linux-6.12-repaired", "exit-lazy-tlb"] {
        for setup in [call, flush, tables, used, exits] {
            let merged = broken(&explore(protocol, setup));
            let single = broken(&explore(protocol, Setup { fine: true, ..setup }));
            assert_eq!(merged, single, "{protocol} {setup:?}");
        }
    }
}

/// States that differ only in names are one: without that, the same rules are broken, in more states.
#[test]
fn symmetry_loses_nothing() {
    for protocol in ["linux-6.12", "linux-6.12-repaired"] {
        let folded = explore(protocol, small());
        let apart = explore(protocol, Setup { symmetry: false, ..small() });
        assert_eq!(broken(&folded), broken(&apart), "{protocol}");
        assert!(folded.status.states < apart.status.states);
        for (folded, apart) in folded.broken.iter().zip(&apart.broken) {
            assert_eq!(folded.path.len(), apart.path.len(), "a shortest way is as short");
        }
    }
}

/// A search that runs out of memory says so.
#[test]
fn no_silent_cut() {
    let limits = Limits { memory: 200_000, enough: 0 };
    let outcome = search(&world("linux-6.12-repaired", small()), &limits, &mut |_| true);
    assert_eq!(outcome.end, End::Memory);
}

/// The model core judges the hole as the search does.
#[test]
fn the_model_core_finds_the_hole_in_what_probes_would_see() {
    let outcome = explore("linux-6.12", small());
    let world = world("linux-6.12", small());
    for broken in &outcome.broken {
        let walk = path::walk(&world, &broken.path);
        let judged = judge::judge(&world, &walk);
        let rules: Vec<_> = judged.findings().iter().map(|found| found.rule).collect();
        assert!(rules.contains(&broken.rule.model().expect("traced")), "{rules:?}");
        assert_eq!(judged.tally().rules[6].findings, 0, "R7");
    }
}

/// Step by step, from thousands of states, both judge alike.
#[test]
fn both_judges_agree() {
    let flush = Setup { flushes: 1, tables: true, ..Setup::new(2, 2, 0, 1) };
    for setup in [small(), flush] {
        let agreed = judge::agree(&world("linux-6.12", setup), 3_000);
        assert_eq!(agreed.r7, 0);
        assert_eq!(agreed.examples.len(), 0, "{agreed:?}");
    }
}
