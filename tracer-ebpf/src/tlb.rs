//! `tlb_flush`: the only sign of a CR3 write that a tracepoint gives.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::wire::{Kind, TlbFlush, tlb_reason};

use crate::{
    cpu::Slot,
    emit::{Moment, emit},
    pair::Pair,
    task::Task,
};

/// Whether this is the CR3 write of a context switch: `current` is still the task that the last
/// `sched_switch` switched out. Then the records after it say so, which saves one of its own for
/// every switch from mm to mm.
#[inline(always)]
fn of_switch(ctx: &BtfTracePointContext) -> bool {
    if ctx.arg::<u32>(0) != tlb_reason::TASK_SWITCH {
        return false;
    }
    let Some(slot) = Slot::mine() else { return false };
    if slot.switched_out.get() != Task::current().0 as u64 {
        return false;
    }
    slot.cr3_written.set(1);
    true
}

/// `TP_PROTO(int reason, unsigned long pages)`
#[inline(always)]
fn flush(ctx: &BtfTracePointContext) {
    let at = Moment::now();
    let current = Task::current();
    let flush = TlbFlush {
        pages: ctx.arg(1),
        mm: current.mm().ctx_id(),
        tid: current.tid(),
        reason: ctx.arg(0),
    };
    emit(ctx, at, Kind::TlbFlush, 0, flush);
}

/// Every flush but those in an interrupt that hit this very program.
#[btf_tracepoint(function = "tlb_flush")]
pub(crate) fn tlb_flush(ctx: BtfTracePointContext) -> i32 {
    // Interrupts are off in a switch, so the second program has nothing to do with it either.
    if !of_switch(&ctx) {
        flush(&ctx);
        Pair::TlbFlush.first_done(&ctx);
    }
    0
}

/// Those.
#[btf_tracepoint(function = "tlb_flush")]
pub(crate) fn tlb_flush_again(ctx: BtfTracePointContext) -> i32 {
    if !of_switch(&ctx) && Pair::TlbFlush.first_skipped(&ctx, Kind::TlbFlush) {
        flush(&ctx);
    }
    0
}
