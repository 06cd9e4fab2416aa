//! The events of full mode.

use tracer_common::{
    model::{Event, Func, SyncCause},
    wire::{Site, TlbState},
};

use super::{Names, func, leaves, mm, task};

fn place(site: u8) -> &'static str {
    Site::from_u8(site).map_or("?", Site::name)
}

/// What was read of `cpu_tlbstate`.
fn reading(state: &TlbState) -> String {
    if state.loaded_mm == u64::MAX {
        return format!("loaded_mm is LOADED_MM_SWITCHING ({})", place(state.site));
    }
    let lazy = if state.lazy == 0 { "not lazy" } else { "lazy" };
    let generation = match (state.slot_gen, state.mm_gen) {
        _ if state.slot_mm != state.loaded_mm => String::new(),
        (slot, 0) => format!(", generation {slot}"),
        (slot, of) => format!(", generation {slot} of {of}"),
    };
    format!("loaded_mm is {}, {lazy}{generation} ({})", mm(state.loaded_mm), place(state.site))
}

pub(super) fn narrate(event: &Event, names: &Names) -> Option<String> {
    Some(match event {
        Event::KthreadUse(kthread) => {
            format!("kthread_use_mm: {} takes {}", task(kthread.tid, names), mm(kthread.mm))
        }
        Event::KthreadUnuse(kthread) => format!("kthread_unuse_mm: gives back {}", mm(kthread.mm)),
        Event::UserReturn(ret) => {
            format!("{} returns to user mode: {}", task(ret.tid, names), leaves(ret.frame))
        }
        Event::FlushBegin { freed_tables, flush } => {
            let freed = if *freed_tables { ", page tables are freed" } else { "" };
            let (mm, generation) = (mm(flush.mm), flush.generation);
            format!("flush of {mm} begins, to generation {generation} at least{freed}")
        }
        Event::FlushEnd { flush, .. } => format!("flush of {} is done", mm(flush.mm)),
        Event::FlushMulti { flush, .. } => {
            let (mask, generation) = (flush.mask, flush.generation);
            format!("shootdown of {} to generation {generation}, cpus {mask:#x}", mm(flush.mm))
        }
        Event::MmDrop(drop) => format!("last reference to {} dropped", mm(drop.mm)),
        Event::PrivateBegin(call) => {
            format!("{} enters membarrier_private_expedited", task(call.tid, names))
        }
        Event::PrivateEnd(call) => {
            format!(
                "membarrier_private_expedited returns {} to {}",
                call.ret,
                task(call.tid, names)
            )
        }
        Event::CallMask { func: f, call } if *f != Func::Other => {
            format!("{} goes to cpus {:#x}", func(*f), call.mask)
        }
        Event::Handler { func: f, .. } if *f != Func::Other => format!("{} begins", func(*f)),
        Event::Serialized(sync) => {
            format!("serializing instruction: {}", SyncCause::from_u8(sync.cause).name())
        }
        Event::RqState(state) => format!(
            "rq->membarrier_state is {:#x}, that of {} is {:#x} ({})",
            state.rq_state,
            mm(state.mm),
            state.mm_state,
            place(state.site),
        ),
        Event::TlbState(state) => reading(state),
        _ => return None,
    })
}
