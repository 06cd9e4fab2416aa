//! The last of a live run, in packed batches.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::place::Batches;
use crate::trace::Packed;

/// The last batches.
pub(super) struct Ring {
    /// The number of the oldest.
    pub(super) first: u64,
    batches: VecDeque<Arc<Packed>>,
    pub(super) bytes: usize,
    budget: usize,
}

impl Ring {
    /// For no more than so many bytes.
    pub(super) const fn new(budget: usize) -> Self {
        Self { first: 0, batches: VecDeque::new(), bytes: 0, budget }
    }

    /// The number that the next one will have.
    pub(super) fn next(&self) -> u64 {
        self.first + self.batches.len() as u64
    }

    /// Takes another; the oldest go.
    pub(super) fn push(&mut self, packed: Packed) {
        self.bytes += packed.len();
        self.batches.push_back(Arc::new(packed));
        while self.bytes > self.budget
            && let Some(oldest) = self.batches.pop_front()
        {
            self.bytes -= oldest.len();
            self.first += 1;
        }
    }

    /// Those that are kept, from one on.
    pub(super) fn from(&self, number: u64) -> Batches {
        let skip = number.saturating_sub(self.first);
        let rest = self.batches.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX));
        Batches { next: self.first.max(number), rest: rest.cloned().collect() }
    }
}

/// Locks it; whoever panicked with it left it whole.
pub(super) fn locked(ring: &Mutex<Ring>) -> MutexGuard<'_, Ring> {
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}
