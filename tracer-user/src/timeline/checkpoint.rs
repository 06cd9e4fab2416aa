//! Checkpoints: a judge's state at some moments, packed, from which any other is near.
//!
//! The records that waited for their turn then are not in it: it says from where on they are to be
//! read again. So a checkpoint costs what is known of the machine, not what it does.

use std::sync::Arc;

use super::{collect::Collector, place::Place};
use crate::{
    engine::{FreezeError, FrozenReader, FrozenWriter, Observer, Told},
    explain::follow::Follow,
    judge::Judge,
    stream::Facts,
};

/// What zstd is to try: the state is full of zeros, and a seek waits for it.
const LEVEL: i32 = 1;

/// A moment that can be gone back to.
#[derive(Debug)]
pub(super) struct Checkpoint {
    /// Events judged by then.
    pub(super) index: u64,
    /// All up to here has been judged, in nanoseconds.
    pub(super) ts: u64,
    /// SYNC_CORE calls that had begun.
    pub(super) calls: u64,
    /// The oldest record that waited for its turn stands here, or later.
    pub(super) from: Place,
    /// Everything before was read.
    pub(super) at: Place,
    packed: Box<[u8]>,
    size: usize,
}

impl Checkpoint {
    /// Of a judge that has just judged all that it can.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(super) fn of(
        judge: &Judge<Collector>,
        ts: u64,
        (from, at): (Place, Place),
    ) -> Result<Self, FreezeError> {
        let mut bytes = FrozenWriter::default();
        let collector = judge.engine().observer();
        collector.freeze(&mut bytes)?;
        judge.freeze(&mut bytes)?;
        let bytes = bytes.into_bytes();
        let packed = zstd::bulk::compress(&bytes, LEVEL).map_err(|_| FreezeError::NoRoom)?;
        let (index, calls) = (collector.counted.index, collector.calls_total());
        let (packed, size) = (packed.into(), bytes.len());
        Ok(Self { index, ts, calls, from, at, packed, size })
    }

    /// What it takes in memory.
    pub(super) const fn bytes(&self) -> usize {
        self.packed.len() + size_of::<Self>()
    }

    fn unpacked(&self) -> Result<Vec<u8>, FreezeError> {
        zstd::bulk::decompress(&self.packed, self.size).map_err(|_| FreezeError::NoRoom)
    }

    /// The judge as it was; its records are still to be read again.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(super) fn judge(
        &self,
        facts: &Facts,
        told: &[Arc<Told>],
    ) -> Result<Judge<Collector>, FreezeError> {
        let bytes = self.unpacked()?;
        let mut from = FrozenReader(&bytes);
        let collector = Collector::thaw(facts, &mut from)?;
        Judge::thaw(facts.clone(), &mut from, collector, told)
    }

    /// The same judge, with somebody else who looks on and goes on following calls.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(super) fn judge_for<O: Observer>(
        &self,
        facts: &Facts,
        told: &[Arc<Told>],
        make: impl FnOnce(Follow) -> O,
    ) -> Result<Judge<O>, FreezeError> {
        let bytes = self.unpacked()?;
        let mut from = FrozenReader(&bytes);
        let follow = Collector::thaw_follow(&mut from)?;
        Judge::thaw(facts.clone(), &mut from, make(follow), told)
    }
}

/// The checkpoints of a run, in order, within a budget.
#[derive(Debug)]
pub(super) struct Checkpoints {
    kept: Vec<Arc<Checkpoint>>,
    bytes: usize,
    budget: usize,
    spacing: u64,
    least: u64,
}

impl Checkpoints {
    /// At most `budget` bytes; at first one every `spacing` events.
    pub(super) const fn new(budget: usize, spacing: u64) -> Self {
        Self { kept: Vec::new(), bytes: 0, budget, spacing, least: spacing }
    }

    /// Whether it is time for another.
    pub(super) fn due(&self, index: u64) -> bool {
        self.kept.last().is_none_or(|last| index >= last.index.saturating_add(self.spacing))
    }

