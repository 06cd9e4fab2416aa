//! Whole streams of events.

use super::{Entry, Maps};
use std::collections::{BTreeMap, BTreeSet};
use tracer_common::{
    model::{Config, Event, Model},
    wire::tlb_reason,
};

/// What a model says of these events.
pub(crate) fn judge(config: Config, mut store: Maps, events: &[Entry]) -> Maps {
    let mut model = Model::new(config);
    for (cpu, ts, event) in events {
        model.step(&mut store, *cpu, *ts, event);
    }
    store
}

/// Where a loss is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// When the next record arrives.
    AtItsEnd,
    /// Then, and before any other CPU goes on as well.
    AtBothEnds,
}

/// The events without those at `lost`, all of one CPU, and gaps instead.
pub(crate) fn with_gap(events: &[Entry], lost: &[usize], told: Told) -> Vec<Entry> {
    let (begin, end) = (lost.first().copied(), lost.last().copied());
    let mut cut = Vec::new();
    for (index, &(cpu, ts, event)) in events.iter().enumerate() {
        // User space says this, so it is never lost.
        let note = matches!(event, Event::SyscallProbes(_));
        if note || !lost.contains(&index) {
            cut.push((cpu, ts, event));
        }
        if Some(index) == begin && told == Told::AtBothEnds {
            cut.push((cpu, ts, Event::Gap { lost: 0 }));
        }
        if Some(index) == end {
            cut.push((cpu, ts, Event::Gap { lost: lost.len() as u64 }));
        }
    }
    cut
}

/// The same events, with a switch's CR3 write told by the record after it, as the kernel side does,
/// instead of by one of its own.
pub(crate) fn cr3_told_later(events: &[Entry]) -> Vec<Entry> {
    let mut switched = BTreeMap::new();
    let mut written = BTreeSet::new();
    let mut told = Vec::new();
    for &(cpu, ts, event) in events {
        if matches!(event, Event::Nmi(_) | Event::SyscallProbes(_)) {
            told.push((cpu, ts, event));
            continue;
        }
        let previous = switched.remove(&cpu);
        if let Event::TlbFlush(flush) = event
            && flush.reason == tlb_reason::TASK_SWITCH
            && previous == Some(flush.tid)
        {
            written.insert(cpu);
            continue;
        }
        if written.remove(&cpu) {
            told.push((cpu, ts, Event::SwitchCr3));
        }
        if let Event::Switch { switch, .. } = event {
            switched.insert(cpu, switch.prev_tid);
        }
        told.push((cpu, ts, event));
    }
    told
}
