//! What each CPU did last, for the stories that findings tell.

use std::collections::VecDeque;

use tracer_common::model::Event;

/// How many events of each CPU are kept.
const KEPT: usize = 512;

pub(super) struct History {
    cpus: Vec<VecDeque<(u64, Event)>>,
}

impl History {
    pub(super) fn new(cpus: u32) -> Self {
        Self { cpus: (0..cpus).map(|_| VecDeque::new()).collect() }
    }

    pub(super) fn push(&mut self, cpu: u32, ts: u64, event: &Event) {
        if let Some(events) = self.cpus.get_mut(cpu as usize) {
            if events.len() == KEPT {
                events.pop_front();
            }
            events.push_back((ts, *event));
        }
    }

    /// The events of one CPU, oldest first.
    pub(super) fn of(&self, cpu: u32) -> impl DoubleEndedIterator<Item = &(u64, Event)> {
        self.cpus.get(cpu as usize).into_iter().flatten()
    }

    pub(super) fn cpus(&self) -> u32 {
        self.cpus.len() as u32
    }
}
