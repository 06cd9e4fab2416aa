//! The time machine: any moment of a run, recorded or live.
//!
//! ```text
//! recording -> Player (reads, judges, collects) -> Checkpoint, now and then     (a thread, once)
//!                  ^                                   |
//!                  +--- the nearest one before --------+-> plays on to the moment -> Snapshot
//! ```
//!
//! The first pass over a run judges it as `unlazy report` does. What it keeps is small: a checkpoint
//! is the judge's state without the records that wait in it, packed; these are read again where one is
//! taken up. A live run is kept the same way, in memory, as far back as there is room.
//!
//! What is to be saved is written by a thread of its own, which a slow disk may hold up.

mod checkpoint;
mod collect;
mod cost;
mod desk;
mod kept;
mod live;
mod pass;
mod place;
mod player;
mod replay;
mod ring;
mod save;
mod saver;
mod shot;
mod subject;
mod tell;
#[cfg(test)]
mod tests;

pub use live::Live;
pub use replay::Replay;

/// What all checkpoints of a run may take in memory, in bytes.
const BUDGET: usize = 40 << 20;

/// How far apart checkpoints are at first, in events: what is judged in less than a tenth of a second.
const SPACING: u64 = 100_000;
