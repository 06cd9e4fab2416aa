//! Two programs on one tracepoint, the second for the events that the first one can't have.
//!
//! The kernel does not run a program on a CPU where it is running already
//! (`kernel/trace/bpf_trace.c:__bpf_trace_run`): an event in an interrupt in the middle of the program
//! for the same tracepoint would go unseen. The second program runs for every event too, right after
//! the first, and writes the record if the first did not run. It knows that by the address of its
//! context, which lies on the kernel's stack and is the same for both programs of one event, and
//! another one for any event in between.

use aya_ebpf::EbpfContext;
use tracer_common::wire::Kind;

use crate::cpu::{Cell, KINDS, Slot};

/// How many pairs there are: the numbers of [`Pair`].
pub(crate) const PAIRS: usize = 4;

/// How many events may be in progress at once: task, softirq, hardirq and NMI.
const DEPTH: usize = 4;

/// Events that a pair's first program has dealt with: a stack of context addresses.
#[repr(C)]
pub(crate) struct Done {
    depth: Cell,
    ctx: [Cell; DEPTH],
}

/// A pair of programs.
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
    ///
    /// An interrupt in between leaves the stack as it found it, but for entries above ours.
    #[inline(always)]
    pub(crate) fn first_done(self, ctx: &impl EbpfContext) {
        let Some(slot) = Slot::mine() else { return };
        let done = &slot.done[self as usize];
        let mut depth = done.depth.get() as usize;
        if depth >= DEPTH {
            depth = 0; // entries that nobody took away
        }
        done.ctx[depth].set(ctx.as_ptr() as u64);
        done.depth.set(depth as u64 + 1);
    }

    /// Whether the first program could not run for this event; if so, counts that its record is
    /// about to be written by the second.
    #[inline(always)]
    pub(crate) fn first_skipped(self, ctx: &impl EbpfContext, kind: Kind) -> bool {
        let Some(slot) = Slot::mine() else { return false };
        let done = &slot.done[self as usize];
        let (mine, depth) = (ctx.as_ptr() as u64, done.depth.get());
        let mut at = DEPTH;
        while at > 0 {
            at -= 1;
            if (at as u64) < depth && done.ctx[at].get() == mine {
                // Those above are of events whose second program could not run.
                done.depth.set(at as u64);
                return false;
            }
        }
        slot.recovered[kind as usize % KINDS].next();
        true
    }
}
