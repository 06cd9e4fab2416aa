//! unlazy's library: where events come from, what judges them, and how results are shown.

pub mod commands;
pub mod probes;
pub mod report;
pub mod source;
pub mod stress;
