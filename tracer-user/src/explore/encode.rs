//! Events as the records that the eBPF programs would have written.

use tracer_common::{
    model::{self, Event, Func},
    wire::Header,
};
use zerocopy::IntoBytes;

/// The functions that are told apart, and addresses for them.
pub(super) const FUNCTIONS: [(Func, u64); 6] = [
    (Func::SyncCore, 0x1000),
    (Func::Mb, 0x2000),
    (Func::Rseq, 0x3000),
    (Func::SyncRqState, 0x4000),
    (Func::FlushTlb, 0x5000),
    (Func::TextPoke, 0x6000),
];

fn address(func: Func) -> u64 {
    FUNCTIONS.iter().find(|(known, _)| *known == func).map_or(0, |(_, address)| *address)
}

/// An event as a record; `None` for one that is none.
pub(super) fn encode(event: &Event, ts: u64, seq: u32) -> Option<Vec<u8>> {
    model::encode(event, address, |kind, flags, payload| {
        let header = Header { ts, seq, kind: kind as u16, flags };
        [header.as_bytes(), payload].concat()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_common::model::decode;
    use tracer_explore::{path, protocol, setup::Setup, setup::World};

    /// What is written is read again as it was.
    #[test]
    fn records_are_the_events() {
        let protocol = protocol::find("linux-6.12").expect("known");
        let world = World::new(protocol, Setup::core(), &[]);
        for (_, event) in path::prologue(&world) {
            let Some(record) = encode(&event, 1, 0) else {
                assert!(matches!(event, Event::SyscallProbes(true)));
                continue;
            };
            let (_, read) = decode(&record, |_| Func::Other).expect("a record");
            assert_eq!(read, event);
        }
    }
}
