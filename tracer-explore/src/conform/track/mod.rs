//! One real CPU: by which steps the abstract kernel may explain an event.
//!
//! An event may be what the last steps still have to tell. Else the CPU was in the middle of nothing,
//! and by what was observed a few steps are worth trying: these only bound the search, they explain
//! nothing by themselves.

mod load;
mod membarrier;
mod switch;

use std::mem;

use super::{
    Conform, Left,
    cast::{self, Cast, Slot},
    flushes::{self, LeftOut},
    follow::{Follow, Goal, INNER, Stage, is_step, steps},
    tally::Divergence,
    words,
};
use crate::{
    state::{State, mm, swm},
    step::Step,
};
use tracer_common::{
    model::{Event, Func, MmId},
    wire::{INIT_MM, Site, TlbState, UserReturn},
};

/// A task comes out of the kernel, or back into it.
const BORDER: u64 = steps(&[Step::Return, Step::Syscall, Step::ExecPut]);
const EXIT: u64 = BORDER | steps(&[Step::Exit, Step::ExitMm]);
const EXEC: u64 = BORDER | steps(&[Step::Exec, Step::ExecMmap]);
const FLUSH: u64 = BORDER
    | steps(&[
        Step::Flush,
        Step::FlushRaise,
        Step::FlushMask,
        Step::FlushLoaded,
        Step::FlushLazy,
        Step::FlushSend,
    ]);

/// A real CPU.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a CPU")]
pub(super) struct Track {
    /// What it may be in; nothing: that is not known.
    pub(super) stages: Vec<Stage>,
    pub(super) cast: Cast,
    pub(super) tid: u32,
    pub(super) tgid: u32,
    kthread: bool,
    /// A's generation, as it was last read here.
    gen_read: u64,
    /// `switch_mm_irqs_off` was entered outside a switch.
    entered: bool,
    /// A mm is loaded that nobody tells of.
    temporary: bool,
    /// Functions of membarrier that it was asked to run: of whom, for which mm.
    pub(super) asked: Vec<(Func, u32, MmId)>,
    /// It runs `flush_tlb_func`, which may load another mm before that is told.
    flushing: bool,
    /// When it was last told to do anything that the abstract kernel does, too.
    pub(super) moved: u64,
    /// The last flush of each mm that left it out, until it is seen to have caught up.
    pub(super) left_out: Vec<LeftOut>,
}

impl Track {
    /// What its task has, as far as that is one thing.
    fn current(&self) -> Option<MmId> {
        let stage = self.stages.first()?;
        Some(self.cast.real(stage.s.mm_of(stage.s.cpus[0].curr)))
    }

    /// Whether its MMU is somewhere that the stages do not tell.
    pub(super) const fn is_elsewhere(&self) -> bool {
        self.temporary || self.entered || self.flushing
    }

    pub(super) fn leave_out(&mut self, flush: LeftOut) {
        flushes::remember(&mut self.left_out, flush);
    }

    fn is_lazy(&self) -> bool {
        self.stages.iter().all(|stage| stage.s.cpus[0].lazy != 0)
    }
}

/// Whether the MMU is not in the middle of anything.
fn is_loaded(s: &State) -> bool {
    s.cpus[0].swm == swm::OUT
}

impl Conform {
    pub(super) fn track(&mut self, at: usize, ts: u64, event: &Event) {
        match event {
            Event::Switch { flags, switch } => {
                self.switch(at, ts, event, *flags, switch);
                self.tracks[at].moved = ts;
                return;
            }
            Event::Gap { .. } => return self.gap(at),
            // Its pid may have been another task's.
            Event::Fork(w) => self.forget_task(w.child_tid),
            Event::Free(w) => self.forget_task(w.tid),
            Event::FlushBegin { .. } | Event::FlushEnd { .. } | Event::FlushMulti { .. } => {
                return self.flush_told(event);
            }
            _ => {}
        }
        if let Some(left) = left_out(event) {
            return self.tally.leave(left);
        }
        match event {
            Event::CsdEntry { func } => self.tracks[at].flushing = *func == Func::FlushTlb,
            Event::CsdExit { .. } => self.tracks[at].flushing = false,
            _ => {}
        }
        self.tracks[at].moved = ts;
        if matches!(event, Event::MmGone(_) | Event::MmDrop(_)) {
            return;
        }
        if self.tracks[at].stages.is_empty() {
            self.tally.unknown += 1;
            if let Event::CsdEntry { func } = event {
                self.answers(at, *func);
            }
            return;
        }
        let explained = match event {
            Event::SwitchCr3 => self.told(at, INNER, event),
            Event::TlbFlush(w) => self.tlb_flush(at, event, w),
            Event::TlbState(w) => self.tlb_state(at, event, w),
            Event::RqState(w) => self.rq_state(at, event, w),
            Event::Serialized(_) => self.told(at, INNER, event) || self.leave(Left::Serialized),
            Event::UserReturn(w) => self.user_return(at, event, w),
            Event::KthreadUse(w) => {
                self.told(at, INNER, event)
                    || self.preempted_there(at, w.mm)
                    || (self.focus(at, w.mm) && self.told(at, INNER | steps(&[Step::Use]), event))
            }
            Event::KthreadUnuse(w) => {
                self.told(at, INNER, event)
                    || self.preempted_there(at, 0)
                    || (self.focus(at, w.mm) && self.told(at, INNER | steps(&[Step::Unuse]), event))
            }
            Event::Exec(_) => self.told(at, INNER | BORDER, event) || self.leave(Left::Life),
            Event::CsdEntry { func } => self.handler(at, event, *func),
            _ => true,
        };
        if !explained {
            self.diverge(at, ts, event, "");
        }
        self.flush_doubts_see(at, true);
    }

