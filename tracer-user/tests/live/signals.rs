//! Signals at any moment: always an end, always in order, never anything left.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Stdio},
    thread::sleep,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Machine, Ran, alive, check, machine, until};

/// Moments after the start, in milliseconds: dense where much happens.
const MOMENTS: &[u64] =
    &[0, 1, 2, 4, 7, 11, 16, 25, 40, 60, 90, 130, 170, 210, 260, 320, 400, 500, 700, 1000];

/// Starts a run that would last an hour, with or without a command that would too.
fn start(machine: &Machine, with_command: bool) -> (Child, String) {
    let (json, pid_file) = (machine.file("report.json"), machine.file("pid"));
    let _ = fs::remove_file(&json);
    let _ = fs::remove_file(&pid_file);
    let script = format!("echo $$ > {pid_file}; exec sleep 3600");
    let mut args = vec!["--for", "1h", "--json", &json];
    if with_command {
        args.extend(["--", "sh", "-c", &script]);
    }
    let child =
        check(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("unlazy starts");
    (child, pid_file)
}

/// What must hold after any such run.
fn in_order(machine: &Machine, child: Child, signal: Signal, pid_file: &str, moment: &str) {
    let output = child.wait_with_output().expect("an end");
    let killed = output.status.signal();
    let ran = Ran::from(output);
    ran.calm();
    let report = fs::read_to_string(machine.file("report.json")).ok();
    match ran.code {
        // The window had opened: there is a report, whole, here and there.
        Some(0 | 3) => {
            assert!(ran.out.contains("tracepoint mode"), "{moment}: {ran}");
            let report: serde_json::Value =
                serde_json::from_str(&report.expect("a report")).expect("JSON");
            crate::support::nothing_found(&report);
        }
        // It had not: a word about it, and no report.
        Some(2) => {
            assert!(ran.err.contains("before the window opened"), "{moment}: {ran}");
            assert_eq!((report, ran.out.as_str()), (None, ""), "{moment}");
        }
        // It had not even begun to watch for signals.
        None => {
            assert_eq!(killed, Some(signal.as_raw()), "{moment}: {ran}");
            assert_eq!((report, ran.out.as_str()), (None, ""), "{moment}");
        }
        _ => panic!("{moment}: {ran}"),
    }
    let left = fs::read_dir(machine.dir.path()).expect("a directory").flatten();
    let left: Vec<_> = left.filter(|file| file.file_name() != "pid").collect();
    assert!(left.iter().all(|file| file.file_name() == "report.json"), "{moment}: {left:?}");
    // If the command ever ran, it ends soon.
    if let Some(pid) = fs::read_to_string(pid_file).ok().and_then(|pid| pid.trim().parse().ok()) {
        until("the command is gone", || !alive(pid));
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_signal_at_any_moment_ends_it_in_order() {
    let machine = machine();
    let signals = [Signal::INT, Signal::TERM, Signal::HUP];
    for (turn, &moment) in MOMENTS.iter().enumerate() {
        for with_command in [false, true] {
            let signal = signals[(turn + usize::from(with_command)) % signals.len()];
            let (child, pid_file) = start(&machine, with_command);
            sleep(Duration::from_millis(moment));
            kill_process(Pid::from_child(&child), signal).expect("a signal");
            let moment = format!("{signal:?} after {moment} ms, command: {with_command}");
            in_order(&machine, child, signal, &pid_file, &moment);
        }
    }
    machine.nothing_left();
}

/// Waits until it says that it traces.
fn until_tracing(child: &mut Child) {
    use std::io::{BufRead as _, BufReader};
    let mut line = String::new();
    let stderr = child.stderr.as_mut().expect("piped");
    BufReader::with_capacity(1, stderr).read_line(&mut line).expect("readable");
    assert!(line.contains("tracing"), "{line}");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn once_the_window_is_open_every_signal_brings_a_report() {
    let machine = machine();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        for with_command in [false, true] {
            let (mut child, pid_file) = start(&machine, with_command);
            until_tracing(&mut child);
            kill_process(Pid::from_child(&child), signal).expect("a signal");
            let output = child.wait_with_output().expect("an end");
            assert!(matches!(output.status.code(), Some(0 | 3)), "{}", Ran::from(output));
            let report = crate::support::read(machine.file("report.json"));
            crate::support::nothing_found(&report);
            if let Ok(pid) = fs::read_to_string(&pid_file) {
                let pid = pid.trim().parse().expect("a pid");
                until("the command is gone", || !alive(pid));
            }
        }
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn killed_at_any_moment_it_leaves_nothing_in_the_kernel() {
    let machine = machine();
    for &moment in &[0, 5, 30, 100, 200, 400, 800] {
        let (mut child, pid_file) = start(&machine, moment % 20 == 0);
        sleep(Duration::from_millis(moment));
        child.kill().expect("a signal");
        child.wait().expect("an end");
        machine.nothing_left();
        // The command is the user's and goes on; here nobody else will end it.
        if let Some(pid) = fs::read_to_string(pid_file).ok().and_then(|p| p.trim().parse().ok()) {
            let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
        }
        // What it was about to write is all that it may have left.
        for file in fs::read_dir(machine.dir.path()).expect("a directory").flatten() {
            fs::remove_file(file.path()).expect("a file");
        }
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn under_nohup_it_outlives_the_terminal() {
    let machine = machine();
    let json = machine.file("report.json");
    let mut child = std::process::Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh", crate::support::UNLAZY, "check"])
        .args(["--for", "1500ms", "--json", &json])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unlazy starts");
    until_tracing(&mut child);
    kill_process(Pid::from_child(&child), Signal::HUP).expect("a signal");
    assert!(matches!(child.wait().expect("an end").code(), Some(0 | 3)));
    let report = crate::support::read(json);
    assert!(crate::support::number(&report, "/duration_ns") >= 1_500_000_000);
}
