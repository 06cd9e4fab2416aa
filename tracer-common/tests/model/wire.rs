//! Records as bytes: what is written is read, and nothing that is read can hurt.

use crate::common::{Maps, runs};
use proptest::prelude::*;
use std::{collections::BTreeSet, mem::size_of};
use tracer_common::{
    model::{
        Config, DecodeError, Event, Func, Model, Preemption, Promise, decode, encode, header,
        says_cr3_written,
    },
    wire::{self, Frame, Header, Kind, Vector},
};
use zerocopy::IntoBytes;

/// Addresses of functions, as a kernel's symbol table would have them.
const FUNCS: [Func; 7] = [
    Func::Other,
    Func::SyncCore,
    Func::Mb,
    Func::Rseq,
    Func::SyncRqState,
    Func::FlushTlb,
    Func::TextPoke,
];

fn func(address: u64) -> Func {
    FUNCS.get(address as usize).copied().unwrap_or_default()
}

fn address(func: Func) -> u64 {
    FUNCS.iter().position(|&known| known == func).map_or(0, |at| at as u64)
}

/// Kind, flags and payload of an event; `None` for what has no record of its own.
fn encoded(event: &Event) -> Option<(Kind, u16, Vec<u8>)> {
    encode(event, address, |kind, flags, payload| (kind, flags, payload.to_vec()))
}

/// Bytes as fields often are: zero, small, and now and then anything.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![4 => Just(0_u32), 4 => 0..6_u32, 1 => any::<u32>()];
    prop::collection::vec(word, 20..24)
        .prop_map(|words| words.into_iter().flat_map(u32::to_le_bytes).collect())
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL)
}

fn record(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let header = Header { ts: 7, seq: 8, kind, flags };
    [header.as_bytes(), payload].concat()
}

/// Any event at all.
fn events() -> impl Strategy<Value = Event> {
    let recorded = (kind(), prop_oneof![0..32_u16, any::<u16>()], payload())
        .prop_map(|(kind, flags, payload)| decode(&record(kind as u16, flags, &payload), func))
        .prop_filter_map("every payload is long enough", |decoded| Some(decoded.ok()?.1));
    prop_oneof![
        30 => recorded,
        1 => any::<u64>().prop_map(|lost| Event::Gap { lost }),
        1 => Just(Event::Gap { lost: 0 }),
        1 => any::<bool>().prop_map(Event::SyscallProbes),
        3 => Just(Event::SwitchCr3),
    ]
}

fn promise() -> impl Strategy<Value = Promise> {
    prop::sample::select(vec![
        Promise::Assumed,
        Promise::Audited,
        Promise::Never,
        Promise::Undecided,
        Promise::Probed,
    ])
}

fn configs() -> impl Strategy<Value = Config> {
    let skew = prop_oneof![Just(100), any::<u64>()];
    (skew, any::<[bool; 7]>(), [promise(), promise(), promise()]).prop_map(
        |(
            skew,
            [pti, fred, invlpgb, sees_cr3, sees_csd, pv_flush, syscall_exit],
            [finish, ipi, taking],
        )| {
            Config {
                skew,
                pti,
                syscall_exit,
                fred,
                invlpgb,
                sees_cr3,
                sees_csd,
                pv_flush,
                preemption: Preemption::Unlocked,
                finish_task_switch: finish,
                ipi_sync_core: ipi,
                kthread_use_mm: taking,
            }
        },
    )
}

proptest! {
    #![proptest_config(runs(500))]

    /// Every record is read as it was written, whatever follows it.
    #[test]
    fn records_round_trip(kind in kind(), payload in payload(), rest in payload()) {
        let first = decode(&record(kind as u16, 1, &payload), func).unwrap().1;
        let (wrote, flags, bytes) = encoded(&first).unwrap();
        prop_assert_eq!(wrote, kind);
        let mut written = record(kind as u16, flags, &bytes);
        let (read, again) = decode(&written, func).unwrap();
        prop_assert_eq!(read, Header { ts: 7, seq: 8, kind: kind as u16, flags });
        prop_assert_eq!(header(&written), Ok(read));
        let (_, flags_again, bytes_again) = encoded(&again).unwrap();
        prop_assert_eq!((flags, &bytes), (flags_again, &bytes_again));
        if !matches!(first, Event::Switch { .. }) {
            prop_assert_eq!(again, first);
        }
        // Anything shorter is too short.
        prop_assert_eq!(decode(&written[..written.len() - 1], func), Err(DecodeError::Truncated));
        written.extend(rest);
        prop_assert_eq!(decode(&written, func).unwrap().1, again);
    }

    /// Reading never panics.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = header(&bytes);
        let _ = decode(&bytes, func);
    }

    /// Nor does judging: any event, at any time, on any CPU, in any state.
    #[test]
    fn any_events_are_judged(
        config in configs(),
        events in prop::collection::vec((0..5_u32, 0..2_000_u64, events()), 0..150),
        times_are_wild in any::<bool>(),
        wild in any::<u64>(),
        limit in prop_oneof![Just(usize::MAX), 0..6_usize],
    ) {
        let mut store = Maps::limited(4, limit);
        let mut model = Model::new(config);
        let mut now = if times_are_wild { wild } else { 0 };
        for (cpu, step, event) in events {
            now = if times_are_wild { now.rotate_left(7) ^ step } else { now + step };
            model.step(&mut store, cpu, now, &event);
        }
        for tally in store.tally.rules {
            prop_assert!(tally.findings <= tally.checked);
            prop_assert_eq!(tally.checked, tally.evidence.iter().sum::<u64>());
            prop_assert_eq!(tally.inconclusive, tally.doubts.iter().sum::<u64>());
        }
        let found = store.tally.rules.iter().map(|tally| tally.findings).sum::<u64>();
        prop_assert_eq!(found, store.findings.len() as u64);
    }
}

