//! Events in words, as a divergence tells them.

use tracer_common::{
    model::{Event, MmId},
    wire::{INIT_MM, Site, membarrier_cmd as cmd, tlb_reason},
};

fn named(mm: MmId) -> String {
    match mm {
        0 => "no mm".to_owned(),
        INIT_MM => "init_mm".to_owned(),
        u64::MAX => "LOADED_MM_SWITCHING".to_owned(),
        mm => format!("mm {mm}"),
    }
}

/// An event. `real` is the mm that is meant by an id.
pub(super) fn words(event: &Event, real: impl Fn(MmId) -> MmId) -> String {
    let mm = |id| named(real(id));
    match event {
        Event::Switch { switch, .. } => format!(
            "a switch from {} ({} active) to {}",
            mm(switch.prev_mm),
            mm(switch.prev_active),
            mm(switch.next_mm)
        ),
        Event::SwitchCr3 => "CR3 written by the switch".to_owned(),
        Event::TlbFlush(w) => match w.reason {
            tlb_reason::TASK_SWITCH => format!("CR3 written ({})", mm(w.mm)),
            tlb_reason::REMOTE_SHOOTDOWN => "a flush for another CPU".to_owned(),
            _ => "a flush of its own".to_owned(),
        },
        Event::TlbState(w) => format!(
            "{}: {} loaded, {}, generation {} of {}",
            Site::from_u8(w.site).map_or("?", Site::name),
            mm(w.loaded_mm),
            if w.lazy == 0 { "not lazy" } else { "lazy" },
            w.slot_gen,
            w.mm_gen
        ),
        Event::RqState(w) => format!(
            "{}: rq->membarrier_state {:#x}, {} has {:#x}",
            Site::from_u8(w.site).map_or("?", Site::name),
            w.rq_state,
            mm(w.mm),
            w.mm_state
        ),
        Event::Serialized(_) => "a serializing instruction".to_owned(),
        Event::UserReturn(w) => format!("a return to user mode in {}", mm(w.mm)),
        Event::CsdEntry { func } => format!("{} runs", func.name().unwrap_or("a function")),
        Event::KthreadUse(w) => format!("kthread_use_mm({})", mm(w.mm)),
        Event::KthreadUnuse(w) => format!("kthread_unuse_mm({})", mm(w.mm)),
        Event::Exec(w) => format!("exec, {}", mm(w.mm)),
        Event::MembarrierExit(w) => {
            format!("membarrier({}) returns {}", cmd::name(w.cmd).unwrap_or("?"), w.ret)
        }
        Event::PrivateEnd(w) => format!("membarrier_private_expedited returns {}", w.ret),
        other => format!("{other:?}"),
    }
}
