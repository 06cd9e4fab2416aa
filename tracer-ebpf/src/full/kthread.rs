//! Kernel threads that use a process's mm (`kernel/kthread.c`).

use aya_ebpf::{EbpfContext, macros::fexit, programs::FExitContext};
use tracer_common::wire::{Kind, KthreadMm, Site};

use super::percpu::{Irqs, Reading};
use crate::{
    emit::emit,
    task::{Mm, Task},
};

#[inline(always)]
fn kthread(ctx: &impl EbpfContext, mm: Mm, kind: Kind, site: Site) -> i32 {
    let reading = Reading::begin(Irqs::On);
    let record =
        KthreadMm { mm: mm.ctx_id(), tid: Task::current().tid(), state: mm.state(), zero: [0; 3] };
    let state = reading.tlb_state(site);
    emit(ctx, reading.at, kind, 0, record);
    if let Some(state) = state {
        emit(ctx, reading.at, Kind::TlbState, 0, state);
    }
    0
}

/// `void kthread_use_mm(struct mm_struct *mm)`
#[fexit(function = "kthread_use_mm")]
pub(crate) fn kthread_use_mm(ctx: FExitContext) -> i32 {
    kthread(&ctx, Mm(ctx.arg(0)), Kind::KthreadUse, Site::KthreadUse)
}

/// `void kthread_unuse_mm(struct mm_struct *mm)`
#[fexit(function = "kthread_unuse_mm")]
pub(crate) fn kthread_unuse_mm(ctx: FExitContext) -> i32 {
    kthread(&ctx, Mm(ctx.arg(0)), Kind::KthreadUnuse, Site::KthreadUnuse)
}
