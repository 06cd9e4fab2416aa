//! A block: some records of one CPU, in the order of its buffer, packed.
//!
//! ```text
//! block  = first_ts:u64 first_seq:u32 record*          (fixed width, little endian)
//! record = tag:u8 [flags:u16 seq_step:varint len:varint] ts_step:varint payload
//! ```
//! `tag` is the record's kind; its high bit says that the part in brackets is there. Without it, flags
//! and length are those of the last record of this kind in the block, and the number is one more than
//! the last record's. Steps are differences to the record before, zigzag; a varint is LEB128. The
//! first record of each kind has the part in brackets.

use tracer_common::wire::Header;
use zerocopy::{FromBytes, IntoBytes};

/// Kinds are below this.
const KINDS: usize = 128;
/// The tag's high bit: flags, number and length follow.
const EXPLICIT: u8 = 0x80;
/// Bytes before the first record.
const START: usize = 12;
/// Most payloads are no longer.
const SHORT: usize = 64;
/// The longest record, its header included: more than any payload of this version takes.
const LONGEST: usize = 256;

/// Packs records of one CPU.
#[derive(Debug)]
pub struct Packer {
    bytes: Vec<u8>,
    ts: u64,
    seq: u32,
    /// By kind: flags and length of the last one.
    shapes: [Option<(u16, u8)>; KINDS],
    records: u64,
    first_ts: u64,
}

impl Default for Packer {
    fn default() -> Self {
        Self { bytes: Vec::new(), ts: 0, seq: 0, shapes: [None; KINDS], records: 0, first_ts: 0 }
    }
}

impl Packer {
    /// Adds a record. One that is too short or too long to be any, or whose kind has no number of
    /// ours, is left out; its sequence number will show that.
    pub fn push(&mut self, record: &[u8]) {
        let Ok((header, payload)) = Header::read_from_prefix(record) else { return };
        if usize::from(header.kind) >= KINDS || record.len() > LONGEST {
            return;
        }
        let Header { ts, seq, kind, flags } = header;
        if self.bytes.is_empty() {
            self.bytes.extend(ts.to_le_bytes());
            self.bytes.extend(seq.to_le_bytes());
            (self.ts, self.first_ts, self.seq) = (ts, ts, seq.wrapping_sub(1));
        }
        let shape = (flags, payload.len() as u8);
        let known = &mut self.shapes[usize::from(kind)];
        let seq_step = seq.wrapping_sub(self.seq.wrapping_add(1)) as i32;
        if seq_step == 0 && *known == Some(shape) {
            self.bytes.push(kind as u8);
        } else {
            *known = Some(shape);
            self.bytes.push(kind as u8 | EXPLICIT);
            self.bytes.extend(flags.to_le_bytes());
            put(&mut self.bytes, zigzag(i64::from(seq_step)));
            put(&mut self.bytes, payload.len() as u64);
        }
        put(&mut self.bytes, zigzag(ts.wrapping_sub(self.ts) as i64));
        self.bytes.extend(payload);
        (self.ts, self.seq) = (ts, seq);
        self.records += 1;
    }

    /// How many records are in it.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Its bytes so far.
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// When its first record was written.
    pub const fn first_ts(&self) -> u64 {
        self.first_ts
    }

    /// Appends the block to `to`, and begins a new one.
    pub fn take(&mut self, to: &mut Vec<u8>) {
        to.append(&mut self.bytes);
        self.shapes = [None; KINDS];
        self.records = 0;
    }
}

