//! The same, for people.

use tracer_explore::{bug::Bug, conform::Divergence, protocol::Protocol};

use super::Conformed;
use crate::report::text::{count, printable};

/// What there is to tell of one run.
#[must_use]
pub fn lines(
    conformed: &Conformed,
    protocol: &Protocol,
    bugs: &[&'static Bug],
    kernel: Option<&str>,
) -> Vec<String> {
    let tally = &conformed.tally;
    let bugs = bugs.iter().map(|bug| format!(" + {}", bug.name)).collect::<Vec<_>>().concat();
    let mut out = vec![
        format!("{}: {}{bugs}", conformed.verdict.name(), protocol.name),
        format!("recorded on {}", printable(kernel.unwrap_or("an unknown kernel"))),
        String::new(),
        format!(
            "{} events, {} explained; a CPU may have been in {} states at most",
            count(tally.events),
            count(tally.passed()),
            tally.most
        ),
    ];
    let row = |name: &str, times: u64, more: &str| format!("  {:>12}  {name}{more}", count(times));
    out.push("explained by a step that tells them".to_owned());
    let mut steps: Vec<_> = tally.matched.iter().collect();
    steps.sort_by_key(|&(step, times)| (std::cmp::Reverse(*times), *step));
    out.extend(steps.iter().map(|(step, times)| row(step.name(), **times, "")));
    out.push(row("readings at other times", tally.readings, ""));
    if !tally.unseen.is_empty() {
        out.push("steps that no probe saw, and that must have been".to_owned());
        out.extend(tally.unseen.iter().map(|(step, times)| row(step.name(), *times, "")));
    }
    out.push(format!(
        "{} SYNC_CORE calls and {} registrations from beginning to end: {} CPUs interrupted, {} left out",
        count(tally.calls[0]),
        count(tally.calls[1]),
        count(tally.answers[0]),
        count(tally.answers[1])
    ));
    out.push(format!(
        "{} flushes; of the CPUs on which nothing changed meanwhile {} interrupted, {} left out",
        count(tally.flushes),
        count(tally.flushed[0]),
        count(tally.flushed[1])
    ));
    out.push(String::new());
    out.push("left out of the abstract kernel, and passed by".to_owned());
    let mut left: Vec<_> = tally.left.iter().collect();
    left.sort_by_key(|&(left, times)| (std::cmp::Reverse(*times), *left));
    out.extend(
        left.iter().map(|(left, times)| row(left.name(), **times, &format!(" ({})", left.why()))),
    );
    out.push(format!(
        "not known: {} events on CPUs whose state was not; {} gaps; found again {} times",
        count(tally.unknown),
        count(tally.gaps),
        count(tally.seeded)
    ));
    if let Some(first) = tally.divergences.first() {
        out.push(String::new());
        out.push(format!(
            "{} events are beyond the abstract kernel; the first:",
            count(tally.diverged)
        ));
        out.extend(told(first, conformed.started_ns));
    }
    out
}

/// A divergence.
fn told(one: &Divergence, started: u64) -> Vec<String> {
    let seconds = one.ts.saturating_sub(started) as f64 / 1e9;
    let mut out = vec![format!("  {seconds:.6} s, CPU {}, thread {}", one.cpu, one.tid)];
    out.push(format!("    observed: {}", printable(&one.observed)));
    if !one.why.is_empty() {
        out.push(format!("    {}", one.why));
    }
    if one.could.is_empty() {
        out.push("    the abstract kernel could do nothing there".to_owned());
    } else {
        out.push("    the abstract kernel could:".to_owned());
        out.extend(one.could.iter().map(|could| format!("      {could}")));
    }
    out
}
