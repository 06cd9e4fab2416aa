//! CPUs that come and go.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::wire::{Hotplug, Kind};

use crate::emit::{Moment, emit};

#[inline(always)]
fn hotplug(ctx: &BtfTracePointContext) -> i32 {
    let at = Moment::now();
    emit(ctx, at, Kind::Hotplug, 0, Hotplug { cpu: ctx.arg(0), target: ctx.arg(1) });
    0
}

/// `TP_PROTO(unsigned int cpu, int target, int idx, int (*fun)(unsigned int))`
#[btf_tracepoint(function = "cpuhp_enter")]
pub(crate) fn cpuhp_enter(ctx: BtfTracePointContext) -> i32 {
    hotplug(&ctx)
}

/// As [`cpuhp_enter`], for steps with several callbacks.
#[btf_tracepoint(function = "cpuhp_multi_enter")]
pub(crate) fn cpuhp_multi_enter(ctx: BtfTracePointContext) -> i32 {
    hotplug(&ctx)
}
