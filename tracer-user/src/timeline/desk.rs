//! The cursor: goes to any moment of a run, with the checkpoints that there are.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    checkpoint::Checkpoint,
    collect::{Collector, Wanted, Watch},
    kept::Kept,
    place::{Place, Roll},
    player::{Goal, Played, Player},
};
use crate::{
    judge::{Judge, Opens},
    stream::Facts,
    trace::{Part, TraceError},
    tui::machine::Direction,
};

/// So many events are judged before a moment is shown, so that there is something to tell of before.
const RUN_IN: u64 = 64;

/// What a run is, and how to read it.
pub(super) struct Run {
    pub(super) facts: Arc<Facts>,
    pub(super) parts: Option<Arc<[Part]>>,
    pub(super) open: Box<dyn Fn(Place) -> Box<dyn Roll>>,
    pub(super) kept: Arc<Mutex<Kept>>,
}

/// Locks what is known; whoever panicked with it left it whole.
pub(super) fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    /// A player that goes on from a checkpoint.
    ///
    /// # Errors
    /// Why not, in words.
    pub(super) fn resume(&self, checkpoint: &Checkpoint) -> Result<Player, String> {
        let told = lock(&self.kept).told.clone();
        let judge = checkpoint.judge(&self.facts, &told).map_err(|error| error.to_string())?;
        Ok(Player::resume(judge, checkpoint, (self.open)(checkpoint.from), self.parts.clone()))
    }

    /// A player that begins at a place, where nothing is known.
    pub(super) fn blind(&self, place: Place) -> Player {
        let facts = (*self.facts).clone();
        let judge = Judge::observed(facts, Opens::OnceKnown(0), Collector::new(&self.facts));
        Player::new(judge, (self.open)(place), self.parts.clone())
    }
}

/// What is looked for, backward.
struct Back {
    wanted: Arc<dyn Fn() -> Wanted>,
    calls: bool,
    /// It is before this.
    below: u64,
    /// It is not before this.
    from: Arc<Checkpoint>,
}

/// What is being done.
enum Job {
    Go { player: Player, goal: Goal, checkpoint: Option<Arc<Checkpoint>> },
    Back { player: Player, back: Back },
}

/// The cursor.
pub(super) struct Desk {
    pub(super) run: Run,
    /// What is shown.
    pub(super) player: Option<Player>,
    /// Where the cursor was asked to be.
    pub(super) at: u64,
    /// The events are numbered from the beginning; not if it began blindly.
    pub(super) exact: bool,
    job: Option<Job>,
    /// Where to go back to if what is looked for is not there.
    home: Option<u64>,
    pub(super) note: String,
}

impl Desk {
    pub(super) fn new(run: Run) -> Self {
        Self { run, player: None, at: 0, exact: true, job: None, home: None, note: String::new() }
    }

    /// Whether something is on the way.
    pub(super) const fn is_seeking(&self) -> bool {
        self.job.is_some()
    }

    fn begin(&mut self, goal: Goal, checkpoint: Option<Arc<Checkpoint>>) {
        let Some(checkpoint) = checkpoint else { return };
        match self.run.resume(&checkpoint) {
            Ok(player) => {
                // What waits in it for its turn takes room that the other will need.
                self.player = None;
                self.job = Some(Job::Go { player, goal, checkpoint: Some(checkpoint) });
            }
            Err(why) => self.note = why,
        }
    }

    /// Goes to the last event at or before `ts`. `blind` is where to begin if no checkpoint is near.
    pub(super) fn seek(&mut self, ts: u64, blind: Option<Place>) {
        (self.at, self.home) = (ts, None);
        self.note.clear();
        let goal = Goal::Time(ts);
        let checkpoint = {
            let kept = lock(&self.run.kept);
            let all = &kept.checkpoints;
            all.by_time(ts).or_else(|| all.first()).cloned()
        };
        if let Some(place) = blind {
            self.exact = false;
            let player = self.run.blind(place);
            self.job = Some(Job::Go { player, goal, checkpoint: None });
        } else {
            self.exact = true;
            self.begin(goal, checkpoint);
        }
    }

    /// Goes to where so many events have been judged.
    pub(super) fn seek_index(&mut self, index: u64) {
        self.home = None;
        self.exact = true;
        let checkpoint = {
            let kept = lock(&self.run.kept);
            let all = &kept.checkpoints;
            all.by_index(index.saturating_sub(RUN_IN)).or_else(|| all.first()).cloned()
        };
        self.begin(Goal::Index(index), checkpoint);
    }

    /// Looks for the next event that is wanted, or the last one before.
    pub(super) fn search(
        &mut self,
        wanted: Arc<dyn Fn() -> Wanted>,
        calls: bool,
        direction: Direction,
    ) -> Result<(), String> {
        let Some(mut player) = self.player.take() else {
            return Err("there is nothing to step from yet".to_owned());
        };
        let here = player.index();
        self.home = Some(here);
        if direction == Direction::Forward {
            let collector = player.judge_mut().engine_mut().observer_mut();
            collector.watch = Some(Watch { wanted: wanted(), calls, hit: None });
            self.job = Some(Job::Go { player, goal: Goal::Watched, checkpoint: None });
            return Ok(());
        }
        let from = lock(&self.run.kept).checkpoints.before(here).cloned();
        self.player = Some(player);
        let Some(from) = from else { return Err("there is nothing before".to_owned()) };
        self.back(Back { wanted, calls, below: here, from })
    }

