//! The `unlazy` command.

fn main() {}
