//! Everything a developer of unlazy types.

fn main() {}
