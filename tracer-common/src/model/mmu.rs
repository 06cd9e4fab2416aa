//! What the MMU holds, as tracepoints tell it: CR3 writes outside switches, and flushes.

use super::{At, Cpu, Evidence, Model, Store, SyncCause, state::Tri};
use crate::wire::{INIT_MM, TlbFlush, UNKNOWN_MM, tlb_reason};

impl Model {
    pub(super) fn on_tlb_flush<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, w: &TlbFlush) {
        match w.reason {
            tlb_reason::TASK_SWITCH if Self::is_switch_cr3(c, w) => self.on_switch_cr3(s, c, at),
            tlb_reason::TASK_SWITCH => Self::on_cr3(s, c, at, w),
            tlb_reason::REMOTE_SHOOTDOWN
            | tlb_reason::LOCAL_SHOOTDOWN
            | tlb_reason::LOCAL_MM_SHOOTDOWN
                // Nothing to do is told as 0 pages (arch/x86/mm/tlb.c:flush_tlb_func).
                if w.pages != 0 =>
            {
                Self::flushed_here(s, c, at, SyncCause::TlbFlush);
            }
            _ => {}
        }
    }

    /// The switch in progress wrote CR3.
    pub(super) fn on_switch_cr3<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At) {
        self.switch_done(s, c, at, true);
        c.slot = (0, 0);
    }

    /// `switch_mm_irqs_off` wrote CR3 outside a context switch: exec, `kthread_use_mm`, a remote
    /// flush that found the CPU lazy, `leave_mm`, or a temporary mm that comes and goes.
    fn on_cr3<S: Store>(s: &mut S, c: &mut Cpu, at: At, w: &TlbFlush) {
        s.tally().cr3_writes += 1;
        if w.mm == UNKNOWN_MM || c.logical == UNKNOWN_MM {
            (c.real, c.lazy) = (0, Tri::Unknown);
        } else if Self::recognize(c, w.tid) {
            if w.mm != c.logical {
                // To no mm: exit_mm has let go of it before. To an mm: this is its coming.
                let state = s.known_mm(w.mm).map_or(0, |mm| mm.state);
                Self::logical_changed(s, c, c.last_ts, w.mm, state, false);
            }
            if c.entered.is_some() {
                // What is loaded is read in a moment.
                (c.real, c.lazy) = (0, Tri::Unknown);
                return Self::flushed_here(s, c, at, SyncCause::Cr3);
            }
            // Without an mm of its own, the task has just lost the borrowed one to init_mm.
            let loaded = if w.mm == 0 { INIT_MM } else { w.mm };
            if w.mm == 0 && c.lazy == Tri::Yes {
                s.tally().lazy_to_init_mm += 1;
            }
            // What is loaded already, and not lazily, is never loaded again: a mm that nobody tells
            // of comes or goes (use_temporary_mm, efi_enter_mm).
            let temporary = c.real == loaded && c.lazy != Tri::Yes;
            c.real = if temporary { 0 } else { loaded };
            c.lazy = if temporary { Tri::Unknown } else { Tri::No };
        }
        Self::flushed_here(s, c, at, SyncCause::Cr3);
    }

    /// The tracepoint comes after the instruction that it tells of. So the core serialized between
    /// the previous event and this one.
    fn flushed_here<S: Store>(s: &mut S, c: &mut Cpu, at: At, cause: SyncCause) {
        Self::serialized(s, c, c.last_ts, cause, Evidence::Inferred);
        c.maybe_sync = at.ts;
        // The generation that the ASID slot has reached is not told here.
        c.slot = (0, 0);
    }
}