#[test]
fn unknown_kinds_are_named() {
    assert_eq!(decode(&record(999, 0, &[0; 100]), func), Err(DecodeError::UnknownKind(999)));
    assert_eq!(decode(&[], func), Err(DecodeError::Truncated));
    assert_eq!(DecodeError::UnknownKind(999).to_string(), "a record is of the unknown kind 999");
}

#[test]
fn kinds_have_names_and_numbers_of_their_own() {
    let numbers: BTreeSet<u16> = Kind::ALL.iter().map(|&kind| kind as u16).collect();
    let names: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!((numbers.len(), names.len()), (Kind::ALL.len(), Kind::ALL.len()));
    for number in 0..=u16::MAX {
        let kind = Kind::from_u16(number);
        assert_eq!(kind.is_some(), numbers.contains(&number));
        assert!(kind.is_none_or(|kind| kind as u16 == number));
    }
}

#[test]
fn frames_and_vectors_are_their_numbers() {
    for number in 0..=u8::MAX {
        let frame = Frame::from_u8(number);
        assert!(frame as u8 == number || (frame == Frame::Unknown && number > 4));
        assert!(Vector::from_u8(number).is_none_or(|vector| vector as u8 == number));
    }
    assert_eq!(Frame::Sysret.leaves_by_iret(), Some(false));
    assert_eq!(Frame::Interrupt.leaves_by_iret(), Some(true));
    assert_eq!(Frame::Compat.leaves_by_iret(), None);
}

/// The layout is the contract between the kernel side and everything that reads.
#[test]
fn sizes_do_not_change_by_accident() {
    assert_eq!(size_of::<Header>(), 16);
    assert_eq!(size_of::<wire::Switch>(), 40);
    assert_eq!(size_of::<wire::TlbFlush>(), 24);
    assert_eq!(size_of::<wire::Irq>(), 8);
    assert_eq!(size_of::<wire::CsdLocal>(), 32);
    assert_eq!(size_of::<wire::Membarrier>(), 40);
    assert_eq!(size_of::<wire::Syscall>(), 24);
    assert_eq!(size_of::<wire::TlbState>(), 40);
    assert_eq!(size_of::<wire::Flush>(), 24);
    assert_eq!(size_of::<wire::FlushMulti>(), 32);
    assert_eq!(size_of::<wire::PrivateCall>(), 32);
    assert_eq!(size_of::<wire::CallMask>(), 24);
    assert_eq!(size_of::<wire::RqState>(), 24);
    assert_eq!(size_of::<wire::Serialized>(), 8);
}

/// Compilers rename what they change.
#[test]
fn functions_by_name() {
    assert_eq!(Func::from_name("ipi_sync_core"), Func::SyncCore);
    assert_eq!(Func::from_name("ipi_sync_core.isra.0"), Func::SyncCore);
    assert_eq!(Func::from_name("flush_tlb_func.llvm.123"), Func::FlushTlb);
    assert_eq!(Func::from_name("ipi_sync_core_not"), Func::Other);
    assert_eq!(Func::from_name(""), Func::Other);
}

/// A switch's CR3 write travels in the records after it, whatever they are; but not in an NMI's,
/// which may come in the middle of a switch, nor in one that is known to.
#[test]
fn any_record_may_say_that_cr3_was_written() {
    for &kind in Kind::ALL {
        let header = |flags| Header { ts: 7, seq: 8, kind: kind as u16, flags };
        let plain = decode(&record(kind as u16, 1, &[0; 100]), func).unwrap().1;
        let says = |on| (kind != Kind::Nmi).then_some(on);
        assert_eq!(says_cr3_written(&header(wire::HEADER_CR3_WRITTEN), &plain), says(true));
        assert_eq!(says_cr3_written(&header(!wire::HEADER_CR3_WRITTEN), &plain), says(false));
        let flagged = record(kind as u16, 1 | wire::HEADER_CR3_WRITTEN, &[0; 100]);
        assert_eq!(decode(&flagged, func).unwrap().1, plain, "and it is no flag of the event");
    }
    let mut early = [0; 100];
    early[39] = wire::Site::SwitchMmEntry as u8;
    let (header, event) = decode(&record(Kind::TlbState as u16, 0, &early), func).unwrap();
    assert_eq!(says_cr3_written(&header, &event), None);
}
