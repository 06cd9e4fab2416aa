//! Events as words.

mod full;

use tracer_common::{
    model::{Event, Func},
    wire::{Frame, UNKNOWN_MM, Vector, membarrier_cmd as cmd, tlb_reason},
};

use super::names::Names;

/// A command of membarrier(2) as its header file calls it, without the common prefix.
pub(super) const fn command(number: i32) -> &'static str {
    match number {
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
        _ => "an unknown command",
    }
}

const fn leaves(frame: u8) -> &'static str {
    match Frame::from_u8(frame) {
        Frame::Sysret => "will leave by SYSRET",
        Frame::SyscallIret | Frame::Interrupt => "will leave by IRET",
        Frame::Compat => "a 32-bit call, may leave by SYSEXIT",
        Frame::Unknown => "way out not known",
    }
}

const fn func(func: Func) -> &'static str {
    match func {
        Func::SyncCore => "ipi_sync_core",
        Func::Mb => "ipi_mb",
        Func::Rseq => "ipi_rseq",
        Func::SyncRqState => "ipi_sync_rq_state",
        Func::FlushTlb => "flush_tlb_func",
        Func::TextPoke => "do_sync_core",
        Func::Other => "another function",
    }
}

fn mm(id: u64) -> String {
    match id {
        0 => "no mm".to_owned(),
        UNKNOWN_MM => "an mm that is not told".to_owned(),
        1 => "init_mm".to_owned(),
        id => format!("mm {id}"),
    }
}

fn task(tid: u32, names: &Names) -> String {
    match names.comm(tid) {
        Some(comm) => format!("{comm}/{tid}"),
        None => format!("tid {tid}"),
    }
}

/// One event in one line; `None` for events that no story needs.
pub(super) fn narrate(event: &Event, names: &Names) -> Option<String> {
    Some(match event {
        Event::Switch { switch, .. } => format!(
            "sched_switch {} ({}) -> {} ({})",
            task(switch.prev_tid, names),
            mm(switch.prev_mm),
            task(switch.next_tid, names),
            mm(switch.next_mm),
        ),
        Event::SwitchCr3 => "CR3 was written in that switch".to_owned(),
        Event::TlbFlush(flush) if flush.reason == tlb_reason::TASK_SWITCH => {
            "CR3 write in switch_mm_irqs_off".to_owned()
        }
        Event::TlbFlush(flush) if flush.reason <= tlb_reason::LOCAL_MM_SHOOTDOWN => {
            "TLB flush".to_owned()
        }
        Event::IrqEntry(irq) => {
            format!("interrupt {} begins", Vector::from_u8(irq.vector).map_or("?", Vector::name))
        }
        Event::IrqExit(irq) => {
            format!("interrupt {} ends", Vector::from_u8(irq.vector).map_or("?", Vector::name))
        }
        Event::CsdQueue { func: f, target, .. } if *f != Func::Other => {
            format!("{} queued for cpu {target}", func(*f))
        }
        Event::CsdEntry { func: f } if *f != Func::Other => format!("{} runs", func(*f)),
        Event::CsdLocal { func: f, .. } if *f != Func::Other => {
            format!("{} runs on the caller's own cpu", func(*f))
        }
        Event::SysEnter(call) => {
            format!("{} enters system call {}", task(call.tid, names), call.nr)
        }
        Event::SysExit(call) => format!(
            "{} ends system call {}: {}",
            task(call.tid, names),
            call.nr,
            leaves(call.frame)
        ),
        Event::MembarrierEnter(call) => {
            format!("{} calls membarrier {}", task(call.tid, names), command(call.cmd))
        }
        Event::MembarrierExit(call) => format!(
            "membarrier {} returns {} to {}",
            command(call.cmd),
            call.ret,
            task(call.tid, names)
        ),
        Event::PageFault { from_user: true, fault } => {
            format!("page fault of {}", task(fault.tid, names))
        }
        Event::Exec(exec) => {
            format!("{} has a new program, {}", task(exec.tid, names), mm(exec.mm))
        }
        Event::Exit(exit) => format!("{} exits", task(exit.tid, names)),
        Event::Redirect(fault) => {
            format!("signal or abort handler set up for {}", task(fault.tid, names))
        }
        Event::Gap { lost } => format!("{lost} events lost"),
        _ => return full::narrate(event, names),
    })
}
