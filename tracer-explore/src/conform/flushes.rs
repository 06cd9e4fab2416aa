//! The flushes in flight, what each CPU showed them, and whom they interrupted.
//!
//! When exactly a flush looks at a CPU is not told: some time between its beginning and its end. So
//! it is held only against CPUs of which it is known that nothing changed on them meanwhile; about
//! any other the flush may do as it likes. But whoever was left out must not be behind it afterwards,
//! whatever happened there.

use std::mem;

use super::{
    Conform, Left,
    flush::{self, Answers, Faces, MOVING},
    tally::Divergence,
    words,
};
use crate::state::{at, ipi, swm};
use tracer_common::{
    model::{Event, Func, MmId},
    wire::{Flush, FlushMulti, TlbState},
};

/// A CPU that has just gone lazy may not have told the others yet: its store waits in the buffer
/// until the next barrier, of which no probe tells. After this long, in nanoseconds, it has.
const SETTLES: u64 = 500_000;
/// For how long, in nanoseconds, a CPU's next switch is waited for.
const PATIENCE: u64 = 1_000_000_000;
/// Of how many mms a CPU is known to have been left out.
const LEFT_OUT: usize = 64;
/// How many flushes may be in flight: more than there are CPUs to run them, and tasks that were
/// preempted at the beginning of one.
const IN_FLIGHT: usize = 1 << 10;

/// A flush in flight.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    tid: u32,
    mm: MmId,
    /// The generation that it asks for, or less.
    generation: u64,
    tables: bool,
    /// The CPU on which it began, and the one on which it looked around.
    on: [Option<usize>; 2],
    /// `mm_cpumask`, of the first 64 CPUs, once that was told.
    mask: Option<u64>,
    cpus: Vec<Shown>,
}

/// What a flush had to do with a CPU.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    faces: Faces,
    /// When it was interrupted.
    asked: Option<u64>,
}

/// A CPU that a flush should have treated otherwise, unless its next switch tells that it had changed
/// unseen.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    flight: Flight,
    cpu: usize,
    ts: u64,
    on: u32,
    event: Event,
}

/// A flush that left out a CPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeftOut {
    mm: MmId,
    generation: u64,
    tables: bool,
    /// When it was over.
    ts: u64,
}

impl Flight {
    fn masked(&self, cpu: usize) -> Option<bool> {
        (cpu < 64).then_some(self.mask).flatten().map(|mask| mask & 1 << cpu != 0)
    }

    /// What is wrong with what it did about a CPU.
    fn fault(&self, answers: &Answers, cpu: usize) -> Option<String> {
        let Shown { faces, asked } = self.cpus[cpu];
        if faces & MOVING != 0 {
            return None;
        }
        let masked = self.masked(cpu);
        let possible = answers.of(self.tables, faces, masked);
        let kind = if self.tables { "the flush that frees page tables" } else { "the flush" };
        let has = if faces & !(flush::face(true, false) | flush::face(true, true)) == 0 {
            "which has the mm loaded"
        } else {
            "which has another mm loaded"
        };
        let lazy = if faces & (flush::face(true, true) | flush::face(false, true)) == 0 {
            ""
        } else {
            " and is lazy"
        };
        match asked {
            Some(_) if !possible.asked => Some(format!("{kind} interrupts CPU {cpu}, {has}{lazy}")),
            None if masked == Some(false) && !possible.unmasked => {
                Some(format!("{kind} does not find CPU {cpu} in mm_cpumask, {has}{lazy}"))
            }
            None if !possible.left => Some(format!("{kind} leaves out CPU {cpu}, {has}{lazy}")),
            _ => None,
        }
    }
}

impl Conform {
    /// What this event has to do with flushes; it was tracked already.
    pub(super) fn watch_flushes(&mut self, at: usize, event: &Event) {
        if !self.sees.flush {
            return;
        }
        if !self.flights.is_empty() {
            self.shows(at);
        }
        match event {
            Event::FlushBegin { freed_tables, flush } => {
                self.flush_begins(at, *freed_tables, flush);
            }
            Event::FlushMulti { freed_tables, flush } => self.multi(at, *freed_tables, flush),
            Event::CsdQueue { func: Func::FlushTlb, target, tid } => {
                let now = self.now;
                if let Some(flight) = self.flights.iter_mut().find(|flight| flight.tid == *tid) {
                    flight.on[1] = Some(at);
                    if let Some(shown) = flight.cpus.get_mut(*target as usize) {
                        shown.asked = Some(now);
                    }
                }
            }
            Event::FlushEnd { flush, .. } => self.flush_ends(at, event, flush),
            Event::TlbState(w) => self.behind(at, event, w),
            _ => {}
        }
    }

