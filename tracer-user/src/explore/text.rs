//! What an exhaustive search found, as lines of text.

use tracer_explore::{
    bug,
    judge::{self, Agreement},
    path::{self, Walk},
    protocol,
    rules::Rule,
    search::{End, Outcome},
    setup::{Setup, World},
    step::Step,
};

use super::{
    table::{lines, name},
    verdict,
};
use crate::report::text::count;

/// The names that are known.
#[must_use]
pub fn list() -> Vec<String> {
    let mut out = vec!["protocols".to_owned()];
    for protocol in protocol::PROTOCOLS {
        out.push(format!("  {:<28} {}", protocol.name, protocol.about));
    }
    out.push(String::new());
    out.push("bugs, and what is found (nothing: a correct kernel)".to_owned());
    for bug in bug::BUGS {
        let rules: Vec<_> = bug.expect.iter().map(|rule| rule.id()).collect();
        let rules = if rules.is_empty() { "nothing".to_owned() } else { rules.join(" ") };
        out.push(format!("  {:<18} {:<8} {} ({})", bug.name, rules, bug.about, bug.recreates));
    }
    out.push(String::new());
    out.push("steps, and where the kernel makes them".to_owned());
    for step in Step::ALL {
        out.push(format!("  {:<24} {}", step.name(), step.source()));
    }
    out
}

/// What came of a search, rule by rule.
#[must_use]
pub fn told(
    world: &World,
    bugs: &[String],
    excluded: &[String],
    outcome: &Outcome,
    said: &str,
) -> Vec<String> {
    let Setup { cpus, threads_a, threads_b, kthreads, .. } = world.setup;
    let bugs = if bugs.is_empty() { String::new() } else { format!(" + {}", bugs.join(" + ")) };
    let s = &world.setup;
    let bounds = [
        (s.calls, "calls"),
        (s.flushes, "flushes"),
        (s.uses, "kthread_use_mm"),
        (s.exits, "exits"),
        (s.execs, "execs"),
        (s.registrations, "registrations"),
        (s.tests, "tests"),
    ];
    let bounds: Vec<_> = bounds
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    let mut out = vec![
        format!("{said}: {}{bugs}", world.protocol.name),
        format!(
            "{cpus} CPUs, {threads_a} threads of A, {threads_b} of B, {kthreads} kernel threads; {}",
            bounds.join(", ")
        ),
    ];
    if !excluded.is_empty() {
        out.push(format!("without {}", excluded.join(", ")));
    }
    out.push(String::new());
    for rule in Rule::ALL {
        let verdict = verdict(outcome, rule);
        let how = match outcome.of(rule) {
            Some(broken) => format!("in {} steps", broken.path.len()),
            None => format!("{} checks", count(outcome.checked[rule as usize])),
        };
        out.push(format!("  {:<6} {:<14} {:<14} {how}", rule.id(), rule.name(), verdict.name()));
    }
    let status = &outcome.status;
    let seconds = status.elapsed.as_secs_f64();
    let end = match outcome.end {
        End::Exhausted => "the whole space",
        End::Enough => "stopped at what was asked for",
        End::Memory => "SPACE NOT EXHAUSTED: memory ran out (--memory)",
        End::Stopped => "SPACE NOT EXHAUSTED: stopped",
    };
    out.push(String::new());
    out.push(format!(
        "{end}: {} states, {} steps, depth {}, {seconds:.1} s, {} states/s, {} MiB, {:.0} bytes a state",
        count(status.states),
        count(status.steps),
        status.depth,
        count((status.states as f64 / seconds.max(1e-9)) as u64),
        count(status.bytes >> 20),
        status.bytes as f64 / status.states.max(1) as f64,
    ));
    out.push(format!(
        "a state is told by 64 bits: one was taken for another with a probability of {:.1e}",
        outcome.omission()
    ));
    if outcome.stuck > 0 {
        let stuck = count(outcome.stuck);
        out.push(format!("{stuck} states in which nothing can happen: a fault of the abstraction"));
    }
    out
}

/// The way to a broken rule, and what the model core says of it.
#[must_use]
pub fn counterexample(world: &World, rule: Rule, walk: &Walk) -> Vec<String> {
    let judged = judge::judge(world, walk);
    let mut out = vec![String::new(), format!("how {} is broken:", rule.id()), String::new()];
    out.extend(lines(world, walk));
    out.push(String::new());
    if rule.model().is_none() {
        out.push("No tracer can see this; the abstract kernel's own state shows it.".to_owned());
    }
    let told = "The model core, told only what probes would see:";
    for found in judged.findings() {
        let (id, evidence) = (found.rule.id(), found.evidence.name());
        let who = name(world, found.tid);
        out.push(format!("{told} {id} on CPU {}, {who} ({evidence}).", found.cpu));
    }
    if judged.findings().is_empty() && rule.model().is_some() {
        let excused = judged.tally().rules.iter().map(|rule| rule.excused).sum::<u64>();
        out.push(format!("{told} nothing ({excused} excused)."));
    }
    out
}

/// How the two judges compare.
#[must_use]
pub fn agreement(world: &World, agreed: &Agreement) -> Vec<String> {
    let mut out = vec![
        format!("{} states, {} steps judged by both", count(agreed.states), count(agreed.steps)),
        format!(
            "{:<6} {:>10} {:>10} {:>12} {:>12}",
            "rule", "both", "doubted", "only search", "only model"
        ),
    ];
    for rule in Rule::ALL.into_iter().filter(|rule| rule.model().is_some()) {
        let n = rule as usize;
        out.push(format!(
            "{:<6} {:>10} {:>10} {:>12} {:>12}",
            rule.id(),
            agreed.both[n],
            agreed.doubted[n],
            agreed.only_search[n],
            agreed.only_model[n]
        ));
    }
    out.push(format!("R7 (the model core against itself): {} mismatches", agreed.r7));
    for (rule, who, way) in &agreed.examples {
        out.extend([String::new(), format!("{} by the {who} alone:", rule.id()), String::new()]);
        out.extend(lines(world, &path::walk(world, way)));
    }
    out
}
