//! Tasks and mms as they come and go.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::wire::{self, Exec, Fork, Kind, MmGone, Rename};

use crate::{
    emit::{Moment, emit},
    task::{Mm, Task},
};

/// `TP_PROTO(struct task_struct *parent, struct task_struct *child)`
#[btf_tracepoint(function = "sched_process_fork")]
pub(crate) fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    let at = Moment::now();
    let (parent, child) = (Task(ctx.arg(0)), Task(ctx.arg(1)));
    let mm = child.mm();
    let fork = Fork {
        child_mm: mm.ctx_id(),
        parent_tid: parent.tid(),
        child_tid: child.tid(),
        child_tgid: child.tgid(),
        state: mm.state(),
        zero: [0; 3],
        comm: child.comm(),
    };
    emit(&ctx, at, Kind::Fork, 0, fork);
    0
}

/// `TP_PROTO(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
#[btf_tracepoint(function = "sched_process_exec")]
pub(crate) fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    let at = Moment::now();
    let task = Task(ctx.arg(0));
    let exec =
        Exec { mm: task.mm().ctx_id(), tid: task.tid(), old_tid: ctx.arg(1), comm: task.comm() };
    emit(&ctx, at, Kind::Exec, 0, exec);
    0
}

#[inline(always)]
fn task(ctx: &BtfTracePointContext, kind: Kind) -> i32 {
    let at = Moment::now();
    let task = Task(ctx.arg(0));
    let record = wire::Task { mm: task.mm().ctx_id(), tid: task.tid(), tgid: task.tgid() };
    emit(ctx, at, kind, 0, record);
    0
}

/// `TP_PROTO(struct task_struct *p, ...)`
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    task(&ctx, Kind::Exit)
}

/// `TP_PROTO(struct task_struct *p)`
#[btf_tracepoint(function = "sched_process_free")]
pub(crate) fn sched_process_free(ctx: BtfTracePointContext) -> i32 {
    task(&ctx, Kind::Free)
}

/// `TP_PROTO(struct task_struct *task, const char *comm)`: fired before the name is set, and the
/// new name is an untyped pointer, so it has to be copied by a helper.
#[btf_tracepoint(function = "task_rename")]
pub(crate) fn task_rename(ctx: BtfTracePointContext) -> i32 {
    let task = Task(ctx.arg(0));
    let new: *const u8 = ctx.arg(1);
    let mut rename = Rename { tid: task.tid(), tgid: task.tgid(), comm: [0; wire::COMM_LEN] };
    // SAFETY: the helper reads a kernel address safely, whatever it is, into our own buffer.
    let read = unsafe { aya_ebpf::helpers::bpf_probe_read_kernel_str_bytes(new, &mut rename.comm) };
    if read.is_ok() {
        let at = Moment::now();
        emit(&ctx, at, Kind::Rename, 0, rename);
    }
    0
}

/// `TP_PROTO(struct mm_struct *mm)`
#[btf_tracepoint(function = "exit_mmap")]
pub(crate) fn exit_mmap(ctx: BtfTracePointContext) -> i32 {
    let at = Moment::now();
    let mm = Mm(ctx.arg(0));
    let gone =
        MmGone { mm: mm.ctx_id(), tid: Task::current().tid(), state: mm.state(), zero: [0; 3] };
    emit(&ctx, at, Kind::MmGone, 0, gone);
    0
}
