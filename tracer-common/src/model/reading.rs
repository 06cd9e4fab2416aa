//! What probes read of `cpu_tlbstate`, held against the reconstruction (R7), and believed from then
//! on.
//!
//! Where the probe stood says what is to be expected. `switch_mm_irqs_off` is the one function that
//! loads an mm, and it is called from many places: by a context switch, in which `current` is still
//! the previous task; by `exec_mmap` and `kthread_use_mm`, whose `current` has its new mm already; by
//! `leave_mm`, and `flush_tlb_func` on a lazy CPU, which go to `init_mm`; and around a temporary mm
//! (`use_temporary_mm`, `efi_enter_mm`), which is left by loading what was there before.

use super::{
    At, Cpu, Model, Store,
    rules::r7,
    state::{Entered, Tri},
    verdict::Divergence,
};
use crate::wire::{INIT_MM, Site, TlbState};

/// `loaded_mm` in a [`TlbState`] where it is `LOADED_MM_SWITCHING`.
const SWITCHING: u64 = u64::MAX;
/// `arch/x86/include/asm/tlbflush.h:TLB_NR_DYN_ASIDS`: from here on ASIDs are global.
const FIRST_GLOBAL_ASID: u16 = 6;

const fn tri(yes: u8) -> Tri {
    if yes == 0 { Tri::No } else { Tri::Yes }
}

impl Model {
    /// Whether this was read in a context switch, before it has touched any mm.
    pub(super) fn before_switch_mm(c: &Cpu, w: &TlbState) -> bool {
        Self::is_outgoing(c, w.tid) && w.site == Site::SwitchMmEntry as u8
    }

    /// Whether `current` is still the task that the switch in progress switches out.
    pub(super) fn is_outgoing(c: &Cpu, tid: u32) -> bool {
        c.switching.is_some_and(|prev| prev.is(tid, c.tid))
    }

    /// Whose reading it is, if `current` is the running task there for sure.
    pub(super) fn reader(w: &TlbState) -> Option<u32> {
        let switching =
            [Site::SwitchMmEntry, Site::SwitchMmExit, Site::EnterLazyTlb].map(|site| site as u8);
        (!switching.contains(&w.site)).then_some(w.tid)
    }

    /// `cpu_tlbstate` as read by a probe.
    pub(super) fn on_tlb_state<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, w: &TlbState) {
        let Some(site) = Site::from_u8(w.site) else { return };
        if w.loaded_mm == SWITCHING {
            return;
        }
        if Self::before_switch_mm(c, w) {
            return Self::read_before_switch(s, c, at, w);
        }
        let in_switch = Self::is_outgoing(c, w.tid);
        c.switching = None;
        match site {
            Site::SwitchMmEntry => {
                // In a switch to a kernel thread, by enter_lazy_tlb: it chose to be not lazy at all.
                let eager = c.known && c.logical == 0 && w.tid != c.tid;
                if eager {
                    c.lazy = tri(w.lazy);
                }
                Self::compare(s, c, at, w);
                c.entered = Some(Entered { ts: at.ts, real: w.loaded_mm, lazy: w.lazy != 0 });
            }
            Site::SwitchMmExit if !in_switch => self.loaded(s, c, at, w),
            Site::EnterLazyTlb => {
                if c.logical != 0 && Self::recognize(c, w.tid) {
                    // exit_mm or kthread_unuse_mm: a switch to a kernel thread has no mm by now.
                    Self::logical_changed(s, c, c.last_ts, 0, 0, false);
                }
                Self::compare(s, c, at, w);
            }
            Site::UserReturn if c.known && c.logical != 0 => {
                // Nobody runs user code on a temporary mm.
                c.temporary = None;
                r7::equal(s, c, at, Divergence::Real, c.logical, w.loaded_mm);
                Self::compare_lazy(s, c, at, Tri::No, w.lazy);
            }
            _ => Self::compare(s, c, at, w),
        }
        Self::believe(c, w);
    }

    /// The switch in progress is about to load the next mm: this is what was there before.
    fn read_before_switch<S: Store>(s: &mut S, c: &mut Cpu, at: At, w: &TlbState) {
        let Some(mut switch) = c.in_switch else { return };
        if switch.real_before != 0 {
            r7::equal(s, c, at, Divergence::Real, switch.real_before, w.loaded_mm);
        }
        Self::compare_lazy(s, c, at, switch.lazy_before, w.lazy);
        switch.real_before = w.loaded_mm;
        switch.lazy_before = tri(w.lazy);
        c.in_switch = Some(switch);
    }

    /// `switch_mm_irqs_off` has loaded an mm outside a context switch.
    fn loaded<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, w: &TlbState) {
        let Some(before) = c.entered.take() else { return };
        if w.loaded_mm == INIT_MM && before.lazy {
            s.tally().lazy_to_init_mm += 1;
        }
        c.loaded_at = (w.loaded_mm, before.ts);
        // Without tlb_flush nobody has told of an exec or a kthread_use_mm yet.
        if !c.known || !self.config.sees_cr3 {
            return;
        }
        if let Some(home) = c.temporary.take() {
            r7::equal(s, c, at, Divergence::Real, home, w.loaded_mm);
        } else if [INIT_MM, c.logical, c.active].contains(&w.loaded_mm) {
            r7::passed(s);
        } else {
            c.temporary = Some(before.real);
        }
        Self::compare_lazy(s, c, at, Tri::No, w.lazy);
    }

    fn compare<S: Store>(s: &mut S, c: &Cpu, at: At, w: &TlbState) {
        if !c.known {
            return;
        }
        if c.real != 0 {
            r7::equal(s, c, at, Divergence::Real, c.real, w.loaded_mm);
        }
        Self::compare_lazy(s, c, at, c.lazy, w.lazy);
    }

    fn compare_lazy<S: Store>(s: &mut S, c: &Cpu, at: At, expected: Tri, lazy: u8) {
        if expected != Tri::Unknown {
            let expected = u64::from(expected == Tri::Yes);
            r7::equal(s, c, at, Divergence::Lazy, expected, u64::from(lazy != 0));
        }
    }

    fn believe(c: &mut Cpu, w: &TlbState) {
        c.real = w.loaded_mm;
        c.lazy = tri(w.lazy);
        c.global_asid = w.asid >= FIRST_GLOBAL_ASID;
        c.slot = if c.global_asid { (0, 0) } else { (w.slot_mm, w.slot_gen) };
    }
}