    /// Takes another. If there is no room for all, every second one goes, and the next ones are twice
    /// as far apart.
    pub(super) fn push(&mut self, checkpoint: Arc<Checkpoint>) {
        self.bytes += checkpoint.bytes();
        self.kept.push(checkpoint);
        while self.bytes > self.budget && self.kept.len() > 2 {
            let mut odd = false;
            self.kept.retain(|_| {
                odd = !odd;
                odd
            });
            self.bytes = self.kept.iter().map(|one| one.bytes()).sum();
            self.spacing = self.spacing.saturating_mul(2);
        }
    }

    /// What was before this place is no longer there.
    pub(super) fn forget_before(&mut self, place: Place) {
        self.kept.retain(|one| one.from >= place);
        self.bytes = self.kept.iter().map(|one| one.bytes()).sum();
        if self.bytes < self.budget / 4 && self.spacing > self.least {
            self.spacing /= 2;
        }
    }

    /// What they take in memory.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn first(&self) -> Option<&Arc<Checkpoint>> {
        self.kept.first()
    }

    pub(super) fn last(&self) -> Option<&Arc<Checkpoint>> {
        self.kept.last()
    }

    /// The last one at which no more than so many events had been judged.
    pub(super) fn by_index(&self, index: u64) -> Option<&Arc<Checkpoint>> {
        self.kept[..self.kept.partition_point(|one| one.index <= index)].last()
    }

    /// The last one that is not later.
    pub(super) fn by_time(&self, ts: u64) -> Option<&Arc<Checkpoint>> {
        self.kept[..self.kept.partition_point(|one| one.ts <= ts)].last()
    }

    /// The last one by which fewer SYNC_CORE calls had begun.
    pub(super) fn by_call(&self, number: u64) -> Option<&Arc<Checkpoint>> {
        self.kept[..self.kept.partition_point(|one| one.calls < number)].last()
    }

    /// The last one with fewer events than this.
    pub(super) fn before(&self, index: u64) -> Option<&Arc<Checkpoint>> {
        self.kept[..self.kept.partition_point(|one| one.index < index)].last()
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> &[Arc<Checkpoint>] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(index: u64, size: usize) -> Arc<Checkpoint> {
        Arc::new(Checkpoint {
            index,
            ts: index * 10,
            calls: index / 100,
            from: Place::default(),
            at: Place::default(),
            packed: vec![0; size].into(),
            size,
        })
    }

    #[test]
    fn they_stay_within_their_budget_and_spread_over_all() {
        let each = 1_000 + size_of::<Checkpoint>();
        let mut all = Checkpoints::new(64 * each, 100);
        for index in 0..1_000_000 {
            if all.due(index) {
                all.push(checkpoint(index, 1_000));
                assert!(all.bytes() <= 64 * each, "{}", all.bytes());
            }
        }
        let indices: Vec<u64> = all.all().iter().map(|one| one.index).collect();
        assert_eq!(indices.first(), Some(&0), "the beginning is always there");
        assert!(indices.len() > 24, "{indices:?}");
        let gaps = || indices.windows(2).map(|two| two[1] - two[0]);
        assert!(gaps().max() <= gaps().min().map(|least| 2 * least), "{indices:?}");
    }

    #[test]
    fn the_nearest_is_found() {
        let mut all = Checkpoints::new(usize::MAX, 1);
        for index in [0, 500, 900] {
            all.push(checkpoint(index, 1));
        }
        let index = |one: Option<&Arc<Checkpoint>>| one.map(|one| one.index);
        assert_eq!(index(all.by_index(499)), Some(0));
        assert_eq!(index(all.by_index(500)), Some(500));
        assert_eq!(index(all.before(500)), Some(0));
        assert_eq!(index(all.by_time(8_999)), Some(500));
        assert_eq!(index(all.by_call(9)), Some(500));
        assert_eq!(index(all.by_call(10)), Some(900));
    }
}
