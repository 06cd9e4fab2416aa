//! One CPU's records, in the order in which they happened.
//!
//! An interrupt may run programs, from start to end, in the middle of another program. Their records
//! then come before the one they interrupted, though that one began earlier: so records are sorted by
//! time, which each program takes as it begins. The sequence numbers say whether all are there; one
//! that stays away is a loss.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::waiting::{Raw, Waiting};

/// How long, in nanoseconds, a missing number is waited for. A program in the middle of which the
/// CPU is taken away (by a hypervisor, or for another task) writes its record only when it gets it
/// back: on a busy machine, seconds later.
const PATIENCE: u64 = 5_000_000_000;

/// How many later records may wait for a missing one.
const MOST_HELD: usize = 1 << 16;

/// Room for so many records is kept, whatever a burst took.
const ROOM: usize = 1 << 14;

/// What comes next.
pub(super) enum Ordered {
    /// A record.
    Record(Raw),
    /// A loss of so many records, up to here; 0 where a loss begins.
    Lost(u64),
}

/// Puts one CPU's records in order.
#[derive(Default)]
pub(super) struct Order {
    /// The number of the next record, counted on beyond 32 bits.
    next: u64,
    /// By time.
    ready: VecDeque<(u64, Ordered)>,
    /// Records that came before their turn.
    held: BTreeMap<u64, Raw>,
    /// What those say.
    bytes: Waiting,
    /// When the last one that was taken in its turn happened: a hole begins there.
    whole_until: u64,
    /// When the last one that was handed on happened.
    last_ts: u64,
    late: u64,
    /// The youngest of those that came too late.
    late_ts: u64,
    /// The first record begins it all, whatever its number.
    joins: bool,
    /// What is to be taken again; see [`Order::thaw`].
    again: Option<Again>,
}

/// An [`Order`] but for its records, which are to be read again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Frozen {
    next: u64,
    whole_until: u64,
    last_ts: u64,
    late: u64,
    late_ts: u64,
    joins: bool,
    /// The numbers of those that are held.
    held: BTreeSet<u64>,
    /// Among those that are ready: the place, the time and the extent of losses.
    losses: Vec<(u32, u64, u64)>,
}

/// What tells the records that are to be taken again from those that were handed on.
struct Again {
    until: u64,
    held: BTreeSet<u64>,
    losses: Vec<(u32, u64, u64)>,
}

impl Order {
    /// The full number that a record's 32 bits stand for: the one nearest to `next`.
    fn widen(&self, seq: u32) -> u64 {
        let ahead = seq.wrapping_sub(self.next as u32) as i32;
        self.next.wrapping_add_signed(i64::from(ahead))
    }

    /// The first record begins it all, whatever its number.
    pub(super) const fn join(&mut self) {
        self.joins = true;
    }

    pub(super) fn push(&mut self, seq: u32, ts: u64, record: &[u8]) {
        if std::mem::take(&mut self.joins) {
            self.next = u64::from(seq);
        }
        let number = self.widen(seq);
        if number == self.next {
            let record = self.bytes.keep(ts, record);
            self.accept(record);
            if !self.held.is_empty() {
                self.take_held();
            }
        } else if number > self.next && number - self.next < u64::from(u32::MAX / 2) {
            let record = self.bytes.keep(ts, record);
            self.hold(number, record);
            if self.held.len() > MOST_HELD {
                self.give_up();
            }
        } else {
            self.late += 1;
            self.late_ts = self.late_ts.max(ts);
        }
    }

    fn hold(&mut self, number: u64, record: Raw) {
        if let Some(twice) = self.held.insert(number, record) {
            self.bytes.done(&twice);
        }
    }

    /// What a record says; until the next one is taken, even if this one was handed on.
    pub(super) fn bytes(&self, record: &Raw) -> &[u8] {
        self.bytes.of(record)
    }

