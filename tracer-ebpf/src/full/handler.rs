//! What membarrier has other CPUs do, on kernels whose tracepoints don't tell (before 6.5): the
//! targets, and each handler as it begins.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::{
    helpers::{bpf_get_func_ip, generated::bpf_get_func_arg},
    macros::fentry,
    programs::FEntryContext,
};
use tracer_common::wire::{CallMask, Kind};

use crate::{
    csd::{local_call, name_once},
    emit::{Moment, emit},
    task::Task,
};

/// A handler begins, in an interrupt or by a direct call on the asking CPU.
#[inline(always)]
fn handler(ctx: &FEntryContext) -> i32 {
    let at = Moment::now();
    // SAFETY: the context of a program on a function.
    let func = unsafe { bpf_get_func_ip(ctx.as_ptr()) };
    name_once(ctx, at, func);
    emit(ctx, at, Kind::Handler, 0, local_call(func));
    0
}

/// `void ipi_sync_core(void *info)`
#[fentry(function = "ipi_sync_core")]
pub(crate) fn ipi_sync_core(ctx: FEntryContext) -> i32 {
    handler(&ctx)
}

/// `void ipi_mb(void *info)`
#[fentry(function = "ipi_mb")]
pub(crate) fn ipi_mb(ctx: FEntryContext) -> i32 {
    handler(&ctx)
}

/// `void ipi_rseq(void *info)`
#[fentry(function = "ipi_rseq")]
pub(crate) fn ipi_rseq(ctx: FEntryContext) -> i32 {
    handler(&ctx)
}

/// `void ipi_sync_rq_state(void *info)`
#[fentry(function = "ipi_sync_rq_state")]
pub(crate) fn ipi_sync_rq_state(ctx: FEntryContext) -> i32 {
    handler(&ctx)
}

/// `void smp_call_function_many_cond(const struct cpumask *mask, smp_call_func_t func, void *info,
/// unsigned int scf_flags, smp_cond_func_t cond_func)`
#[fentry(function = "smp_call_function_many_cond")]
pub(crate) fn smp_call_function_many_cond(ctx: FEntryContext) -> i32 {
    let at = Moment::now();
    let mask: *const u64 = ctx.arg(0);
    let mut func = 0_u64;
    // The verifier lets no program touch a pointer to a function as an argument; the helper gives it
    // as a number.
    // SAFETY: the context of a program on a function, and a place for one word.
    if unsafe { bpf_get_func_arg(ctx.as_ptr(), 1, &raw mut func) } != 0 {
        return 0;
    }
    name_once(&ctx, at, func);
    let call = CallMask {
        func,
        // SAFETY: a typed argument; `bits` is the only member of a cpumask.
        mask: unsafe { mask.read() },
        tid: Task::current().tid(),
        zero: 0,
    };
    emit(&ctx, at, Kind::CallMask, 0, call);
    0
}
