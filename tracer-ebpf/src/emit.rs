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
    /// Records that the second program of a pair wrote, by kind; see [`Pair`].
    recovered: [Counter; LOST_KINDS],
    /// For each pair, the events that its first program has dealt with and its second has not seen
    /// yet.
    done: [Done; PAIRS],
}

/// How many pairs there are: the numbers of [`Pair`].
const PAIRS: usize = 4;

/// How many events may be in progress at once: task, softirq, hardirq and NMI.
const DEPTH: usize = 4;

#[repr(C)]
struct Done {
    depth: UnsafeCell<u64>,
    ctx: UnsafeCell<[u64; DEPTH]>,
}

/// Two programs on one tracepoint, the second for the events that the first one can't have.
///
/// The kernel does not run a program on a CPU where it is running already
/// (`kernel/trace/bpf_trace.c:__bpf_trace_run`): an event in an interrupt in the middle of the program
/// for the same tracepoint would go unseen. The second program runs for every event too, right after
/// the first, and writes the record if the first did not run. It knows that by the address of its
/// context, which lies on the kernel's stack and is the same for both programs of one event, and
/// another one for any event in between.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(crate) enum Pair {
    TlbFlush = 0,
    IpiCpu = 1,
    IpiMask = 2,
    CsdQueue = 3,
}

impl Pair {
    /// The first program has dealt with its event.
    #[inline(always)]
    pub(crate) fn first_done(self, ctx: &impl EbpfContext) {
        let Some(counters) = COUNTERS.get_ptr(0) else { return };
        // SAFETY: this CPU's slot; an interrupt in between leaves it as it found it, but for entries
        // above ours.
        unsafe {
            let done = &(*counters).done[self as usize];
            let mut depth = done.depth.get().read_volatile() as usize;
            if depth >= DEPTH {
                depth = 0; // entries that nobody took away
            }
            done.ctx.get().cast::<u64>().add(depth).write_volatile(ctx.as_ptr() as u64);
            done.depth.get().write_volatile(depth as u64 + 1);
        }
    }

    /// Whether the first program could not run for this event; if so, counts that its record is
    /// about to be written by the second.
    #[inline(always)]
    pub(crate) fn first_skipped(self, ctx: &impl EbpfContext, kind: Kind) -> bool {
        let Some(counters) = COUNTERS.get_ptr(0) else { return false };
        let mine = ctx.as_ptr() as u64;
        // SAFETY: as above.
        unsafe {
            let done = &(*counters).done[self as usize];
            let depth = done.depth.get().read_volatile();
            let entries = done.ctx.get().cast::<u64>();
            let mut at = DEPTH;
            while at > 0 {
                at -= 1;
                if (at as u64) < depth && entries.add(at).read_volatile() == mine {
                    // Those above are of events whose second program could not run.
                    done.depth.get().write_volatile(at as u64);
                    return false;
                }
            }
            (*counters).recovered[kind as usize % LOST_KINDS].next();
        }
        true
    }
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
