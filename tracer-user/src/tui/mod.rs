//! The live TUI: screens of a machine's address spaces, live or recorded, and time to go back in.
//!
//! ```text
//! Machine (live | recording) -> Snapshot -> view (a function of snapshot and state) -> terminal
//!                ^                                                                        |
//!                +--------- App <- Command <- the table of commands <- keys, mouse -------+
//! ```

pub mod app;
mod base64;
pub mod command;
pub mod config;
pub mod heap;
pub mod keys;
pub mod machine;
mod outlet;
pub mod picture;
pub mod snapshot;
pub mod state;
mod subjects;
pub mod terminal;
pub mod theme;
pub mod view;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