    /// What it is like, but for its records.
    pub(super) fn freeze(&self) -> Frozen {
        let losses = self.ready.iter().zip(0..).filter_map(|((ts, item), place)| match item {
            Ordered::Lost(lost) => Some((place, *ts, *lost)),
            Ordered::Record(_) => None,
        });
        Frozen {
            next: self.next,
            whole_until: self.whole_until,
            last_ts: self.last_ts,
            late: self.late,
            late_ts: self.late_ts,
            joins: self.joins,
            held: self.held.keys().copied().collect(),
            losses: losses.collect(),
        }
    }

    /// As it was when everything up to `until` had been handed on. The records that waited then are
    /// [taken again](Self::take_again), in the order in which they came, before it goes on.
    pub(super) fn thaw(frozen: Frozen, until: u64) -> Self {
        let Frozen { next, whole_until, last_ts, late, late_ts, joins, held, losses } = frozen;
        let again = Some(Again { until, held, losses });
        Self { next, whole_until, last_ts, late, late_ts, joins, again, ..Self::default() }
    }

    /// Whether a record waits that has one of these: a time of no more than this, or a number.
    pub(super) fn waits(&self, until: u64, ts: u64, seq: u32) -> bool {
        ts > until || (!self.joins && self.widen(seq) >= self.next)
    }

    /// Whether it can be told by its time and number alone whether a record waits.
    pub(super) const fn is_plain(&self, until: u64) -> bool {
        self.late_ts <= until
    }

    /// A record that came before: it is put back if it waited.
    pub(super) fn take_again(&mut self, seq: u32, ts: u64, record: &[u8]) {
        let number = self.widen(seq);
        let Some(again) = &mut self.again else { return };
        if again.held.remove(&number) {
            let record = self.bytes.keep(ts, record);
            self.hold(number, record);
        } else if number < self.next && ts > again.until {
            let record = self.bytes.keep(ts, record);
            self.insert(ts, Ordered::Record(record));
        }
    }

    /// All records that waited are there again.
    pub(super) fn go_on(&mut self) {
        for (place, ts, lost) in self.again.take().into_iter().flat_map(|again| again.losses) {
            let place = (place as usize).min(self.ready.len());
            self.ready.insert(place, (ts, Ordered::Lost(lost)));
        }
    }

    fn accept(&mut self, record: Raw) {
        self.whole_until = self.whole_until.max(record.ts);
        self.insert(record.ts, Ordered::Record(record));
        self.next += 1;
    }

    /// Sorts it in by time; but what was handed on already stays before it.
    fn insert(&mut self, ts: u64, mut item: Ordered) {
        if let Ordered::Record(record) = &mut item {
            record.late = ts < self.last_ts;
        }
        let ts = ts.max(self.last_ts);
        match self.ready.iter().rev().take_while(|&&(later, _)| later > ts).count() {
            0 => self.ready.push_back((ts, item)),
            behind => self.ready.insert(self.ready.len() - behind, (ts, item)),
        }
    }

    fn take_held(&mut self) {
        while let Some(record) = self.held.remove(&self.next) {
            self.accept(record);
        }
    }

    /// The missing records are lost.
    fn give_up(&mut self) {
        if let Some((&number, first)) = self.held.first_key_value() {
            let ts = first.ts;
            self.lose(number, ts);
            self.take_held();
        }
    }

    /// The records from `next` up to, but without, `number` are lost; the one after them happened at
    /// `ts`.
    fn lose(&mut self, number: u64, ts: u64) {
        self.insert(self.whole_until, Ordered::Lost(0));
        self.insert(ts, Ordered::Lost(number - self.next));
        self.next = number;
    }

    /// All records written before `now` have been pushed: how far this CPU's events are complete.
    pub(super) fn complete(&mut self, now: u64) -> u64 {
        if self.ready.capacity() > ROOM && self.ready.capacity() / 8 > self.ready.len() {
            self.ready.shrink_to(ROOM.max(2 * self.ready.len()));
        }
        while let Some(oldest) = self.held.values().map(|record| record.ts).min() {
            if oldest.saturating_add(PATIENCE) > now {
                // What is missing may have happened any time since.
                return self.whole_until.min(now);
            }
            self.give_up();
        }
        now
    }

