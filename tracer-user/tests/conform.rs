//! `unlazy conform`: recordings of real kernels are behaviours of the abstract one; those of kernels
//! with planted bugs are not, but with the bug.

#![expect(
    clippy::expect_used,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

mod program;

use program::unlazy;
use serde_json::Value;

fn golden(name: &str) -> String {
    format!("{}/tests/data/golden/{name}.mcap", env!("CARGO_MANIFEST_DIR"))
}

/// What it comes to: the exit code, and the JSON.
fn conforms(args: &[&str]) -> (i32, Value) {
    let done = unlazy(&[&["conform"], args, &["--json"]].concat());
    let json = serde_json::from_slice(&done.stdout).expect("JSON and nothing else");
    (done.status.code().expect("an exit code"), json)
}

/// The hole is a behaviour of the protocol, too: that is what is wrong with it.
#[test]
fn real_kernels_conform() {
    for name in ["stock", "control", "hole", "hole-control", "live"] {
        let (code, json) = conforms(&[&golden(name)]);
        assert_eq!(code, 0, "{name}: {json:#}");
        assert_eq!(json["verdict"], "conforms");
        let count = |key: &str| json[key].as_u64().expect("a number");
        assert!(count("matched_total") > 1_000, "{name}: {json:#}");
        assert!(json["unknown"]["events"].as_u64() < Some(count("matched_total") / 10));
    }
}

#[test]
fn planted_bugs_diverge_and_conform_to_themselves() {
    let seen = [
        "caller-skip",
        "cpumask-late",
        "exec-norq",
        "ipi-mb",
        "lazy-nosync",
        "reg-skip",
        "rq-stale",
        "switching-ignored",
        "switching-late",
        "unlazy-noflush",
        "unlazy-nogen",
        "use-norq",
    ];
    for name in seen {
        let (code, json) = conforms(&[&golden(name)]);
        assert_eq!((code, &json["verdict"]), (1, &Value::from("diverges")), "{name}");
        let first = &json["divergences"][0];
        assert!(first["observed"].is_string() && first["cpu"].is_u64(), "{first:#}");
        let (code, json) = conforms(&[&golden(name), "--bug", name]);
        assert_eq!(code, 0, "{name} with itself: {:#}", json["divergences"]);
        assert_eq!(json["bugs"], Value::from(vec![name]));
    }
}

/// A bug is no other one; and a kernel without it does not do what one with it would (where it
/// came to that: in `stock` no CPU came back to an mm that had been flushed meanwhile).
#[test]
fn bugs_are_told_apart() {
    for (name, bug) in
        [("unlazy-nogen", "rq-stale"), ("cpumask-late", "unlazy-nogen"), ("stock", "rq-stale")]
    {
        let (code, json) = conforms(&[&golden(name), "--bug", bug]);
        assert_eq!(code, 1, "{name} with {bug}: {json:#}");
    }
}

/// References to mms are left out: this bug is not seen.
#[test]
fn what_is_left_out_is_not_seen() {
    let (code, json) = conforms(&[&golden("lazy-drop")]);
    assert_eq!(code, 0, "{json:#}");
}

/// Flushes are followed where probes tell of them, and named where none does.
#[test]
fn flushes_are_followed_or_named() {
    for (name, followed) in [("cpumask-late", true), ("stock", true), ("live", false)] {
        let (_, json) = conforms(&[&golden(name)]);
        let flushes = json["flushes"]["total"].as_u64().expect("a number");
        assert_eq!(flushes > 50, followed, "{name}: {:#}", json["flushes"]);
        let left = json["left_out"].as_array().expect("a list");
        let named = left.iter().any(|left| left["what"] == "whom a flush interrupts");
        assert!(followed || named, "{name}: {left:#?}");
    }
}

#[test]
fn what_explore_writes_conforms_to_its_protocol() {
    let dir = tempfile::tempdir().expect("a directory");
    let trace = dir.path().join("hole.mcap");
    let trace = trace.to_str().expect("a name");
    let small = ["explore", "--cpus", "2", "--threads", "2", "--others", "0", "--flushes", "0"];
    assert_eq!(unlazy(&[&small[..], &["-o", trace]].concat()).status.code(), Some(1));
    let (code, json) = conforms(&[trace]);
    assert_eq!((code, &json["protocol"]), (0, &Value::from("linux-6.12")), "{json:#}");
    let (code, json) = conforms(&[trace, "--protocol", "linux-6.12-repaired"]);
    assert_eq!(code, 1, "the repaired kernel has no such hole: {json:#}");
}

#[test]
fn usage() {
    let trace = golden("stock");
    for args in [
        ["conform", &trace, "--bug", "nobody"],
        ["conform", &trace, "--protocol", "linux-0.01"],
        ["conform", "nowhere.mcap", "--protocol", "linux-6.12"],
    ] {
        let done = unlazy(&args);
        assert_eq!(done.status.code(), Some(2), "{}", String::from_utf8_lossy(&done.stdout));
    }
    let text = unlazy(&["conform", &golden("unlazy-nogen")]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.starts_with("diverges: linux-6.12\n"), "{text}");
    assert!(text.contains("the abstract kernel could"), "{text}");
}
