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
//! Rule R6 excuses a stale copy that is proven to have come about so, and counts it. The proof: the
//! CPU came back from laziness without a change of the active mm, and nothing has been copied since;
//! the bits in question were set by then, but their registration was not complete when the CPU went
//! lazy; or the copy was zeroed then. (`rq->curr` changes before `sched_switch` tells so. What it tells
//! of a mm's state at the switch that goes lazy may be from after a registration that saw the CPU as
//! lazy already; so that state is taken as it was read before.)
//!
//! Where the kernel can be preempted, an exec can be caught in the middle: `membarrier_exec_mmap`
//! zeroes the copy while the task still has its old mm. If it is preempted after that, and no other
//! mm is active meanwhile, whoever runs next on the old mm has none of its bits: that is excused, too,
//! or undecided if it was preempted before the zero was read. (All that is under `task_lock`, so takes
//! `PREEMPT_RT`; there any preemption in kernel code may have been there.)
//! If another was, the switch back copies the old mm's state once more, and bits are left that the new
//! mm does not have. The new mm then runs with
//! it, until another active mm. It does no more harm than needless interrupts. Nothing tells whether a
//! task was preempted just there; so these bits are held against the kernel only if it was not
//! preempted as it last left a CPU, or has been in user mode since, and are undecided otherwise.

use super::{
    At, Cpu, Model, Store,
    mm::{READY, SET},
    rules::r6,
    state::MmId,
};
use crate::wire::{RqState, Site, Switch};

/// How far a run queue's copy can be trusted.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one word")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RunQueue {
    /// Everything that has changed it since it was last right is known.
    known: bool,
    /// It was zeroed as the task let go of the mm, or for an exec that had not come to its new mm yet
    /// when the task was preempted.
    zeroed: bool,
    /// `membarrier_exec_mmap` has zeroed it for a task that still has its old mm.
    exec: bool,
    /// A task of this mm was preempted in kernel code, perhaps in `membarrier_exec_mmap`, after it
    /// zeroed this and before that was read.
    maybe_zeroed: bool,
    /// An mm came by exec, and it is not sure that the zero has held until then.
    exec_raced: bool,
    /// The CPU came back to this mm after having borrowed it, and nothing was copied; with the mm's
    /// state before that and then.
    came_back: (MmId, u8, u8),
    /// The bits that are missing for the stock kernels' reason.
    excused: u32,
}

/// What is to be thought of missing bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lag {
    /// Stock kernels do that.
    Excused,
    /// It can't be told why: events were lost, tracing had just begun, or an exec may have been in the
    /// middle.
    Unseen,
    /// No kernel should.
    Wrong,
}

/// The bits of [`SET`] whose registration is complete in this state.
pub(super) const fn complete(state: u32) -> u32 {
    (state & READY) << 1
}

impl RunQueue {
    /// It has just been made equal to the state of `rq->curr->mm`.
    pub(super) const fn copied() -> Self {
        Self {
            known: true,
            zeroed: false,
            exec: false,
            maybe_zeroed: false,
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

    /// A context switch from `w.prev_active` to `w.next_mm`; `borrowing` is what the active mm's state
    /// was before the CPU began to borrow it. `in_exec`: perhaps in the middle
    /// of `membarrier_exec_mmap`.
    pub(super) fn switched(&mut self, w: &Switch, borrowing: Option<u8>, in_exec: bool) {
        let exec = core::mem::take(&mut self.exec);
        self.zeroed |= exec;
        self.maybe_zeroed |= in_exec;
        if w.next_mm == 0 {
            return;
        }
        if w.prev_active != w.next_mm {
            *self = Self::copied();
        } else if w.prev_mm == 0 {
            self.known &= borrowing.is_some();
            self.came_back =
                borrowing.map_or((0, 0, 0), |before| (w.next_mm, before, w.next_state));
        } else if exec {
            // Another process of the very mm that the exec has not left yet.
            self.came_back = (w.next_mm, w.next_state, w.next_state);
        }
    }

    /// Why these bits of the mm are missing; remembers the excused ones.
    pub(super) fn lag(&mut self, w: &RqState, lacking: u32) -> Lag {
        let (mm, before, then) = self.came_back;
        let mut excused = self.excused;
        if mm == w.mm && mm != 0 {
            let set = u32::from(then) & SET;
            if self.zeroed && w.rq_state & SET == 0 {
                excused |= set;
            } else {
                excused |= set & !complete(before.into());
            }
        }
        self.excused |= excused & lacking;
        if lacking & !excused == 0 {
            Lag::Excused
        } else if self.known && !(self.maybe_zeroed && w.rq_state & SET == 0) {
            Lag::Wrong
        } else {
            Lag::Unseen
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
            let been_in_user = c.user.tid == w.tid && c.user.ts > c.switched_at;
            let interrupted = !been_in_user
                && s.known_task(w.tid)
                    .and_then(|task| task.out)
                    .is_some_and(|(epoch, preempted)| preempted || epoch != self.epoch);
            if interrupted && w.rq_state & SET != 0 {
                r6::doubt(s, c);
                return;
            }
            c.rq.exec = true;
        } else if site == Some(Site::SyncRqState) {
            c.rq.exec = false;
        }
        r6::judge(s, c, at, w, site);
    }
}
