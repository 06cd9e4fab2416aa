//! Bad conditions: a message with a remedy, the right code, and nothing left behind.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{UNLAZY, check, machine, nothing_found, run};

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_second_instance_is_told_who_the_first_is() {
    let _machine = machine();
    let mut first = check(&["--for", "1h"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unlazy starts");
    let mut line = String::new();
    BufReader::new(first.stderr.take().expect("piped")).read_line(&mut line).expect("readable");
    assert!(line.contains("tracing"), "{line}");
    run(&mut check(&["--for", "1s"]))
        .refused(&[&format!("pid {}", first.id()), "wait for it to end"]);
    // The second one took nothing away from the first.
    assert!(first.try_wait().expect("waitable").is_none());
    kill_process(Pid::from_child(&first), Signal::INT).expect("a signal");
    assert!(matches!(first.wait().expect("an end").code(), Some(0 | 3)));
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_command_that_cannot_run() {
    let machine = machine();
    let json = machine.file("report.json");
    run(&mut check(&["--json", &json, "--", "no-such-program"]))
        .refused(&["no-such-program", "check the name"]);
    run(&mut check(&["--", "/no/such/program"])).refused(&["/no/such/program", "give its path"]);
    let plain = machine.file("plain");
    fs::write(&plain, "echo no\n").expect("a file");
    run(&mut check(&["--", &plain])).refused(&[&plain, "chmod +x"]);
    let orphan = machine.file("orphan");
    fs::write(&orphan, "#!/no/such/interpreter\n").expect("a file");
    fs::set_permissions(&orphan, fs::Permissions::from_mode(0o755)).expect("executable");
    run(&mut check(&["--", &orphan])).refused(&[&orphan, "interpreter"]);
    run(&mut check(&["--", ""])).refused(&["no program"]);
    // A refused run writes no report.
    assert!(!fs::exists(&json).expect("a directory"));
    let left: Vec<_> = fs::read_dir(machine.dir.path()).expect("a directory").flatten().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_place_that_cannot_be_written_is_refused_before_the_run() {
    let machine = machine();
    let dir = machine.dir.path().display().to_string();
    for place in ["/no/such/dir/report.json", "/proc/report.json", &dir] {
        let ran = run(&mut check(&["--json", place, "--", "touch", &machine.file("ran")]));
        ran.refused(&[place]);
        let ran = run(&mut check(&["--junit", place, "--", "touch", &machine.file("ran")]));
        ran.refused(&[place]);
    }
    assert!(!fs::exists(machine.file("ran")).expect("a directory"), "it ran all the same");
    // Not readable, not writable, but there: its contents stay.
    let ran = run(&mut check(&["--json", "-", "--junit", "-"]));
    ran.refused(&["standard output"]);
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_full_disk_costs_the_file_and_not_the_report() {
    let machine = machine();
    // In a mount namespace of its own: nobody else sees the small disk.
    let script = "\
        mount -t tmpfs -o size=4k none \"$1\" && echo precious > \"$1/old.json\" && shift && \
        \"$@\" ; code=$?; cat \"$D/old.json\" >&2; ls -A \"$D\" | tr '\\n' ' ' >&2; exit $code";
    let dir = machine.file("disk");
    fs::create_dir(&dir).expect("a directory");
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", script, "sh", &dir, UNLAZY, "check", "--for", "50ms", "--json"]);
    command.arg(format!("{dir}/old.json")).env("D", &dir).env_remove("SUDO_UID");
    let ran = run(&mut command);
    ran.refused(&["old.json", "No space left on device"]);
    assert!(ran.out.contains("tracepoint mode"), "the text is printed all the same: {ran}");
    // What was there before is there still, and nothing half-written beside it.
    assert!(ran.err.contains("precious\nold.json "), "{ran}");
    assert!(!ran.err.contains(".unlazy-"), "{ran}");

    let ran = run(&mut check(&["--for", "50ms", "--json", "/dev/full"]));
    ran.refused(&["/dev/full", "No space left on device"]);
    assert!(ran.out.contains("tracepoint mode"), "{ran}");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_reader_that_goes_away_is_no_error_and_a_full_stdout_is_one() {
    let _machine = machine();
    // The shell's own code is that of unlazy (pipefail is not everywhere).
    let script = "{ \"$0\" check --for 50ms; echo $? >&3; } 3>&2 2>/dev/null | true";
    let ran = run(Command::new("sh").args(["-c", script, UNLAZY]).env_remove("SUDO_UID"));
    assert!(["0", "3"].contains(&ran.err.trim()), "{ran}");
    // Closed from the start: Rust's runtime opens /dev/null there, and the file is written.
    let script = "exec \"$0\" check --for 50ms >&-";
    let ran = run(Command::new("sh").args(["-c", script, UNLAZY]).env_remove("SUDO_UID"));
    assert!(matches!(ran.code, Some(0 | 2 | 3)), "{ran}");
    ran.calm();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let child = check(&["--for", "50ms"])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .expect("unlazy starts");
    let output = child.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("tracepoint mode"), "the report is saved to stderr: {said}");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn not_root_is_told_what_to_do_and_can_still_run_the_workload() {
    let machine = machine();
    // Where it was built, a home directory may be closed to others.
    let program = machine.file("unlazy");
    fs::copy(UNLAZY, &program).expect("a copy");
    let nobody = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(args).uid(65534).gid(65534).current_dir("/").stdin(Stdio::null());
        run(&mut command)
    };
    for args in [&["check"][..], &["check", "--", "true"], &["check", "--json"]] {
        let ran = nobody(args);
        ran.refused(&["root", "sudo"]);
        assert!(ran.out.is_empty(), "{ran}");
    }
    let doctor = nobody(&["doctor"]);
    assert_eq!(doctor.code, Some(2), "{doctor}");
    assert!(doctor.out.contains("sudo unlazy doctor"), "{doctor}");
    let doctor = nobody(&["doctor", "--json"]);
    assert_eq!(doctor.code, Some(2));
    assert_eq!(doctor.json()["modes"]["tracepoint"]["ok"], false);
    let stress = nobody(&["stress", "--scenario", "sync-core", "--calls", "50", "--json"]);
    assert_eq!(stress.code, Some(0), "{stress}");
    assert_eq!(stress.json()["calls"]["sync_core"], 50);
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn small_buffers_lose_events_and_say_so() {
    let machine = machine();
    let json = machine.file("report.json");
    // The reader is stopped for a moment, so that the smallest buffers overflow.
    let script = format!(
        "{UNLAZY} stress --for 2s >/dev/null & sleep 0.3; kill -STOP $PPID; sleep 1; \
         kill -CONT $PPID; wait"
    );
    let ran = run(&mut check(&["--buffer", "1", "--json", &json, "--", "sh", "-c", &script]));
    assert_eq!(ran.code, Some(3), "{ran}");
    let report = crate::support::read(json);
    nothing_found(&report);
    assert_eq!(report["verdict"], "inconclusive");
    let lost = &report["events"]["lost"];
    let by_cpu: u64 =
        lost["by_cpu"].as_array().expect("CPUs").iter().filter_map(serde_json::Value::as_u64).sum();
    assert!(by_cpu > 0, "{lost:#}");
    assert_eq!(lost["total"], by_cpu);
    assert!(ran.out.contains("--buffer"), "{ran}");
}
