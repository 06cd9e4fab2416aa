//! What is known of a whole run: its checkpoints, its findings, and what happened when, in short.

use std::sync::Arc;

use tracer_common::model::Finding;

use super::{
    checkpoint::{Checkpoint, Checkpoints},
    collect::Collector,
    place::Place,
    player::Blocks,
};
use crate::{engine::Told, judge::Judge, report::Report, tui::snapshot::Slice};

/// How many slices there are at most; then two become one.
const SLICES: usize = 1024;
/// The length of a slice at first, in nanoseconds.
const WIDTH: u64 = 1_000_000;
/// Of how many findings it is known when they are.
const BROKEN: usize = 1 << 16;

/// What happened when, in slices of equal length.
#[derive(Clone, Debug, Default)]
pub(super) struct Slices {
    pub(super) from: u64,
    pub(super) width: u64,
    pub(super) cells: Vec<Slice>,
    /// When it will end, as far as known.
    pub(super) to: u64,
}

impl Slices {
    /// So much happened then; times may come in any order.
    pub(super) fn add(&mut self, ts: u64, more: Slice) {
        if self.width == 0 {
            let width = self.to.saturating_sub(ts) / SLICES as u64 + 1;
            (self.from, self.width) = (ts, width.max(WIDTH));
        }
        while (ts.saturating_sub(self.from) / self.width) as usize >= SLICES {
            let sum = |two: &[Slice]| two.iter().fold(Slice::default(), |sum, one| add(sum, *one));
            self.cells = self.cells.chunks(2).map(sum).collect();
            self.width *= 2;
        }
        let index = (ts.saturating_sub(self.from) / self.width) as usize;
        if self.cells.len() <= index {
            self.cells.resize(index + 1, Slice::default());
        }
        self.cells[index] = add(self.cells[index], more);
    }

    /// What was before is forgotten.
    pub(super) fn forget_before(&mut self, ts: u64) {
        if self.width > 0 && ts > self.from {
            let gone = ((ts - self.from) / self.width) as usize;
            self.cells.drain(..gone.min(self.cells.len()));
            self.from += gone as u64 * self.width;
        }
    }
}

/// Both together.
pub(super) const fn add(one: Slice, other: Slice) -> Slice {
    Slice {
        events: one.events + other.events,
        calls: one.calls + other.calls,
        findings: one.findings + other.findings,
        lost: one.lost + other.lost,
    }
}

/// What is known of a run.
pub(super) struct Kept {
    pub(super) checkpoints: Checkpoints,
    /// The findings that are told in detail.
    pub(super) told: Vec<Arc<Told>>,
    /// All findings, with how many events had been judged when each shows.
    pub(super) broken: Vec<(u64, Finding)>,
    /// Those that are not in `broken`, after its last.
    pub(super) broken_beyond: u64,
    pub(super) slices: Slices,
    /// All up to here was judged.
    pub(super) reached: u64,
    /// So many events.
    pub(super) index: u64,
    /// Nothing is to come any more.
    pub(super) done: bool,
    /// What is wrong with it, in words.
    pub(super) note: String,
    pub(super) report: Option<Arc<Report>>,
}

impl Kept {
    pub(super) fn new(budget: usize, spacing: u64) -> Self {
        Self {
            checkpoints: Checkpoints::new(budget, spacing),
            told: Vec::new(),
            broken: Vec::new(),
            broken_beyond: 0,
            slices: Slices::default(),
            reached: 0,
            index: 0,
            done: false,
            note: String::new(),
            report: None,
        }
    }

    /// A judge has judged all up to `ts`.
    pub(super) fn swept(&mut self, judge: &mut Judge<Collector>, ts: u64) {
        let engine = judge.engine_mut();
        if engine.told().len() != self.told.len() {
            self.told = engine.told().to_vec();
        }
        let collector = engine.observer_mut();
        for broken in collector.broken.drain(..) {
            if self.broken.len() < BROKEN {
                self.broken.push(broken);
            } else {
                self.broken_beyond += 1;
            }
        }
        (self.reached, self.index) = (ts, collector.counted.index);
        for (ts, slice) in collector.happened.drain(..) {
            self.slices.add(ts, slice);
        }
    }

    /// The window opened: findings before do not count.
    pub(super) fn restarted(&mut self) {
        self.told.clear();
        self.broken.clear();
        self.broken_beyond = 0;
    }

    /// Makes a checkpoint if it is time and one can be made.
    pub(super) fn checkpoint(
        judge: &Judge<Collector>,
        blocks: &mut Blocks,
        at: Place,
    ) -> Option<Checkpoint> {
        let ts = judge.engine().until();
        let from = blocks.from(judge, ts, at)?;
        Checkpoint::of(judge, ts, (from, at)).ok()
    }
}
