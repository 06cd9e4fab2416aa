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
mod refusal;

pub use counters::{CpuCounters, LOST_KINDS, Missed};
pub use loader::{LoadError, Options, ProbeState, Probes, State};
pub use refusal::reason;