    fn flush_begins(&mut self, at: usize, tables: bool, w: &Flush) {
        // Nothing but mms is flushed here, and the idle tasks share one pid.
        if w.tid == 0 || w.mm == 0 || self.flights.len() >= IN_FLIGHT {
            return;
        }
        self.flights.retain(|flight| flight.tid != w.tid);
        let cpus = (0..self.tracks.len())
            .map(|cpu| Shown { faces: self.face(cpu, w.mm), asked: None })
            .collect();
        self.flights.push(Flight {
            tid: w.tid,
            mm: w.mm,
            generation: w.generation,
            tables,
            on: [Some(at), None],
            mask: None,
            cpus,
        });
    }

    fn multi(&mut self, at: usize, tables: bool, w: &FlushMulti) {
        let mine = |flight: &&mut Flight| flight.tid == w.tid && flight.mm == w.mm;
        if let Some(flight) = self.flights.iter_mut().find(mine) {
            flight.on[1] = Some(at);
            flight.generation = flight.generation.max(w.generation);
            flight.tables = tables;
            flight.mask = Some(w.mask);
        }
    }

    /// What a CPU shows a flush now.
    fn face(&self, at: usize, mm: MmId) -> Faces {
        let track = &self.tracks[at];
        let since = self.now.saturating_sub(track.moved);
        if track.stages.is_empty() || track.is_elsewhere() || since < self.sees.skew {
            return MOVING;
        }
        track.stages.iter().fold(0, |faces, stage| {
            let cpu = &stage.s.cpus[0];
            let rests = cpu.swm == swm::OUT
                && cpu.ipi == ipi::NONE
                && stage.told.is_empty()
                && (cpu.at == at::TASK || since >= SETTLES);
            let has_it = track.cast.real(cpu.loaded) == mm;
            faces | if rests { flush::face(has_it, cpu.lazy != 0) } else { MOVING }
        })
    }

    /// What a CPU shows, to all flushes that have not decided about it.
    fn shows(&mut self, at: usize) {
        let mut flights = mem::take(&mut self.flights);
        for flight in &mut flights {
            let faces = self.face(at, flight.mm);
            let shown = &mut flight.cpus[at];
            if shown.asked.is_none_or(|asked| asked + self.sees.skew >= self.now) {
                shown.faces |= faces;
            }
        }
        self.flights = flights;
    }

    fn flush_ends(&mut self, at: usize, event: &Event, w: &Flush) {
        let mine = |flight: &Flight| flight.tid == w.tid && flight.mm == w.mm;
        let Some(index) = self.flights.iter().position(mine) else { return };
        let flight = self.flights.swap_remove(index);
        let answers = self.flush_answers();
        self.tally.flushes += 1;
        for cpu in (0..self.tracks.len()).filter(|&cpu| cpu != at) {
            if flight.on.contains(&Some(cpu)) {
                continue;
            }
            let Shown { faces, asked } = flight.cpus[cpu];
            if faces & MOVING == 0 {
                self.tally.flushed[usize::from(asked.is_none())] += 1;
            }
            if asked.is_none() {
                let left_out = LeftOut {
                    mm: flight.mm,
                    generation: flight.generation,
                    tables: flight.tables,
                    ts: self.now,
                };
                self.tracks[cpu].leave_out(left_out);
            }
            if flight.fault(&answers, cpu).is_some() {
                let doubt = Doubt {
                    flight: flight.clone(),
                    cpu,
                    ts: self.now,
                    on: at as u32,
                    event: *event,
                };
                self.flush_doubts.push(doubt);
            }
        }
    }

    /// The abstract kernel's answers, asked for when they are first needed.
    fn flush_answers(&mut self) -> Answers {
        let ask = || Answers::new(&self.world.protocol, &self.flags);
        *self.flush_answers.get_or_insert_with(ask)
    }

