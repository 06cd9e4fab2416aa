//! `tlb_flush`: the only sign of a CR3 write that a tracepoint gives.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::wire::{Kind, TlbFlush};

use crate::{
    emit::{Moment, Pair, emit},
    task::Task,
};

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
    flush(&ctx);
    Pair::TlbFlush.first_done(&ctx);
    0
}

/// Those.
#[btf_tracepoint(function = "tlb_flush")]
pub(crate) fn tlb_flush_again(ctx: BtfTracePointContext) -> i32 {
    if Pair::TlbFlush.first_skipped(&ctx, Kind::TlbFlush) {
        flush(&ctx);
    }
    0
}
