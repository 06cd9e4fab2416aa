//! The guest's clock beside the host's.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use unlazy_guest::witness::{Kind, Told};

/// A mark: when the witness saw it, and the guest's time before and after it.
type Mark = (u64, (u64, u64));

/// A time of the host's, and the guest's at it.
#[derive(Clone, Copy)]
struct Knot {
    host: u64,
    guest: u64,
}

impl Knot {
    /// How far the guest's clock is ahead.
    fn ahead(self) -> i128 {
        i128::from(self.guest) - i128::from(self.host)
    }
}

/// The guest's clock by the host's: straight lines through the shortest mark of each piece.
///
/// The guest's clock may jump, as Linux lets it when it goes to another clock source: what lies in the
/// piece where it jumped can't be compared.
pub(crate) struct Clock {
    /// Both times grow.
    knots: Vec<Knot>,
    /// Between which two of the guest's times it jumped.
    jumps: Vec<(u64, u64)>,
    /// How far it may be off, in nanoseconds: half a mark's length, and what any mark is outside of
    /// where it should be.
    pub(crate) error: u64,
}

/// A piece of the guest's time.
const PIECE_NS: u64 = 250_000_000;

/// How far a clock's rate takes it off within a piece, at most: the kernel corrects it by less.
const JUMP_NS: u64 = 2_000;

/// Clocks that agree less tell nothing: most of what is compared takes some 10 us.
const WORST_ERROR_NS: u64 = 20_000;

impl Clock {
    /// From what the guest wrote of its marks, and what the witness told of them.
    ///
    /// # Errors
    /// When they are not of the same run, or the clocks can't be laid side by side.
    pub(crate) fn new(marks: &Path, told: &[Told]) -> Result<Self> {
        let text =
            fs::read_to_string(marks).with_context(|| format!("reading {}", marks.display()))?;
        let host = told.iter().filter(|told| told.kind == Kind::Mark).map(|told| told.ts);
        let guest = text.lines().map(|line| {
            let (from, to) = line.split_once(' ')?;
            Some((from.parse().ok()?, to.parse().ok()?))
        });
        let guest: Vec<(u64, u64)> = guest.collect::<Option<_>>().context("these are no marks")?;
        let host: Vec<u64> = host.collect();
        if host.len() != guest.len() {
            bail!("the guest marked {} times, and the witness saw {}", guest.len(), host.len());
        }
        let marks: Vec<Mark> = host.into_iter().zip(guest).collect();
        let clock = Self::through(&marks).context("there are too few marks")?;
        if clock.error > WORST_ERROR_NS {
            bail!("the two clocks can't be laid side by side: {} ns off", clock.error);
        }
        Ok(clock)
    }

    fn through(marks: &[Mark]) -> Option<Self> {
        let length = |&(_, (from, to)): &Mark| to.saturating_sub(from);
        let pieces = marks.chunk_by(|(_, (a, _)), (_, (b, _))| a / PIECE_NS == b / PIECE_NS);
        let shortest: Vec<&Mark> =
            pieces.filter_map(|piece| piece.iter().min_by_key(|mark| length(mark))).collect();
        // A piece in which the CPU was always taken away tells less than its neighbours.
        let best = shortest.iter().map(|mark| length(mark)).min()?;
        let good = shortest.iter().filter(|mark| length(mark) <= 2 * best);
        let knots: Vec<Knot> =
            good.map(|&&(host, (from, to))| Knot { host, guest: from.midpoint(to) }).collect();
        if knots.len() < 2 {
            return None;
        }
        let pairs = knots.iter().zip(knots.iter().skip(1));
        let jumped = pairs.filter(|(a, b)| a.ahead().abs_diff(b.ahead()) > u128::from(JUMP_NS));
        let jumps = jumped.map(|(a, b)| (a.guest, b.guest)).collect();
        let mut clock = Self { knots, jumps, error: 0 };
        let (first, last) = clock.span();
        let outside = marks.iter().map(|&(host, (from, to))| {
            if to < first || from > last || !clock.comparable(from, to) {
                return 0;
            }
            let at = clock.guest(host);
            from.saturating_sub(at).max(at.saturating_sub(to))
        });
        clock.error = best + outside.max()?;
        Some(clock)
    }

