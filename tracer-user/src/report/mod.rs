//! The report: what a run found, as data, as JSON, as text and as `JUnit`.
//!
//! [`Report`] is the contract `unlazy.report/1`. Numbers are integers, unknown is `null`, and an
//! mm is its `ctx_id` (never reused, unlike the pointer). Keys may be added, never renamed.

mod filtered;
mod json;
mod junit;
mod run;
mod schema;
mod state;
pub mod text;
mod text_audit;
mod verdict;

pub use filtered::Filtered;
pub use json::write_json;
pub use junit::write_junit;
pub use run::{
    Attach, Blindness, Command, CrossCheck, Events, Kernel, Lost, Overhead, Probe, SyscallCoverage,
    Window,
};
pub use schema::{Mode, Report, SCHEMA, Verdict};
pub use state::{
    Cpu, INIT_MM, LastSync, Membarrier, MembarrierTotal, Mm, NO_MM, Skipped, Transitions,
    UserReturns,
};
pub use text_audit::{Promised, TextAudit};
pub use verdict::{ChainLink, Evidence, EvidenceMix, Finding, Reason, Rule, Severity};
