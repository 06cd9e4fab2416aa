//! The states that were met: of each its number (64 bits of its bytes) and the state that it was first
//! reached from.
//!
//! Two states of one number would be taken for one. For n states that happens with a probability of
//! about n² / 2⁶⁵; the verdict tells it.

/// Half of them, by the lowest bit of their numbers: so that two threads can each write to one.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// Open addressing: a place in `numbers` plus 1, or 0.
    slots: Vec<u32>,
    numbers: Vec<u64>,
    parents: Vec<u32>,
}

const FIRST: usize = 1 << 12;

impl Shard {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * 4 + self.numbers.capacity() * 8 + self.parents.capacity() * 4
    }

    /// Bytes in use while it makes room for so many more; what it has now, if there is room.
    pub(super) fn bytes_with(&self, more: usize) -> usize {
        let then = self.len() + more;
        let slots = if then * 4 > self.slots.len() * 3 { self.slots.len() * 2 } else { 0 };
        let vectors = if then > self.numbers.capacity() { self.numbers.capacity() * 12 } else { 0 };
        self.bytes() + slots * 4 + vectors
    }

    fn slot(&self, number: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (number >> 8) as usize & mask;
        loop {
            match self.slots[at] {
                0 => return at,
                place if self.numbers[place as usize - 1] == number => return at,
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// Whether it is there.
    pub(super) fn has(&self, number: u64) -> bool {
        !self.slots.is_empty() && self.slots[self.slot(number)] != 0
    }

    /// Puts it in, and gives its place, unless it is there already.
    pub(super) fn insert(&mut self, number: u64, parent: u32) -> Option<u32> {
        if self.len() * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let at = self.slot(number);
        if self.slots[at] != 0 {
            return None;
        }
        let place = self.numbers.len() as u32;
        self.numbers.push(number);
        self.parents.push(parent);
        self.slots[at] = place + 1;
        Some(place)
    }

    fn grow(&mut self) {
        let slots = (self.slots.len() * 2).max(FIRST);
        self.slots = vec![0; slots];
        for place in 0..self.numbers.len() {
            let at = self.slot(self.numbers[place]);
            self.slots[at] = place as u32 + 1;
        }
    }

    /// What is at a place: the number, and the parent's name.
    pub(super) fn get(&self, place: u32) -> (u64, u32) {
        (self.numbers[place as usize], self.parents[place as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_there_once() {
        let mut shard = Shard::default();
        let number = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for n in 0..100_000_u64 {
            assert!(!shard.has(number(n)));
            assert_eq!(shard.insert(number(n), n as u32 / 2), Some(n as u32));
        }
        for n in 0..100_000_u64 {
            assert!(shard.has(number(n)));
            assert_eq!(shard.insert(number(n), 0), None);
            assert_eq!(shard.get(n as u32), (number(n), n as u32 / 2));
        }
        assert_eq!(shard.len(), 100_000);
    }
}
