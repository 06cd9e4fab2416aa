//! The workload as users run it: exact counts, every scenario alive, and an orderly end whatever
//! happens to it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

/// Those that run by default: all but the ones that need a kernel module.
const SCENARIOS: [&str; 11] = [
    "sync-core",
    "jit",
    "lazy",
    "shootdown",
    "procs",
    "migrate",
    "siblings",
    "register",
    "preempt",
    "switch-flush",
    "lazy-flush",
];
/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program, with these arguments before all others.
fn unlazy(first: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unlazy"));
    command.arg(first);
    command
}

/// The command under test.
fn stress() -> Command {
    unlazy("stress")
}

fn output(args: &[&str]) -> (Output, Value) {
    let output = stress().args(args).arg("--json").output().expect("unlazy stress runs");
    // With --json, standard output is JSON and nothing else.
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{args:?}: {error}\n{}", String::from_utf8_lossy(&output.stderr))
    });
    (output, json)
}

fn number(json: &Value, path: &str) -> u64 {
    json.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {json:#}"))
}

/// The sum over processes of their SYNC_CORE calls.
fn by_process(json: &Value) -> u64 {
    let rows = json["by_process"].as_array().expect("rows");
    rows.iter().map(|row| number(row, "/sync_core")).sum()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The children of a process, by the kernel's own list.
fn children(pid: u32) -> Vec<Pid> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let list = list.unwrap_or_default();
    list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// A child that has come so far as to bear its scenario's name.
fn named(pid: Pid, name: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_pid()))
        .is_ok_and(|comm| comm.trim_end() == name)
}

/// A run that ends with the test, even if that fails.
struct Endless(Option<Child>);

impl Endless {
    fn child(&self) -> &Child {
        self.0.as_ref().expect("a run that was not awaited")
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.child())
    }

    /// Sends a signal and waits for the end.
    fn end_by(mut self, signal: Signal) -> Output {
        kill_process(self.pid(), signal).expect("a signal");
        self.0.take().expect("a run").wait_with_output().expect("an end")
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a run without an end and waits until its scenarios are under way.
fn endless(scenarios: &[&str]) -> (Endless, Vec<Pid>) {
    let mut command = stress();
    let child = command
        .args(["--for", "1h", "--json", "--scenario", &scenarios.join(",")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unlazy stress starts");
    let child = Endless(Some(child));
    let mut pids = Vec::new();
    until("every scenario runs", || {
        pids = children(child.pid().as_raw_pid().unsigned_abs());
        pids.len() == scenarios.len()
            && pids.iter().zip(scenarios).all(|(&pid, name)| named(pid, &format!("ul-{name}")))
    });
    (child, pids)
}

#[test]
fn each_scenario_alone_makes_exactly_the_calls_asked_for_and_does_its_work() {
    for (name, work) in [
        ("sync-core", &["spins", "sleeps", "pipe_rounds", "futex_rounds", "eventfd_rounds"][..]),
        ("jit", &["executions", "fresh_executions", "patched_in_place", "rewritten"]),
        ("lazy", &["sleeps", "kernel_thread_runs"]),
        ("shootdown", &["discards", "protects", "unmaps", "reads"]),
        ("procs", &["forked", "execed", "exited", "vforks", "thread_exits", "thread_execs"]),
        ("migrate", &["moves", "spins", "sleeps"]),
        ("siblings", &["siblings", "exited", "spins"]),
        ("register", &["forked", "exited", "execed", "mid_flight", "refused"]),
        ("preempt", &["spins", "sleeps", "preemptions"]),
        ("switch-flush", &["forked", "exited", "pipe_rounds", "discards", "reads"]),
        ("lazy-flush", &["discards", "unmaps", "reads", "sleeps"]),
    ] {
        let (output, json) = output(&["--scenario", name, "--calls", "701", "--rate", "1500"]);
        assert!(output.status.success(), "{name}: {json:#}");
        assert_eq!(number(&json, "/calls/sync_core"), 701, "{name}");
        assert_eq!(by_process(&json), 701, "{name}");
        assert_eq!(json["scenarios"][0]["name"], name);
        for count in work {
            assert!(number(&json, &format!("/scenarios/0/counts/{count}")) > 0, "{name}: {count}");
        }
        for count in ["stale", "garbled", "stale_reads", "child_failures"] {
            let pointer = format!("/scenarios/0/counts/{count}");
            assert_eq!(json.pointer(&pointer).map_or(0, |n| n.as_u64().unwrap_or(1)), 0, "{count}");
        }
        let unregistered =
            if name == "register" { number(&json, "/scenarios/0/counts/refused") } else { 0 };
        assert_eq!(number(&json, "/calls/failed"), unregistered, "{name}");
        assert_eq!(
            number(&json, "/processes/forked"),
            number(&json, "/processes/exited"),
            "{name}"
        );
        assert!(number(&json, "/context_switches") > 0);
    }
}

#[test]
fn a_storm_of_ten_thousand_calls_is_exact() {
    let (output, json) =
        output(&["--scenario", "sync-core", "--calls", "10000", "--rate", "1000000"]);
    assert!(output.status.success());
    assert_eq!(number(&json, "/calls/sync_core"), 10_000);
}

#[test]
fn all_scenarios_together_on_one_cpu() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // The program inherits this thread's affinity.
            let all = rustix::thread::sched_getaffinity(None).expect("an affinity");
            let cpu =
                (0..rustix::thread::CpuSet::MAX_CPU).find(|&cpu| all.is_set(cpu)).expect("a CPU");
            let mut one = rustix::thread::CpuSet::new();
            one.set(cpu);
            rustix::thread::sched_setaffinity(None, &one).expect("one CPU");
            let (output, json) = output(&["--calls", "100", "--rate", "400"]);
            assert!(output.status.success(), "{json:#}");
            assert_eq!(number(&json, "/calls/sync_core"), 100 * SCENARIOS.len() as u64);
            let jit = json["scenarios"].as_array().expect("scenarios").iter();
            assert_eq!(jit.filter(|s| s["sync_core"] == 100).count(), SCENARIOS.len());
        });
    });
}

