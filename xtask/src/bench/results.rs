//! What a benchmark run found, as data: `unlazy.bench/1`.

use serde::{Deserialize, Serialize};

use super::loops::Loop;
use super::observer::Observer;
use super::programs::ProgramRun;
use super::stats::Spread;

/// The whole run.
#[derive(Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) schema: String,
    pub(crate) kernel: String,
    pub(crate) cpus: usize,
    /// The load average before the first loop: on a busy machine ratios say little.
    pub(crate) load: f64,
    /// The CPU that all loops ran on.
    pub(crate) cpu: usize,
    pub(crate) rounds: u32,
    /// What bpftrace and perf attach to beside a SYNC_CORE-registered process; fewer beside none.
    pub(crate) tracepoints: Vec<String>,
    /// What a reader of the numbers must know.
    pub(crate) remarks: Vec<String>,
    pub(crate) timings: Vec<Timing>,
    pub(crate) programs: Vec<Programs>,
}

/// One loop under one observer.
#[derive(Serialize, Deserialize)]
pub(crate) struct Timing {
    #[serde(flatten)]
    pub(crate) looped: Loop,
    pub(crate) observer: Observer,
    /// Why there are no samples.
    pub(crate) missing: Option<String>,
    /// Nanoseconds an iteration, round by round.
    pub(crate) samples_ns: Vec<f64>,
    pub(crate) ns: Option<Spread>,
    /// Against nothing attached, in the same round.
    pub(crate) ratio: Option<Spread>,
}

/// One observer's BPF programs in one loop.
#[derive(Serialize, Deserialize)]
pub(crate) struct Programs {
    #[serde(flatten)]
    pub(crate) looped: Loop,
    pub(crate) observer: Observer,
    /// Of the loop, its warm-up not counted (during which the programs ran as well).
    pub(crate) iterations: u64,
    pub(crate) runs: Vec<ProgramRun>,
}
