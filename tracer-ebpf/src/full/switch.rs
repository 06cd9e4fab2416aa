//! How the MMU gets from one mm to the next: `arch/x86/mm/tlb.c`.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use tracer_common::wire::{Kind, Site};

use super::percpu::{Irqs, Reading};
use crate::{emit::emit, task::Task};

/// `void switch_mm_irqs_off(struct mm_struct *prev, struct mm_struct *next, struct task_struct *tsk)`
#[fentry(function = "switch_mm_irqs_off")]
pub(crate) fn switch_mm_irqs_off(ctx: FEntryContext) -> i32 {
    Reading::begin(Irqs::Off).emit_tlb_state(&ctx, Site::SwitchMmEntry);
    0
}

/// As there. By then `kernel/sched/core.c:context_switch` has told the run queue of the new mm's
/// registrations (`membarrier_switch_mm`).
#[fexit(function = "switch_mm_irqs_off")]
pub(crate) fn switch_mm_irqs_off_exit(ctx: FExitContext) -> i32 {
    let reading = Reading::begin(Irqs::Off);
    reading.emit_tlb_state(&ctx, Site::SwitchMmExit);
    // Only in a context switch is `current` the one that the last sched_switch switched out, and
    // `tsk` the one that comes.
    let in_switch =
        reading.at.slot.is_some_and(|slot| slot.switched_out.get() == Task::current().0 as u64);
    if in_switch
        && let Some(state) = reading.rq_state(Task(ctx.arg(2)).mm(), Site::SwitchMmExit)
        && (state.rq_state | state.mm_state) != 0
    {
        emit(&ctx, reading.at, Kind::RqState, 0, state);
    }
    0
}

/// `void enter_lazy_tlb(struct mm_struct *mm, struct task_struct *tsk)`
#[fexit(function = "enter_lazy_tlb")]
pub(crate) fn enter_lazy_tlb(ctx: FExitContext) -> i32 {
    Reading::begin(Irqs::Off).emit_tlb_state(&ctx, Site::EnterLazyTlb);
    0
}

/// `void leave_mm(void)`; before 6.11 with the CPU as its argument.
#[fexit(function = "leave_mm")]
pub(crate) fn leave_mm(ctx: FExitContext) -> i32 {
    Reading::begin(Irqs::Off).emit_tlb_state(&ctx, Site::LeaveMm);
    0
}
