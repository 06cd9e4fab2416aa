//! What the command line offers, one file or folder for each command.

pub mod doctor;
