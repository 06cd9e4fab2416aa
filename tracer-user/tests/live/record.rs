//! Recordings of this machine: judged as it was, whatever happens to whoever writes them.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{
    Machine, Ran, UNLAZY, check, clean, machine, nothing_found, number, read, run, until,
};

/// The workload, for so long.
fn stress(time: &str) -> [&str; 5] {
    ["--", UNLAZY, "stress", "--for", time]
}

/// `unlazy record` into this file.
fn record(file: &str, args: &[&str]) -> Command {
    let mut command = Command::new(UNLAZY);
    command.args(["record", "-o", file]).args(args).stdin(Stdio::null());
    command
}

/// `unlazy report` on these files: what it says as JSON, and its exit code.
fn report(files: &[String]) -> (Value, Option<i32>) {
    let ran = run(Command::new(UNLAZY).arg("report").args(files).args(["--json", "-"]));
    ran.calm();
    (ran.json(), ran.code)
}

/// The files of a recording that was rotated or cut, in order.
fn parts(machine: &Machine) -> Vec<String> {
    let mut files: Vec<_> = fs::read_dir(machine.dir.path())
        .expect("a directory")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "mcap"))
        .map(|path| path.display().to_string())
        .collect();
    files.sort();
    files
}

fn size(file: &str) -> u64 {
    fs::metadata(file).map_or(0, |meta| meta.len())
}

/// Waits until a recording has something to read, and lets the workload go on a little.
fn until_written(file: &str, bytes: u64) {
    until("something is written", || size(file) > bytes);
}

