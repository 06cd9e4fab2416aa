//! An abstract kernel, searched exhaustively.
//!
//! ```text
//! state      what there is: CPUs with store buffers, tasks, an mm
//! setup      who is there, and how often what may happen
//! protocol   who serializes where; bug: what is wrong on top
//! guard      what the protocol rests on; mutant: each of it dropped in turn
//! kernel     what may happen next, and what then changes (steps: step)
//! tell       what unlazy's probes would see of it
//! search     every order of steps, breadth first, each state once
//! conform    whether what a real kernel did is among them
//! ```
#![forbid(unsafe_code)]

pub mod bug;
pub mod conform;
pub mod guard;
pub mod judge;
pub mod kernel;
pub mod mutant;
pub mod path;
pub mod protocol;
pub mod rules;
pub mod search;
pub mod setup;
pub mod state;
pub mod step;
pub mod tell;
