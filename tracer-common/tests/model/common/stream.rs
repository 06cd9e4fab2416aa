//! Whole streams of events.

use super::{Entry, Maps};
use tracer_common::model::{Config, Event, Model};

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
