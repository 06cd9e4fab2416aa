//! What the kernel side did not hand over since a window opened.

use std::collections::BTreeMap;

use tracer_common::wire::Kind;

use crate::{
    probes::{self, Missed, table::Missing},
    stream::MissedRuns,
};

/// What was missed since `before`.
pub(super) fn since(before: &[Missed], now: Vec<Missed>) -> Vec<MissedRuns> {
    now.into_iter()
        .filter_map(|Missed { probe, count }| {
            let earlier = before.iter().find(|missed| missed.probe.name == probe.name);
            let count = count.saturating_sub(earlier.map_or(0, |missed| missed.count));
            (count > 0).then(|| MissedRuns {
                probe: probe.name.to_owned(),
                gives: probe.gives.to_owned(),
                count,
                lost: probe.missing == Missing::Lost,
            })
        })
        .collect()
}

/// Readings of the kernel's variables that were thrown away.
pub(super) fn disturbed(counters: &[probes::CpuCounters]) -> u64 {
    counters.iter().map(|cpu| cpu.disturbed).sum()
}

/// Records that found no room since `before`, by the name of their kind.
pub(super) fn lost_by_probe(
    counters: &[probes::CpuCounters],
    before: &[u64; probes::LOST_KINDS],
) -> BTreeMap<String, u64> {
    let mut lost = BTreeMap::new();
    for (kind, before) in before.iter().enumerate() {
        let now: u64 = counters.iter().map(|cpu| cpu.lost[kind]).sum();
        if now > *before {
            let name = Kind::from_u16(kind as u16).map_or("unknown", Kind::name);
            lost.insert(name.to_owned(), now - before);
        }
    }
    lost
}