/// Unpacks a block; hands each record on as the bytes that it was.
///
/// # Errors
/// What is wrong with it; the records before were handed on.
pub fn unpack(block: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), &'static str> {
    let mut bytes = Bytes(block);
    let mut ts = u64::from_le_bytes(*bytes.array().ok_or(CUT)?);
    let mut seq = u32::from_le_bytes(*bytes.array().ok_or(CUT)?).wrapping_sub(1);
    debug_assert_eq!(block.len() - bytes.0.len(), START);
    let mut shapes = [None; KINDS];
    let mut record = [0; LONGEST];
    while let Some(&[tag]) = bytes.array() {
        let kind = tag & !EXPLICIT;
        let known = &mut shapes[usize::from(kind)];
        let mut step = 0;
        if tag & EXPLICIT != 0 {
            let flags = u16::from_le_bytes(*bytes.array().ok_or(CUT)?);
            step = unzigzag(bytes.varint()?) as u32;
            let len = usize::try_from(bytes.varint()?).unwrap_or(usize::MAX);
            if len > LONGEST - size_of::<Header>() {
                return Err("a record is longer than any");
            }
            *known = Some((flags, len));
        }
        let (flags, len) = known.ok_or("a record has neither flags nor length")?;
        ts = ts.wrapping_add(unzigzag(bytes.varint()?) as u64);
        seq = seq.wrapping_add(1).wrapping_add(step);
        let ahead = bytes.0.first_chunk::<SHORT>();
        let payload = bytes.take(len).ok_or(CUT)?;
        let header = Header { ts, seq, kind: kind.into(), flags };
        let (start, end) = (size_of::<Header>(), size_of::<Header>() + len);
        record[..start].copy_from_slice(header.as_bytes());
        match ahead {
            // What lies behind it comes along, and is not handed on: a fixed length takes no call.
            Some(ahead) if len <= SHORT => record[start..start + SHORT].copy_from_slice(ahead),
            _ => record[start..end].copy_from_slice(payload),
        }
        sink(&record[..end]);
    }
    Ok(())
}

const CUT: &str = "a record is cut off";

/// What is left to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(array)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let &[byte] = self.array().ok_or(CUT)?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number has no end")
    }
}

fn put(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(ts: u64, seq: u32, kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        [Header { ts, seq, kind, flags }.as_bytes(), payload].concat()
    }

    fn unpacked(block: &[u8]) -> (Vec<Vec<u8>>, Result<(), &'static str>) {
        let mut records = Vec::new();
        let result = unpack(block, &mut |record| records.push(record.to_vec()));
        (records, result)
    }

    prop_compose! {
        fn any_record()(
            ts: u64,
            seq: u32,
            kind in 0..KINDS as u16,
            flags: u16,
            payload in prop::collection::vec(any::<u8>(), 0..100),
        ) -> Vec<u8> {
            record(ts, seq, kind, flags, &payload)
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(
            first in prop::collection::vec(any_record(), 1..50),
            second in prop::collection::vec(any_record(), 1..50),
        ) {
            let mut packer = Packer::default();
            for records in [first, second] {
                for record in &records {
                packer.push(record);
            }
                prop_assert_eq!(packer.records(), records.len() as u64);
                let mut block = Vec::new();
                packer.take(&mut block);
                prop_assert_eq!(unpacked(&block), (records, Ok(())));
            }
        }

        #[test]
        fn any_bytes_are_unpacked_or_refused(
            block in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = unpacked(&block);
        }

        #[test]
        fn a_cut_block_gives_its_first_records(
            records in prop::collection::vec(any_record(), 1..10),
            cut in 0..1000_usize,
        ) {
            let mut packer = Packer::default();
            for record in &records {
                packer.push(record);
            }
            let mut block = Vec::new();
            packer.take(&mut block);
            block.truncate(cut);
            let (read, _) = unpacked(&block);
            prop_assert_eq!(&read[..], &records[..read.len()]);
        }
    }

    #[test]
    fn records_in_a_row_cost_three_bytes_beside_their_payload() {
        let mut packer = Packer::default();
        for seq in 0..101 {
            packer.push(&record(1000 + u64::from(seq) * 700, seq, 1, 0, &[7; 44]));
        }
        assert_eq!(packer.len(), START + 1 + 2 + 1 + 1 + 1 + 44 + 100 * (3 + 44));
    }

    #[test]
    fn what_is_no_record_is_left_out() {
        let mut packer = Packer::default();
        packer.push(&[1; 15]);
        packer.push(&record(1, 1, 200, 0, &[]));
        packer.push(&record(1, 1, 1, 0, &[0; LONGEST]));
        assert!(packer.is_empty());
    }
}
