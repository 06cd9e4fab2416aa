//! The running kernel as a time machine: the last of a run is kept in memory.
//!
//! ```text
//! session -> head (judge, collector) ------------------------> snapshots while it is followed
//!       \--> composer -> ring of packed batches, checkpoints -> a player, while it is paused
//! ```

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{
    SPACING,
    collect::Collector,
    cost::Meter,
    desk::{Desk, Run, lock},
    kept::Kept,
    place::{Place, Roll},
    player::{Blocks, Extent},
    replay::{explain_with, step_by},
    ring::{Ring, locked},
    save::Span,
    saver::Saver,
    shot,
    tell::Telling,
};
use crate::{
    explain::Ask,
    filter::Filter,
    judge::{Judge, Opens},
    session::Vitals,
    stream::{Closing, Facts, Opening, Sink},
    trace::{Batch, Composer, Press},
    tui::{
        machine::{Direction, Explained, Machine, Moved, Progress, SaveEnd, Step},
        snapshot::{Cost, Moment, Snapshot},
    },
};

/// What the batches may take in memory, in bytes: some millions of events.
const RING: usize = 32 << 20;
/// What the checkpoints beside them may take.
const CHECKPOINTS: usize = 16 << 20;

type HandOn = Box<dyn FnMut(Batch) -> Result<(), Batch>>;

/// A live run: hand it what the session reads, and ask it for any moment of late.
pub struct Live {
    head: Judge<Collector>,
    composer: Composer<HandOn>,
    ring: Arc<Mutex<Ring>>,
    blocks: Blocks,
    /// By CPU: what the records have in common that are not in a batch yet.
    extents: Vec<Extent>,
    desk: Desk,
    /// The newest event is shown.
    follows: bool,
    /// Tracing has ended.
    ended: bool,
    filter: Filter,
    saver: Saver,
    telling: Option<Telling>,
    shown: Option<Snapshot>,
    fresh: bool,
    source: String,
    meter: Meter,
}

impl Live {
    /// For a run that has these facts.
    #[must_use]
    pub fn new(facts: &Facts) -> Self {
        Self::with(facts, RING, CHECKPOINTS, SPACING)
    }

    pub(super) fn with(facts: &Facts, ring: usize, budget: usize, spacing: u64) -> Self {
        let ring = Arc::new(Mutex::new(Ring::new(ring)));
        let hand_on: HandOn = {
            let ring = Arc::clone(&ring);
            let mut press = Press::default();
            // If there is no memory for it, the composer marks the gap.
            Box::new(move |batch| match press.pack(batch) {
                Ok(packed) => {
                    locked(&ring).push(packed);
                    Ok(())
                }
                Err(_) => Err(Batch::default()),
            })
        };
        let open = {
            let ring = Arc::clone(&ring);
            move |place: Place| -> Box<dyn Roll> { Box::new(locked(&ring).from(place.chunk)) }
        };
        let mut collector = Collector::new(facts);
        collector.notes = true;
        let run = Run {
            facts: Arc::new(facts.clone()),
            parts: None,
            open: Box::new(open),
            kept: Arc::new(Mutex::new(Kept::new(budget, spacing))),
        };
        let mut machine = Self {
            head: Judge::observed(facts.clone(), Opens::AsRecorded, collector),
            composer: Composer::new(facts.cpus_possible, hand_on),
            ring,
            blocks: Blocks::default(),
            extents: vec![Extent::default(); facts.cpus_possible as usize],
            desk: Desk::new(run),
            follows: true,
            ended: false,
            filter: Filter::default(),
            saver: Saver::new(),
            telling: None,
            shown: None,
            fresh: false,
            source: "this machine".to_owned(),
            meter: Meter::new(),
        };
        machine.checkpoint();
        machine
    }

    /// The judge of all that was read.
    pub fn into_judge(self) -> Judge<impl crate::engine::Observer> {
        self.head
    }