    /// The guest's time at a time of the host's.
    pub(crate) fn guest(&self, host: u64) -> u64 {
        let after = self.knots.partition_point(|knot| knot.host <= host);
        // The first and the last line go on beyond their knots.
        let after = after.clamp(1, self.knots.len().saturating_sub(1));
        let (Some(&begin), Some(&end)) = (self.knots.get(after - 1), self.knots.get(after)) else {
            return 0;
        };
        let elapsed = i128::from(host) - i128::from(begin.host);
        let of = i128::from(end.host - begin.host).max(1);
        let at = i128::from(begin.guest) + elapsed * i128::from(end.guest - begin.guest) / of;
        u64::try_from(at).unwrap_or(0)
    }

    /// Between which of the guest's times there are marks.
    pub(crate) fn span(&self) -> (u64, u64) {
        let guest = |knot: Option<&Knot>| knot.map_or(0, |knot| knot.guest);
        (guest(self.knots.first()), guest(self.knots.last()))
    }

    /// Whether the guest's clock did not jump between two of its times.
    pub(crate) fn comparable(&self, from: u64, to: u64) -> bool {
        !self.jumps.iter().any(|&(begin, end)| begin <= to && from <= end)
    }

    /// For how long it can't be compared, in nanoseconds.
    pub(crate) fn blind_ns(&self) -> u64 {
        self.jumps.iter().map(|(begin, end)| end - begin).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks each 20 ms for 4 s, 1 us long: the guest is ahead by what is said.
    fn marks(ahead: impl Fn(u64) -> u64) -> Vec<Mark> {
        let host = (0..200).map(|step| 1_000_000_000 + step * 20_000_000);
        host.map(|at| (at, (at + ahead(at) - 500, at + ahead(at) + 500))).collect()
    }

    #[test]
    fn a_steady_clock_is_followed() {
        let clock = Clock::through(&marks(|_| 5_000_000)).unwrap();
        assert_eq!(clock.guest(2_345_678_901), 2_350_678_901);
        assert_eq!((clock.error, clock.blind_ns()), (1_000, 0));
    }

    #[test]
    fn a_long_mark_does_not_bend_the_line() {
        let mut all = marks(|_| 5_000_000);
        for mark in &mut all[40..60] {
            mark.1.1 += 300_000;
        }
        let clock = Clock::through(&all).unwrap();
        assert_eq!(clock.guest(2_345_678_901), 2_350_678_901);
        assert_eq!(clock.error, 1_000);
    }

    #[test]
    fn where_it_jumps_nothing_is_compared() {
        let all = marks(|at| if at < 3_000_000_000 { 5_000_000 } else { 4_800_000 });
        let clock = Clock::through(&all).unwrap();
        assert_eq!(clock.guest(2_100_000_000), 2_105_000_000);
        assert_eq!(clock.guest(4_100_000_000), 4_104_800_000);
        assert!(!clock.comparable(3_000_000_000, 3_010_000_000));
        assert!(!clock.comparable(2_000_000_000, 4_000_000_000), "it lies around the jump");
        assert!(clock.comparable(2_100_000_000, 2_200_000_000));
        assert!(clock.comparable(4_100_000_000, 4_200_000_000));
        assert!(clock.error <= 1_000, "{}", clock.error);
        assert!((1..=2 * PIECE_NS).contains(&clock.blind_ns()), "{}", clock.blind_ns());
    }

    #[test]
    fn clocks_that_do_not_fit_are_known() {
        // A mark the guest says was elsewhere.
        let mut all = marks(|_| 5_000_000);
        all[105].1.0 += 700_000;
        all[105].1.1 += 700_000;
        let clock = Clock::through(&all).unwrap();
        assert!(clock.error > WORST_ERROR_NS, "{}", clock.error);
        assert!(Clock::through(&all[..3]).is_none(), "all in one piece");
        assert!(Clock::through(&[]).is_none());
    }
}
