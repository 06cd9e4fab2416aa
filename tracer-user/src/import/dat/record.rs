//! An event's bytes.

use super::{header::Header, shape::Shape};
use crate::import::point::{Callee, Calls, NR_MEMBARRIER, What, vector};

/// Who was `current`, and what happened.
pub(super) struct Record<'a> {
    pub(super) tid: u32,
    pub(super) what: What<'a>,
}

/// The states of `sched_switch`: the task sleeps or dies, or was preempted
/// (`include/linux/sched.h:TASK_REPORT_MAX`).
const BLOCKED: i64 = 0xff;
const PREEMPTED: i64 = 0x100;

/// Reads an event; `None` if it does not fit its format.
pub(super) fn read<'a>(data: &'a [u8], header: &'a Header) -> Option<Record<'a>> {
    // common_type and common_pid (include/linux/trace_events.h:struct trace_entry).
    let id = u16::from_le_bytes(data.get(..2)?.try_into().ok()?);
    let tid = u32::try_from(i32::from_le_bytes(data.get(4..8)?.try_into().ok()?)).ok()?;
    let what = match header.shapes.get(&id) {
        Some(shape) if !shape.event.is_empty() => what(shape, data, header)?,
        // Of an event that says nothing here, or has no format.
        _ => What::Unused,
    };
    Some(Record { tid, what })
}

fn what<'a>(shape: &Shape, data: &'a [u8], header: &'a Header) -> Option<What<'a>> {
    let number = |index| shape.number(index, data);
    let pid = |index| u32::try_from(number(index)?).ok();
    let callee = |index| {
        Some(match number(index)? as u64 {
            0 => Callee::None,
            address => header.symbols.name(address).map_or(Callee::Address(address), Callee::Name),
        })
    };
    if let Some((vector, entry)) = vector(&shape.event) {
        return Some(What::Irq { vector, entry });
    }
    Some(match shape.event.as_str() {
        "sched_switch" => {
            let state = number(1)?;
            What::Switch {
                prev: pid(0)?,
                next: pid(3)?,
                next_comm: shape.text(2, data)?,
                blocked: state & BLOCKED != 0,
                preempted: state & PREEMPTED != 0,
            }
        }
        "sched_process_fork" => {
            What::Fork { parent: pid(0)?, child: pid(2)?, child_comm: shape.text(1, data)? }
        }
        "sched_process_exec" => What::Exec { tid: pid(0)?, old: pid(1)? },
        "sched_process_exit" => What::Exit { tid: pid(0)? },
        "sched_process_free" => What::Free { tid: pid(0)? },
        "task_rename" => What::Rename { tid: pid(0)?, comm: shape.text(1, data)? },
        "tlb_flush" => What::TlbFlush { reason: pid(0)?, pages: number(1)? as u64 },
        "csd_queue_cpu" => What::CsdQueue { target: pid(0)?, func: callee(1)? },
        "csd_function_entry" => What::CsdEntry { func: callee(0)?, local: number(1)? == 0 },
        "csd_function_exit" => What::CsdExit { func: callee(0)? },
        "ipi_send_cpu" => {
            What::IpiCpu { target: pid(0)?, callsite: callee(1)?, callback: callee(2)? }
        }
        "ipi_send_cpumask" => {
            What::IpiMask { mask: shape.mask(0, data)?, callsite: callee(1)?, callback: callee(2)? }
        }
        "sys_enter_membarrier" => What::MembarrierEnter {
            from: Calls::Own,
            cmd: number(0)? as i32,
            flags: number(1)? as u32,
            cpu_id: number(2)? as i32,
        },
        "sys_exit_membarrier" => What::MembarrierExit { from: Calls::Own, ret: number(0)? },
        "sys_enter" | "sys_exit" if number(0)? != NR_MEMBARRIER => What::Unused,
        "sys_enter" => What::MembarrierEnter {
            from: Calls::Raw,
            cmd: shape.word(1, 0, data)? as i32,
            flags: shape.word(1, 1, data)? as u32,
            cpu_id: shape.word(1, 2, data)? as i32,
        },
        "sys_exit" => What::MembarrierExit { from: Calls::Raw, ret: number(1)? },
        "page_fault_user" => What::PageFault { user: true },
        "page_fault_kernel" => What::PageFault { user: false },
        "cpuhp_enter" => What::Hotplug { cpu: pid(0)?, target: pid(1)? },
        "nmi_handler" => What::Nmi,
        _ => What::Unused,
    })
}
