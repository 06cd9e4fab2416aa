//! The report's numbers against the workload's own and the kernel's.

use std::{collections::BTreeSet, fs, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{
    UNLAZY, check, clean, machine, nothing_found, number, read, rule, run, until,
};

/// What the workload's processes did, as the report has it, by the pid that the workload names;
/// and what everybody else did.
fn by_pid(report: &Value, pid: u64, command: &str) -> u64 {
    let mms = report["mms"].as_array().expect("mms");
    let of_pid = mms.iter().filter(|mm| mm["tgid"] == pid);
    of_pid.map(|mm| number(mm, &format!("/membarrier/{command}"))).sum()
}

/// SYNC_CORE calls of processes that are none of the workload's.
fn foreign(report: &Value, ours: &BTreeSet<u64>) -> u64 {
    let mms = report["mms"].as_array().expect("mms").iter();
    let theirs = mms.filter(|mm| mm["tgid"].as_u64().is_none_or(|tgid| !ours.contains(&tgid)));
    theirs.map(|mm| number(mm, "/membarrier/sync_core")).sum()
}

/// The pids that the workload names.
fn pids(stress: &Value) -> BTreeSet<u64> {
    let rows = stress["by_process"].as_array().expect("rows").iter();
    rows.filter_map(|row| row["pid"].as_u64()).collect()
}

/// Every kind of call, by process and in all.
fn agrees(report: &Value, stress: &Value) {
    let ours = pids(stress);
    assert!(!ours.is_empty(), "{stress:#}");
    for row in stress["by_process"].as_array().expect("rows") {
        let pid = number(row, "/pid");
        for command in ["sync_core", "private", "rseq", "failed"] {
            let (seen, made) = (by_pid(report, pid, command), number(row, &format!("/{command}")));
            assert_eq!(seen, made, "{command} of pid {pid}");
        }
        let made = number(row, "/global") + number(row, "/global_expedited");
        assert_eq!(by_pid(report, pid, "global"), made, "global of pid {pid}");
        let register = ["sync_core", "private", "global_expedited", "rseq"];
        let made: u64 = register.iter().map(|kind| number(row, &format!("/register/{kind}"))).sum();
        assert_eq!(by_pid(report, pid, "register"), made, "register of pid {pid}");
    }
    // Nothing is counted twice, and nothing falls between two mms.
    let others = foreign(report, &ours);
    let total = number(report, "/membarrier/sync_core");
    assert_eq!(total - others, number(stress, "/calls/sync_core"), "others made {others}");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn ten_thousand_calls_are_ten_thousand_calls() {
    let machine = machine();
    let (report, stress) = (machine.file("report.json"), machine.file("stress.json"));
    let ran = run(&mut check(
        &[
            ["--json", &report, "--", UNLAZY, "stress"].as_slice(),
            &["--scenario", "sync-core", "--calls", "10000", "--json", &stress],
        ]
        .concat(),
    ));
    assert_eq!(ran.code, Some(0), "{ran}");
    let (report, stress) = (read(report), read(stress));
    clean(&report);
    assert_eq!(number(&stress, "/calls/sync_core"), 10_000);
    agrees(&report, &stress);
    assert_eq!(number(&report, "/membarrier/sync_core_inferred"), 0);
    for id in ["R1", "R2", "R7"] {
        assert!(number(rule(&report, id), "/checked") > 1000, "{:#}", rule(&report, id));
    }
    for id in ["R3", "R4", "R5", "R6"] {
        assert_eq!(rule(&report, id)["checked"], 0);
        assert_eq!(rule(&report, id)["why"], "needs full mode");
    }
    assert_eq!(report["command"]["exit_code"], 0);
}

/// `/proc/stat`'s count of context switches.
fn ctxt() -> u64 {
    let stat = fs::read_to_string("/proc/stat").expect("/proc/stat");
    let line = stat.lines().find_map(|line| line.strip_prefix("ctxt ")).expect("ctxt");
    line.trim().parse().expect("a number")
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn everything_at_once_is_clean_and_the_switches_are_the_kernels() {
    let machine = machine();
    let (report, stress) = (machine.file("report.json"), machine.file("stress.json"));
    let before = ctxt();
    let ran = run(&mut check(&[
        "--json", &report, "--", UNLAZY, "stress", "--for", "10s", "--json", &stress,
    ]));
    let around = ctxt() - before;
    assert_eq!(ran.code, Some(0), "{ran}");
    let (report, stress) = (read(report), read(stress));
    clean(&report);
    for id in ["R1", "R2"] {
        let rule = rule(&report, id);
        let (checked, open) = (number(rule, "/checked"), number(rule, "/inconclusive"));
        assert!(checked > 1000, "{rule:#}");
        assert!(open * 1000 < checked + open, "{rule:#}");
    }
    let divergences = &rule(&report, "R7")["divergences"];
    assert!(divergences.as_object().is_some_and(serde_json::Map::is_empty), "{divergences:#}");

    let switches = number(&report, "/transitions/switches");
    let kernels = number(&report, "/crosscheck/proc_stat_ctxt");
    assert!(switches.abs_diff(kernels) * 200 <= kernels, "{switches} of {kernels}");
    // Ours is read before unlazy starts and after it ended: the window lies within.
    assert!(switches <= around + around / 200, "{switches} of {around}");
    assert!(switches * 10 > around * 7, "{switches} of {around}: where is the rest?");
    // The workload says what its own threads did in the same time.
    assert!(switches > number(&stress, "/context_switches") / 2, "{stress:#}");
    let total = number(&report, "/membarrier/sync_core");
    assert!(total >= number(&stress, "/calls/sync_core"), "{total}: {:#}", stress["calls"]);
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_workload_that_starts_in_mid_window_is_counted_once() {
    let _machine = machine();
    let mut tracer = check(&["--for", "4s", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unlazy starts");
    // It says so when the window is open.
    let mut says = std::io::BufReader::new(tracer.stderr.take().expect("piped"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut says, &mut line).expect("readable");
    assert!(line.contains("tracing for 4s"), "{line}");
    let stress = std::process::Command::new(UNLAZY)
        .args(["stress", "--scenario", "sync-core", "--calls", "3000", "--rate", "6000", "--json"])
        .output()
        .expect("the workload runs");
    assert!(
        tracer.try_wait().expect("waitable").is_none(),
        "the workload took longer than the window: this machine is too busy for this test"
    );
    let stress: Value = serde_json::from_slice(&stress.stdout).expect("JSON");
    let output = tracer.wait_with_output().expect("an end");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    nothing_found(&report);
    assert_eq!(number(&report, "/events/lost/total"), 0);
    let ours = pids(&stress);
    let total = number(&report, "/membarrier/sync_core") - foreign(&report, &ours);
    assert_eq!(total, 3000, "{:#}", report["membarrier"]);
    // What came before system calls were traced is inferred, or was not missed; what could not be
    // judged for it says so.
    let r2 = rule(&report, "R2");
    let reasons = r2["inconclusive_by"].as_object().expect("reasons");
    let sum: u64 = reasons.values().filter_map(Value::as_u64).sum();
    assert_eq!(sum, number(r2, "/inconclusive"), "{r2:#}");
    if number(&report, "/membarrier/sync_core_inferred") > 0 {
        assert!(reasons.keys().any(|why| why.contains("system call")), "{r2:#}");
    }
    assert!(number(&report, "/syscall_coverage/attached_ns") > 0);
    assert!(
        number(&report, "/syscall_coverage/attached_ns")
            < number(&report, "/syscall_coverage/window_ns")
    );
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn what_waits_in_the_buffers_as_the_window_closes_is_not_lost() {
    let _machine = machine();
    let mut tracer = check(&["--for", "1h", "--buffer", "64MiB", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unlazy starts");
    let mut says = std::io::BufReader::new(tracer.stderr.take().expect("piped"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut says, &mut line).expect("readable");
    assert!(line.contains("tracing"), "{line}");
    // Stopped in the middle of its work, it finds much more than a sweep takes when it wakes up.
    let pid = Pid::from_child(&tracer);
    kill_process(pid, Signal::STOP).expect("a signal");
    let before = ctxt();
    let mut stress = std::process::Command::new(UNLAZY)
        .args(["stress", "--for", "1h", "--json", "/dev/null"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the workload starts");
    until("the kernel has switched often", || ctxt() - before > 60_000);
    kill_process(pid, Signal::TERM).expect("a signal");
    kill_process(pid, Signal::CONT).expect("a signal");
    let output = tracer.wait_with_output().expect("an end");
    // Only now: it went on as the window closed.
    kill_process(Pid::from_child(&stress), Signal::TERM).expect("a signal");
    stress.wait().expect("an end");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    nothing_found(&report);
    assert!(number(&report, "/overhead/ring_high_water") > 2 << 20, "{:#}", report["overhead"]);
    assert_eq!(number(&report, "/events/lost/total"), 0, "{:#}", report["events"]["lost"]);
    let switches = number(&report, "/transitions/switches");
    let kernels = number(&report, "/crosscheck/proc_stat_ctxt");
    assert!(switches.abs_diff(kernels) * 200 <= kernels, "{switches} of {kernels}");
    assert!(switches >= 60_000);
}
