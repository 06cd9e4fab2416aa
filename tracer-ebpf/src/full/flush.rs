//! TLB flushes: asked for, sent, done (`arch/x86/mm/tlb.c`).

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use tracer_common::wire::{FLUSH_FREED_TABLES, Flush, FlushMulti, Kind, Site};

use super::percpu::{Irqs, Reading};
use crate::{
    emit::emit,
    offsets::{OFF_FLUSH_FREED_TABLES, OFF_FLUSH_MM, OFF_FLUSH_NEW_TLB_GEN},
    task::{Mm, Task, load},
};

const fn flags(freed_tables: u8) -> u16 {
    if freed_tables == 0 { 0 } else { FLUSH_FREED_TABLES }
}

/// `void flush_tlb_mm_range(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned
/// int stride_shift, bool freed_tables)`
#[fentry(function = "flush_tlb_mm_range")]
pub(crate) fn flush_tlb_mm_range(ctx: FEntryContext) -> i32 {
    let reading = Reading::begin(Irqs::On);
    let mm = Mm(ctx.arg(0));
    let flush = Flush {
        mm: mm.ctx_id(),
        // Others may raise it too before this one does; it asks for no less than this.
        generation: mm.tlb_gen() + 1,
        tid: Task::current().tid(),
        zero: 0,
    };
    let state = reading.tlb_state(Site::FlushRangeEntry);
    emit(&ctx, reading.at, Kind::FlushBegin, flags(ctx.arg(4)), flush);
    if let Some(state) = state {
        emit(&ctx, reading.at, Kind::TlbState, 0, state);
    }
    0
}

/// As there.
#[fexit(function = "flush_tlb_mm_range")]
pub(crate) fn flush_tlb_mm_range_exit(ctx: FExitContext) -> i32 {
    let reading = Reading::begin(Irqs::On);
    let flush =
        Flush { mm: Mm(ctx.arg(0)).ctx_id(), generation: 0, tid: Task::current().tid(), zero: 0 };
    let state = reading.tlb_state(Site::FlushRangeExit);
    emit(&ctx, reading.at, Kind::FlushEnd, flags(ctx.arg(4)), flush);
    if let Some(state) = state {
        emit(&ctx, reading.at, Kind::TlbState, 0, state);
    }
    0
}

/// `void flush_tlb_func(void *info)`
#[fexit(function = "flush_tlb_func")]
pub(crate) fn flush_tlb_func(ctx: FExitContext) -> i32 {
    Reading::begin(Irqs::Off).emit_tlb_state(&ctx, Site::FlushTlbFunc);
    0
}

/// `void native_flush_tlb_multi(const struct cpumask *cpumask, const struct flush_tlb_info *info)`
#[fentry(function = "native_flush_tlb_multi")]
pub(crate) fn native_flush_tlb_multi(ctx: FEntryContext) -> i32 {
    let reading = Reading::begin(Irqs::On);
    let (cpumask, info): (*const u64, *const u8) = (ctx.arg(0), ctx.arg(1));
    let flush = FlushMulti {
        mm: Mm(load(info, &OFF_FLUSH_MM)).ctx_id(),
        generation: load(info, &OFF_FLUSH_NEW_TLB_GEN),
        // SAFETY: a typed argument; `bits` is the only member of a cpumask.
        mask: unsafe { cpumask.read() },
        tid: Task::current().tid(),
        zero: 0,
    };
    let freed_tables = load(info, &OFF_FLUSH_FREED_TABLES);
    let state = reading.tlb_state(Site::FlushMulti);
    emit(&ctx, reading.at, Kind::FlushMulti, flags(freed_tables), flush);
    if let Some(state) = state {
        emit(&ctx, reading.at, Kind::TlbState, 0, state);
    }
    0
}

/// `void arch_tlbbatch_flush(struct arch_tlbflush_unmap_batch *batch)`
#[fexit(function = "arch_tlbbatch_flush")]
pub(crate) fn arch_tlbbatch_flush(ctx: FExitContext) -> i32 {
    Reading::begin(Irqs::On).emit_tlb_state(&ctx, Site::BatchFlush);
    0
}
