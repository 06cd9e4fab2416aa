//! What else comes between a system call and its return: faults, signals, NMIs.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::wire::{FAULT_FROM_USER, Fault, Frame, Kind, membarrier_state};

use crate::{
    emit::{Moment, emit},
    task::Task,
};

/// Writes a record if `current`'s mm is registered for SYNC_CORE.
#[inline(always)]
fn registered(ctx: &BtfTracePointContext, kind: Kind, flags: u16) -> i32 {
    let current = Task::current();
    let state = current.mm().state();
    if state & membarrier_state::SYNC_CORE != 0 {
        let at = Moment::now();
        let fault = Fault { tid: current.tid(), state, frame: Frame::Unknown as u8, zero: [0; 2] };
        emit(ctx, at, kind, flags, fault);
    }
    0
}

/// A fault from user mode: user code ran until now.
#[btf_tracepoint(function = "page_fault_user")]
pub(crate) fn page_fault_user(ctx: BtfTracePointContext) -> i32 {
    registered(&ctx, Kind::PageFault, FAULT_FROM_USER)
}

/// A fault from kernel mode: its IRET serializes too.
#[btf_tracepoint(function = "page_fault_kernel")]
pub(crate) fn page_fault_kernel(ctx: BtfTracePointContext) -> i32 {
    registered(&ctx, Kind::PageFault, 0)
}

/// A signal frame: the task will enter its handler by IRET.
#[btf_tracepoint(function = "signal_deliver")]
pub(crate) fn signal_deliver(ctx: BtfTracePointContext) -> i32 {
    registered(&ctx, Kind::Redirect, 0)
}

/// A restartable sequence is aborted: the task will enter its abort handler by IRET.
#[btf_tracepoint(function = "rseq_ip_fixup")]
pub(crate) fn rseq_ip_fixup(ctx: BtfTracePointContext) -> i32 {
    registered(&ctx, Kind::Redirect, 0)
}

/// An NMI: its IRET serializes too.
#[btf_tracepoint(function = "nmi_handler")]
pub(crate) fn nmi_handler(ctx: BtfTracePointContext) -> i32 {
    registered(&ctx, Kind::Nmi, 0)
}
