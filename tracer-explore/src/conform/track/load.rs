//! mms that are loaded outside a switch: `exec_mmap`, `kthread_use_mm`, flushes, `leave_mm`.

use std::mem;

use super::{EXEC, EXIT, FLUSH};
use crate::{
    conform::{
        Conform, Left,
        cast::{self, Slot},
        follow::{INNER, has_none, steps},
    },
    state::{Task, mm, pc},
    step::Step,
};
use tracer_common::{
    model::{Event, MmId},
    wire::{INIT_MM, Site, TlbFlush, TlbState, UNKNOWN_MM, tlb_reason},
};

/// A flush comes from elsewhere, or the idle task leaves.
const AWAY: u64 = INNER | steps(&[Step::Deliver, Step::Leave]);

impl Conform {
    pub(super) fn tlb_flush(&mut self, at: usize, event: &Event, w: &TlbFlush) -> bool {
        match w.reason {
            tlb_reason::TASK_SWITCH => self.cr3(at, event, w),
            tlb_reason::REMOTE_SHOOTDOWN if w.pages != 0 => self.flushed(at, event),
            tlb_reason::LOCAL_MM_SHOOTDOWN if w.pages != 0 => {
                self.focus_loaded(at) && self.told(at, INNER | FLUSH, event)
                    || self.flushes_other(at)
            }
            tlb_reason::LOCAL_SHOOTDOWN => self.flushes_other(at),
            _ => {
                self.flush_told(event);
                true
            }
        }
    }

    /// Something is flushed that is not the running task's own mm.
    fn flushes_other(&mut self, at: usize) -> bool {
        for stage in &mut self.tracks[at].stages {
            stage.slot = match stage.slot {
                Slot::Is(read) | Slot::AtLeast(read) => Slot::AtLeast(read),
                Slot::Unknown => Slot::Unknown,
            };
        }
        self.leave(Left::BatchFlush)
    }

    /// What is loaded plays A.
    fn focus_loaded(&mut self, at: usize) -> bool {
        if !self.reaches(at, INNER, cast::at_rest) {
            return false;
        }
        let track = &self.tracks[at];
        let mut loaded = track.stages.iter().map(|stage| track.cast.real(stage.s.cpus[0].loaded));
        let mm = loaded.find(|&mm| mm > INIT_MM).unwrap_or(track.cast.0[0]);
        self.recast(at, mm, 0)
    }

    /// Lets somebody flush A here: this CPU is behind, or not.
    fn asks_to_flush(&mut self, at: usize) -> bool {
        if !self.focus_loaded(at) {
            return false;
        }
        let mut asked = Vec::new();
        for stage in mem::take(&mut self.tracks[at].stages) {
            for generation in [1, 2] {
                let mut one = stage.clone();
                one.s.tasks[usize::from(cast::ASKER)] = Task {
                    mm: mm::A,
                    m_mm: mm::A,
                    pc: pc::FLUSH_WAIT,
                    mask: 1,
                    flush_gen: generation,
                    ..Task::default()
                };
                one.s.all.tlb_gen = generation;
                one.s.cpus[0].pend = 1 << cast::ASKER;
                asked.push(one);
            }
        }
        self.tracks[at].stages = asked;
        true
    }

    fn flushed(&mut self, at: usize, event: &Event) -> bool {
        self.told(at, INNER, event)
            || (self.asks_to_flush(at) && self.told(at, INNER | steps(&[Step::Deliver]), event))
    }

    /// `switch_mm_irqs_off` wrote CR3 outside a switch; or in one, where each tells itself.
    fn cr3(&mut self, at: usize, event: &Event, w: &TlbFlush) -> bool {
        if self.told(at, INNER, event) {
            return true;
        }
        self.tracks[at].entered = false;
        if self.tracks[at].temporary {
            self.leaves_temporary(at);
            return self.leave(Left::TemporaryMm);
        }
        if w.mm == UNKNOWN_MM {
            self.lose(at);
            return self.leave(Left::TemporaryMm);
        }
        self.same_task(at, w.tid);
        if !self.reaches(at, INNER, cast::at_rest) {
            return false;
        }
        let Some(current) = self.tracks[at].current() else { return false };
        let kthread = self.tracks[at].kthread;
        let explained = match w.mm {
            0 => {
                (current == 0 || self.lets_go(at, current))
                    && self.asks_to_flush(at)
                    && self.told(at, AWAY, event)
            }
            mm if mm != current && kthread => {
                self.focus(at, mm) && self.told(at, INNER | steps(&[Step::Use]), event)
            }
            mm if mm != current => return self.exec(at, event, mm),
            _ => false,
        };
        if explained {
            return true;
        }
        if self.tracks[at].is_lazy() {
            return false;
        }
        self.tracks[at].temporary = true;
        self.leave(Left::TemporaryMm)
    }

    /// What was there before is loaded again, and has caught up.
    fn leaves_temporary(&mut self, at: usize) {
        let track = &mut self.tracks[at];
        track.temporary = false;
        for stage in &mut track.stages {
            stage.slot = Slot::Unknown;
        }
    }

    /// The running task had an mm, and has none now.
    fn lets_go(&mut self, at: usize, current: MmId) -> bool {
        let step = if self.tracks[at].kthread { steps(&[Step::Unuse]) } else { EXIT };
        self.focus(at, current) && self.reaches(at, INNER | step, has_none)
    }

    /// `exec_mmap`
    pub(super) fn exec(&mut self, at: usize, event: &Event, new: MmId) -> bool {
        let Some(current) = self.tracks[at].current() else { return false };
        if current == 0 {
            self.lose(at);
            return self.leave(Left::UserHelper);
        }
        self.reaches(at, INNER, cast::at_rest)
            && self.recast_exec(at, current, new)
            && self.told(at, INNER | EXEC, event)
    }

    /// The new mm plays C, as it does wherever the abstract kernel calls `exec_mmap`.
    fn recast_exec(&mut self, at: usize, current: MmId, new: MmId) -> bool {
        if !self.recast(at, current, 0) {
            return false;
        }
        let cast = &mut self.tracks[at].cast;
        cast.0[2] = new;
        true
    }

    /// A reading at a step that was not about to be made.
    pub(super) fn load_state(&mut self, at: usize, event: &Event, w: &TlbState) -> bool {
        if self.tracks[at].temporary {
            return self.leave(Left::Readings);
        }
        match Site::from_u8(w.site) {
            Some(Site::SwitchMmEntry) => {
                self.tracks[at].entered = true;
                self.reading(at, w)
            }
            Some(Site::SwitchMmExit) => {
                let entered = mem::take(&mut self.tracks[at].entered);
                let track = &self.tracks[at];
                if track.kthread && entered && track.current() == Some(0) {
                    // It was loaded already.
                    self.focus(at, w.loaded_mm) && self.told(at, INNER | steps(&[Step::Use]), event)
                } else {
                    self.reading(at, w)
                }
            }
            Some(Site::EnterLazyTlb) => {
                let Some(current) = self.tracks[at].current() else { return false };
                let kthread = self.tracks[at].kthread;
                let step = if kthread { steps(&[Step::Unuse]) } else { EXIT };
                current != 0 && self.focus(at, current) && self.told(at, INNER | step, event)
            }
            Some(Site::FlushTlbFunc) => {
                self.reading(at, w)
                    || (self.asks_to_flush(at)
                        && self.told(at, INNER | steps(&[Step::Deliver]), event))
            }
            Some(Site::UserReturn) => false,
            _ => self.reading(at, w),
        }
    }
}
