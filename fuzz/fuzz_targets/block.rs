//! Any bytes as blocks of records, judged: past the container's checksums, which a fuzzer seldom gets
//! right. The first byte is how long the next block is, and of which CPU; then comes its sweep.
#![no_main]

use libfuzzer_sys::fuzz_target;
use unlazy::{
    judge::{Judge, Opens},
    stream::{Facts, Sink as _},
    trace::block,
};

fuzz_target!(|bytes: &[u8]| {
    let facts =
        Facts { cpus_possible: 4, cpus_online: vec![0, 1, 2, 3], ..Facts::default() };
    let opens = match bytes.first() {
        Some(first) if first & 1 == 0 => Opens::OnceKnown(0),
        _ => Opens::AsRecorded,
    };
    let mut judge = Judge::new(facts, opens);
    let (mut rest, mut until) = (bytes, 0_u64);
    while let Some((&head, after)) = rest.split_first() {
        let (block, after) = after.split_at(usize::from(head).min(after.len()));
        rest = after;
        let _ = block::unpack(block, &mut |record| judge.record(u32::from(head & 3), record));
        until = until.wrapping_add(u64::from(head) << (head & 31));
        judge.advance(until);
    }
    let _ = judge.report();
});
