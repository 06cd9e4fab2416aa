//! What is known of a run queue's `membarrier_state`, and the one reason for which a stock kernel
//! lets it go stale.
//!
//! `kernel/sched/sched.h:membarrier_switch_mm` copies the new mm's state only if the *active* mm
//! changes. But a CPU that keeps an mm lazily is left out by registrations
//! (`kernel/sched/membarrier.c:sync_runqueues_membarrier_state` looks at `rq->curr->mm`), and has its
//! copy zeroed as the task lets go of the mm (`membarrier_update_current_mm` in `exit_mm` and
//! `kthread_unuse_mm`). When it then goes back to a thread of that very mm, nothing brings the copy up
//! to date: `GLOBAL_EXPEDITED` calls pass that CPU by, and `rq->membarrier_state` stays stale until
//! the active mm changes.
//!
//! Rule R6 excuses a stale copy that is proven to have come about so, and counts it.

use super::{
    At, Cpu, Model, Store,
    mm::{Registrations, SET},
    rules::r6,
    state::MmId,
};
use crate::wire::{RqState, Site, Switch};

/// How far a run queue's copy can be trusted.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one word")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunQueue {
    /// Everything that has changed it since it was last right is known.
    known: bool,
    /// It was zeroed as the task let go of the mm.
    zeroed: bool,
    /// `membarrier_exec_mmap` has zeroed it for a task that still has its old mm.
    exec: bool,
    /// An mm came by exec, and it is not sure that the zero has held until then.
    exec_raced: bool,
    /// The CPU came back to this mm after having borrowed it, from then until then (nanoseconds; 0
    /// where that is not known): nothing was copied.
    came_back: (MmId, u64, u64),
    /// The bits that are missing for the stock kernels' reason.
    excused: u32,
}

/// What is to be thought of missing bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lag {
    /// Stock kernels do that.
    Excused,
    /// It can't be told why: events were lost, or tracing had just begun.
    Unseen,
    /// It can't be told why: the registration was not seen.
    Unregistered,
    /// No kernel should.
    Wrong,
}

impl RunQueue {
    /// It has just been made equal to the state of `rq->curr->mm`.
    pub(super) const fn copied() -> Self {
        Self {
            known: true,
            zeroed: false,
            exec: false,
            exec_raced: false,
            came_back: (0, 0, 0),
            excused: 0,
        }
    }

    /// The task lets go of its mm and goes on without.
    pub(super) const fn let_go(&mut self) {
        *self = Self { zeroed: true, ..Self::copied() };
    }

    /// The task has a new mm by exec.
    pub(super) const fn new_program(&mut self) {
        *self = Self { exec_raced: !self.exec, ..Self::copied() };
    }

    /// A context switch from `w.prev_active` to `w.next_mm`.
    pub(super) fn switched(&mut self, w: &Switch, borrowing: u64, ts: u64) {
        self.exec = false;
        if w.next_mm == 0 {
            return;
        }
        if w.prev_active != w.next_mm {
            *self = Self::copied();
        } else if w.prev_mm == 0 {
            self.came_back = (w.next_mm, borrowing, ts);
            if borrowing == 0 {
                self.known &= self.zeroed;
            }
        }
    }

    /// Why these bits of the mm are missing; remembers the excused ones.
    pub(super) fn lag(
        &mut self,
        registrations: &Registrations,
        w: &RqState,
        lacking: u32,
        skew: u64,
    ) -> Lag {
        let (mut unknown, mut excused) = (0, self.excused & lacking);
        let (id, from, to) = self.came_back;
        if id == w.mm && id != 0 {
            if self.zeroed && w.rq_state & SET == 0 {
                excused |= registrations.begun(lacking, to, skew);
            } else if from == 0 {
                unknown = lacking;
            } else {
                let (within, unseen) = registrations.within(lacking, from, to, skew);
                excused |= within;
                unknown = unseen;
            }
        }
        self.excused |= excused;
        if lacking & !excused == 0 {
            Lag::Excused
        } else if !self.known {
            Lag::Unseen
        } else if lacking & !excused & !unknown == 0 {
            Lag::Unregistered
        } else {
            Lag::Wrong
        }
    }

    /// Whether bits that the mm does not have can be told to be wrong.
    pub(super) const fn is_sure(&self) -> bool {
        self.known && !self.exec_raced
    }
}

impl Model {
    pub(super) fn on_rq_state<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, w: &RqState) {
        let site = Site::from_u8(w.site);
        if site == Some(Site::ExecMmap) {
            // The mm is the one to come.
            c.rq.exec = true;
        } else if site == Some(Site::SyncRqState) {
            c.rq.exec = false;
        }
        r6::judge(s, c, at, w, site, self.config.skew);
    }
}