    /// Records with numbers below `seq` were written or lost by `ts`.
    pub(super) fn expect(&mut self, seq: u32, ts: u64) {
        if self.joins {
            return;
        }
        while !self.held.is_empty() {
            self.give_up();
        }
        let number = self.widen(seq);
        if number > self.next {
            self.lose(number, ts);
        }
    }

    pub(super) fn first_ts(&self) -> Option<u64> {
        self.ready.front().map(|&(ts, _)| ts)
    }

    pub(super) fn pop(&mut self) -> Option<(u64, Ordered)> {
        let (ts, item) = self.ready.pop_front()?;
        self.last_ts = ts;
        if let Ordered::Record(record) = &item {
            self.bytes.done(record);
        }
        Some((ts, item))
    }

    pub(super) const fn late(&self) -> u64 {
        self.late
    }

    pub(super) const fn reset_late(&mut self) {
        self.late = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out: a record's time, or a loss as a negative number.
    fn drain(order: &mut Order) -> Vec<i64> {
        std::iter::from_fn(|| order.pop())
            .map(|(_, item)| match item {
                Ordered::Record(record) => record.ts as i64,
                Ordered::Lost(lost) => -(lost as i64),
            })
            .collect()
    }

    #[test]
    fn an_interrupting_record_waits_for_the_interrupted_one() {
        let mut order = Order::default();
        order.push(0, 10, &[]);
        order.push(2, 20, &[]);
        assert_eq!(drain(&mut order), [10]);
        order.push(1, 15, &[]);
        assert_eq!(drain(&mut order), [15, 20]);
    }

    #[test]
    fn the_interrupted_one_began_first_whatever_its_number() {
        let mut order = Order::default();
        order.push(0, 20, &[]);
        order.push(1, 15, &[]);
        assert_eq!(drain(&mut order), [15, 20]);
    }

    #[test]
    fn times_never_run_backwards() {
        let mut order = Order::default();
        order.push(0, 20, &[]);
        assert_eq!(drain(&mut order), [20]);
        order.push(1, 15, &[]);
        let times: Vec<u64> = std::iter::from_fn(|| order.pop()).map(|(ts, _)| ts).collect();
        assert_eq!(times, [20]);
    }

    #[test]
    fn a_missing_record_is_waited_for_and_then_lost() {
        let mut order = Order::default();
        order.push(3, 100, &[]);
        assert_eq!(order.complete(100 + PATIENCE - 1), 0, "unknown since the beginning");
        assert!(drain(&mut order).is_empty());
        assert_eq!(order.complete(100 + PATIENCE), 100 + PATIENCE);
        assert_eq!(drain(&mut order), [0, -3, 100], "where it begins, and where it ends");
        order.push(1, 50, &[]);
        assert_eq!(order.late(), 1);
    }

    #[test]
    fn a_loss_at_the_end_shows() {
        let mut order = Order::default();
        order.push(0, 10, &[]);
        order.expect(5, 90);
        assert_eq!(drain(&mut order), [10, 0, -4]);
    }

    #[test]
    fn who_joins_has_lost_nothing() {
        let mut order = Order { joins: true, ..Order::default() };
        order.expect(1000, 5);
        order.push(7, 10, &[]);
        order.push(8, 20, &[]);
        order.push(6, 5, &[]);
        assert_eq!(drain(&mut order), [10, 20]);
        assert_eq!(order.late(), 1, "it began before the first one");
    }

    #[test]
    fn numbers_wrap_around() {
        let mut order = Order { next: u64::from(u32::MAX), ..Order::default() };
        order.push(u32::MAX, 1, &[]);
        order.push(0, 2, &[]);
        assert_eq!(drain(&mut order), [1, 2]);
    }

    #[test]
    fn too_many_waiting_end_the_wait() {
        let mut order = Order::default();
        for seq in 1..=(MOST_HELD as u32 + 1) {
            order.push(seq, u64::from(seq), &[]);
        }
        assert_eq!(order.first_ts(), Some(0));
        assert_eq!(drain(&mut order).len(), MOST_HELD + 3);
    }
}
