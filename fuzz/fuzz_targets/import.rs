//! Any file as another tool's trace. Begin from the samples:
//! `cargo +nightly fuzz run import ../tracer-user/tests/data/import`
#![no_main]

use std::{fs, path::PathBuf};

use libfuzzer_sys::fuzz_target;
use unlazy::{
    import::import,
    judge::recorded,
    report::Verdict,
    trace::{self, Range},
};

fuzz_target!(|bytes: &[u8]| {
    let path = |what: &str| {
        PathBuf::from(format!("/dev/shm/unlazy-fuzz-{what}-{}", std::process::id()))
    };
    let (from, to) = (path("from"), path("to"));
    if fs::write(&from, bytes).is_err() || import(&from, None, &to).is_err() {
        return;
    }
    // What was imported can be read; and as no such trace tells everything, none is clean.
    let part = trace::open(&to).expect("our own file");
    let judged = recorded::judge(&[part], Range::default()).expect("our own file");
    assert_ne!(judged.report.verdict, Verdict::Clean);
});
