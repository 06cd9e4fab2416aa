//! Events as the records that the eBPF programs would have written.

use tracer_common::{
    model::{Event, Func},
    wire::{self, Kind},
};
use zerocopy::{Immutable, IntoBytes};

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

fn bytes(payload: &(impl IntoBytes + Immutable)) -> Vec<u8> {
    payload.as_bytes().to_vec()
}

/// Kind, flags and payload of an event; `None` for one that is no record.
pub(super) fn encode(event: &Event) -> Option<(Kind, u16, Vec<u8>)> {
    let tables = |freed: bool| if freed { wire::FLUSH_FREED_TABLES } else { 0 };
    Some(match event {
        Event::Switch { flags, switch } => (Kind::Switch, *flags, bytes(switch)),
        Event::TlbFlush(w) => (Kind::TlbFlush, 0, bytes(w)),
        Event::IrqEntry(w) => (Kind::IrqEntry, 0, bytes(w)),
        Event::IrqExit(w) => (Kind::IrqExit, 0, bytes(w)),
        Event::CsdQueue { func, target, tid } => {
            let w = wire::CsdQueue { func: address(*func), target: *target, tid: *tid };
            (Kind::CsdQueue, 0, bytes(&w))
        }
        Event::CsdEntry { func } => {
            (Kind::CsdEntry, 0, bytes(&wire::CsdRun { func: address(*func) }))
        }
        Event::CsdExit { func } => {
            (Kind::CsdExit, 0, bytes(&wire::CsdRun { func: address(*func) }))
        }
        Event::CsdLocal { func, local } => {
            let w = wire::CsdLocal { func: address(*func), ..*local };
            (Kind::CsdLocal, 0, bytes(&w))
        }
        Event::SysEnter(w) => (Kind::SysEnter, 0, bytes(w)),
        Event::SysExit(w) => (Kind::SysExit, 0, bytes(w)),
        Event::MembarrierEnter(w) => (Kind::MembarrierEnter, 0, bytes(w)),
        Event::MembarrierExit(w) => (Kind::MembarrierExit, 0, bytes(w)),
        Event::Exec(w) => (Kind::Exec, 0, bytes(w)),
        Event::Exit(w) => (Kind::Exit, 0, bytes(w)),
        Event::TlbState(w) => (Kind::TlbState, 0, bytes(w)),
        Event::FlushBegin { freed_tables, flush } => {
            (Kind::FlushBegin, tables(*freed_tables), bytes(flush))
        }
        Event::FlushEnd { freed_tables, flush } => {
            (Kind::FlushEnd, tables(*freed_tables), bytes(flush))
        }
        Event::MmDrop(w) => (Kind::MmDrop, 0, bytes(w)),
        Event::RqState(w) => (Kind::RqState, 0, bytes(w)),
        Event::UserReturn(w) => (Kind::UserReturn, 0, bytes(w)),
        Event::Serialized(w) => (Kind::Serialized, 0, bytes(w)),
        Event::KthreadUse(w) => (Kind::KthreadUse, 0, bytes(w)),
        Event::KthreadUnuse(w) => (Kind::KthreadUnuse, 0, bytes(w)),
        Event::PrivateBegin(w) => (Kind::PrivateBegin, 0, bytes(w)),
        Event::PrivateEnd(w) => (Kind::PrivateEnd, 0, bytes(w)),
        _ => return None,
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
            let Some((kind, flags, payload)) = encode(&event) else {
                assert!(matches!(event, Event::SyscallProbes(true)));
                continue;
            };
            let header = wire::Header { ts: 1, seq: 0, kind: kind as u16, flags };
            let record = [header.as_bytes(), &payload].concat();
            let (_, read) = decode(&record, |_| Func::Other).expect("a record");
            assert_eq!(read, event);
        }
    }
}
