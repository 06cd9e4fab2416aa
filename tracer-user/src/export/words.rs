//! Numbers as words.

use tracer_common::wire::{Frame, Site, tlb_reason};

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
