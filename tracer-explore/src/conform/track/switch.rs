//! Context switches.

use super::{BORDER, EXIT, Track};
use crate::{
    conform::{
        Conform, Left,
        cast::{self, Cast, KTHREADS, Slot, THREADS},
        follow::{INNER, Stage, has_a, has_none, steps},
    },
    state::{IDLE, mm},
    step::Step,
};
use tracer_common::{
    model::{Event, MmId},
    wire::{INIT_MM, Switch, UNKNOWN_MM, switch_flags},
};

/// Who a task is.
#[derive(Clone, Copy)]
struct Who {
    tid: u32,
    mm: MmId,
    kthread: bool,
}

impl Who {
    const fn seat(self, seats: (u8, u8)) -> u8 {
        match self {
            Self { tid: 0, .. } => IDLE,
            Self { kthread: true, .. } => seats.1,
            _ => seats.0,
        }
    }
}

impl Conform {
    pub(super) fn switch(&mut self, at: usize, ts: u64, event: &Event, flags: u16, w: &Switch) {
        if [w.prev_mm, w.next_mm, w.prev_active].contains(&UNKNOWN_MM) {
            self.tally.unknown += 1;
            return self.lose(at);
        }
        self.registered(w.prev_mm, w.prev_state);
        self.registered(w.next_mm, w.next_state);
        if !self.tracks[at].stages.is_empty() {
            match self.leaves(at, flags, w) {
                Ok(true) => {}
                Ok(false) => self.lose(at),
                Err(why) => self.diverge(at, ts, event, why),
            }
        }
        let known = !self.tracks[at].stages.is_empty();
        self.flush_doubts_see(at, known);
        self.settle_flush_doubts(Some(at));
        if known {
            let was = self.tasks.get(&w.next_tid).copied().unwrap_or(w.next_mm);
            if w.next_tid != 0 && was != w.next_mm {
                self.diverge(
                    at,
                    ts,
                    event,
                    "the next task had another mm when it was switched out",
                );
            } else if !self.enters(at, flags, w, event) {
                self.diverge(at, ts, event, "");
            }
        }
        if self.tracks[at].stages.is_empty() {
            self.seed(at, flags, w);
            if !self.enters(at, flags, w, event) {
                self.diverge(at, ts, event, "from no state");
            }
        }
        self.tasks.insert(w.prev_tid, w.prev_mm);
        self.tasks.remove(&w.next_tid);
        let track = &mut self.tracks[at];
        (track.tid, track.tgid) = (w.next_tid, w.next_tgid);
        track.kthread = flags & switch_flags::NEXT_KTHREAD != 0;
        (track.entered, track.temporary) = (false, false);
    }

