//! `sched_switch`: who runs, on whose mm.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::wire::{Kind, Switch, switch_flags};

use crate::{
    emit::{Moment, emit},
    task::{PF_EXITING, PF_KTHREAD, Task},
};

/// `TP_PROTO(bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int
/// prev_state)`; `prev_state` is there from 5.18 on.
#[btf_tracepoint(function = "sched_switch")]
pub(crate) fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    let at = Moment::now();
    let (prev, next) = (Task(ctx.arg(1)), Task(ctx.arg(2)));
    let mut flags = 0;
    if ctx.arg::<u8>(0) != 0 {
        flags |= switch_flags::PREEMPT;
    }
    let prev_flags = prev.flags();
    if prev_flags & PF_KTHREAD != 0 {
        flags |= switch_flags::PREV_KTHREAD;
    }
    if prev_flags & PF_EXITING != 0 {
        flags |= switch_flags::PREV_EXITING;
    }
    if next.flags() & PF_KTHREAD != 0 {
        flags |= switch_flags::NEXT_KTHREAD;
    }
    if ctx.arg::<u32>(3) != 0 {
        flags |= switch_flags::PREV_BLOCKED;
    }
    let (prev_mm, next_mm) = (prev.mm(), next.mm());
    let (prev_state, next_state) = (prev_mm.state(), next_mm.state());
    let switch = Switch {
        prev_mm: prev_mm.ctx_id(),
        prev_active: prev.active_mm().ctx_id(),
        next_mm: next_mm.ctx_id(),
        prev_tid: prev.tid(),
        next_tid: next.tid(),
        next_tgid: next.tgid(),
        prev_state,
        next_state,
        prev_frame: prev.frame_if(prev_state),
        next_frame: next.frame_if(next_state),
    };
    emit(&ctx, at, Kind::Switch, flags, switch);
    if let Some(slot) = at.slot {
        slot.switched_out.set(prev.0 as u64);
        slot.cr3_written.set(0);
    }
    0
}
