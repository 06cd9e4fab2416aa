//! Events as words.

mod full;

use tracer_common::{
    model::{Event, Func},
    wire::{Frame, UNKNOWN_MM, Vector, membarrier_cmd, tlb_reason},
};

use super::names::Names;

/// A command of membarrier(2).
fn command(number: i32) -> &'static str {
    membarrier_cmd::name(number).unwrap_or("an unknown command")
}

const fn leaves(frame: u8) -> &'static str {
    match Frame::from_u8(frame) {
        Frame::Sysret => "will leave by SYSRET",
        Frame::SyscallIret | Frame::Interrupt => "will leave by IRET",
        Frame::Compat => "a 32-bit call, may leave by SYSEXIT",
        Frame::Unknown => "way out not known",
    }
}

fn func(func: Func) -> &'static str {
    func.name().unwrap_or("another function")
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
