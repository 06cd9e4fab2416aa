//! How a record leaves: into the buffer of the CPU that writes it, without a wake-up.

use aya_ebpf::{
    EbpfContext,
    bindings::BPF_RB_NO_WAKEUP,
    btf_maps::{ArrayOfMaps, RingBuf},
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
    macros::btf_map,
};
use aya_log_ebpf::debug;
use tracer_common::wire::{HEADER_CR3_WRITTEN, Header, Kind};

use crate::cpu::{KINDS, Slot};

/// One buffer for each CPU. User space puts them in, sized by what the machine can give; the size
/// here is that of the template alone.
#[btf_map]
static RINGS: ArrayOfMaps<RingBuf<u64, 4096>, 1024> = ArrayOfMaps::new();

/// When and where a program began. An interrupt may come in the middle of it and write records of
/// its own; so programs look at the clock first of all, and the records of one CPU, sorted by time,
/// stand in the order in which things happened.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) slot: Option<&'static Slot>,
    ts: u64,
    /// For the header: what every record says of the switch before it.
    flags: u16,
}

impl Moment {
    /// Now.
    #[inline(always)]
    pub(crate) fn now() -> Self {
        // SAFETY: a helper without arguments.
        let ts = unsafe { bpf_ktime_get_ns() };
        let slot = Slot::mine();
        let flags = match slot {
            Some(slot) if slot.cr3_written.get() != 0 => HEADER_CR3_WRITTEN,
            _ => 0,
        };
        Self { slot, ts, flags }
    }
}

/// A header and its payload, back to back, as they go out.
#[repr(C)]
struct Record<T> {
    header: Header,
    payload: T,
}

/// Writes one record. What can't be written is counted by CPU and kind, and leaves a hole in the
/// sequence numbers.
///
/// Says whether it was written.
#[inline(always)]
pub(crate) fn emit<T: Copy>(
    ctx: &impl EbpfContext,
    at: Moment,
    kind: Kind,
    flags: u16,
    payload: T,
) -> bool {
    const { assert!(size_of::<Record<T>>() == size_of::<Header>() + size_of::<T>()) };
    let Some(slot) = at.slot else { return false };
    // Atomic, because an interrupt or NMI may come in between and take a number of its own.
    let seq = slot.seq.next() as u32;
    // SAFETY: a helper without arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let header = Header { ts: at.ts, seq, kind: kind as u16, flags: flags | at.flags };
    let written = if let Some(ring) = RINGS.get(cpu) {
        let record = Record { header, payload };
        ring.output_untyped::<Record<T>>(record, u64::from(BPF_RB_NO_WAKEUP)).is_ok()
    } else {
        debug!(ctx, "cpu {} has no buffer", cpu);
        false
    };
    if !written {
        slot.lost[kind as usize % KINDS].next();
    }
    written
}
