//! Windows of odd length, and commands that behave oddly.

use crate::support::{alive, check, machine, nothing_found, number, run, until};

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_command_that_ends_at_once_has_a_window_of_its_own() {
    let _machine = machine();
    let ran = run(&mut check(&["--json", "-", "--", "true"]));
    let report = ran.json();
    nothing_found(&report);
    assert_eq!(report["command"]["argv"], serde_json::json!(["true"]));
    assert_eq!(report["command"]["exit_code"], 0);
    assert_eq!(report["command"]["signal"], serde_json::Value::Null);
    // The command's exec is in the window: it was held back until the window was open.
    assert!(number(&report, "/events/by_kind/sched_process_exec") >= 1, "{:#}", report["events"]);
    assert!(number(&report, "/duration_ns") < 5_000_000_000);
    let code = if report["verdict"] == "clean" { 0 } else { 3 };
    assert_eq!(ran.code, Some(code), "{ran}");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn how_a_command_ended_is_told_and_does_not_change_the_verdict() {
    let _machine = machine();
    for (script, exit_code, signal) in
        [("exit 7", Some(7), None), ("kill -KILL $$", None, Some(9)), ("kill $$", None, Some(15))]
    {
        let ran = run(&mut check(&["--json", "--", "sh", "-c", script]));
        let report = ran.json();
        nothing_found(&report);
        assert_eq!(report["command"]["exit_code"], serde_json::json!(exit_code), "{script}");
        assert_eq!(report["command"]["signal"], serde_json::json!(signal), "{script}");
        assert!(matches!(ran.code, Some(0 | 3)), "{script}: {ran}");
    }
    let ran = run(&mut check(&["--", "sh", "-c", "exit 7"]));
    assert!(ran.out.contains("exit code 7"), "{ran}");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_command_may_leave_a_daemon_behind() {
    let machine = machine();
    let pid_file = machine.file("pid");
    let script = format!("setsid sleep 600 >/dev/null 2>&1 </dev/null & echo $! > {pid_file}");
    let ran = run(&mut check(&["--json", "--", "sh", "-c", &script]));
    let report = ran.json();
    nothing_found(&report);
    assert_eq!(report["command"]["exit_code"], 0);
    // It is the user's; it was not waited for, and not ended.
    assert!(number(&report, "/duration_ns") < 60_000_000_000);
    let pid: u32 = std::fs::read_to_string(pid_file).expect("a pid").trim().parse().expect("a pid");
    assert!(alive(pid));
    let daemon = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
    rustix::process::kill_process(daemon, rustix::process::Signal::KILL).expect("ours to end");
    until("the daemon is gone", || !alive(pid));
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn the_shortest_windows_are_judged_too() {
    let _machine = machine();
    for time in ["1ms", "1us", "9ms", "1ns"] {
        let ran = run(&mut check(&["--for", time, "--json"]));
        let report = ran.json();
        nothing_found(&report);
        assert!(matches!(ran.code, Some(0 | 3)), "{time}: {ran}");
        assert_eq!(ran.code == Some(0), report["verdict"] == "clean", "{time}");
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_time_limit_ends_a_command_that_does_not() {
    let machine = machine();
    let pid_file = machine.file("pid");
    let script = format!("echo $$ > {pid_file}; exec sleep 600");
    let ran = run(&mut check(&["--for", "300ms", "--json", "--", "sh", "-c", &script]));
    let report = ran.json();
    nothing_found(&report);
    // It still ran when the window closed.
    assert_eq!(report["command"]["exit_code"], serde_json::Value::Null);
    assert_eq!(report["command"]["signal"], serde_json::Value::Null);
    assert!(ran.err.contains("to end"), "{ran}");
    let pid: u32 = std::fs::read_to_string(pid_file).expect("a pid").trim().parse().expect("a pid");
    until("the command is gone", || !alive(pid));
}
