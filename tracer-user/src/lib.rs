//! unlazy's library: where events come from, what judges them, and how results are shown.

pub mod audit;
pub mod child;
pub mod commands;
pub mod conform;
pub mod engine;
pub mod exit;
pub mod explain;
pub mod explore;
pub mod export;
pub mod filter;
pub mod import;
pub mod instance;
pub mod judge;
pub mod kernel;
pub mod output;
pub mod probes;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod session;
pub mod source;
pub mod stream;
pub mod stress;
pub mod timeline;
pub mod trace;
pub mod tui;
