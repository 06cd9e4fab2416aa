//! Numbers as words.

use std::borrow::Cow;

use tracer_common::{
    model::Func,
    wire::{Frame, Site, membarrier_cmd, tlb_reason},
};

/// A function by its name; `None` if it is none of those that are told apart.
pub(super) const fn func_name(func: Func) -> Option<&'static str> {
    Some(match func {
        Func::SyncCore => "ipi_sync_core",
        Func::Mb => "ipi_mb",
        Func::Rseq => "ipi_rseq",
        Func::SyncRqState => "ipi_sync_rq_state",
        Func::FlushTlb => "flush_tlb_func",
        Func::TextPoke => "do_sync_core",
        Func::Other => return None,
    })
}

/// A command of membarrier(2), without the common prefix.
pub(super) const fn command(number: i32) -> Option<&'static str> {
    use membarrier_cmd as cmd;
    Some(match number {
        cmd::QUERY => "QUERY",
        cmd::GLOBAL => "GLOBAL",
        cmd::GLOBAL_EXPEDITED => "GLOBAL_EXPEDITED",
        cmd::REGISTER_GLOBAL_EXPEDITED => "REGISTER_GLOBAL_EXPEDITED",
        cmd::PRIVATE_EXPEDITED => "PRIVATE_EXPEDITED",
        cmd::REGISTER_PRIVATE_EXPEDITED => "REGISTER_PRIVATE_EXPEDITED",
        cmd::PRIVATE_EXPEDITED_SYNC_CORE => "PRIVATE_EXPEDITED_SYNC_CORE",
        cmd::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE => "REGISTER_PRIVATE_EXPEDITED_SYNC_CORE",
        cmd::PRIVATE_EXPEDITED_RSEQ => "PRIVATE_EXPEDITED_RSEQ",
        cmd::REGISTER_PRIVATE_EXPEDITED_RSEQ => "REGISTER_PRIVATE_EXPEDITED_RSEQ",
        cmd::GET_REGISTRATIONS => "GET_REGISTRATIONS",
        _ => return None,
    })
}

/// `include/linux/mm_types.h:enum tlb_flush_reason`, as words.
pub(super) const fn reason(reason: u32) -> &'static str {
    match reason {
        tlb_reason::TASK_SWITCH => "task_switch",
        tlb_reason::REMOTE_SHOOTDOWN => "remote_shootdown",
        tlb_reason::LOCAL_SHOOTDOWN => "local_shootdown",
        tlb_reason::LOCAL_MM_SHOOTDOWN => "local_mm_shootdown",
        tlb_reason::REMOTE_SEND_IPI => "remote_send_ipi",
        tlb_reason::REMOTE_WRONG_CPU => "remote_wrong_cpu",
        _ => "unknown",
    }
}

pub(super) const fn frame(frame: u8) -> &'static str {
    match Frame::from_u8(frame) {
        Frame::Unknown => "unknown",
        Frame::Sysret => "sysret",
        Frame::SyscallIret => "syscall_iret",
        Frame::Interrupt => "interrupt",
        Frame::Compat => "compat",
    }
}

pub(super) fn site(site: u8) -> &'static str {
    Site::from_u8(site).map_or("unknown", Site::name)
}

/// The text before the first NUL.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end])
}
