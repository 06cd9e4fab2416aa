//! Any file, read and judged. Begin from the golden traces:
//! `cargo +nightly fuzz run trace ../tracer-user/tests/data/golden`
#![no_main]

use std::{fs, path::PathBuf};

use libfuzzer_sys::fuzz_target;
use unlazy::{
    judge::recorded,
    trace::{self, Range},
};

fuzz_target!(|bytes: &[u8]| {
    // One file for each process: they may run side by side.
    let path = PathBuf::from(format!("/dev/shm/unlazy-fuzz-trace-{}", std::process::id()));
    if fs::write(&path, bytes).is_err() {
        return;
    }
    if let Ok(part) = trace::open(&path) {
        let _ = recorded::judge(&[part], Range::default());
    }
});