    /// How the session that feeds it fares.
    pub fn fares(&mut self, vitals: Vitals) {
        self.meter.vitals = Some(vitals);
        self.fresh = true;
    }

    /// The whole run's findings and events so far, and what was lost.
    pub fn progress_counts(&self) -> (u64, u64, u64) {
        self.head.progress()
    }

    #[cfg(test)]
    pub(super) fn save_to(&mut self, saver: Saver) {
        self.saver = saver;
    }

    #[cfg(test)]
    pub(super) fn ring_bytes(&self) -> usize {
        locked(&self.ring).bytes
    }

    #[cfg(test)]
    pub(super) const fn player(&self) -> Option<&super::player::Player> {
        self.desk.player.as_ref()
    }

    fn checkpoint(&mut self) {
        let at = Place { chunk: locked(&self.ring).next(), ..Place::default() };
        if let Some(made) = Kept::checkpoint(&self.head, &mut self.blocks, at) {
            lock(&self.desk.run.kept).checkpoints.push(Arc::new(made));
        }
    }

    /// A batch may have been handed on: it has all records so far, and all of them were judged as far
    /// as they can be.
    fn handed_on(&mut self, before: u64) {
        let (first, next) = {
            let ring = locked(&self.ring);
            (ring.first, ring.next())
        };
        if next == before {
            return;
        }
        let place = Place { chunk: before, ..Place::default() };
        for (cpu, extent) in (0..).zip(&mut self.extents) {
            self.blocks.push(place, cpu, std::mem::take(extent));
        }
        {
            let mut kept = lock(&self.desk.run.kept);
            kept.checkpoints.forget_before(Place { chunk: first, ..Place::default() });
            let oldest = kept.checkpoints.first().map(|oldest| oldest.ts);
            if let Some(oldest) = oldest {
                kept.slices.forget_before(oldest);
            }
        }
        let index = self.head.engine().observer().counted.index;
        if lock(&self.desk.run.kept).checkpoints.due(index) {
            self.checkpoint();
        }
    }

    fn swept(&mut self) {
        let ts = self.head.engine().until();
        lock(&self.desk.run.kept).swept(&mut self.head, ts);
        self.fresh = true;
    }

    fn span_of(&self, kept: &Kept) -> (u64, u64) {
        let started = self.head.facts().started_ns;
        let first = kept.checkpoints.first().map_or(started, |oldest| oldest.ts.max(started));
        (first, self.head.engine().until().max(first))
    }

    fn moment_of(&self, at_ns: u64, event: u64, seeking: bool, kept: &Kept) -> Moment {
        let facts = self.head.facts();
        let (first_ns, last_ns) = self.span_of(kept);
        Moment {
            source: self.source.clone(),
            at_ns,
            first_ns,
            last_ns,
            event: Some(event),
            clock: facts.clock.clone(),
            to_realtime_ns: facts.to_realtime_ns,
            mode: facts.mode,
            seeking,
            note: self.desk.note.clone(),
        }
    }

    fn cost(&mut self) -> Cost {
        let ring = locked(&self.ring).bytes as u64;
        let checkpoints = lock(&self.desk.run.kept).checkpoints.bytes() as u64;
        let (first, last) = self.span();
        Cost {
            history_bytes: Some(ring + checkpoints),
            history_ns: Some(last.saturating_sub(first)),
            ..self.meter.cost()
        }
    }
}

impl Sink for Live {
    fn record(&mut self, cpu: u32, record: &[u8]) {
        if let Some(extent) = self.extents.get_mut(cpu as usize) {
            extent.see(record);
        }
        self.head.record(cpu, record);
        self.composer.record(cpu, record);
    }

    fn syscall_probes(&mut self, ts: u64, on: bool) {
        self.head.syscall_probes(ts, on);
        self.composer.syscall_probes(ts, on);
    }

    fn advance(&mut self, until: u64) {
        self.head.advance(until);
        self.swept();
        let before = locked(&self.ring).next();
        self.composer.advance(until);
        self.handed_on(before);
    }

