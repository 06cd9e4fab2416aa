//! A recording as a time machine.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    BUDGET, SPACING,
    desk::{Desk, Run, lock},
    kept::Kept,
    pass,
    place::{self, Place},
    player::Player,
    save::Span,
    saver::Saver,
    shot, subject,
    tell::Telling,
};
use crate::{
    explain::Ask,
    filter::Filter,
    trace::{self, Part, TraceError},
    tui::{
        machine::{Direction, Explained, Machine, Moved, Progress, SaveEnd, Step},
        snapshot::{Moment, Snapshot},
    },
};

/// How many chunks before a moment are read where nothing is known yet.
const BLIND: usize = 5;
/// How often it is told that more of the recording is known.
const NEWS: Duration = Duration::from_millis(250);

/// A recording that can be visited at any moment.
pub struct Replay {
    desk: Desk,
    source: String,
    /// The chunks: part, place, and when the last message in each was read.
    chunks: Vec<(usize, u64, u64)>,
    span: (u64, u64),
    filter: Filter,
    saver: Saver,
    telling: Option<Telling>,
    shown: Option<Snapshot>,
    news: (Instant, u64),
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Replay {
    /// Opens the parts of one run, in order ([`runs`](crate::judge::recorded::runs)), and returns at once: a thread goes
    /// through them. The cursor stands at the end.
    ///
    /// # Errors
    /// If there are none.
    pub fn new(parts: Vec<Part>) -> Result<Self, TraceError> {
        Self::with(parts, BUDGET, SPACING)
    }

    /// With checkpoints within a budget of bytes, and at first so many events apart.
    ///
    /// # Errors
    /// If there are no parts.
    pub(super) fn with(parts: Vec<Part>, budget: usize, spacing: u64) -> Result<Self, TraceError> {
        let parts: Arc<[Part]> = parts.into();
        let Some(first) = parts.first() else {
            return Err(TraceError::Parts("there is no file to replay".to_owned()));
        };
        let facts = Arc::new(first.facts().clone());
        // Its name alone: there is little room, and where the file lies the user knows.
        let path = first.path();
        let source = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let chunks = trace::order(&parts);
        let last = chunks.iter().map(|&(_, _, until)| until).max().unwrap_or(facts.started_ns);
        let mut kept = Kept::new(budget, spacing);
        kept.slices.to = last;
        let kept = Arc::new(Mutex::new(kept));
        let open = {
            let parts = Arc::clone(&parts);
            move |at| place::open(&parts, at)
        };
        let run = Run {
            facts: Arc::clone(&facts),
            parts: Some(Arc::clone(&parts)),
            open: Box::new(open),
            kept: Arc::clone(&kept),
        };
        let desk = Desk::new(run);
        let stop = Arc::new(AtomicBool::new(false));
        let passing = {
            let stop = Arc::clone(&stop);
            move || pass::pass(&parts, &kept, &stop)
        };
        let thread = thread::Builder::new()
            .name("unlazy-replay".to_owned())
            .spawn(passing)
            .map_err(|source| TraceError::Io { path: "a thread".to_owned(), source })?;
        let mut replay = Self {
            desk,
            source,
            chunks,
            span: (facts.started_ns, last.max(facts.started_ns)),
            filter: Filter::default(),
            saver: Saver::new(),
            telling: None,
            shown: None,
            news: (Instant::now(), 0),
            stop,
            thread: Some(thread),
        };
        replay.live();
        Ok(replay)
    }

    #[cfg(test)]
    pub(super) fn save_to(&mut self, saver: Saver) {
        self.saver = saver;
    }

    /// Where to begin to read for a moment that the pass is far from; `None` if it is not.
    fn blind(&self, ts: u64) -> Option<Place> {
        let target = self.chunks.partition_point(|&(_, _, until)| until < ts);
        let kept = lock(&self.desk.run.kept);
        if kept.done || ts <= kept.reached {
            return None;
        }
        let (part, chunk) =
            kept.checkpoints.last().map_or((0, 0), |last| (last.at.part, last.at.chunk));
        let known = self.chunks.partition_point(|&(one, at, _)| (one, at) < (part, chunk));
        // Without a first checkpoint there is nothing to go on from.
        if target.saturating_sub(known) <= BLIND && kept.checkpoints.first().is_some() {
            return None;
        }
        let at = target.min(self.chunks.len().saturating_sub(1)).saturating_sub(BLIND);
        let &(part, chunk, _) = self.chunks.get(at)?;
        Some(Place { part, chunk, message: 0 })
    }

    fn note(&self, kept: &Kept) -> String {
        let blind = if self.desk.exact {
            ""
        } else {
            "not read so far yet: what is shown began unknown shortly before, and will be made exact"
        };
        let notes = [&*self.desk.note, blind, &*kept.note];
        let notes: Vec<&str> = notes.into_iter().filter(|note| !note.is_empty()).collect();
        notes.join("; ")
    }

    fn moment(&self, player: &Player, kept: &Kept) -> Moment {
        let facts = &self.desk.run.facts;
        Moment {
            source: self.source.clone(),
            at_ns: self.desk.at,
            first_ns: self.span.0,
            last_ns: self.span.1,
            event: self.desk.exact.then(|| player.index()),
            clock: facts.clock.clone(),
            to_realtime_ns: facts.to_realtime_ns,
            mode: facts.mode,
            seeking: self.desk.is_seeking(),
            note: self.note(kept),
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // If it panicked, that was told.
            let _ = thread.join();
        }
    }
}

impl Machine for Replay {
    fn work(&mut self, budget: Duration) -> bool {
        let (known, reached, done) = {
            let kept = lock(&self.desk.run.kept);
            (kept.index, kept.reached, kept.done)
        };
        if !self.desk.exact && !self.desk.is_seeking() && (done || reached >= self.desk.at) {
            self.desk.seek(self.desk.at, None);
        }
        let mut changed = self.desk.work(budget);
        if let Some(telling) = &mut self.telling
            && !telling.is_done()
        {
            telling.work(&self.desk.run, budget);
            changed |= telling.is_done();
        }
        let (since, told) = self.news;
        if known != told && (done || since.elapsed() >= NEWS) {
            self.news = (Instant::now(), known);
            changed = true;
        }
        changed
    }

