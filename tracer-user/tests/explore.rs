//! `unlazy explore`: what it finds is a recording like any other.

#![expect(
    clippy::expect_used,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

mod program;

use std::process::{Command, Stdio};

use program::unlazy;

/// 2 CPUs, 2 threads of A, a kernel thread that takes A, a call.
const SMALL: [&str; 10] =
    ["explore", "--cpus", "2", "--threads", "2", "--others", "0", "--flushes", "0", "--json"];

#[test]
fn the_hole_is_found_written_and_judged_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let trace = dir.path().join("hole.mcap");
    let trace = trace.to_str().expect("a name");
    for rule in ["R1", "R2"] {
        let found = unlazy(&[&SMALL[..], &["-", "--rule", rule, "-o", trace]].concat());
        assert_eq!(found.status.code(), Some(1), "{}", String::from_utf8_lossy(&found.stderr));
        let explored: serde_json::Value =
            serde_json::from_slice(&found.stdout).expect("JSON and nothing else");
        assert_eq!(explored["schema"], "unlazy.explore/1");
        assert_eq!(explored["exhausted"], true);
        let judged = unlazy(&["report", trace, "--json"]);
        assert_eq!(judged.status.code(), Some(1), "{}", String::from_utf8_lossy(&judged.stderr));
        let report: serde_json::Value = serde_json::from_slice(&judged.stdout).expect("a report");
        let findings = report["findings"].as_array().expect("findings");
        assert!(findings.iter().any(|found| found["rule"] == rule), "{findings:?}");
        assert_eq!(report["events"]["lost"]["total"], 0);
    }
    let explained = unlazy(&["explain", trace]);
    assert!(
        String::from_utf8_lossy(&explained.stdout).contains("SYNC_CORE call and 2 findings"),
        "{}",
        String::from_utf8_lossy(&explained.stdout)
    );
}

#[test]
fn exit_codes() {
    let clean = unlazy(&[&SMALL[..9], &["--exclude", "kthread_use_mm"]].concat());
    assert_eq!(clean.status.code(), Some(0), "{}", String::from_utf8_lossy(&clean.stdout));
    let cut = unlazy(&[&SMALL[..9], &["--exclude", "kthread_use_mm", "--memory", "10K"]].concat());
    assert_eq!(cut.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&cut.stdout).contains("SPACE NOT EXHAUSTED"));
    assert_eq!(unlazy(&["explore", "--protocol", "linux-0.01"]).status.code(), Some(2));
    assert_eq!(unlazy(&["explore", "--cpus", "9"]).status.code(), Some(2));
}

/// Whoever reads may stop reading at any time.
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    for (args, code) in [(&["explore", "--list"][..], 0), (&SMALL[..SMALL.len() - 1], 1)] {
        let mut explore = Command::new(env!("CARGO_BIN_EXE_unlazy"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unlazy starts");
        drop(explore.stdout.take());
        let output = explore.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(code), ""), "{args:?}");
    }
}

#[test]
fn a_dropped_guard_is_caught() {
    let dropped = unlazy(&["explore", "--mutants", "finish-sync,unlazy-mb", "--json", "-"]);
    assert_eq!(dropped.status.code(), Some(0), "{}", String::from_utf8_lossy(&dropped.stderr));
    let hunted: serde_json::Value =
        serde_json::from_slice(&dropped.stdout).expect("JSON and nothing else");
    assert_eq!(hunted["schema"], "unlazy.mutants/1");
    let found = hunted["mutants"].as_array().expect("mutants");
    let by: Vec<_> = found.iter().filter_map(|one| one["by"].as_str()).collect();
    assert_eq!(by, ["breaks R1", "breaks R3"]);
    assert_eq!(unlazy(&["explore", "--mutants", "no-such-guard"]).status.code(), Some(2));
}
