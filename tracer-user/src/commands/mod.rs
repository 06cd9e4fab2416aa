//! The commands: one file each, arguments and all.

pub mod stress;
