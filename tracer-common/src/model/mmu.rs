//! What the MMU holds: CR3 writes outside switches, flushes, and the kernel's own variables where a
//! probe read them.

use super::{
    At, Cpu, Evidence, Model, Store, SyncCause,
    rules::{r3, r4, r5, r6, r7},
    state::{MmId, Tri},
    verdict::Divergence,
};
use crate::wire::{Flush, INIT_MM, RqState, TlbFlush, TlbState, tlb_reason};

impl Model {
    pub(super) fn on_tlb_flush<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, w: &TlbFlush) {
        match w.reason {
            tlb_reason::TASK_SWITCH if Self::is_switch_cr3(c, w) => {
                self.switch_done(s, c, at, Some(at.ts));
            }
            tlb_reason::TASK_SWITCH => Self::on_cr3(s, c, at, w),
            tlb_reason::REMOTE_SHOOTDOWN
            | tlb_reason::LOCAL_SHOOTDOWN
            | tlb_reason::LOCAL_MM_SHOOTDOWN
                // Nothing to do is told as 0 pages (arch/x86/mm/tlb.c:flush_tlb_func).
                if w.pages != 0 =>
            {
                Self::serialized(s, c, at.ts, SyncCause::TlbFlush, Evidence::Inferred);
            }
            _ => {}
        }
    }

    /// `switch_mm_irqs_off` wrote CR3 outside a context switch: exec, `kthread_use_mm`, a remote
    /// flush that found the CPU lazy, `leave_mm`, or a temporary mm that comes and goes.
    fn on_cr3<S: Store>(s: &mut S, c: &mut Cpu, at: At, w: &TlbFlush) {
        s.tally().cr3_writes += 1;
        if Self::recognize(c, w.tid) {
            if w.mm == 0 {
                // A borrower of an mm loses it to init_mm.
                if c.logical != 0 {
                    // exit_mm has just let go of it.
                    Self::logical_changed(s, c, at, 0, 0, false);
                }
                if c.lazy == Tri::Yes {
                    s.tally().lazy_to_init_mm += 1;
                }
                c.real = INIT_MM;
            } else {
                if c.logical != w.mm {
                    let state = s.known_mm(w.mm).map_or(0, |mm| mm.state);
                    Self::logical_changed(s, c, at, w.mm, state, false);
                }
                c.real = w.mm;
            }
            c.lazy = Tri::No;
        }
        Self::serialized(s, c, at.ts, SyncCause::Cr3, Evidence::Inferred);
    }

    /// `cpu_tlbstate` as read by a probe.
    pub(super) fn on_tlb_state<S: Store>(s: &mut S, c: &mut Cpu, at: At, w: &TlbState) {
        let switching = w.loaded_mm == u64::MAX;
        if c.known && c.in_switch.is_none() && !switching {
            if c.real != 0 {
                r7::equal(s, c, at, Divergence::Real, c.real, w.loaded_mm);
            }
            if c.lazy != Tri::Unknown {
                let lazy = u64::from(c.lazy == Tri::Yes);
                r7::equal(s, c, at, Divergence::Lazy, lazy, u64::from(w.lazy));
            }
        }
        if !switching {
            c.real = w.loaded_mm;
            c.lazy = if w.lazy == 0 { Tri::No } else { Tri::Yes };
            c.slot = (w.slot_mm, w.slot_gen);
        }
    }

    pub(super) fn on_flush_end<S: Store>(
        &self,
        s: &mut S,
        c: &mut Cpu,
        at: At,
        freed_tables: bool,
        w: &Flush,
    ) {
        if let Some(mm) = s.mm(w.mm) {
            mm.flushed.push(w.generation, at.ts);
        }
        r3::judge_running(s, at, w.mm, w.generation, self.config.skew);
        if freed_tables {
            r4::judge(s, c, at, w);
        }
    }

    pub(super) fn on_mm_drop<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, mm: MmId) {
        r5::judge(s, c, at, mm, self.config.skew);
        s.mm_gone(mm);
    }

    pub(super) fn on_rq_state<S: Store>(s: &mut S, c: &mut Cpu, at: At, w: &RqState) {
        r6::judge(s, c, at, w);
    }
}
