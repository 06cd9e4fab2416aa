//! The live TUI: screens of a machine's address spaces, live or recorded, and time to go back in.
//!
//! ```text
//! Machine (live | recording) -> Snapshot -> view (a function of snapshot and state) -> terminal
//!                ^                                                                        |
//!                +--------- State <- Command <- the table of commands <- keys, mouse -----+
//! ```

pub mod machine;
pub mod snapshot;