#[test]
fn an_interrupted_run_still_reports() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (child, pids) = endless(&["sync-core", "procs"]);
        let output = child.end_by(signal);
        assert!(output.status.success(), "{signal:?}: {output:?}");
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(json["interrupted"], true);
        assert!(number(&json, "/duration_ns") < 3_600_000_000_000);
        assert!(pids.iter().all(|&pid| test_kill_process(pid).is_err()));
    }
}

#[test]
fn no_child_outlives_a_killed_parent() {
    let (child, mut pids) = endless(&SCENARIOS);
    for pid in pids.clone() {
        pids.extend(children(pid.as_raw_pid().unsigned_abs()));
    }
    child.end_by(Signal::KILL);
    for pid in pids {
        // Whoever adopts them may leave them as zombies; those have no executable.
        let exe = format!("/proc/{}/exe", pid.as_raw_pid());
        until("its children are gone", || std::fs::read_link(&exe).is_err());
    }
}

#[test]
fn a_crashed_scenario_is_reported_and_harms_no_other() {
    let (child, pids) = endless(&["sync-core", "jit"]);
    // Not SIGSEGV: Rust's handler takes one that is only sent for a false alarm.
    kill_process(pids[0], Signal::ABORT).expect("a crash");
    let parent = child.pid().as_raw_pid().unsigned_abs();
    until("the crash has been seen", || children(parent).len() == 1);
    let output = child.end_by(Signal::INT);
    assert_eq!(output.status.code(), Some(2));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let error = json["scenarios"][0]["error"].as_str().expect("an error");
    assert!(error.contains("signal 6"), "{error}");
    assert_eq!(json["scenarios"][1]["error"], Value::Null);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("scenario sync-core failed"), "{stderr}");
}

#[test]
fn killing_inside_is_told_apart_from_the_exact_counts() {
    let (output, json) = output(&["--scenario", "procs", "--kill-inside", "--for", "2s"]);
    assert!(output.status.success(), "{json:#}");
    let begun = number(&json, "/scenarios/0/counts/inside_begun");
    let returned = number(&json, "/scenarios/0/counts/inside_returned");
    assert!(begun > 0);
    assert_eq!(number(&json, "/calls/uncertain"), begun - returned);
}

#[test]
fn bad_usage_ends_with_2_and_a_reason() {
    for (args, reason) in [
        (&["--for", "0"][..], "such as 10s"),
        (&["--for", "0s"], "such as 10s"),
        (&["--scenario", "nope"], "sync-core"),
        (&["--calls", "0"], "--calls"),
        (&["--json", "/nonexistent/out.json"], "/nonexistent/out.json"),
    ] {
        let output = stress().args(args).output().expect("unlazy stress runs");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(reason), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_scenario_that_needs_the_module_says_so_and_what_to_do() {
    if std::path::Path::new("/dev/unlazy_hole").exists() {
        return;
    }
    for name in ["hole", "hole-control"] {
        let (output, json) = output(&["--scenario", name, "--for", "1h"]);
        assert_eq!(output.status.code(), Some(2), "{name}: {json:#}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        if std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1) {
            assert!(stderr.contains("/dev/unlazy_hole"), "{stderr}");
            assert!(stderr.contains("cargo xtask hole"), "{stderr}");
        } else {
            assert!(stderr.contains("two CPUs"), "{stderr}");
        }
    }
}

#[test]
fn the_hidden_argument_alone_does_nothing() {
    for args in [&[][..], &["{}"]] {
        let output = unlazy("__stress-child").args(args).output().expect("unlazy stress runs");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}
