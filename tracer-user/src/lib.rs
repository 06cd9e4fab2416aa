//! unlazy's library: where events come from, what judges them, and how results are shown.

pub mod child;
pub mod engine;
pub mod commands;
pub mod exit;
pub mod instance;
pub mod kernel;
pub mod output;
pub mod progress;
pub mod report;
pub mod probes;
pub mod report;
pub mod source;
pub mod stress;
