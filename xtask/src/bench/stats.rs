//! Medians and spreads.

use serde::{Deserialize, Serialize};

/// The middle of some samples, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` for no samples.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { median, min, max })
    }

    /// The spread of `samples[i] / base[i]`: each sample against the same round's, so that what
    /// slows a whole round (another guest on the host, the clock rate) cancels out.
    pub(crate) fn of_ratios(samples: &[f64], base: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> = samples
            .iter()
            .zip(base)
            .filter(|&(_, &base)| base > 0.0)
            .map(|(sample, base)| sample / base)
            .collect();
        Self::of(&ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let spread = Spread::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!(spread, Spread { median: 2.0, min: 1.0, max: 3.0 });
        let spread = Spread::of(&[4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!(spread, Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // Both are twice as slow in the second round: the ratio does not move.
        let spread = Spread::of_ratios(&[11.0, 22.0, 12.0], &[10.0, 20.0, 10.0]).unwrap();
        assert_eq!(spread, Spread { median: 1.1, min: 1.1, max: 1.2 });
        assert_eq!(Spread::of_ratios(&[1.0], &[0.0]), None);
    }
}