    fn busy(&self) -> bool {
        self.desk.is_seeking() || self.telling.as_ref().is_some_and(|telling| !telling.is_done())
    }

    fn snapshot(&mut self) -> Snapshot {
        let kept = lock(&self.desk.run.kept);
        if let (Some(player), false) = (&self.desk.player, self.desk.is_seeking()) {
            let mut snapshot = shot::shot(player.judge(), self.desk.at, &kept);
            snapshot.moment = self.moment(player, &kept);
            drop(kept);
            self.shown = Some(snapshot.clone());
            return snapshot;
        }
        let mut snapshot = self.shown.clone().unwrap_or_default();
        snapshot.moment.seeking = true;
        snapshot
    }

    fn span(&self) -> (u64, u64) {
        self.span
    }

    fn seek(&mut self, ts: u64) {
        let ts = ts.clamp(self.span.0, self.span.1);
        let blind = self.blind(ts);
        self.desk.seek(ts, blind);
    }

    fn step(&mut self, step: Step, direction: Direction) -> Moved {
        step_by(&mut self.desk, &self.filter, step, direction)
    }

    fn can_live(&self) -> bool {
        false
    }

    fn is_live(&self) -> bool {
        false
    }

    fn live(&mut self) {
        self.seek(self.span.1);
    }

    fn pause(&mut self) {}

    fn progress(&self) -> Option<Progress> {
        let kept = lock(&self.desk.run.kept);
        let (first, last) = self.span;
        let done =
            kept.reached.saturating_sub(first) as f64 / last.saturating_sub(first).max(1) as f64;
        (!kept.done).then_some(Progress { done: done.clamp(0.0, 1.0) })
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

/// An explanation, begun if it is a new one.
pub(super) fn explain_with(telling: &mut Option<Telling>, desk: &Desk, ask: Ask) -> Explained {
    match telling {
        Some(telling) if telling.ask == ask => telling.told(),
        _ => telling.insert(Telling::new(&desk.run, ask)).told(),
    }
}

/// A step of the cursor.
pub(super) fn step_by(desk: &mut Desk, filter: &Filter, step: Step, direction: Direction) -> Moved {
    if !desk.exact && step == Step::Finding {
        return Moved::No("findings are known once the recording is read so far".to_owned());
    }
    if !desk.exact && direction == Direction::Back {
        return Moved::No("going back takes that the recording is read so far".to_owned());
    }
    if desk.is_seeking() {
        return Moved::No("still on the way".to_owned());
    }
    desk.note.clear();
    let result = match step {
        Step::Finding => {
            match desk.finding(direction, |finding| subject::counts(filter, finding)) {
                Some(index) => {
                    desk.seek_index(index);
                    Ok(())
                }
                None if lock(&desk.run.kept).done => Err(match direction {
                    Direction::Forward => "there is no later finding".to_owned(),
                    Direction::Back => "there is no earlier finding".to_owned(),
                }),
                None => Err("no finding in that direction is known yet".to_owned()),
            }
        }
        Step::Event if !subject::leaves_out(step, filter) => desk.one(direction),
        Step::Event | Step::Call => {
            let filter = filter.clone();
            let wanted = Arc::new(move || subject::wanted(&filter));
            desk.search(wanted, step == Step::Call, direction)
        }
    };
    match result {
        Ok(()) => Moved::Yes,
        Err(why) => Moved::No(why),
    }
}
