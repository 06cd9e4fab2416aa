//! All CPUs' events, by time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
};

use serde::{Deserialize, Serialize};
use tracer_common::wire::Header;

use super::{
    order::{self, Order, Ordered},
    waiting::Raw,
};

/// What comes next, of all CPUs.
pub(super) enum Item {
    /// A record.
    Record(Raw),
    /// A loss.
    Lost(u64),
    /// User space says that system calls are traced from now on, or no longer.
    SyscallProbes(bool),
}

/// An event in its turn.
pub(super) struct Next {
    pub(super) cpu: u32,
    /// When it happened, in nanoseconds; no earlier than the one before.
    pub(super) ts: u64,
    pub(super) item: Item,
    /// It happened before others, of other CPUs, that were handed on already: this CPU was taken away
    /// for long.
    pub(super) behind: bool,
}

/// A [`Merge`] but for its records.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Frozen {
    cpus: Vec<order::Frozen>,
    until: u64,
    /// Of the notes there is one kind: system calls are traced, or no longer.
    notes: Vec<(u64, bool)>,
    late: u64,
    last_ts: u64,
}

/// Merges the CPUs' events by time.
pub(super) struct Merge {
    cpus: Vec<Order>,
    /// The CPUs that have events, by the time of their first.
    first: BinaryHeap<Reverse<(u64, usize)>>,
    /// Events up to here are complete, and `first` is up to date.
    until: u64,
    /// The latest that they ever were: a hole takes that back.
    judged: u64,
    /// System calls are traced from then on, or no longer.
    notes: Vec<(u64, bool)>,
    late: u64,
    last_ts: u64,
}

impl Merge {
    pub(super) fn new(cpus: u32) -> Self {
        Self {
            cpus: (0..cpus).map(|_| Order::default()).collect(),
            first: BinaryHeap::new(),
            until: 0,
            judged: 0,
            notes: Vec::new(),
            late: 0,
            last_ts: 0,
        }
    }

    /// The records begin in the middle.
    pub(super) fn join(&mut self) {
        self.cpus.iter_mut().for_each(Order::join);
    }

    pub(super) fn push(&mut self, cpu: u32, header: Header, record: &[u8]) {
        if let Some(order) = self.cpus.get_mut(cpu as usize) {
            order.push(header.seq, header.ts, record);
        }
    }

    pub(super) fn note_syscall_probes(&mut self, ts: u64, on: bool) {
        self.notes.push((ts, on));
    }

    /// What it is like, but for its records.
    pub(super) fn freeze(&self) -> Frozen {
        Frozen {
            cpus: self.cpus.iter().map(Order::freeze).collect(),
            until: self.until,
            notes: self.notes.clone(),
            late: self.late,
            last_ts: self.last_ts,
        }
    }

    /// As it was. The records that waited are taken again before it goes on.
    pub(super) fn thaw(frozen: Frozen) -> Self {
        let Frozen { cpus, until, notes, late, last_ts } = frozen;
        let cpus = cpus.into_iter().map(|order| Order::thaw(order, until)).collect();
        Self { cpus, first: BinaryHeap::new(), until, judged: until, notes, late, last_ts }
    }

    /// Whether a record of this CPU waits that is of no earlier time, or has no lower number.
    pub(super) fn waits(&self, cpu: u32, ts: u64, seq: u32) -> bool {
        self.cpus.get(cpu as usize).is_some_and(|order| order.waits(self.until, ts, seq))
    }

    /// Whether it can be told by its time and number alone whether a record waits.
    pub(super) fn is_plain(&self) -> bool {
        self.until == self.judged && self.cpus.iter().all(|order| order.is_plain(self.until))
    }

    pub(super) fn take_again(&mut self, cpu: u32, header: Header, record: &[u8]) {
        if let Some(order) = self.cpus.get_mut(cpu as usize) {
            order.take_again(header.seq, header.ts, record);
        }
    }

    pub(super) fn go_on(&mut self) {
        self.cpus.iter_mut().for_each(Order::go_on);
    }

    pub(super) fn expect(&mut self, cpu: u32, seq: u32, ts: u64) {
        if let Some(order) = self.cpus.get_mut(cpu as usize) {
            order.expect(seq, ts);
        }
    }

    /// All records written before `until` have been pushed: from now on, and until the next push,
    /// [`pop`](Self::pop) hands them on.
    pub(super) fn complete(&mut self, until: u64) {
        self.until = until;
        self.first.clear();
        for (cpu, order) in self.cpus.iter_mut().enumerate() {
            self.until = self.until.min(order.complete(until));
            self.first.extend(order.first_ts().map(|ts| Reverse((ts, cpu))));
        }
        self.judged = self.judged.max(self.until);
    }

    /// Until when events were complete at any time, in nanoseconds.
    pub(super) const fn judged(&self) -> u64 {
        self.judged
    }

