//! The time machine behind the screens: what they ask of it, live or recorded.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::snapshot::Snapshot;
use crate::{
    explain::{Ask, Explanation},
    filter::Filter,
};

/// What to step by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// One event; with a filter, one that it shows.
    Event,
    /// To the beginning of the next SYNC_CORE call.
    Call,
    /// To the next finding.
    Finding,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Later.
    Forward,
    /// Earlier.
    Back,
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// The cursor moved, or will have by the time [`Snapshot::moment`] no longer says `seeking`.
    Yes,
    /// There is nothing there: why, in words.
    No(String),
}

/// How far a recording is read; a live machine is always read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// From 0 to 1.
    pub done: f64,
}

/// An explanation, or where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explained {
    /// Here it is.
    Ready(Box<Explanation>),
    /// It is being worked on: ask again.
    Working,
    /// It can't be had: why, in words.
    No(String),
}

/// What was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Events.
    pub events: u64,
    /// The file's length.
    pub bytes: u64,
}

/// What came of saving a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveEnd {
    /// Where it was to go.
    pub path: PathBuf,
    /// What was saved, or why nothing was, in words; there is no file then.
    pub result: Result<Saved, String>,
}

/// Hands out snapshots of any moment that it has.
///
/// No call may take longer than a frame (some milliseconds): what takes longer is done piece by piece
/// in [`Machine::work`], or on a thread of the machine's own.
pub trait Machine {
    /// Goes on with what there is to do, for about this long: reads events, indexes, seeks. Returns
    /// whether what is to be shown may have changed.
    fn work(&mut self, budget: Duration) -> bool;

    /// Whether there is work that does not wait for anything: [`Machine::work`] should be called again
    /// at once. Otherwise it is called every ten milliseconds or so.
    fn busy(&self) -> bool;

    /// The state as of the cursor.
    fn snapshot(&mut self) -> Snapshot;

    /// The first and last moment that can be visited, in nanoseconds.
    fn span(&self) -> (u64, u64);

    /// Moves the cursor: to the last event at or before `ts`. A live machine is paused by it.
    fn seek(&mut self, ts: u64);

    /// Moves the cursor by one of something. A live machine is paused by it.
    fn step(&mut self, step: Step, direction: Direction) -> Moved;

    /// Whether this is a running kernel, not a recording.
    fn can_live(&self) -> bool;

    /// Whether the cursor follows the newest event.
    fn is_live(&self) -> bool;

    /// Follows the newest event; of a recording, goes to its end.
    fn live(&mut self);

    /// Stands still where it is. Events go on being collected.
    fn pause(&mut self);

    /// How far the recording is read; `None` if all of it is, or if it is live.
    fn progress(&self) -> Option<Progress>;

    /// Explains a call or a finding by its number. [`Explained::Working`] means to ask again, with the
    /// same question, at the next frame; a new question drops the old one.
    fn explain(&mut self, ask: Ask) -> Explained;

    /// Which events, calls and findings count for steps and lists.
    fn set_filter(&mut self, filter: &Filter);

    /// Begins to write what lies between two moments, as a trace, to a file that is not there yet. It
    /// does not wait for the disk: what came of it is for [`Machine::saved`] to tell.
    ///
    /// # Errors
    /// Why it is not begun, in words.
    fn save(&mut self, span: (u64, u64), path: &Path) -> Result<(), String>;

    /// What came of the next span that was being saved, once it is known.
    fn saved(&mut self) -> Option<SaveEnd>;

    /// How many spans are being saved, those included whose end is known and was not asked for yet.
    /// A machine that is dropped gives them up.
    fn saving(&self) -> usize;
}
