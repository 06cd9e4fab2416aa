//! The abstract kernel's own steps, taken until they tell what was observed.
//!
//! What a CPU may be in is a set of stages, each with what its last step tells and has not been
//! observed yet. [`Follow::walk`] takes every step that the abstract kernel allows
//! ([`kernel::actions`], [`kernel::apply`]); those that no probe sees lie in between. A set that comes
//! out empty is a step that the abstract kernel cannot make.

use super::{
    Sees,
    cast::{self, Cast, Slot},
};
use crate::{
    kernel,
    setup::World,
    state::{State, mm, pc, swm},
    step::{Action, Step},
    tell::Tell,
};
use tracer_common::{
    model::{Event, Func, Promise, SyncCause},
    wire::{Site, TlbState, UNKNOWN_MM, membarrier_state as bit, switch_flags, tlb_reason},
};

/// How many unseen steps may lie between two observed events.
const FAR: usize = 24;
/// Global ASIDs begin here (`arch/x86/include/asm/tlbflush.h:TLB_NR_DYN_ASIDS`).
const FIRST_GLOBAL_ASID: u16 = 6;

/// Steps, as bits by their number.
pub(super) const fn steps(of: &[Step]) -> u64 {
    let (mut bits, mut n) = (0, 0);
    while n < of.len() {
        bits |= 1 << of[n] as u64;
        n += 1;
    }
    bits
}

/// What a CPU goes on with by itself.
pub(super) const INNER: u64 = steps(&[
    Step::SwitchSame,
    Step::SwitchMask,
    Step::SwitchGen,
    Step::SwitchCr3,
    Step::Grab,
    Step::Finish,
    Step::IpiReturn,
    Step::KernelIret,
    Step::UseDrop,
    Step::UnuseDrop,
    Step::FlushEnd,
]);

/// What a CPU may be in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stage {
    pub(super) s: State,
    pub(super) slot: Slot,
    /// What the last steps tell, and is not observed yet.
    pub(super) told: Vec<(Step, Event)>,
}

/// Takes what can be observed of a step on this CPU.
struct Keeps<'a> {
    sees: &'a Sees,
    step: Step,
    told: &'a mut Vec<(Step, Event)>,
}

impl Tell for Keeps<'_> {
    const ON: bool = true;
    fn event(&mut self, cpu: usize, event: Event) {
        if cpu == 0 && self.sees.keeps(&event) {
            self.told.push((self.step, event));
        }
    }
}

impl Sees {
    /// Whether an event of the abstract kernel is held against the trace.
    fn keeps(&self, event: &Event) -> bool {
        match event {
            Event::Switch { .. }
            | Event::RqState(_)
            | Event::UserReturn(_)
            | Event::KthreadUse(_)
            | Event::KthreadUnuse(_)
            | Event::Exec(_) => true,
            Event::TlbFlush(_) => self.cr3,
            Event::TlbState(w) => is_step(w.site),
            Event::CsdEntry { func } => *func != Func::FlushTlb,
            Event::Serialized(w) => {
                matches!(self.promise(w.cause), Promise::Probed | Promise::Never)
            }
            _ => false,
        }
    }

    /// What is known of the running kernel's instruction for it.
    fn promise(&self, cause: u8) -> Promise {
        match cause {
            n if n == SyncCause::FinishTaskSwitch as u8 => self.finish,
            n if n == SyncCause::IpiSyncCore as u8 => self.ipi,
            n if n == SyncCause::KthreadUse as u8 => self.use_mm,
            _ => Promise::Undecided,
        }
    }

    /// Whether a trace of this kind has the event wherever it happened.
    fn always(event: &Event) -> bool {
        matches!(
            event,
            Event::Switch { .. }
                | Event::TlbFlush(_)
                | Event::CsdEntry { .. }
                | Event::Serialized(_)
        )
    }
}

/// Whether a reading belongs to a step, rather than being a look at any time.
pub(super) fn is_step(site: u8) -> bool {
    use Site::{EnterLazyTlb, FlushTlbFunc, LeaveMm, SwitchMmEntry, SwitchMmExit, UserReturn};
    [EnterLazyTlb, FlushTlbFunc, LeaveMm, SwitchMmEntry, SwitchMmExit, UserReturn]
        .iter()
        .any(|&one| one as u8 == site)
}

/// What stages are held against.
pub(super) struct Follow<'a> {
    pub(super) w: &'a World,
    pub(super) sees: &'a Sees,
    pub(super) cast: &'a Cast,
    /// A's generation, as this CPU has read it last; 0 if it has not.
    pub(super) gen_read: u64,
}

