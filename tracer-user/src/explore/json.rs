//! `unlazy.explore/1`: what came of a search, for programs.

use serde::Serialize;
use tracer_explore::{path, rules::Rule, search::Outcome, setup::World, step::Step};

use super::verdict;

/// All of it.
#[derive(Debug, Serialize)]
pub struct Explored {
    schema: &'static str,
    verdict: &'static str,
    protocol: &'static str,
    bugs: Vec<String>,
    bounds: Bounds,
    end: String,
    exhausted: bool,
    states: u64,
    steps: u64,
    depth: u32,
    stuck: u64,
    seconds: f64,
    states_per_second: u64,
    bytes: u64,
    omission_probability: f64,
    rules: Vec<OfRule>,
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "as they are given")]
struct Bounds {
    cpus: u8,
    threads_a: u8,
    threads_b: u8,
    kthreads: u8,
    calls: u8,
    flushes: u8,
    tables: bool,
    uses: u8,
    exits: u8,
    execs: u8,
    registrations: u8,
    tests: u8,
    private: bool,
    fine: bool,
    symmetry: bool,
    excluded: Vec<&'static str>,
}

/// A rule.
#[derive(Debug, Serialize)]
pub struct OfRule {
    id: &'static str,
    name: &'static str,
    verdict: &'static str,
    checked: u64,
    counterexample: Option<Vec<OfStep>>,
}

#[derive(Debug, Serialize)]
struct OfStep {
    cpu: u8,
    step: &'static str,
    source: &'static str,
}

/// Puts it together.
#[must_use]
pub fn explored(world: &World, bugs: &[String], outcome: &Outcome, said: &'static str) -> Explored {
    let s = &world.setup;
    let status = &outcome.status;
    let seconds = status.elapsed.as_secs_f64();
    let excluded = |step: &&Step| s.excluded & 1 << **step as u64 != 0;
    let rules = Rule::ALL.map(|rule| OfRule {
        id: rule.id(),
        name: rule.name(),
        verdict: verdict(outcome, rule).name(),
        checked: outcome.checked[rule as usize],
        counterexample: outcome.of(rule).map(|broken| {
            let walk = path::walk(world, &broken.path);
            let step = |(action, ..): &(tracer_explore::step::Action, _, _, _)| OfStep {
                cpu: action.cpu,
                step: action.step.name(),
                source: action.step.source(),
            };
            walk.steps.iter().map(step).collect()
        }),
    });
    Explored {
        schema: "unlazy.explore/1",
        verdict: said,
        protocol: world.protocol.name,
        bugs: bugs.to_vec(),
        bounds: Bounds {
            cpus: s.cpus,
            threads_a: s.threads_a,
            threads_b: s.threads_b,
            kthreads: s.kthreads,
            calls: s.calls,
            flushes: s.flushes,
            tables: s.tables,
            uses: s.uses,
            exits: s.exits,
            execs: s.execs,
            registrations: s.registrations,
            tests: s.tests,
            private: s.private,
            fine: s.fine,
            symmetry: s.symmetry,
            excluded: Step::ALL.iter().filter(excluded).map(|step| step.name()).collect(),
        },
        end: format!("{:?}", outcome.end).to_lowercase(),
        exhausted: outcome.end == tracer_explore::search::End::Exhausted,
        states: status.states,
        steps: status.steps,
        depth: status.depth,
        stuck: outcome.stuck,
        seconds,
        states_per_second: (status.states as f64 / seconds.max(1e-9)) as u64,
        bytes: status.bytes,
        omission_probability: outcome.omission(),
        rules: rules.into(),
    }
}
