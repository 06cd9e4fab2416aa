//! Returns to user mode.

use aya_ebpf::{macros::fentry, programs::FEntryContext};
use tracer_common::wire::{Kind, Site, UserReturn};

use super::percpu::{Irqs, Reading};
use crate::{emit::emit, task::Task};

/// `void switch_fpu_return(void)` (`arch/x86/kernel/fpu/core.c`): the last function on the way out,
/// behind the loop that may still switch, on a task's first return after a context switch.
///
/// What was read of `cpu_tlbstate` goes first, because the return is judged by it.
#[fentry(function = "switch_fpu_return")]
pub(crate) fn switch_fpu_return(ctx: FEntryContext) -> i32 {
    let reading = Reading::begin(Irqs::Off);
    let current = Task::current();
    let mm = current.mm();
    let id = mm.ctx_id();
    if id == 0 {
        return 0;
    }
    let state = mm.state();
    reading.emit_tlb_state(&ctx, Site::UserReturn);
    let ret = UserReturn {
        mm: id,
        tid: current.tid(),
        frame: current.frame_if(state),
        state,
        zero: [0; 2],
    };
    emit(&ctx, reading.at, Kind::UserReturn, 0, ret);
    0
}
