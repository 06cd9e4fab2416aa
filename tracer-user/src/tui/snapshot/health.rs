//! How sure everything is, and what watching costs.

use crate::report;

/// How sure everything is, and what it costs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Health {
    /// The kernel and machine.
    pub kernel: report::Kernel,
    /// Every probe of the table.
    pub probes: Vec<report::Probe>,
    /// How each rule fared until the cursor.
    pub rules: Vec<report::Rule>,
    /// What arrived until the cursor, and what did not.
    pub events: report::Events,
    /// How logical and real mm moved until the cursor.
    pub transitions: report::Transitions,
    /// Returns to user mode until the cursor.
    pub user_returns: report::UserReturns,
    /// What this mode, on this kernel, cannot see.
    pub blind_spots: Vec<report::Blindness>,
    /// What the running kernel's text has where its source promises serialization.
    pub text_audit: report::TextAudit,
    /// What watching costs.
    pub cost: Cost,
}

/// What watching costs. `None`: not measured here (a recording costs nobody anything any more).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cost {
    /// CPU time of unlazy, all threads, in percent of one CPU, over the last second or so.
    pub cpu_percent: Option<f64>,
    /// Resident size in KiB.
    pub rss_kib: Option<u64>,
    /// Bytes of history that are kept to go back in.
    pub history_bytes: Option<u64>,
    /// How many nanoseconds that history reaches back.
    pub history_ns: Option<u64>,
    /// Size of each CPU's buffer in bytes.
    pub ring_bytes_per_cpu: Option<u64>,
    /// The fullest that any CPU's buffer was seen, in bytes.
    pub ring_high_water: Option<u64>,
    /// Run time of the BPF programs, if the kernel counts it (`kernel.bpf_stats_enabled`).
    pub programs: Option<Vec<ProgramCost>>,
}

/// One BPF program's run time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProgramCost {
    /// The probe's name.
    pub name: String,
    /// How often it ran.
    pub runs: u64,
    /// For how long in all, in nanoseconds.
    pub ns: u64,
}
