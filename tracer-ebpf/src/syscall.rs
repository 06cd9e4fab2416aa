//! System calls. Attached only while a SYNC_CORE-registered mm exists, because merely having a
//! program here puts every system call of the machine on the slow path
//! (`kernel/entry/common.c:syscall_trace_enter`).

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::wire::{Frame, Kind, Membarrier, Syscall, membarrier_state};

use crate::{
    emit::{Moment, emit},
    task::{Regs, Task},
};

/// `arch/x86/entry/syscalls/syscall_64.tbl`
const NR_MEMBARRIER: i64 = 324;
/// `arch/x86/entry/syscalls/syscall_32.tbl`
const NR_MEMBARRIER_COMPAT: i64 = 375;
/// The same as an x32 call (`arch/x86/include/uapi/asm/unistd.h:__X32_SYSCALL_BIT`).
const NR_MEMBARRIER_X32: i64 = NR_MEMBARRIER | 0x4000_0000;

/// Whether this is membarrier(2), by which of its entries.
#[inline(always)]
fn is_membarrier(task: Task, nr: i64) -> bool {
    match nr {
        NR_MEMBARRIER => !task.in_compat_syscall(),
        NR_MEMBARRIER_X32 => true,
        NR_MEMBARRIER_COMPAT => task.in_compat_syscall(),
        _ => false,
    }
}

#[inline(always)]
fn syscall(ctx: &BtfTracePointContext, regs: Regs, nr: i64, ret: Option<i64>) -> i32 {
    // Most system calls of the machine are nobody's business; they go first.
    let task = Task::current();
    let mm = task.mm();
    let state = mm.state();
    let is_membarrier = is_membarrier(task, nr);
    if !is_membarrier && state & membarrier_state::SYNC_CORE == 0 {
        return 0;
    }
    let at = Moment::now();
    let frame = if ret.is_some() { regs.frame(task) } else { Frame::Unknown as u8 };
    if is_membarrier {
        // A 32-bit call passes its arguments in bx, cx and dx.
        let compat = nr == NR_MEMBARRIER_COMPAT;
        let (cmd, cmd_flags) = if compat { (regs.bx(), regs.cx()) } else { (regs.di(), regs.si()) };
        let kind = if ret.is_some() { Kind::MembarrierExit } else { Kind::MembarrierEnter };
        let call = Membarrier {
            mm: mm.ctx_id(),
            ret: ret.unwrap_or(0),
            tid: task.tid(),
            tgid: task.tgid(),
            cmd: cmd as i32,
            cmd_flags: cmd_flags as u32,
            cpu_id: regs.dx() as i32,
            state,
            frame,
            zero: [0; 2],
        };
        emit(ctx, at, kind, 0, call);
    } else {
        let kind = if ret.is_some() { Kind::SysExit } else { Kind::SysEnter };
        let call =
            Syscall { mm: mm.ctx_id(), tid: task.tid(), nr: nr as i32, frame, state, zero: [0; 6] };
        emit(ctx, at, kind, 0, call);
    }
    0
}

/// `TP_PROTO(struct pt_regs *regs, long id)`
#[btf_tracepoint(function = "sys_enter")]
pub(crate) fn sys_enter(ctx: BtfTracePointContext) -> i32 {
    syscall(&ctx, Regs(ctx.arg(0)), ctx.arg(1), None)
}

/// `TP_PROTO(struct pt_regs *regs, long ret)`
#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    let regs = Regs(ctx.arg(0));
    syscall(&ctx, regs, regs.orig_ax(), Some(ctx.arg(1)))
}
