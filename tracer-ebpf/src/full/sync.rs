//! Probes on instructions: where the kernel serializes, seen as it does.
//!
//! Each is attached only at instructions that the text audit found to lead to a serializing one and
//! nowhere else. A probe there is an int3, which ends in an IRET and so serializes by itself, but only
//! where the kernel is about to do the same.

use aya_ebpf::{macros::kprobe, programs::ProbeContext};
use tracer_common::{
    model::SyncCause,
    wire::{Kind, Serialized},
};

use crate::{
    emit::{Moment, emit},
    task::Task,
};

#[inline(always)]
fn serialized(ctx: &ProbeContext, cause: SyncCause) -> u32 {
    let at = Moment::now();
    let record = Serialized { tid: Task::current().tid(), cause: cause as u8, zero: [0; 3] };
    emit(ctx, at, Kind::Serialized, 0, record);
    0
}

/// `membarrier_mm_sync_core_before_usermode` in `kernel/sched/core.c:finish_task_switch`
#[kprobe]
pub(crate) fn finish_task_switch_sync(ctx: ProbeContext) -> u32 {
    serialized(&ctx, SyncCause::FinishTaskSwitch)
}

/// Whatever serializes in `kernel/kthread.c:kthread_use_mm`, where it does.
#[kprobe]
pub(crate) fn kthread_use_mm_sync(ctx: ProbeContext) -> u32 {
    serialized(&ctx, SyncCause::KthreadUse)
}

/// `sync_core_before_usermode` in `kernel/sched/membarrier.c:ipi_sync_core`
#[kprobe]
pub(crate) fn ipi_sync_core_sync(ctx: ProbeContext) -> u32 {
    serialized(&ctx, SyncCause::IpiSyncCore)
}
