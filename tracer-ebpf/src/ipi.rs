//! IPIs as they are sent.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::wire::{IpiCpu, IpiMask, Kind};

use crate::{
    emit::{Moment, emit},
    pair::Pair,
    task::Task,
};

/// `TP_PROTO(const unsigned int cpu, unsigned long callsite, void *callback)`
#[inline(always)]
fn to_cpu(ctx: &BtfTracePointContext) {
    let at = Moment::now();
    let ipi = IpiCpu {
        callsite: ctx.arg(1),
        callback: ctx.arg(2),
        target: ctx.arg(0),
        tid: Task::current().tid(),
    };
    emit(ctx, at, Kind::IpiCpu, 0, ipi);
}

/// Every one but those in an interrupt that hit this very program.
#[btf_tracepoint(function = "ipi_send_cpu")]
pub(crate) fn ipi_send_cpu(ctx: BtfTracePointContext) -> i32 {
    to_cpu(&ctx);
    Pair::IpiCpu.first_done(&ctx);
    0
}

/// Those.
#[btf_tracepoint(function = "ipi_send_cpu")]
pub(crate) fn ipi_send_cpu_again(ctx: BtfTracePointContext) -> i32 {
    if Pair::IpiCpu.first_skipped(&ctx, Kind::IpiCpu) {
        to_cpu(&ctx);
    }
    0
}

/// `TP_PROTO(const struct cpumask *cpumask, unsigned long callsite, void *callback)`
#[inline(always)]
fn to_mask(ctx: &BtfTracePointContext) {
    let at = Moment::now();
    let cpumask: *const u64 = ctx.arg(0);
    let ipi = IpiMask {
        callsite: ctx.arg(1),
        callback: ctx.arg(2),
        // SAFETY: a typed tracepoint argument; `bits` is the only member of a cpumask.
        mask: unsafe { cpumask.read() },
        tid: Task::current().tid(),
        zero: 0,
    };
    emit(ctx, at, Kind::IpiMask, 0, ipi);
}

/// Every one but those in an interrupt that hit this very program.
#[btf_tracepoint(function = "ipi_send_cpumask")]
pub(crate) fn ipi_send_cpumask(ctx: BtfTracePointContext) -> i32 {
    to_mask(&ctx);
    Pair::IpiMask.first_done(&ctx);
    0
}

/// Those.
#[btf_tracepoint(function = "ipi_send_cpumask")]
pub(crate) fn ipi_send_cpumask_again(ctx: BtfTracePointContext) -> i32 {
    if Pair::IpiMask.first_skipped(&ctx, Kind::IpiMask) {
        to_mask(&ctx);
    }
    0
}
