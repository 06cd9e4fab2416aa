//! How many mms are registered for SYNC_CORE, as far as events have told.

use rustc_hash::FxHashSet;
use tracer_common::{model::Event, wire::membarrier_state};

/// How many are told apart.
const MOST: usize = 1 << 20;

/// The mms that are.
#[derive(Default)]
pub(super) struct Registered {
    mms: FxHashSet<u64>,
}

impl Registered {
    /// Takes an event; how many they are now, if that has changed.
    pub(super) fn see(&mut self, event: &Event) -> Option<u64> {
        let before = self.mms.len();
        match event {
            Event::Switch { switch: w, .. } => {
                self.state(w.prev_mm, w.prev_state);
                self.state(w.next_mm, w.next_state);
            }
            Event::MembarrierExit(w) => self.state(w.mm, w.state),
            Event::Fork(w) => self.state(w.child_mm, w.state),
            Event::MmGone(w) | Event::MmDrop(w) => _ = self.mms.remove(&w.mm),
            _ => {}
        }
        (self.mms.len() != before).then_some(self.mms.len() as u64)
    }

    /// Nothing takes a registration back but the end of the mm.
    fn state(&mut self, mm: u64, state: u8) {
        if mm != 0 && state & membarrier_state::SYNC_CORE != 0 && self.mms.len() < MOST {
            self.mms.insert(mm);
        }
    }
}