/// What is looked for.
pub(super) enum Goal<'a> {
    /// That this is told.
    Told(&'a Event),
    /// Such a state, with nothing left to be told.
    State(fn(&State) -> bool),
}

impl Follow<'_> {
    /// The stages that are reached by these steps, and the step that told what was looked for.
    pub(super) fn walk(
        &self,
        from: &[Stage],
        allowed: u64,
        goal: &Goal<'_>,
    ) -> (Vec<Stage>, Option<Step>) {
        let (mut out, mut by) = (Vec::new(), None);
        let mut seen: Vec<Stage> = Vec::new();
        let mut front = from.to_vec();
        let mut actions = Vec::new();
        for _ in 0..FAR {
            let mut next = Vec::new();
            for mut stage in front.drain(..) {
                if !self.listen(&mut stage, goal, &mut out, &mut by) {
                    continue;
                }
                if let Goal::State(reached) = goal
                    && reached(&stage.s)
                {
                    add(&mut out, stage);
                    continue;
                }
                for variant in self.variants(stage) {
                    kernel::actions(self.w, &variant.s, &mut actions);
                    for &action in &actions {
                        if action.cpu == 0 && allowed & 1 << action.step as u64 != 0 {
                            let then = self.take(&variant, action);
                            if !seen.contains(&then) {
                                seen.push(then.clone());
                                next.push(then);
                            }
                        }
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            front = next;
        }
        (out, by)
    }

    /// Passes over what need not be observed; false if the stage has told what never was.
    fn listen(
        &self,
        stage: &mut Stage,
        goal: &Goal<'_>,
        out: &mut Vec<Stage>,
        by: &mut Option<Step>,
    ) -> bool {
        while let Some((step, told)) = stage.told.first().copied() {
            if let Goal::Told(observed) = goal
                && let Some(slot) = self.fits(stage.slot, &told, observed)
            {
                let mut then = stage.clone();
                then.told.remove(0);
                then.slot = slot;
                by.get_or_insert(step);
                add(out, then);
                return false;
            }
            if Sees::always(&told) {
                return false;
            }
            stage.told.remove(0);
        }
        true
    }

    /// A step of the abstract kernel.
    fn take(&self, stage: &Stage, action: Action) -> Stage {
        let mut then = stage.clone();
        let (before, raised) = (then.s.cpus[0].slot, then.s.all.tlb_gen);
        let mut tell = Keeps { sees: self.sees, step: action.step, told: &mut then.told };
        kernel::apply(self.w, &mut then.s, action, &mut tell);
        let (after, loaded) = (then.s.cpus[0].slot, then.s.cpus[0].loaded);
        if loaded == mm::A && after != before {
            let more = match stage.slot {
                Slot::Is(read) | Slot::AtLeast(read) if raised > before && before > 0 => read + 1,
                _ => 0,
            };
            then.slot = Slot::AtLeast(self.gen_read.max(more));
        }
        cast::tidy(self.w, &mut then.s);
        then
    }

    /// Other CPUs may have raised A's generation before this one reads it: both ways, unless it is
    /// known.
    fn variants(&self, stage: Stage) -> Vec<Stage> {
        let cpu = &stage.s.cpus[0];
        // Another mm that is loaded has caught up with whatever there is.
        let looks = match cpu.swm {
            swm::SAME => true,
            swm::GEN => cpu.loaded == cpu.swm_to,
            _ => false,
        };
        if !looks {
            return vec![stage];
        }
        let mut behind = stage.clone();
        behind.s.all.tlb_gen = behind.s.cpus[0].slot + 1;
        match stage.slot {
            Slot::Is(read) if self.gen_read > read => vec![behind],
            _ if stage.s.cpus[0].swm_to == mm::A => vec![stage, behind],
            _ => vec![stage],
        }
    }

    /// Whether what the abstract kernel tells is what was observed; what is known of the generation
    /// then.
    fn fits(&self, slot: Slot, told: &Event, observed: &Event) -> Option<Slot> {
        let real = |id| self.cast.told(id);
        let fits = match (told, observed) {
            (Event::Switch { flags: f, switch: t }, Event::Switch { flags: g, switch: o }) => {
                let kthreads = switch_flags::PREV_KTHREAD | switch_flags::NEXT_KTHREAD;
                f & kthreads == g & kthreads
                    && [t.prev_tid == 0, t.next_tid == 0] == [o.prev_tid == 0, o.next_tid == 0]
                    && (real(t.prev_mm), real(t.prev_active), real(t.next_mm))
                        == (o.prev_mm, o.prev_active, o.next_mm)
            }
            (Event::TlbFlush(t), Event::SwitchCr3) => t.reason == tlb_reason::TASK_SWITCH,
            (Event::TlbFlush(t), Event::TlbFlush(o)) => {
                t.reason == o.reason
                    && (t.reason != tlb_reason::TASK_SWITCH
                        || real(t.mm) == o.mm
                        || o.mm == UNKNOWN_MM)
            }
            (Event::TlbState(t), Event::TlbState(o)) => {
                let alike = t.site == o.site
                    && real(t.loaded_mm) == o.loaded_mm
                    && (t.lazy != 0) == (o.lazy != 0);
                return if alike { self.caught_up(slot, o) } else { None };
            }
            (Event::RqState(t), Event::RqState(o)) => {
                t.site == o.site
                    && real(t.mm) == o.mm
                    && (t.rq_state == 0) == (o.rq_state & u32::from(bit::SYNC_CORE) == 0)
            }
            (Event::Serialized(t), Event::Serialized(o)) => {
                t.cause == o.cause && self.sees.promise(t.cause) == Promise::Probed
            }
            (Event::UserReturn(t), Event::UserReturn(o)) => real(t.mm) == o.mm,
            (Event::CsdEntry { func: t }, Event::CsdEntry { func: o }) => t == o,
            (Event::KthreadUse(t), Event::KthreadUse(o))
            | (Event::KthreadUnuse(t), Event::KthreadUnuse(o)) => real(t.mm) == o.mm,
            (Event::Exec(t), Event::Exec(o)) => real(t.mm) == o.mm,
            _ => false,
        };
        fits.then_some(slot)
    }

    /// Whether the generation that was read can be what this CPU has caught up with.
    pub(super) fn caught_up(&self, slot: Slot, w: &TlbState) -> Option<Slot> {
        if w.loaded_mm != self.cast.0[0] {
            return Some(slot);
        }
        if w.asid >= FIRST_GLOBAL_ASID || w.slot_mm != w.loaded_mm {
            return Some(Slot::Unknown);
        }
        let possible = match slot {
            Slot::Unknown => true,
            Slot::Is(read) => read == w.slot_gen,
            Slot::AtLeast(least) => w.slot_gen >= least,
        };
        possible.then_some(Slot::Is(w.slot_gen))
    }

    /// What the abstract kernel can do from here, in words.
    pub(super) fn options(&self, from: &[Stage]) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        let mut say = |what: String| {
            if !out.contains(&what) {
                out.push(what);
            }
        };
        for stage in from {
            if let Some((step, told)) = stage.told.iter().find(|(_, told)| Sees::always(told)) {
                say(format!("{} first tells of {}", step.name(), self.words(told)));
                continue;
            }
            let mut actions = Vec::new();
            for variant in self.variants(stage.clone()) {
                kernel::actions(self.w, &variant.s, &mut actions);
                for action in actions.iter().filter(|action| action.cpu == 0) {
                    let then = self.take(&Stage { told: Vec::new(), ..variant.clone() }, *action);
                    let told: Vec<_> = then.told.iter().map(|(_, t)| self.words(t)).collect();
                    let step = action.step.name();
                    say(if told.is_empty() {
                        step.to_owned()
                    } else {
                        format!("{step} ({})", told.join(", "))
                    });
                }
            }
        }
        out
    }

    /// An event of the abstract kernel, in words.
    fn words(&self, told: &Event) -> String {
        super::words(told, |id| self.cast.told(id))
    }
}

fn add(out: &mut Vec<Stage>, stage: Stage) {
    if !out.contains(&stage) {
        out.push(stage);
    }
}

/// Whether the running task has no mm.
pub(super) fn has_none(s: &State) -> bool {
    s.mm_of(s.cpus[0].curr) == mm::NONE && cast::at_rest(s)
}

/// Whether it runs on A.
pub(super) fn has_a(s: &State) -> bool {
    s.mm_of(s.cpus[0].curr) == mm::A && cast::at_rest(s)
}

/// Whether a registration is over.
pub(super) fn is_registered(s: &State) -> bool {
    let task = s.tasks.get(usize::from(s.cpus[0].curr));
    s.all.registered == 2 && task.is_some_and(|task| task.pc == pc::LEAVING)
}