    fn back(&mut self, back: Back) -> Result<(), String> {
        let mut player = self.run.resume(&back.from)?;
        let collector = player.judge_mut().engine_mut().observer_mut();
        collector.watch = Some(Watch { wanted: (back.wanted)(), calls: back.calls, hit: None });
        self.job = Some(Job::Back { player, back });
        Ok(())
    }

    /// Goes on for so long; whether what is shown has changed.
    pub(super) fn work(&mut self, budget: Duration) -> bool {
        let begun = Instant::now();
        let mut pause = || begun.elapsed() >= budget;
        while let Some(job) = self.job.take() {
            match job {
                Job::Go { mut player, goal, checkpoint } => match player.play(goal, &mut pause) {
                    Ok(Played::Paused) => {
                        self.job = Some(Job::Go { player, goal, checkpoint });
                        return false;
                    }
                    Ok(played) => {
                        self.arrived(player, goal, played, checkpoint);
                        if self.job.is_none() {
                            return true;
                        }
                    }
                    Err(error) => {
                        self.failed(&error, player);
                        return true;
                    }
                },
                Job::Back { mut player, back } => {
                    // The one that the cursor is on does not count.
                    let goal = Goal::Index(back.below.saturating_sub(1));
                    match player.play(goal, &mut pause) {
                        Ok(Played::Paused) => {
                            self.job = Some(Job::Back { player, back });
                            return false;
                        }
                        Ok(_) => {
                            let collector = player.judge().engine().observer();
                            let hit = collector.watch.as_ref().and_then(|watch| watch.hit);
                            self.looked_back(hit, back);
                            if self.job.is_none() {
                                return true;
                            }
                        }
                        Err(error) => {
                            self.failed(&error, player);
                            return true;
                        }
                    }
                }
            }
        }
        false
    }

    fn arrived(
        &mut self,
        mut player: Player,
        goal: Goal,
        played: Played,
        checkpoint: Option<Arc<Checkpoint>>,
    ) {
        let collector = player.judge_mut().engine_mut().observer_mut();
        collector.watch = None;
        if goal == Goal::Watched && played == Played::End {
            "there is nothing after".clone_into(&mut self.note);
            if let Some(home) = self.home.take().filter(|_| self.exact) {
                self.seek_index(home);
                return;
            }
        }
        // Right behind a checkpoint there is nothing to be told of what was before.
        let index = player.index();
        if let Some(checkpoint) = checkpoint
            && index < checkpoint.index + RUN_IN
        {
            let earlier = lock(&self.run.kept).checkpoints.before(checkpoint.index).cloned();
            if earlier.is_some() {
                self.begin(goal, earlier);
                return;
            }
        }
        if !matches!(goal, Goal::Time(_)) {
            self.at = player.judge().engine().observer().counted.ts;
        }
        self.player = Some(player);
    }

    fn looked_back(&mut self, hit: Option<u64>, back: Back) {
        if let Some(index) = hit {
            self.seek_index(index);
            return;
        }
        let Back { wanted, calls, from, .. } = back;
        let mut upper = from;
        loop {
            let earlier = lock(&self.run.kept).checkpoints.before(upper.index).cloned();
            let Some(earlier) = earlier else {
                "there is nothing before".clone_into(&mut self.note);
                return;
            };
            if calls && earlier.calls == upper.calls {
                upper = earlier;
                continue;
            }
            let below = upper.index + 1;
            if let Err(why) = self.back(Back { wanted, calls, below, from: earlier }) {
                self.note = why;
            }
            return;
        }
    }

    fn failed(&mut self, error: &TraceError, player: Player) {
        self.note = error.to_string();
        self.player.get_or_insert(player);
    }

    /// The number of the finding that comes next, or the last one before; how many events show it.
    pub(super) fn finding(
        &self,
        direction: Direction,
        counts: impl Fn(&tracer_common::model::Finding) -> bool,
    ) -> Option<u64> {
        let player = self.player.as_ref()?;
        let (here, (_, _, found)) = (player.index(), player.judge().progress());
        let kept = lock(&self.run.kept);
        let counted = |(_, finding): &&(u64, tracer_common::model::Finding)| counts(finding);
        let found = (found as usize).min(kept.broken.len());
        let (past, ahead) = kept.broken.split_at(found);
        let one = match direction {
            Direction::Forward => ahead.iter().find(counted),
            Direction::Back => past.iter().rev().filter(counted).find(|(index, _)| *index < here),
        };
        one.map(|&(index, _)| index)
    }

    /// One step of one event, where none is left out.
    pub(super) fn one(&mut self, direction: Direction) -> Result<(), String> {
        let Some(here) = self.player.as_ref().map(Player::index) else {
            return Err("there is nothing to step from yet".to_owned());
        };
        match direction {
            Direction::Forward => {
                let Some(player) = self.player.take() else { return Ok(()) };
                let goal = Goal::Index(here + 1);
                self.job = Some(Job::Go { player, goal, checkpoint: None });
                Ok(())
            }
            Direction::Back if here == 0 => Err("this is the beginning".to_owned()),
            Direction::Back => {
                self.seek_index(here - 1);
                Ok(())
            }
        }
    }
}
