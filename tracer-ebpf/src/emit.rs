//! How a record leaves: into the buffer of the CPU that writes it, without a wake-up.

use core::{arch::asm, cell::UnsafeCell};

use aya_ebpf::{
    EbpfContext,
    bindings::BPF_RB_NO_WAKEUP,
    btf_maps::{ArrayOfMaps, PerCpuArray, RingBuf},
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
    macros::btf_map,
};
use aya_log_ebpf::debug;
use tracer_common::wire::{Header, Kind};

/// One buffer for each CPU. User space puts them in, sized by what the machine can give; the size
/// here is that of the template alone.
#[btf_map]
static RINGS: ArrayOfMaps<RingBuf<u64, 4096>, 1024> = ArrayOfMaps::new();

/// How many kinds are counted separately when they are lost: the numbers of [`Kind`], and room.
const LOST_KINDS: usize = 64;

/// What each CPU counts about its own records.
#[repr(C)]
pub(crate) struct Counters {
    /// The next sequence number; its lower half goes out.
    seq: Counter,
    /// Records that found their buffer full, or no buffer, by kind.
    lost: [Counter; LOST_KINDS],
}

/// A number that an interrupt or NMI may raise at any moment.
///
/// `core`'s atomics have no read-modify-write operations for this target, the instruction set does
/// (`BPF_ATOMIC | BPF_FETCH`, from 5.12 on).
#[repr(transparent)]
struct Counter(UnsafeCell<u64>);

impl Counter {
    /// Adds one and returns what was there before.
    #[inline(always)]
    fn next(&self) -> u64 {
        let mut value = 1_u64;
        // SAFETY: one atomic instruction on memory that only such instructions touch.
        unsafe {
            asm!(
                "{value} = atomic_fetch_add((u64 *)({at} + 0), {value})",
                at = in(reg) self.0.get(),
                value = inout(reg) value,
            );
        }
        value
    }
}

#[btf_map]
static COUNTERS: PerCpuArray<Counters, 1> = PerCpuArray::new();

/// When a program began. An interrupt may come in the middle of it and write records of its own;
/// so programs look at the clock first of all, and the records of one CPU, sorted by time, stand in
/// the order in which things happened.
#[derive(Clone, Copy)]
pub(crate) struct Moment(u64);

impl Moment {
    #[inline(always)]
    pub(crate) fn now() -> Self {
        // SAFETY: a helper without arguments.
        Self(unsafe { bpf_ktime_get_ns() })
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
    Moment(ts): Moment,
    kind: Kind,
    flags: u16,
    payload: T,
) -> bool {
    const { assert!(size_of::<Record<T>>() == size_of::<Header>() + size_of::<T>()) };
    let Some(counters) = COUNTERS.get_ptr(0) else { return false };
    // SAFETY: the map hands out a valid pointer to this CPU's slot, all of whose fields are counters.
    let counters = unsafe { &*counters };
    // Atomic, because an interrupt or NMI may come in between and take a number of its own.
    let seq = counters.seq.next() as u32;
    // SAFETY: a helper without arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let record = Record { header: Header { ts, seq, kind: kind as u16, flags }, payload };
    let written = match RINGS.get(cpu) {
        Some(ring) => ring.output_untyped::<Record<T>>(record, u64::from(BPF_RB_NO_WAKEUP)).is_ok(),
        None => {
            debug!(ctx, "cpu {} has no buffer", cpu);
            false
        }
    };
    if !written {
        counters.lost[kind as usize % LOST_KINDS].next();
    }
    written
}