    /// The CPU comes to rest, and its task to the mm that it has now. False if that is beyond the
    /// abstract kernel, an error if it is against it.
    fn leaves(&mut self, at: usize, flags: u16, w: &Switch) -> Result<bool, &'static str> {
        let exiting = flags & switch_flags::PREV_EXITING != 0;
        if !self.same_task(at, w.prev_tid) {
            let track = &mut self.tracks[at];
            if exiting && track.tid == track.tgid {
                // A leader that exits while another thread calls execve: the two swap their pids.
                track.tid = w.prev_tid;
            } else {
                return Err("another task runs here");
            }
        }
        if !self.reaches(at, INNER, cast::at_rest) {
            return Err("what the last step does was not seen");
        }
        let Some(current) = self.tracks[at].current() else { return Ok(false) };
        if w.prev_mm == current {
            return Ok(true);
        }
        let changed = match (self.tracks[at].kthread, w.prev_mm) {
            (true, 0) => {
                self.focus(at, current) && self.reaches(at, INNER | steps(&[Step::Unuse]), has_none)
            }
            (true, taken) => {
                self.focus(at, taken) && self.reaches(at, INNER | steps(&[Step::Use]), has_a)
            }
            (false, 0) if exiting => {
                self.focus(at, current) && self.reaches(at, INNER | EXIT, has_none)
            }
            (false, new) => {
                let preempted = flags & switch_flags::PREEMPT != 0;
                let left = if current == 0 {
                    Left::UserHelper
                } else if preempted && new > current && new == w.prev_active {
                    Left::HalfExec
                } else if !self.sees.cr3 {
                    Left::UnseenExec
                } else {
                    return Err("the mm of the task is another one");
                };
                self.tally.leave(left);
                return Ok(false);
            }
        };
        if !changed {
            return Err("the mm of the task is another one");
        }
        let step = match (self.tracks[at].kthread, w.prev_mm) {
            (true, 0) => Step::Unuse,
            (true, _) => Step::Use,
            _ => Step::ExitMm,
        };
        *self.tally.unseen.entry(step).or_default() += 1;
        self.changed_unseen(at);
        Ok(true)
    }

    /// Takes the switch.
    fn enters(&mut self, at: usize, flags: u16, w: &Switch, event: &Event) -> bool {
        let focus = match (w.next_mm, w.prev_active) {
            (0, INIT_MM | 0) => self.tracks[at].cast.0[0],
            (0, active) => active,
            (next, _) => next,
        };
        if !self.recast(at, focus, 0) {
            return false;
        }
        let next = Who {
            tid: w.next_tid,
            mm: w.next_mm,
            kthread: flags & switch_flags::NEXT_KTHREAD != 0,
        };
        let seat = next.seat((THREADS[1], KTHREADS[1]));
        let track = &mut self.tracks[at];
        let Some(role) = track.cast.role(next.mm) else { return false };
        // Somebody may just register, and this CPU may have been told.
        let registers = self.calls.iter().any(|call| call.registers && call.mm == next.mm);
        let mut more = Vec::new();
        for Stage { s, .. } in &mut track.stages {
            if seat != IDLE {
                s.tasks[usize::from(seat)] = cast::task(role, next.kthread);
            }
        }
        if registers {
            for stage in &track.stages {
                let mut late = stage.clone();
                late.s.all.registered = late.s.all.registered.max(1);
                more.push(late.clone());
                late.s.cpus[0].rq_state = 1;
                more.push(late);
            }
            track.stages.extend(more);
        }
        self.told(at, INNER | BORDER | steps(&[Step::Schedule]), event)
    }

    /// All states that the CPU may have been in before a switch.
    fn seed(&mut self, at: usize, flags: u16, w: &Switch) {
        self.tally.seeded += 1;
        let prev = Who {
            tid: w.prev_tid,
            mm: w.prev_mm,
            kthread: flags & switch_flags::PREV_KTHREAD != 0,
        };
        let a = if w.prev_active > INIT_MM { w.prev_active } else { w.next_mm };
        let cast = Cast([a, 0, 0]);
        let (Some(own), Some(active)) = (cast.role(w.prev_mm), cast.role(w.prev_active)) else {
            return;
        };
        let seat = prev.seat((THREADS[0], KTHREADS[0]));
        let mut stages = Vec::new();
        for (loaded, lazy) in [(active, u8::from(own == mm::NONE)), (mm::INIT, 0)] {
            if (own != mm::NONE && loaded != own) || (loaded == mm::INIT && lazy != 0) {
                continue;
            }
            for rq_state in [0, 1] {
                let mut s = cast::empty(seat);
                if seat != IDLE {
                    s.tasks[usize::from(seat)] = cast::task(own, prev.kthread);
                }
                let cpu = &mut s.cpus[0];
                (cpu.loaded, cpu.m_loaded, cpu.active) = (loaded, loaded, active);
                (cpu.lazy, cpu.m_lazy, cpu.rq_state) = (lazy, lazy, rq_state);
                cast::tidy(&self.world, &mut s);
                stages.push(Stage { s, slot: Slot::Unknown, told: Vec::new() });
            }
        }
        let asked = std::mem::take(&mut self.tracks[at].asked);
        self.tracks[at] = Track {
            stages,
            cast,
            tid: w.prev_tid,
            tgid: w.prev_tid,
            kthread: prev.kthread,
            asked,
            ..Track::default()
        };
    }
}
