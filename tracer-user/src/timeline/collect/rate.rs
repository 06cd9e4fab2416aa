//! How many a second, of late.

use serde::{Deserialize, Serialize};

/// The length of a slot in nanoseconds.
const SLOT: u64 = 100_000_000;
/// A second of slots, and the one that is not over.
const SLOTS: usize = 11;

/// Counts over the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::timeline) struct Rate {
    slot: u64,
    counts: [u32; SLOTS],
    /// When the first was counted.
    first: Option<u64>,
    total: u64,
}

impl Rate {
    pub(in crate::timeline) fn add(&mut self, ts: u64) {
        let slot = ts / SLOT;
        if slot > self.slot {
            let passed = (slot - self.slot).min(SLOTS as u64);
            for one in 1..=passed {
                self.counts[((self.slot + one) % SLOTS as u64) as usize] = 0;
            }
            if passed == SLOTS as u64 {
                self.counts = [0; SLOTS];
            }
            self.slot = slot;
        }
        self.first.get_or_insert(ts);
        let count = &mut self.counts[(self.slot % SLOTS as u64) as usize];
        *count = count.saturating_add(1);
        self.total += 1;
    }

    /// All that were counted.
    pub(in crate::timeline) const fn total(&self) -> u64 {
        self.total
    }

    /// How many a second, over the second before the slot that `now` is in. `since` is when counting
    /// began; `None` if that is too short ago.
    pub(in crate::timeline) fn per_second(&self, now: u64, since: u64) -> Option<f64> {
        let now = now / SLOT;
        let oldest = now.saturating_sub(10).max(since.div_ceil(SLOT));
        if oldest >= now {
            return None;
        }
        let sum: u64 = (oldest..now)
            .filter(|slot| *slot <= self.slot && slot + SLOTS as u64 > self.slot)
            .map(|slot| u64::from(self.counts[(slot % SLOTS as u64) as usize]))
            .sum();
        Some(sum as f64 * 10.0 / (now - oldest) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_a_second_are_a_thousand() {
        let mut rate = Rate::default();
        for ms in 5_000..8_000 {
            rate.add(ms * 1_000_000);
        }
        assert_eq!(rate.total(), 3_000);
        assert_eq!(rate.per_second(8_000_000_000, 5_000_000_000), Some(1000.0));
        assert_eq!(rate.per_second(8_500_000_000, 5_000_000_000), Some(500.0));
        assert_eq!(rate.per_second(60_000_000_000, 5_000_000_000), Some(0.0), "long ago");
    }

    #[test]
    fn what_has_just_begun_has_no_rate_yet() {
        let mut rate = Rate::default();
        rate.add(5_010_000_000);
        assert_eq!(rate.per_second(5_050_000_000, 5_000_000_001), None);
        assert_eq!(rate.per_second(5_200_000_000, 5_000_000_000), Some(5.0));
    }
}
