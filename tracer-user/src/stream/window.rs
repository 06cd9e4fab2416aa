//! The window of a run: what was asked when it opened and when it closed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Loss;
use crate::report::{Command, Overhead, Probe};

/// The window opens.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Opening {
    /// When, in nanoseconds of the run's clock.
    pub start_ns: u64,
    /// When every CPU's state had become known; `None` if it had not.
    pub known_at_ns: Option<u64>,
}

/// The window closes: what only the end can tell.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Closing {
    /// When, in nanoseconds of the run's clock.
    pub end_ns: u64,
    /// For each CPU the number that its next record would have had: what is missing up to there is
    /// lost.
    pub next_seq: Vec<u32>,
    /// Records that found no room in the window, by the name of their kind.
    pub lost_by_probe: BTreeMap<String, u64>,
    /// Runs of programs that the kernel skipped in the window.
    pub missed: Vec<MissedRuns>,
    /// Readings of the kernel's variables that were thrown away in the window.
    pub disturbed: u64,
    /// By how much the kernel's own count of context switches grew (`/proc/stat`: `ctxt`).
    pub ctxt: Option<u64>,
    /// For how long of the window system calls were traced, in nanoseconds.
    pub syscalls_attached_ns: u64,
    /// The probes, as they ended.
    pub probes: Vec<Probe>,
    /// What was missed because a probe was missing.
    pub losses: Vec<Loss>,
    /// What it cost.
    pub overhead: Overhead,
    /// The command that the window was cut to.
    pub command: Option<Command>,
    /// Records that were read and then dropped, because what was to take them could not.
    pub dropped: u64,
    /// The preemption model as it was at the end, if that could still be read: it can be changed while
    /// the kernel runs.
    pub preempt: Option<String>,
}

/// Runs of one program that the kernel skipped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MissedRuns {
    /// The probe.
    pub probe: String,
    /// What it gives.
    pub gives: String,
    /// How often.
    pub count: u64,
    /// Whether something else depends on it, so that it is a loss; else a check was not made.
    pub lost: bool,
}
