//! The end of an mm.

use aya_ebpf::{macros::fentry, programs::FEntryContext};
use tracer_common::wire::{Kind, MmGone, Site};

use super::percpu::{Irqs, Reading};
use crate::{
    emit::emit,
    task::{Mm, Task},
};

/// `void __mmdrop(struct mm_struct *mm)` (`kernel/fork.c`): nobody refers to it any more.
#[fentry(function = "__mmdrop")]
pub(crate) fn __mmdrop(ctx: FEntryContext) -> i32 {
    let reading = Reading::begin(Irqs::On);
    let mm = Mm(ctx.arg(0));
    let gone =
        MmGone { mm: mm.ctx_id(), tid: Task::current().tid(), state: mm.state(), zero: [0; 3] };
    let state = reading.tlb_state(Site::MmDrop);
    emit(&ctx, reading.at, Kind::MmDrop, 0, gone);
    if let Some(state) = state {
        emit(&ctx, reading.at, Kind::TlbState, 0, state);
    }
    0
}