    /// It is passed by.
    fn leave(&mut self, left: Left) -> bool {
        self.tally.leave(left);
        true
    }

    /// A kernel thread was switched out before it could tell that its mm had changed; the switch did.
    fn preempted_there(&mut self, at: usize, mm: MmId) -> bool {
        let told = self.tracks[at].current() == Some(mm);
        self.tally.readings += u64::from(told);
        told
    }

    fn follow(&self, at: usize) -> Follow<'_> {
        let Track { cast, gen_read, .. } = &self.tracks[at];
        Follow { w: &self.world, sees: &self.sees, cast, gen_read: *gen_read }
    }

    /// Whether these steps tell the event; the CPU is then where they lead.
    fn told(&mut self, at: usize, allowed: u64, event: &Event) -> bool {
        let stages = &self.tracks[at].stages;
        let (then, by) = self.follow(at).walk(stages, allowed, &Goal::Told(event));
        if then.is_empty() {
            return false;
        }
        self.tally.matches(by);
        self.becomes(at, then);
        true
    }

    fn becomes(&mut self, at: usize, then: Vec<Stage>) {
        self.tally.most = self.tally.most.max(then.len());
        self.tracks[at].stages = then;
    }

    /// Whether these steps lead to such a state, with all told that had to be; the CPU is then there.
    fn reaches(&mut self, at: usize, allowed: u64, state: fn(&State) -> bool) -> bool {
        let stages = &self.tracks[at].stages;
        let (then, _) = self.follow(at).walk(stages, allowed, &Goal::State(state));
        let reached = !then.is_empty();
        if reached {
            self.becomes(at, then);
        }
        reached
    }

    /// Finishes what the CPU is in the middle of, and lets an mm play A.
    fn focus(&mut self, at: usize, a: MmId) -> bool {
        self.reaches(at, INNER, cast::at_rest) && self.recast(at, a, 0)
    }

    /// Lets an mm play A, and finds a part for another one. False if there are too many.
    fn recast(&mut self, at: usize, a: MmId, other: MmId) -> bool {
        let bits = self.mms.get(&a).copied().unwrap_or(0);
        let track = &mut self.tracks[at];
        let mut to = Cast([a, 0, 0]);
        let mut parts = 1;
        let held = track.stages.iter().flat_map(|Stage { s, .. }| {
            [s.cpus[0].loaded, s.cpus[0].active, s.mm_of(s.cpus[0].curr)]
                .map(|of| track.cast.real(of))
        });
        for real in held.chain([other]) {
            if !matches!(real, 0 | INIT_MM) && !to.0.contains(&real) {
                let Some(part) = to.0.get_mut(parts) else { return false };
                *part = real;
                parts += 1;
            }
        }
        let same = track.cast.0[0] == a;
        if !same {
            track.gen_read = 0;
        }
        for stage in &mut track.stages {
            if cast::rename(&mut stage.s, &track.cast, &to).is_none() {
                return false;
            }
            if !same || stage.s.cpus[0].loaded != mm::A {
                stage.slot = Slot::Unknown;
            }
            stage.s.all.registered = cast::registered(bits);
            cast::tidy(&self.world, &mut stage.s);
        }
        track.cast = to;
        track.stages.dedup();
        true
    }

    /// Nothing is known of a task any more.
    fn forget_task(&mut self, tid: u32) {
        self.tasks.remove(&tid);
        if let Some(word) = self.ran.get_mut(tid as usize / 64) {
            *word &= !(1 << (tid % 64));
        }
    }

    /// Nothing is known of the CPU any more.
    pub(super) fn lose(&mut self, at: usize) {
        self.flush_doubts_see(at, false);
        let track = &mut self.tracks[at];
        let asked = mem::take(&mut track.asked);
        *track = Track { asked, ..Track::default() };
    }

    fn gap(&mut self, at: usize) {
        self.tally.gaps += 1;
        self.flights.clear();
        self.lose(at);
        self.tracks[at].asked.clear();
        // Who ran there may have become anything.
        self.tasks.clear();
        for call in &mut self.calls {
            call.kinds.fill(super::call::UNKNOWN);
            self.strangers.insert(call.tid);
        }
        self.calls.clear();
    }

    /// The abstract kernel cannot do this.
    pub(super) fn diverge(&mut self, at: usize, ts: u64, event: &Event, why: &str) {
        let track = &self.tracks[at];
        let could = self.follow(at).options(&track.stages);
        let (cpu, tid) = (at as u32, track.tid);
        let divergence = Divergence {
            ts,
            cpu,
            tid,
            observed: words(event, |id| id),
            why: why.to_owned(),
            could,
        };
        self.tally.diverge(|| divergence);
        self.lose(at);
    }

    /// A look at the MMU at any time.
    fn reading(&mut self, at: usize, w: &TlbState) -> bool {
        if self.tracks[at].temporary {
            return self.leave(Left::Readings);
        }
        let ready = |stage: &&Stage| is_loaded(&stage.s);
        let mut stages: Vec<_> = self.tracks[at].stages.iter().filter(ready).cloned().collect();
        if stages.is_empty() {
            (stages, _) =
                self.follow(at).walk(&self.tracks[at].stages, INNER, &Goal::State(is_loaded));
        }
        let follow = self.follow(at);
        stages.retain_mut(|stage| {
            let cpu = &stage.s.cpus[0];
            let alike = follow.cast.real(cpu.loaded) == w.loaded_mm && cpu.lazy == w.lazy;
            let slot = if alike { follow.caught_up(stage.slot, w) } else { None };
            stage.slot = slot.unwrap_or(stage.slot);
            slot.is_some()
        });
        let passes = !stages.is_empty();
        if passes {
            self.tally.readings += 1;
            self.tracks[at].stages = stages;
            self.read_gen(at, w);
        }
        passes
    }

    /// A's generation was read here.
    fn read_gen(&mut self, at: usize, w: &TlbState) {
        let track = &mut self.tracks[at];
        if w.loaded_mm == track.cast.0[0] {
            track.gen_read = track.gen_read.max(w.mm_gen);
        }
    }

    fn tlb_state(&mut self, at: usize, event: &Event, w: &TlbState) -> bool {
        if w.loaded_mm == u64::MAX {
            return self.leave(Left::Readings);
        }
        if !is_step(w.site) {
            return self.reading(at, w);
        }
        let border = if w.site == Site::UserReturn as u8 { BORDER } else { 0 };
        let explained = self.told(at, INNER | border, event) || self.load_state(at, event, w);
        if explained {
            self.read_gen(at, w);
        }
        explained
    }

    fn user_return(&mut self, at: usize, event: &Event, w: &UserReturn) -> bool {
        self.same_task(at, w.tid);
        self.tracks[at].temporary = false;
        self.told(at, INNER | BORDER, event)
    }

    /// A thread that calls execve takes over the pid of its group's leader on the way
    /// (`fs/exec.c:de_thread`).
    fn same_task(&mut self, at: usize, tid: u32) -> bool {
        let track = &mut self.tracks[at];
        if track.tid != tid && track.tgid == tid {
            track.tid = tid;
        }
        track.tid == tid
    }
}

/// What the abstract kernel does not have.
fn left_out(event: &Event) -> Option<Left> {
    Some(match event {
        Event::IrqEntry(_) | Event::IrqExit(_) => Left::Interrupts,
        Event::SysEnter(_) | Event::SysExit(_) | Event::PageFault { .. } | Event::Redirect(_) => {
            Left::Syscalls
        }
        Event::Fork(_) | Event::Rename(_) | Event::Free(_) | Event::Exit(_) => Left::Life,
        Event::IpiCpu(_) | Event::IpiMask(_) | Event::CallMask { .. } => Left::Ipis,
        Event::Handler { .. } => Left::Functions,
        Event::Nmi(_) => Left::Nmis,
        Event::Hotplug(_) => Left::Hotplug,
        _ => return None,
    })
}
