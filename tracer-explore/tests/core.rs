//! The core space: 3 CPUs, 2 threads of A, 1 of B, 1 kernel thread that may take A, 1 call, 1 flush.
//! Minutes and gigabytes: `cargo test -p tracer-explore --test core -- --ignored --nocapture`.

#![expect(
    clippy::expect_used,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

use tracer_explore::{
    protocol,
    rules::Rule,
    search::{End, Limits, search},
    setup::{Setup, World},
    step::Step,
};

/// What is broken in it.
fn broken(protocol: &str, setup: Setup) -> Vec<Rule> {
    let world = World::new(protocol::find(protocol).expect("known"), setup, &[]);
    let outcome = search(&world, &Limits { memory: 8 << 30, enough: 0 }, &mut |_| true);
    println!("{protocol}: {:?} {:?} checked {:?}", outcome.end, outcome.status, outcome.checked);
    for broken in &outcome.broken {
        let steps: Vec<_> =
            broken.path.iter().map(|a| format!("{}:{}", a.cpu, a.step.name())).collect();
        println!("  {:?} in {}: {}", broken.rule, steps.len(), steps.join(" "));
    }
    assert_eq!(outcome.end, End::Exhausted);
    assert_eq!(outcome.stuck, 0);
    for rule in [Rule::R1, Rule::R2, Rule::R6] {
        assert!(outcome.checked[rule as usize] > 0, "{rule:?}");
    }
    outcome.broken.iter().map(|broken| broken.rule).collect()
}

#[test]
#[ignore = "millions of states"]
fn without_kthread_use_mm_it_is_clean() {
    assert_eq!(broken("linux-6.12", Setup::core().without(Step::Use)), []);
}

#[test]
#[ignore = "millions of states"]
fn with_it_the_hole_breaks_both_rules() {
    assert_eq!(broken("linux-6.12", Setup::core()), [Rule::R1, Rule::R2]);
}

#[test]
#[ignore = "millions of states"]
fn repaired_it_is_clean() {
    assert_eq!(broken("linux-6.12-repaired", Setup::core()), []);
}

/// Every access a step of its own.
#[test]
#[ignore = "millions of states"]
fn without_merged_steps_it_is_clean_too() {
    let setup = Setup { fine: true, ..Setup::core() }.without(Step::Use);
    assert_eq!(broken("linux-6.12", setup), []);
}

#[test]
#[ignore = "millions of states"]
fn the_mail_and_what_it_answers() {
    assert_eq!(broken("sync-on-logical-switch", Setup::core()), []);
    assert_eq!(broken("exit-lazy-tlb", Setup::core()), []);
    assert_eq!(broken("flush-as-membarrier", Setup::core()), [Rule::R1]);
    assert_eq!(broken("flush-as-membarrier-invlpgb", Setup::core()), [Rule::R1, Rule::R2]);
}

/// The second hole: no kernel thread, but a thread that exits.
#[test]
#[ignore = "millions of states"]
fn with_a_thread_that_exits() {
    let exits = Setup { calls: 1, exits: 1, ..Setup::new(3, 3, 0, 1) };
    assert_eq!(broken("linux-6.12", exits), [Rule::R2]);
    assert_eq!(broken("linux-6.12-repaired", exits), []);
}
