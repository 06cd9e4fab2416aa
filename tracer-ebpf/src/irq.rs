//! Interrupts: their entries, and their exits, each of which ends in an IRET.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::wire::{Irq, Kind, Vector};

use crate::{
    emit::{Moment, emit},
    task::Task,
};

#[inline(always)]
fn irq(ctx: &BtfTracePointContext, kind: Kind, vector: Vector) -> i32 {
    let at = Moment::now();
    let current = Task::current();
    let state = current.mm().state();
    let irq = Irq {
        tid: current.tid(),
        vector: vector as u8,
        frame: current.frame_if(state),
        state,
        zero: 0,
    };
    emit(ctx, at, kind, 0, irq);
    0
}

macro_rules! vectors {
    ($($function:ident, $tracepoint:literal, $kind:ident, $vector:ident;)*) => {
        $(
            #[doc = concat!("`", $tracepoint, "`")]
            #[btf_tracepoint(function = $tracepoint)]
            pub(crate) fn $function(ctx: BtfTracePointContext) -> i32 {
                irq(&ctx, Kind::$kind, Vector::$vector)
            }
        )*
    };
}

vectors! {
    local_timer_entry, "local_timer_entry", IrqEntry, LocalTimer;
    local_timer_exit, "local_timer_exit", IrqExit, LocalTimer;
    reschedule_entry, "reschedule_entry", IrqEntry, Reschedule;
    reschedule_exit, "reschedule_exit", IrqExit, Reschedule;
    call_function_entry, "call_function_entry", IrqEntry, CallFunction;
    call_function_exit, "call_function_exit", IrqExit, CallFunction;
    call_function_single_entry, "call_function_single_entry", IrqEntry, CallFunctionSingle;
    call_function_single_exit, "call_function_single_exit", IrqExit, CallFunctionSingle;
    irq_work_entry, "irq_work_entry", IrqEntry, IrqWork;
    irq_work_exit, "irq_work_exit", IrqExit, IrqWork;
    irq_handler_entry, "irq_handler_entry", IrqEntry, Device;
    irq_handler_exit, "irq_handler_exit", IrqExit, Device;
    thermal_apic_entry, "thermal_apic_entry", IrqEntry, Other;
    thermal_apic_exit, "thermal_apic_exit", IrqExit, Other;
    threshold_apic_entry, "threshold_apic_entry", IrqEntry, Other;
    threshold_apic_exit, "threshold_apic_exit", IrqExit, Other;
    deferred_error_apic_entry, "deferred_error_apic_entry", IrqEntry, Other;
    deferred_error_apic_exit, "deferred_error_apic_exit", IrqExit, Other;
    error_apic_entry, "error_apic_entry", IrqEntry, Other;
    error_apic_exit, "error_apic_exit", IrqExit, Other;
    spurious_apic_entry, "spurious_apic_entry", IrqEntry, Other;
    spurious_apic_exit, "spurious_apic_exit", IrqExit, Other;
    x86_platform_ipi_entry, "x86_platform_ipi_entry", IrqEntry, Other;
    x86_platform_ipi_exit, "x86_platform_ipi_exit", IrqExit, Other;
}
