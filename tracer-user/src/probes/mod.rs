//! Probes: which there are, which of them this kernel can have, and how they get there.
//!
//! ```text
//! table (what we want) + btf (what the kernel is) -> plan -> loader (what it allows) -> rings
//! ```

pub mod btf;
pub mod loader;
pub mod object;
pub mod plan;
pub mod privileges;
pub mod rings;
pub mod table;

mod counters;
mod log;
mod percpu;
mod program;
mod refusal;
mod slot;
mod verifier;

pub use counters::{CpuCounters, LOST_KINDS, Missed, ProgramTime};
pub use loader::{LoadError, Options, Probes};
pub use percpu::{PerCpu, Symbols};
pub use refusal::reason;
pub use slot::{ProbeState, State, SyncSite};
pub use verifier::Verifier;

/// What the probes can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Tracepoints alone.
    Tracepoint,
    /// Also functions, per-CPU variables and instructions.
    Full,
}