    fn opened(&mut self, opening: &Opening) {
        self.head.opened(opening);
        self.composer.opened(opening);
        lock(&self.desk.run.kept).restarted();
    }

    fn closed(&mut self, closing: &Closing) {
        self.head.closed(closing);
        self.swept();
        let before = locked(&self.ring).next();
        self.composer.closed(closing);
        self.handed_on(before);
        lock(&self.desk.run.kept).done = true;
        self.ended = true;
    }
}

impl Machine for Live {
    fn work(&mut self, budget: Duration) -> bool {
        let mut changed = self.desk.work(budget);
        if let Some(telling) = &mut self.telling
            && !telling.is_done()
        {
            telling.work(&self.desk.run, budget);
            changed |= telling.is_done();
        }
        changed | std::mem::take(&mut self.fresh)
    }

    fn busy(&self) -> bool {
        self.desk.is_seeking() || self.telling.as_ref().is_some_and(|telling| !telling.is_done())
    }

    fn snapshot(&mut self) -> Snapshot {
        let cost = self.cost();
        let kept = lock(&self.desk.run.kept);
        let mut snapshot = if self.follows {
            let now = self.head.engine().until();
            let mut snapshot = shot::shot(&self.head, now, &kept);
            let index = self.head.engine().observer().counted.index;
            snapshot.moment = self.moment_of(now, index, false, &kept);
            snapshot
        } else if let (Some(player), false) = (&self.desk.player, self.desk.is_seeking()) {
            let mut snapshot = shot::shot(player.judge(), self.desk.at, &kept);
            snapshot.moment = self.moment_of(self.desk.at, player.index(), false, &kept);
            snapshot
        } else {
            let mut snapshot = self.shown.clone().unwrap_or_default();
            snapshot.moment.seeking = true;
            snapshot
        };
        drop(kept);
        snapshot.health.cost = cost;
        if let Some(vitals) = &self.meter.vitals
            && !self.ended
        {
            snapshot.health.probes.clone_from(&vitals.probes);
        }
        self.shown = Some(snapshot.clone());
        snapshot
    }

    fn span(&self) -> (u64, u64) {
        self.span_of(&lock(&self.desk.run.kept))
    }

    fn seek(&mut self, ts: u64) {
        let (first, last) = self.span();
        self.follows = false;
        self.desk.seek(ts.clamp(first, last), None);
    }

    fn step(&mut self, step: Step, direction: Direction) -> Moved {
        if self.follows {
            self.pause();
            let begun = Instant::now();
            // Where it stands is at hand: the newest checkpoint is near.
            while self.desk.is_seeking() && begun.elapsed() < Duration::from_millis(100) {
                self.desk.work(Duration::from_millis(10));
            }
        }
        step_by(&mut self.desk, &self.filter, step, direction)
    }

    fn can_live(&self) -> bool {
        !self.ended
    }

    fn is_live(&self) -> bool {
        self.follows && !self.ended
    }

    fn live(&mut self) {
        self.follows = true;
        self.desk.player = None;
    }

    fn pause(&mut self) {
        if self.follows {
            self.follows = false;
            let index = self.head.engine().observer().counted.index;
            self.desk.at = self.head.engine().until();
            self.desk.seek_index(index);
        }
    }

    fn progress(&self) -> Option<Progress> {
        None
    }

    fn explain(&mut self, ask: Ask) -> Explained {
        explain_with(&mut self.telling, &self.desk, ask)
    }

    fn set_filter(&mut self, filter: &Filter) {
        self.filter = filter.clone();
    }

    fn save(&mut self, span: (u64, u64), path: &Path) -> Result<(), String> {
        self.saver.save(Span::of(&self.desk.run, span)?, path)
    }

    fn saved(&mut self) -> Option<SaveEnd> {
        self.saver.saved()
    }

    fn saving(&self) -> usize {
        self.saver.saving()
    }
}
