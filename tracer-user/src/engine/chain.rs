//! The chain of events that led to a finding, told in order.

use tracer_common::model::{Event, Finding, Func, Rule, SyncCause};

use super::{history::History, names::Names, narrate::narrate};
use crate::report::{ChainLink, Evidence};

/// The most links of one chain.
const LINKS: usize = 24;

/// The model's evidence as the report has it.
pub(super) const fn evidence(evidence: tracer_common::model::Evidence) -> Evidence {
    match evidence {
        tracer_common::model::Evidence::Observed => Evidence::Observed,
        tracer_common::model::Evidence::Inferred => Evidence::Inferred,
        tracer_common::model::Evidence::Assumed => Evidence::Assumed,
    }
}

/// Whether an event of another CPU belongs to the story.
fn concerns(finding: &Finding, event: &Event) -> bool {
    match event {
        Event::MembarrierEnter(call) | Event::MembarrierExit(call) => call.mm == finding.mm,
        Event::CsdQueue { func, target, .. } => *func == Func::SyncCore && *target == finding.cpu,
        Event::FlushBegin { flush, .. } | Event::FlushEnd { flush, .. } => flush.mm == finding.mm,
        Event::MmDrop(drop) => drop.mm == finding.mm,
        _ => false,
    }
}

/// Tells how it came to `finding`.
pub(super) fn tell(finding: &Finding, history: &History, names: &Names) -> Vec<ChainLink> {
    // From the obligation's beginning, or, on the CPU itself, from its last serialization.
    let since = match finding.rule {
        Rule::R1 | Rule::R2 => finding.since.min(finding.last_sync.ts.max(1)),
        _ => finding.ts.saturating_sub(10_000_000),
    };
    let mut links: Vec<ChainLink> = Vec::new();
    for cpu in 0..history.cpus() {
        let own = cpu == finding.cpu;
        for (ts, event) in history.of(cpu) {
            let in_time = *ts >= since && *ts <= finding.ts;
            if in_time
                && (own || concerns(finding, event))
                && let Some(what) = narrate(event, names)
            {
                links.push(ChainLink { ts_ns: *ts, cpu, what, evidence: Evidence::Observed });
            }
        }
    }
    if finding.last_sync.cause != SyncCause::None {
        links.push(ChainLink {
            ts_ns: finding.last_sync.ts,
            cpu: finding.cpu,
            what: format!("last serialization before: {}", finding.last_sync.cause.name()),
            evidence: evidence(finding.last_sync.evidence),
        });
    }
    links.sort_by_key(|link| link.ts_ns);
    if links.len() > LINKS {
        // The beginning and the end say most.
        let cut = links.len() - LINKS;
        let at = LINKS / 3;
        let ts_ns = links[at].ts_ns;
        links.drain(at..=at + cut);
        links.insert(
            at,
            ChainLink {
                ts_ns,
                cpu: finding.cpu,
                what: format!("({} more events)", cut + 1),
                evidence: Evidence::Observed,
            },
        );
    }
    links
}