    /// Until when events are complete, in nanoseconds.
    pub(super) const fn until(&self) -> u64 {
        self.until
    }

    /// The earliest event, if no earlier one can come any more.
    pub(super) fn pop(&mut self) -> Option<Next> {
        let until = self.until;
        let first = self.first.peek().map(|&Reverse(first)| first);
        let note = (0..self.notes.len()).min_by_key(|&index| self.notes[index].0);
        if let Some(index) = note {
            let ts = self.notes[index].0;
            if ts <= until && first.is_none_or(|(earliest, _)| ts <= earliest) {
                let (ts, on) = self.notes.swap_remove(index);
                let ts = self.in_time(ts).0;
                let item = Item::SyscallProbes(on);
                return Some(Next { cpu: 0, ts, item, behind: false });
            }
        }
        let (ts, cpu) = first.filter(|&(ts, _)| ts <= until)?;
        let order = &mut self.cpus[cpu];
        let (_, item) = order.pop()?;
        let first = self.first.peek_mut();
        match (first, order.first_ts()) {
            (Some(mut first), Some(ts)) => *first = Reverse((ts, cpu)),
            (Some(first), None) => drop(PeekMut::pop(first)),
            (None, _) => {}
        }
        let (own, item) = match item {
            Ordered::Record(record) => (record.ts, Item::Record(record)),
            Ordered::Lost(lost) => (ts, Item::Lost(lost)),
        };
        let (ts, behind) = self.in_time(own);
        Some(Next { cpu: cpu as u32, ts, item, behind })
    }

    /// What a record says that [`pop`](Self::pop) handed on; until the next push.
    pub(super) fn bytes(&self, cpu: u32, record: &Raw) -> &[u8] {
        self.cpus.get(cpu as usize).map_or(&[], |order| order.bytes(record))
    }

    /// Whether [`pop`](Self::pop) has one.
    pub(super) fn has_next(&self) -> bool {
        let first = self.first.peek().map(|&Reverse((ts, _))| ts);
        let note = self.notes.iter().map(|&(ts, _)| ts).min();
        first.into_iter().chain(note).any(|ts| ts <= self.until)
    }

    /// An event that comes after a later one was judged takes that one's time, and is late.
    fn in_time(&mut self, ts: u64) -> (u64, bool) {
        let late = ts < self.last_ts;
        self.late += u64::from(late);
        self.last_ts = self.last_ts.max(ts);
        (self.last_ts, late)
    }

    pub(super) fn late(&self) -> u64 {
        self.late + self.cpus.iter().map(Order::late).sum::<u64>()
    }

    pub(super) fn reset_late(&mut self) {
        self.late = 0;
        self.cpus.iter_mut().for_each(Order::reset_late);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(ts: u64, seq: u32) -> Header {
        Header { ts, seq, kind: 0, flags: 0 }
    }

    fn drain(merge: &mut Merge, until: u64) -> Vec<(u32, u64)> {
        merge.complete(until);
        std::iter::from_fn(|| merge.pop()).map(|next| (next.cpu, next.ts)).collect()
    }

    #[test]
    fn merges_by_time_and_stops_in_time() {
        let mut merge = Merge::new(2);
        merge.push(0, header(10, 0), &[]);
        merge.push(0, header(30, 1), &[]);
        merge.push(1, header(20, 0), &[]);
        merge.push(1, header(40, 1), &[]);
        assert_eq!(drain(&mut merge, 30), [(0, 10), (1, 20), (0, 30)]);
        assert_eq!(drain(&mut merge, 40), [(1, 40)]);
    }

    #[test]
    fn a_hole_on_one_cpu_holds_back_what_is_later_elsewhere() {
        let mut merge = Merge::new(2);
        merge.push(0, header(15, 1), &[]);
        merge.push(1, header(10, 0), &[]);
        merge.push(1, header(20, 1), &[]);
        assert_eq!(drain(&mut merge, 30), []);
        merge.push(0, header(14, 0), &[]);
        assert_eq!(drain(&mut merge, 30), [(1, 10), (0, 14), (0, 15), (1, 20)]);
    }

    #[test]
    fn notes_come_in_their_turn() {
        let mut merge = Merge::new(1);
        merge.push(0, header(10, 0), &[]);
        merge.push(0, header(30, 1), &[]);
        merge.note_syscall_probes(20, true);
        assert_eq!(drain(&mut merge, 50), [(0, 10), (0, 20), (0, 30)]);
    }

    #[test]
    fn a_late_event_is_counted_and_takes_a_later_time() {
        let mut merge = Merge::new(2);
        merge.push(0, header(50, 0), &[]);
        assert_eq!(drain(&mut merge, 60), [(0, 50)]);
        merge.push(1, header(40, 0), &[]);
        assert_eq!(drain(&mut merge, 60), [(1, 50)]);
        assert_eq!(merge.late(), 1);
    }
}