/// The workload, until it is told to end.
fn endless_load() -> Child {
    Command::new(UNLAZY)
        .args(["stress", "--for", "1h"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts")
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("a signal");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_recording_is_judged_as_the_run_was() {
    let machine = machine();
    let (trace, live) = (machine.file("t.mcap"), machine.file("live.json"));
    let mut args = vec!["--record", &trace, "--json", &live];
    args.extend(stress("2s"));
    let ran = run(&mut check(&args));
    assert_eq!(ran.code, Some(0), "{ran}");
    let (recorded, code) = report(&[trace]);
    assert_eq!(code, Some(0));
    clean(&recorded);
    assert!(number(&recorded, "/events/total") > 10_000, "{:#}", recorded["events"]);
    assert_eq!(recorded, read(live), "every key");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn killed_it_leaves_what_it_had() {
    let machine = machine();
    let trace = machine.file("t.mcap");
    let mut recorder =
        record(&trace, &["--for", "1h"]).stderr(Stdio::null()).spawn().expect("unlazy starts");
    let mut load = endless_load();
    until_written(&trace, 1 << 20);
    recorder.kill().expect("a signal");
    recorder.wait().expect("an end");
    signal(&load, Signal::TERM);
    load.wait().expect("an end");
    let (recorded, code) = report(&[trace]);
    assert_eq!(code, Some(3));
    nothing_found(&recorded);
    assert!(number(&recorded, "/events/total") > 50_000, "{:#}", recorded["events"]);
    assert_eq!(number(&recorded, "/events/lost/total"), 0, "{:#}", recorded["events"]);
    let because = recorded["because"].to_string();
    assert!(because.contains("has no end"), "{because}");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn the_parts_of_a_run_are_one_run() {
    let machine = machine();
    let trace = machine.file("t.mcap");
    let mut args = vec!["--rotate", "256K,500ms"];
    args.extend(stress("3s"));
    let ran = run(&mut record(&trace, &args));
    assert_eq!(ran.code, Some(0), "{ran}");
    let files = parts(&machine);
    assert!(files.len() > 3, "{files:?}");
    let mut shuffled = files.clone();
    shuffled.reverse();
    let (whole, code) = report(&shuffled);
    assert_eq!(code, Some(0), "{:#}", whole["because"]);
    clean(&whole);
    // One of them alone begins in the middle, which is no loss.
    let (middle, code) = report(&files[2..3]);
    assert_eq!(code, Some(3), "it has no end");
    nothing_found(&middle);
    assert_eq!(number(&middle, "/events/lost/total"), 0, "{:#}", middle["events"]);
    // One that is missing is a loss.
    let (holed, code) = report(&[&files[..1], &files[2..]].concat());
    assert_eq!(code, Some(3));
    nothing_found(&holed);
    assert!(number(&holed, "/events/lost/total") > 0, "{:#}", holed["events"]);
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_flight_recorder_writes_when_asked_and_at_the_end() {
    let machine = machine();
    let trace = machine.file("t.mcap");
    let mut recorder = record(&trace, &["--last", "1s", "--for", "1h"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("unlazy starts");
    let mut load = endless_load();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(parts(&machine), Vec::<String>::new(), "nobody asked");
    signal(&recorder, Signal::USR1);
    until("it is written", || parts(&machine).len() == 1);
    std::thread::sleep(Duration::from_secs(1));
    signal(&recorder, Signal::TERM);
    let ended = recorder.wait().expect("an end");
    signal(&load, Signal::TERM);
    load.wait().expect("an end");
    assert_eq!(ended.code(), Some(0));
    let files = parts(&machine);
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        let (recorded, _) = report(&[file]);
        nothing_found(&recorded);
        assert_eq!(number(&recorded, "/events/lost/total"), 0, "{:#}", recorded["events"]);
        let seconds = number(&recorded, "/duration_ns") as f64 / 1e9;
        assert!((0.2..2.0).contains(&seconds), "{seconds} s");
    }
}

/// A file system with little room.
struct Small(String);

impl Small {
    fn mount(machine: &Machine) -> Self {
        let dir = machine.file("small");
        fs::create_dir(&dir).expect("a directory");
        let mut mount = Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", "size=1M", "none", &dir]).status();
        assert!(done.expect("mount").success());
        Self(dir)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_full_disk_is_told_and_what_was_written_is_readable() {
    let machine = machine();
    let small = Small::mount(&machine);
    let trace = format!("{}/t.mcap", small.0);
    let ran = run(&mut record(&trace, &stress("3s")));
    ran.refused(&["No space left", "make room"]);
    assert!(ran.err.contains("what finds no room is dropped"), "{ran}");
    let (recorded, code) = report(&[trace]);
    assert_eq!(code, Some(3));
    nothing_found(&recorded);
    assert!(number(&recorded, "/events/total") > 10_000, "{:#}", recorded["events"]);
}

/// Room that comes back in time: what was dropped meanwhile is a gap, and the rest is there.
#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_disk_that_has_room_again_goes_on_after_a_gap() {
    let machine = machine();
    let small = Small::mount(&machine);
    let trace = format!("{}/t.mcap", small.0);
    let ballast = format!("{}/ballast", small.0);
    fs::write(&ballast, vec![1; 700 << 10]).expect("room for it");
    let recorder = record(&trace, &stress("1h"))
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("unlazy starts");
    until("it is full", || size(&trace) > 250 << 10);
    // The queue takes some seconds of it before anything is dropped.
    std::thread::sleep(Duration::from_secs(8));
    let mut more = Command::new("mount");
    let done = more.args(["-o", "remount,size=1G", &small.0]).status();
    assert!(done.expect("mount").success());
    fs::remove_file(&ballast).expect("it is there");
    until_written(&trace, 2 << 20);
    signal(&recorder, Signal::TERM);
    let ran = Ran::from(recorder.wait_with_output().expect("an end"));
    ran.calm();
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.err.contains("writing again"), "{ran}");
    let (recorded, code) = report(&[trace]);
    assert_eq!(code, Some(3));
    nothing_found(&recorded);
    assert!(number(&recorded, "/events/lost/total") > 0, "{:#}", recorded["events"]);
    let because = recorded["because"].to_string();
    assert!(because.contains("could not be written in time"), "{because}");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn as_a_service_it_says_how_it_is_and_keeps_two_privileges() {
    let machine = machine();
    let (trace, socket) = (machine.file("t.mcap"), machine.file("notify"));
    let notify = UnixDatagram::bind(&socket).expect("a socket");
    notify.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let next = || {
        let mut text = [0; 256];
        let len = notify.recv(&mut text).expect("a word from it");
        String::from_utf8_lossy(&text[..len]).into_owned()
    };
    let mut recorder = record(&trace, &["--daemon", "--rotate", "1h"])
        .env("NOTIFY_SOCKET", &socket)
        .stderr(Stdio::null())
        .spawn()
        .expect("unlazy starts");
    assert!(next().contains("READY=1"));
    let status = fs::read_to_string(format!("/proc/{}/status", recorder.id())).expect("alive");
    // CAP_PERFMON and CAP_BPF
    assert!(status.contains("CapEff:\t000000c000000000"), "{status}");
    assert!(status.contains("CapPrm:\t000000c000000000"), "{status}");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    signal(&recorder, Signal::HUP);
    assert!(next().contains("RELOADING=1"));
    assert!(next().contains("READY=1"));
    until("another file is begun", || parts(&machine).len() == 2);
    signal(&recorder, Signal::TERM);
    assert!(next().contains("STOPPING=1"));
    assert_eq!(recorder.wait().expect("an end").code(), Some(0));
    let (recorded, _) = report(&parts(&machine));
    nothing_found(&recorded);
    assert_eq!(number(&recorded, "/events/lost/total"), 0, "{:#}", recorded["events"]);
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn an_older_recording_of_that_name_is_kept() {
    let machine = machine();
    let trace = machine.file("t.mcap");
    fs::write(&trace, "mine").expect("a file");
    let ran = run(&mut record(&trace, &["--for", "200ms"]));
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(fs::read_to_string(format!("{trace}.old")).expect("kept"), "mine");
    assert!(Path::new(&trace).exists());
    record_is_refused(&machine.file("no/such/folder.mcap"));
    record_is_refused(machine.dir.path().to_str().expect("a path"));
}

fn record_is_refused(file: &str) {
    run(&mut record(file, &["--for", "200ms"])).refused(&["-o"]);
}
