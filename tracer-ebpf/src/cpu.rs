//! What the programs keep of each CPU, between events.

use core::{arch::asm, cell::UnsafeCell};

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};

use crate::pair::{Done, PAIRS};

/// How many kinds are counted separately when they are lost: the numbers of
/// [`Kind`](tracer_common::wire::Kind), and room.
pub(crate) const KINDS: usize = 64;

/// One CPU's slot. User space reads the counters in it, in this order.
#[repr(C)]
pub(crate) struct Slot {
    /// The next sequence number; its lower half goes out.
    pub(crate) seq: Counter,
    /// Records that found their buffer full, or no buffer, by kind.
    pub(crate) lost: [Counter; KINDS],
    /// Records that the second program of a pair wrote, by kind; see [`Pair`](crate::pair::Pair).
    pub(crate) recovered: [Counter; KINDS],
    /// For each pair, the events that its first program has dealt with and its second has not seen
    /// yet.
    pub(crate) done: [Done; PAIRS],
    /// The task that the last `sched_switch` switched out. It is `current` until that switch is
    /// over.
    pub(crate) switched_out: Cell,
    /// That switch wrote CR3: 1 or 0. Every record until the next switch says so, whichever comes
    /// first.
    pub(crate) cr3_written: Cell,
    /// This CPU's run queue; 0 until it was looked for.
    pub(crate) rq: Cell,
    /// Readings of the kernel's variables that were thrown away because something came in between.
    pub(crate) disturbed: Counter,
}

/// A number that only this CPU touches, and an interrupt only in a way that the code around it
/// allows for.
#[repr(transparent)]
pub(crate) struct Cell(UnsafeCell<u64>);

impl Cell {
    #[inline(always)]
    pub(crate) fn get(&self) -> u64 {
        // SAFETY: this CPU's own memory.
        unsafe { self.0.get().read_volatile() }
    }

    #[inline(always)]
    pub(crate) fn set(&self, value: u64) {
        // SAFETY: this CPU's own memory.
        unsafe { self.0.get().write_volatile(value) }
    }
}

/// A number that an interrupt or NMI may raise at any moment.
///
/// `core`'s atomics have no read-modify-write operations for this target, the instruction set does
/// (`BPF_ATOMIC | BPF_FETCH`, from 5.12 on).
#[repr(transparent)]
pub(crate) struct Counter(UnsafeCell<u64>);

impl Counter {
    /// What it is now.
    #[inline(always)]
    pub(crate) fn peek(&self) -> u64 {
        // SAFETY: this CPU's own memory.
        unsafe { self.0.get().read_volatile() }
    }

    /// Adds one and returns what was there before.
    #[inline(always)]
    pub(crate) fn next(&self) -> u64 {
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
static COUNTERS: PerCpuArray<Slot, 1> = PerCpuArray::new();

impl Slot {
    /// The slot of the CPU that runs the program.
    #[inline(always)]
    pub(crate) fn mine() -> Option<&'static Self> {
        // SAFETY: the map hands out a valid pointer to this CPU's slot, which lives as long as the
        // program; all its fields may change under a shared reference.
        COUNTERS.get_ptr(0).map(|slot| unsafe { &*slot })
    }
}
