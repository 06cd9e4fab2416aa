//! What the records of one CPU say, until their turn comes.
//!
//! Records lie one after the other in blocks, each in just its length; whoever sorts them moves a
//! short [`Raw`] only. A block of which nothing waits any more is used again.

use std::collections::VecDeque;

/// The bytes of a block.
const BLOCK: usize = 1 << 16;

/// The longest record that is kept: every payload of this version fits.
const LONGEST: usize = u8::MAX as usize;

/// A record that waits: when it happened, and where its bytes are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw {
    /// Its time, in nanoseconds.
    pub(super) ts: u64,
    /// The number of its block.
    block: u32,
    at: u16,
    len: u8,
    /// Later ones of the same CPU were handed on before it: its program was interrupted, by another
    /// task even, before it wrote.
    pub(super) late: bool,
}

#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    /// How many of its records wait.
    waiting: u32,
}

/// The bytes of the records that wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    blocks: VecDeque<Block>,
    /// The number of the first block.
    first: u32,
    /// A block's bytes, to be used again.
    spare: Vec<u8>,
}

impl Waiting {
    /// Keeps a record.
    pub(super) fn keep(&mut self, ts: u64, record: &[u8]) -> Raw {
        let record = record.get(..LONGEST).unwrap_or(record);
        if self.blocks.back().is_none_or(|last| last.bytes.len() + record.len() > BLOCK) {
            self.release();
            let bytes = std::mem::take(&mut self.spare);
            self.blocks.push_back(Block { bytes, waiting: 0 });
        }
        let block = self.first.wrapping_add(self.blocks.len() as u32 - 1);
        let mut raw = Raw { ts, block, at: 0, len: record.len() as u8, late: false };
        if let Some(last) = self.blocks.back_mut() {
            raw.at = last.bytes.len() as u16;
            append(&mut last.bytes, record);
            last.waiting += 1;
        }
        raw
    }

    fn place(&self, record: &Raw) -> usize {
        record.block.wrapping_sub(self.first) as usize
    }

    /// What a record says; until the next one is kept, even if it no longer waits.
    pub(super) fn of(&self, record: &Raw) -> &[u8] {
        let at = usize::from(record.at);
        let block = self.blocks.get(self.place(record));
        block
            .and_then(|block| block.bytes.get(at..at + usize::from(record.len)))
            .unwrap_or_default()
    }

    /// This one no longer waits.
    pub(super) fn done(&mut self, record: &Raw) {
        let place = self.place(record);
        if let Some(block) = self.blocks.get_mut(place) {
            block.waiting = block.waiting.saturating_sub(1);
        }
    }

    /// Gives up the bytes of blocks of which nothing waits, and the first of those blocks.
    fn release(&mut self) {
        for block in self.blocks.iter_mut().filter(|block| block.waiting == 0) {
            let mut bytes = std::mem::take(&mut block.bytes);
            bytes.clear();
            if bytes.capacity() > self.spare.capacity() {
                self.spare = bytes;
            }
        }
        while self.blocks.front().is_some_and(|block| block.waiting == 0) {
            self.blocks.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }
}

/// Appends a record. Those of usual lengths are copied in two halves that overlap, which takes no call
/// of `memmove`: at ten million records a second that is worth it.
pub(super) fn append(to: &mut Vec<u8>, record: &[u8]) {
    match record.len() {
        16..=32 => halves::<16>(to, record),
        33..=64 => halves::<32>(to, record),
        _ => to.extend_from_slice(record),
    }
}

/// The first and the last `HALF` bytes of a record that has no fewer, and no more than both.
fn halves<const HALF: usize>(to: &mut Vec<u8>, record: &[u8]) {
    if let (Some(first), Some(last)) = (record.first_chunk::<HALF>(), record.last_chunk::<HALF>()) {
        to.reserve(2 * HALF);
        let end = to.len() + record.len();
        to.extend_from_slice(first);
        to.truncate(end - HALF);
        to.extend_from_slice(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_there_whatever_its_length() {
        let record: Vec<u8> = (0..=u8::MAX).collect();
        for len in 0..record.len() {
            let mut bytes = vec![7; 3];
            append(&mut bytes, &record[..len]);
            assert_eq!(bytes, [&[7; 3], &record[..len]].concat());
        }
    }

    fn room(waiting: &Waiting) -> usize {
        waiting.blocks.iter().map(|block| block.bytes.capacity()).sum()
    }

    /// Many records come and go, one stays: what it says stays, and there is no more room than that
    /// needs.
    #[test]
    fn what_waits_is_kept_and_nothing_else() {
        let mut waiting = Waiting::default();
        let kept = waiting.keep(1, b"this one waits");
        for ts in 0..100_000_u64 {
            let record = waiting.keep(ts, &ts.to_le_bytes());
            assert_eq!(waiting.of(&record), ts.to_le_bytes());
            waiting.done(&record);
            assert_eq!(waiting.of(&record), ts.to_le_bytes(), "until the next one is kept");
            assert!(room(&waiting) <= 3 * BLOCK, "{} bytes", room(&waiting));
        }
        assert_eq!(waiting.of(&kept), b"this one waits");
        waiting.done(&kept);
        for ts in 0..100_000_u64 {
            let record = waiting.keep(ts, &ts.to_le_bytes());
            waiting.done(&record);
        }
        assert!(waiting.blocks.len() <= 2, "{} blocks", waiting.blocks.len());
    }

    #[test]
    fn many_that_wait_are_all_kept_in_any_order() {
        let mut waiting = Waiting::default();
        let all: Vec<_> = (0..50_000_u64).map(|ts| waiting.keep(ts, &ts.to_le_bytes())).collect();
        for (record, ts) in all.iter().rev().zip((0..50_000_u64).rev()) {
            assert_eq!(waiting.of(record), ts.to_le_bytes());
            waiting.done(record);
        }
        waiting.release();
        assert!(waiting.blocks.is_empty());
    }

    #[test]
    fn a_record_that_is_longer_than_any_is_cut() {
        let mut waiting = Waiting::default();
        let record = waiting.keep(1, &[7; 300]);
        assert_eq!(waiting.of(&record), [7; LONGEST]);
    }
}