    /// What a CPU showed since: until its next switch it may turn out that it had changed.
    pub(super) fn flush_doubts_see(&mut self, at: usize, known: bool) {
        let mut doubts = mem::take(&mut self.flush_doubts);
        for doubt in doubts.iter_mut().filter(|doubt| doubt.cpu == at) {
            let shown = &mut doubt.flight.cpus[at];
            if shown.asked.is_none() {
                shown.faces |= if known { self.face(at, doubt.flight.mm) } else { MOVING };
            }
        }
        self.flush_doubts = doubts;
    }

    /// A CPU is about to switch, and what ran there is known: doubts about it are decided. `at`: none
    /// if that is not what happened.
    pub(super) fn settle_flush_doubts(&mut self, at: Option<usize>) {
        if self.flush_doubts.is_empty() {
            return;
        }
        let mut waiting = mem::take(&mut self.flush_doubts);
        waiting.retain(|doubt| {
            let waits = at != Some(doubt.cpu) && doubt.ts + PATIENCE > self.now;
            if !waits {
                self.decide_flush(doubt);
            }
            waits
        });
        self.flush_doubts = waiting;
    }

    /// Whether a doubt is a divergence.
    pub(super) fn decide_flush(&mut self, doubt: &Doubt) {
        let Doubt { flight, cpu, ts, on, event } = doubt;
        let answers = self.flush_answers();
        if let Some(why) = flight.fault(&answers, *cpu) {
            let faces = flight.cpus[*cpu].faces;
            let possible = answers.of(flight.tables, faces, flight.masked(*cpu));
            let mut could = Vec::new();
            if possible.asked {
                could.push(format!("interrupt CPU {cpu}"));
            }
            if possible.left {
                could.push(format!("leave out CPU {cpu}"));
            }
            let (tid, observed) = (flight.tid, words(event, |id| id));
            let divergence = Divergence { ts: *ts, cpu: *on, tid, observed, why, could };
            self.tally.diverge(|| divergence);
        }
    }

    /// A CPU that runs on an mm is not behind a flush that left it out.
    fn behind(&mut self, at: usize, event: &Event, w: &TlbState) {
        let left_out = &mut self.tracks[at].left_out;
        if left_out.is_empty() || w.lazy != 0 || w.slot_mm != w.loaded_mm {
            return;
        }
        let (now, skew) = (self.now, self.sees.skew);
        let Some(index) = left_out.iter().position(|of| of.mm == w.loaded_mm) else { return };
        let flush = left_out[index];
        if w.slot_gen >= flush.generation {
            left_out.swap_remove(index);
        } else if now > flush.ts + skew {
            left_out.swap_remove(index);
            if !self.flush_answers().behind(flush.tables) {
                let why = format!(
                    "a flush to generation {} has left it out, and it runs on the mm behind that",
                    flush.generation
                );
                self.diverge(at, now, event, &why);
            }
        }
    }

    /// Of flushes of before this nothing is known any more.
    pub(super) fn forget_flushes(&mut self) {
        self.flights.clear();
        self.flush_doubts.clear();
        for track in &mut self.tracks {
            track.left_out.clear();
        }
    }

    /// What a trace tells of whom a flush interrupts: followed, or not.
    pub(super) fn flush_told(&mut self, event: &Event) {
        let followed = self.sees.flush
            && match event {
                Event::FlushBegin { flush, .. } | Event::FlushEnd { flush, .. } => flush.tid != 0,
                Event::FlushMulti { flush, .. } => self.in_flight(flush.tid),
                Event::CsdQueue { tid, .. } => self.in_flight(*tid),
                _ => true,
            };
        if !followed {
            self.tally.leave(Left::FlushTargets);
        }
    }

    fn in_flight(&self, tid: u32) -> bool {
        self.flights.iter().any(|flight| flight.tid == tid)
    }
}

/// Remembers a flush that left this CPU out; of one mm the last.
pub(super) fn remember(left_out: &mut Vec<LeftOut>, flush: LeftOut) {
    left_out.retain(|one| one.mm != flush.mm);
    if left_out.len() >= LEFT_OUT {
        left_out.remove(0);
    }
    left_out.push(flush);
}
