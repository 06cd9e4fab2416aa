//! `unlazy.conform/1`: how a recording compares to the abstract kernel, for programs.

use std::collections::BTreeMap;

use serde::Serialize;
use tracer_explore::{bug::Bug, protocol::Protocol};

use super::{Conformed, Verdict};

/// All of it.
#[derive(Debug, Serialize)]
pub struct Conformity {
    schema: &'static str,
    verdict: Verdict,
    protocol: &'static str,
    bugs: Vec<&'static str>,
    kernel: Option<String>,
    events: u64,
    matched_total: u64,
    matched: BTreeMap<&'static str, u64>,
    unseen: BTreeMap<&'static str, u64>,
    readings: u64,
    calls: Calls,
    flushes: Flushes,
    left_out: Vec<LeftOut>,
    unknown: Unknown,
    states_at_most: usize,
    divergences_total: u64,
    divergences: Vec<Divergence>,
}

/// Calls that were followed from beginning to end.
#[derive(Debug, Serialize)]
struct Calls {
    sync_core: u64,
    registrations: u64,
    cpus_interrupted: u64,
    cpus_left_out: u64,
}

/// Flushes that were followed from beginning to end, and the CPUs on which nothing changed meanwhile.
#[derive(Debug, Serialize)]
struct Flushes {
    total: u64,
    cpus_interrupted: u64,
    cpus_left_out: u64,
}

#[derive(Debug, Serialize)]
struct LeftOut {
    what: &'static str,
    why: &'static str,
    times: u64,
}

#[derive(Debug, Serialize)]
struct Unknown {
    events: u64,
    gaps: u64,
    found_again: u64,
}

#[derive(Debug, Serialize)]
struct Divergence {
    ts_ns: u64,
    after_ns: u64,
    cpu: u32,
    tid: u32,
    observed: String,
    why: Option<String>,
    could: Vec<String>,
}

impl Conformity {
    /// What there is to tell of one run.
    #[must_use]
    pub fn new(
        conformed: &Conformed,
        protocol: &Protocol,
        bugs: &[&'static Bug],
        kernel: Option<&str>,
    ) -> Self {
        let tally = &conformed.tally;
        let divergence = |one: &tracer_explore::conform::Divergence| Divergence {
            ts_ns: one.ts,
            after_ns: one.ts.saturating_sub(conformed.started_ns),
            cpu: one.cpu,
            tid: one.tid,
            observed: one.observed.clone(),
            why: (!one.why.is_empty()).then(|| one.why.clone()),
            could: one.could.clone(),
        };
        Self {
            schema: "unlazy.conform/1",
            verdict: conformed.verdict,
            protocol: protocol.name,
            bugs: bugs.iter().map(|bug| bug.name).collect(),
            kernel: kernel.map(str::to_owned),
            events: tally.events,
            matched_total: tally.passed(),
            matched: tally.matched.iter().map(|(step, n)| (step.name(), *n)).collect(),
            unseen: tally.unseen.iter().map(|(step, n)| (step.name(), *n)).collect(),
            readings: tally.readings,
            calls: Calls {
                sync_core: tally.calls[0],
                registrations: tally.calls[1],
                cpus_interrupted: tally.answers[0],
                cpus_left_out: tally.answers[1],
            },
            flushes: Flushes {
                total: tally.flushes,
                cpus_interrupted: tally.flushed[0],
                cpus_left_out: tally.flushed[1],
            },
            left_out: tally
                .left
                .iter()
                .map(|(left, times)| LeftOut { what: left.name(), why: left.why(), times: *times })
                .collect(),
            unknown: Unknown { events: tally.unknown, gaps: tally.gaps, found_again: tally.seeded },
            states_at_most: tally.most,
            divergences_total: tally.diverged,
            divergences: tally.divergences.iter().map(divergence).collect(),
        }
    }
}
