//! Events that do not tell which mm they are about ([`UNKNOWN_MM`]).
//!
//! Other tools' traces have tasks and functions, but no mms. What can be counted is counted. Nothing
//! rests on such an mm: R1 and R2 ask which mm a CPU runs, so wherever they would have to ask they
//! stay undecided ([`Doubt::Identity`]), and no other rule has anything to hold against anything. So
//! no finding comes of it, and no check that passed.

use super::{At, Cpu, Event, Model, Store, verdict::Doubt, verdict::Rule};
use crate::wire::{Switch, TlbFlush, UNKNOWN_MM, switch_flags, tlb_reason};

/// Whether a switch does not tell all of its mms.
pub(super) const fn in_switch(w: &Switch) -> bool {
    w.prev_mm == UNKNOWN_MM || w.prev_active == UNKNOWN_MM || w.next_mm == UNKNOWN_MM
}

/// Whether a CR3 write may be a context switch's, in which `current` is still the previous task.
pub(super) const fn perhaps_in_switch(w: &TlbFlush) -> bool {
    w.mm == UNKNOWN_MM && w.reason == tlb_reason::TASK_SWITCH
}

/// Whether an event is about nothing but an mm, and does not tell which.
pub(super) const fn says_nothing(event: &Event) -> bool {
    let mm = match event {
        Event::MmGone(w) | Event::MmDrop(w) => w.mm,
        Event::TlbState(w) => w.loaded_mm,
        Event::FlushBegin { flush: w, .. } | Event::FlushEnd { flush: w, .. } => w.mm,
        Event::RqState(w) => w.mm,
        Event::UserReturn(w) => w.mm,
        Event::KthreadUse(w) | Event::KthreadUnuse(w) => w.mm,
        Event::PrivateBegin(w) | Event::PrivateEnd(w) => w.mm,
        Event::Handler { handler: w, .. } => w.mm,
        Event::Fork(w) => w.child_mm,
        _ => return false,
    };
    mm == UNKNOWN_MM
}

impl Model {
    /// A switch that does not tell its mms: who runs is known from now on, and nothing else.
    pub(super) fn on_unknown_switch<S: Store>(
        s: &mut S,
        c: &mut Cpu,
        at: At,
        flags: u16,
        w: &Switch,
    ) {
        s.tally().switches += 1;
        s.tally().unknown_mms += 1;
        s.ran(w.prev_tid);
        if c.known && c.tid != w.prev_tid && (c.tgid == 0 || c.tgid != w.prev_tid) {
            // Another task was switched in before, and never out: the trace lacks that.
            s.tally().switches += 1;
            s.tally().unknown_mms += 1;
            s.tally().unseen_switches += 1;
        }
        Self::forget(c, at.ts);
        c.debt = None;
        c.known = true;
        c.was_known = true;
        c.tid = w.next_tid;
        c.tgid = w.next_tgid;
        c.kthread = flags & switch_flags::NEXT_KTHREAD != 0;
        c.switched_at = at.ts;
        c.logical = w.next_mm;
        // It may be registered, and then the CPU owes a serialization.
        if w.next_mm != 0 {
            Self::doubt(s, c, Rule::R1, Doubt::Identity);
        }
    }
}
