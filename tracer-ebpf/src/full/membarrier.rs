//! membarrier(2) and what it keeps in the run queues (`kernel/sched/membarrier.c`).

use aya_ebpf::{
    EbpfContext,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use tracer_common::wire::{Kind, PrivateCall, Site};

use super::percpu::{Irqs, Reading};
use crate::{
    emit::emit,
    task::{Mm, Task},
};

#[inline(always)]
fn private(
    ctx: &impl EbpfContext,
    (call_flags, cpu_id): (u32, i32),
    ret: Option<i32>,
    site: Site,
) -> i32 {
    let reading = Reading::begin(Irqs::On);
    let current = Task::current();
    let mm = current.mm();
    let call = PrivateCall {
        mm: mm.ctx_id(),
        tid: current.tid(),
        tgid: current.tgid(),
        call_flags,
        cpu_id,
        ret: ret.unwrap_or(0),
        state: mm.state(),
        zero: [0; 3],
    };
    let state = reading.tlb_state(site);
    let kind = if ret.is_some() { Kind::PrivateEnd } else { Kind::PrivateBegin };
    emit(ctx, reading.at, kind, 0, call);
    if let Some(state) = state {
        emit(ctx, reading.at, Kind::TlbState, 0, state);
    }
    0
}

/// `int membarrier_private_expedited(int flags, int cpu_id)`
#[fentry(function = "membarrier_private_expedited")]
pub(crate) fn membarrier_private_expedited(ctx: FEntryContext) -> i32 {
    private(&ctx, (ctx.arg(0), ctx.arg(1)), None, Site::PrivateBegin)
}

/// As there; what it returns comes after its arguments.
#[fexit(function = "membarrier_private_expedited")]
pub(crate) fn membarrier_private_expedited_exit(ctx: FExitContext) -> i32 {
    private(&ctx, (ctx.arg(0), ctx.arg(1)), Some(ctx.arg(2)), Site::PrivateEnd)
}

/// The state of this CPU's run queue beside that of `mm`.
#[inline(always)]
fn rq_state(ctx: &impl EbpfContext, irqs: Irqs, mm: Mm, site: Site) -> i32 {
    let reading = Reading::begin(irqs);
    if let Some(state) = reading.rq_state(mm, site) {
        emit(ctx, reading.at, Kind::RqState, 0, state);
    }
    0
}

/// `void membarrier_exec_mmap(struct mm_struct *mm)`: `mm` is the new one, which the task is about
/// to have.
#[fexit(function = "membarrier_exec_mmap")]
pub(crate) fn membarrier_exec_mmap(ctx: FExitContext) -> i32 {
    rq_state(&ctx, Irqs::On, Mm(ctx.arg(0)), Site::ExecMmap)
}

/// `void ipi_sync_rq_state(void *info)`
#[fexit(function = "ipi_sync_rq_state")]
pub(crate) fn ipi_sync_rq_state_exit(ctx: FExitContext) -> i32 {
    rq_state(&ctx, Irqs::Off, Task::current().mm(), Site::SyncRqState)
}

/// `int sync_runqueues_membarrier_state(struct mm_struct *mm)`: what every registration ends with,
/// but for its READY bit.
#[fexit(function = "sync_runqueues_membarrier_state")]
pub(crate) fn sync_runqueues_membarrier_state(ctx: FExitContext) -> i32 {
    rq_state(&ctx, Irqs::On, Task::current().mm(), Site::Register)
}

/// `int membarrier_register_private_expedited(int flags)`, where the compiler has inlined the other.
#[fexit(function = "membarrier_register_private_expedited")]
pub(crate) fn membarrier_register_private_expedited(ctx: FExitContext) -> i32 {
    rq_state(&ctx, Irqs::On, Task::current().mm(), Site::Register)
}
