//! How the screens write the same things.

use super::super::snapshot::{Place, Relation, Snapshot};
use crate::report::{
    self,
    text::{duration, mm, thread},
};

/// A length of time without the space: `1.50ms`.
pub(super) fn short(ns: u64) -> String {
    duration(ns).replace(' ', "")
}

/// An mm with its owner, as far as known.
pub(super) fn mm_of(id: Option<u64>, snapshot: &Snapshot) -> String {
    match id.and_then(|id| snapshot.owners.get(&id)) {
        Some(owner) => format!("{} {owner}", mm(id)),
        None => mm(id),
    }
}

/// An mm in a sentence.
pub(super) fn the_mm(id: u64, snapshot: &Snapshot) -> String {
    match (id, snapshot.owners.get(&id)) {
        (report::NO_MM, _) => "no mm".to_owned(),
        (report::INIT_MM, _) => "init_mm".to_owned(),
        (id, Some(owner)) => format!("mm {id} ({owner})"),
        (id, None) => format!("mm {id}"),
    }
}

/// A CPU's thread.
pub(super) fn on_cpu(cpu: &report::Cpu) -> String {
    match (cpu.known, cpu.tid) {
        (true, Some(0)) => "idle".to_owned(),
        (true, tid) => thread(cpu.comm.as_deref(), tid),
        (false, _) => "?".to_owned(),
    }
}

/// What stands between the logical and the real mm.
pub(super) const fn sign(relation: Relation) -> &'static str {
    match relation {
        Relation::Differ => "!=",
        Relation::LazySame => "=~",
        Relation::Lazy => "~~",
        Relation::Borrowed => "~?",
        Relation::Switching => "->",
        Relation::Same => "==",
        Relation::Kernel | Relation::Offline => "  ",
        Relation::Unknown => "??",
    }
}

/// The same in one character, for the map of many CPUs.
pub(super) const fn mark(relation: Relation) -> char {
    match relation {
        Relation::Differ => '!',
        Relation::LazySame => 'L',
        Relation::Lazy => '~',
        Relation::Borrowed => 'b',
        Relation::Switching => '>',
        Relation::Same => '=',
        Relation::Kernel => '.',
        Relation::Unknown => '?',
        Relation::Offline => 'x',
    }
}

/// The same in a word, and in a shorter one.
pub(super) const fn word(relation: Relation) -> (&'static str, &'static str) {
    match relation {
        Relation::Differ => ("DIFFER", "DIFFER"),
        Relation::LazySame => ("LAZY, own", "LAZY="),
        Relation::Lazy => ("LAZY", "LAZY"),
        Relation::Borrowed => ("borrowed", "borrow"),
        Relation::Switching => ("switching", "switch"),
        Relation::Same => ("same", "same"),
        Relation::Kernel => ("kernel", "kernel"),
        Relation::Unknown => ("unknown", "?"),
        Relation::Offline => ("offline", "off"),
    }
}

/// The same in a sentence.
pub(super) const fn meaning(relation: Relation) -> &'static str {
    match relation {
        Relation::Differ => {
            "The scheduler's and the MMU's idea differ, and neither a switch nor laziness explains it."
        }
        Relation::LazySame => {
            "Its own mm is loaded, but the CPU still counts as lazy: TLB flushes pass it by until it \
             takes the mm up (\"unlazies\"), which need not write CR3."
        }
        Relation::Lazy => {
            "Lazy: no process runs here, but the MMU keeps the last one's mm loaded, in case it comes \
             back. SYNC_CORE calls of that process don't interrupt this CPU, and going back to the same \
             mm need not write CR3, so it need not serialize."
        }
        Relation::Borrowed => {
            "No process runs here, and the MMU has one's mm loaded; whether the CPU counts as lazy is \
             not known."
        }
        Relation::Switching => "A switch is under way: the MMU is to follow.",
        Relation::Same => "The MMU has loaded what the scheduler has in mind.",
        Relation::Kernel => "No process runs here, and none's mm is loaded.",
        Relation::Unknown => {
            "Not enough was seen of this CPU since tracing began, or since events were lost."
        }
        Relation::Offline => "The CPU is offline.",
    }
}

/// Where a thread is.
pub(super) const fn place(place: Place) -> &'static str {
    match place {
        Place::Unknown => "?",
        Place::Idle => "idle",
        Place::Kernel => "kernel",
        Place::Interrupt => "irq",
        Place::User => "user",
    }
}

/// A reason for which a SYNC_CORE call left a CPU alone, in words.
pub(super) fn left_alone(reason: &str) -> &str {
    match reason {
        "kthread_lazy" => "it ran a kernel thread, lazy on that mm",
        "kthread_other" => "it ran a kernel thread, with another mm loaded",
        "idle_lazy" => "it was idle, lazy on that mm",
        "idle_other" => "it was idle, with another mm loaded",
        "other_mm" => "it ran another process",
        "offline" => "it was offline",
        "raced" => "it ran another mm when the call looked",
        "unknown" => "its state was not known",
        other => other,
    }
}

/// A short word for what serialized.
pub(super) fn cause(cause: &str) -> &str {
    match cause {
        "CR3 write in switch_mm_irqs_off" => "CR3",
        "TLB flush" => "flush",
        "sync_core in finish_task_switch" => "finish",
        "sync_core in kthread_use_mm" => "kthread",
        "ipi_sync_core" => "IPI",
        "do_sync_core" => "poke",
        "CR3 write on exit (PTI)" => "PTI",
        "sync_core on exit" => "exit",
        other => other,
    }
}
