//! `tlb_flush`: the only sign of a CR3 write that a tracepoint gives.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::wire::{Kind, TlbFlush};

use crate::{
    emit::{Moment, emit},
    task::Task,
};

/// `TP_PROTO(int reason, unsigned long pages)`
#[btf_tracepoint(function = "tlb_flush")]
pub(crate) fn tlb_flush(ctx: BtfTracePointContext) -> i32 {
    let at = Moment::now();
    let current = Task::current();
    let flush = TlbFlush {
        pages: ctx.arg(1),
        mm: current.mm().ctx_id(),
        tid: current.tid(),
        reason: ctx.arg(0),
    };
    emit(&ctx, at, Kind::TlbFlush, 0, flush);
    0
}
