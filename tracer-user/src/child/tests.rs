//! With real children. What needs root says so and is left out without it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use super::*;

/// Long enough that only a real hang gets there.
const PATIENCE: Duration = Duration::from_secs(60);

fn argv(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn environ(vars: &[(&str, &str)]) -> Environ {
    let mut environ = Environ::current();
    for &(name, value) in vars {
        environ.set(name, value);
    }
    environ
}

fn prepare_sh(script: &str, vars: &[(&str, &str)]) -> Prepared {
    let start = Start::capture();
    let argv = argv(&["sh", "-c", script]);
    prepare_in(&argv, &Identity::default(), &start, Stdout::Ours, environ(vars)).expect("a shell")
}

fn finish(prepared: Prepared) -> Ended {
    let mut running = prepared.release().expect("executable");
    running.wait_timeout(PATIENCE).expect("waitable").expect("it ends")
}

/// A directory that any user can write to.
fn open_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("set");
    dir
}

/// Runs `script` with `$OUT` and returns what it wrote there.
fn output(script: &str, vars: &[(&str, &str)]) -> String {
    let dir = open_dir();
    let out = dir.path().join("out");
    let name = out.display().to_string();
    let vars = [vars, &[("OUT", name.as_str())]].concat();
    assert_eq!(finish(prepare_sh(script, &vars)), Ended::Code(0), "{script}");
    fs::read_to_string(&out).expect("it wrote")
}

fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("left out: needs root");
    }
    root
}

const SUDO_NOBODY: [(&str, &str); 4] = [
    ("SUDO_UID", "65534"),
    ("SUDO_GID", "65534"),
    ("SUDO_USER", "nobody"),
    ("SUDO_COMMAND", "unlazy check"),
];

#[test]
fn the_exit_code_is_passed_on() {
    for code in [0, 1, 7, 255] {
        let ended = finish(prepare_sh(&format!("exit {code}"), &[]));
        assert_eq!((ended.code(), ended.signal()), (Some(code), None));
    }
}

#[test]
fn a_killed_command_says_by_what() {
    assert_eq!(finish(prepare_sh("kill -9 $$", &[])), Ended::Signal(9));
}

#[test]
fn the_gate_holds_until_it_is_opened() {
    let dir = open_dir();
    let mark = dir.path().join("mark");
    let name = mark.display().to_string();
    let prepared = prepare_sh(": >\"$MARK\"", &[("MARK", &name)]);
    // It sleeps in the gate's read, still as us.
    let proc = PathBuf::from(format!("/proc/{}", prepared.pid()));
    let state = || fs::read_to_string(proc.join("stat")).expect("it exists");
    while !state().rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" S")) {
        std::thread::yield_now();
    }
    let exe = |at: &Path| fs::read_link(at.join("exe")).expect("it exists");
    assert_eq!(exe(&proc), exe(Path::new("/proc/self")));
    assert!(!mark.exists());
    assert_eq!(finish(prepared), Ended::Code(0));
    assert!(mark.exists());
}

#[test]
fn a_command_that_is_not_released_is_gone() {
    let prepared = prepare_sh("exit 1", &[]);
    let proc = PathBuf::from(format!("/proc/{}", prepared.pid()));
    assert!(proc.exists());
    drop(prepared);
    assert!(!proc.exists());
}

#[test]
fn what_cannot_run_is_an_error_before_the_gate() {
    let dir = open_dir();
    let script = dir.path().join("script");
    fs::write(&script, "#!/bin/sh\nexit 0\n").expect("written");
    let try_it = |program: &str| {
        let start = Start::capture();
        prepare(&argv(&[program]), &Identity::default(), &start, Stdout::Ours).map(drop)
    };
    let script = script.display().to_string();
    assert!(matches!(try_it("no-such-program-anywhere"), Err(ChildError::NotFound { .. })));
    assert!(matches!(try_it("/no/such/program"), Err(ChildError::NotFound { .. })));
    assert!(matches!(try_it(""), Err(ChildError::NotFound { .. })));
    assert!(matches!(try_it(&script), Err(ChildError::NotExecutable { .. })));
    assert!(matches!(try_it("/"), Err(ChildError::NotExecutable { .. })));
    assert!(matches!(try_it("a\0b"), Err(ChildError::Nul { .. })));
    let start = Start::capture();
    assert!(matches!(
        prepare(&[], &Identity::default(), &start, Stdout::Ours),
        Err(ChildError::Empty)
    ));
}

#[test]
fn what_the_kernel_refuses_is_an_error_with_a_reason() {
    let dir = open_dir();
    let script = dir.path().join("script");
    fs::write(&script, "#!/no/such/interpreter\n").expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("set");
    let argv = [script.into_os_string()];
    let prepared =
        prepare(&argv, &Identity::default(), &Start::capture(), Stdout::Ours).expect("it is there");
    let err = prepared.release().expect_err("no interpreter");
    assert!(err.to_string().contains("interpreter"), "{err}");
}

#[test]
fn a_script_without_a_first_line_is_the_shells() {
    let dir = open_dir();
    let script = dir.path().join("script");
    fs::write(&script, "exit $1\n").expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("set");
    let argv = [script.into_os_string(), "9".into()];
    let prepared =
        prepare(&argv, &Identity::default(), &Start::capture(), Stdout::Ours).expect("it is there");
    assert_eq!(finish(prepared), Ended::Code(9));
}

#[test]
fn only_the_standard_descriptors_are_passed_on() {
    // Without close-on-exec, some high, some low.
    let leaky: Vec<_> =
        (0..20).map(|_| rustix::io::dup(std::io::stdin()).expect("a descriptor")).collect();
    let listed = output("exec ls /proc/self/fd >\"$OUT\"", &[]);
    drop(leaky);
    let fds: Vec<_> = listed.split_whitespace().collect();
    // 3 is the directory that ls reads.
    assert_eq!(fds, ["0", "1", "2", "3"]);
}

#[test]
fn signals_are_as_for_a_fresh_process() {
    let status = output("exec cat /proc/self/status >\"$OUT\"", &[]);
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        u64::from_str_radix(line.trim(), 16).expect("hexadecimal")
    };
    let start = Start::capture();
    // This process ignores SIGPIPE; the command must not.
    assert_eq!(set("SigIgn:") & 1 << (libc::SIGPIPE - 1), 0);
    assert_eq!(set("SigIgn:"), start.ignored());
    assert_eq!(set("SigBlk:"), start.blocked());
    assert_eq!(set("SigCgt:"), 0);
}

#[test]
fn sigpipe_ends_the_command_as_usual() {
    // A shell's exit code for a command that SIGPIPE ended is 128 + 13.
    let code = output("(yes; echo $? >\"$OUT\") | head -c 1 >/dev/null", &[]);
    assert_eq!(code.trim(), "141");
}

#[test]
fn under_sudo_it_runs_as_the_user_who_called_it() {
    if !root() {
        return;
    }
    let script = "{ id -u; id -g; id -G; id -ru; } >\"$OUT\"";
    let ids = output(script, &SUDO_NOBODY);
    assert_eq!(ids.split_whitespace().collect::<Vec<_>>(), ["65534"; 4]);

    let vars = output("env >\"$OUT\"", &SUDO_NOBODY);
    assert!(vars.lines().any(|line| line == "USER=nobody"), "{vars}");
    assert!(vars.lines().any(|line| line == "LOGNAME=nobody"), "{vars}");
    assert!(!vars.contains("SUDO_"), "{vars}");

    let status = output("cat /proc/self/status >\"$OUT\"", &SUDO_NOBODY);
    for name in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line");
        assert!(line.ends_with("\t0000000000000000"), "{line}");
    }
    assert!(status.contains("NoNewPrivs:\t0"));
}

#[test]
fn without_sudo_or_when_told_so_nothing_changes() {
    if !root() {
        return;
    }
    assert_eq!(output("id -u >\"$OUT\"", &[]).trim(), "0");
    let dir = open_dir();
    let out = dir.path().join("out").display().to_string();
    let vars = [&SUDO_NOBODY[..], &[("OUT", out.as_str())]].concat();
    let argv = argv(&["sh", "-c", "id -u >\"$OUT\""]);
    let run = |identity: &Identity| {
        let prepared = prepare_in(&argv, identity, &Start::capture(), Stdout::Ours, environ(&vars));
        assert_eq!(finish(prepared.expect("a shell")), Ended::Code(0));
        let wrote = fs::read_to_string(&out).expect("it wrote").trim().to_owned();
        fs::remove_file(&out).expect("so that the next user can make it");
        wrote
    };
    assert_eq!(run(&Identity::AsRoot), "0");
    assert_eq!(run(&Identity::User("65534".to_owned())), "65534");
}

#[test]
fn the_program_is_looked_for_as_the_user() {
    if !root() {
        return;
    }
    let dir = open_dir();
    let script = dir.path().join("script");
    fs::write(&script, "#!/bin/sh\n").expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).expect("set");
    let argv = [script.into_os_string()];
    let start = Start::capture();
    let err = prepare_in(&argv, &Identity::Invoking, &start, Stdout::Ours, environ(&SUDO_NOBODY));
    let err = err.expect_err("it is root's alone");
    assert!(matches!(&err, ChildError::NotExecutable { who, .. } if who == "nobody"), "{err}");
    prepare_in(&argv, &Identity::AsRoot, &start, Stdout::Ours, environ(&SUDO_NOBODY))
        .expect("root may");
}

#[test]
fn a_closed_directory_in_path_does_not_hide_that_there_is_no_such_program() {
    if !root() {
        return;
    }
    let dir = open_dir();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("set");
    let closed = dir.path().display().to_string();
    let path = format!("{closed}:/usr/bin:/bin");
    let vars = [&SUDO_NOBODY[..], &[("PATH", path.as_str())]].concat();
    let try_it = |program: &str| {
        let start = Start::capture();
        prepare_in(&argv(&[program]), &Identity::Invoking, &start, Stdout::Ours, environ(&vars))
            .map(drop)
    };
    assert!(matches!(try_it("no-such-program"), Err(ChildError::NotFound { .. })));
    let inside = format!("{closed}/program");
    assert!(matches!(try_it(&inside), Err(ChildError::NotExecutable { .. })));
    try_it("true").expect("in a directory behind it");
}

#[test]
fn what_the_tracer_changed_about_itself_is_restored() {
    // A thread of its own, so that affinity and niceness end with it.
    let check = || {
        let start = Start::capture();
        let old = getrlimit(Resource::Nofile);
        let lower = old.current.map_or(1000, |soft| soft - 1);
        let mine = sched_getaffinity(None).expect("readable");
        let mut one = CpuSet::new();
        one.set((0..CpuSet::MAX_CPU).find(|&cpu| mine.is_set(cpu)).expect("a CPU"));

        setrlimit(Resource::Nofile, Rlimit { current: Some(lower), ..old }).expect("lowered");
        sched_setaffinity(None, &one).expect("ours");
        rustix::process::setpriority_process(None, 7).expect("nicer");

        let dir = open_dir();
        let out = dir.path().join("out").display().to_string();
        let script = "{ ulimit -n; nice; grep Cpus_allowed: /proc/self/status; } >\"$OUT\"";
        let argv = argv(&["sh", "-c", script]);
        let run = |start: &Start| {
            let vars = environ(&[("OUT", &out)]);
            let prepared = prepare_in(&argv, &Identity::Invoking, start, Stdout::Ours, vars);
            assert_eq!(finish(prepared.expect("a shell")), Ended::Code(0));
            fs::read_to_string(&out).expect("it wrote")
        };
        // Started like this, it is handed on like this: the test sees what it changed.
        let changed = run(&Start::capture());
        let restored = root().then(|| run(&start));
        setrlimit(Resource::Nofile, old).expect("raised again");

        assert!(changed.contains(&format!("{lower}\n7\n")), "{changed}");
        if let Some(restored) = restored {
            let soft = old.current.map_or("unlimited".to_owned(), |soft| soft.to_string());
            assert!(restored.starts_with(&format!("{soft}\n0\n")), "{restored}");
            let cpus = |text: &str| text.lines().last().map(str::to_owned);
            assert_eq!(mine.count() > 1, cpus(&restored) != cpus(&changed), "{restored}");
        }
    };
    std::thread::spawn(check).join().expect("all as it should be");
}

#[test]
fn it_can_be_waited_for_and_ended() {
    let mut running = prepare_sh("exec sleep 1000", &[]).release().expect("executable");
    assert_eq!(running.try_wait().expect("waitable"), None);
    assert_eq!(running.wait_timeout(Duration::from_millis(1)).expect("waitable"), None);
    assert!(running.signal(0).is_err() && running.signal(1000).is_err());
    running.signal(libc::SIGTERM).expect("sent");
    let ready = poll(&mut [PollFd::new(&running.pidfd(), PollFlags::IN)], None);
    assert_eq!(ready, Ok(1));
    assert_eq!(running.try_wait().expect("waitable"), Some(Ended::Signal(libc::SIGTERM)));
    // It stays so, and a signal now goes nowhere.
    assert_eq!(running.wait().expect("known"), Ended::Signal(libc::SIGTERM));
    running.kill().expect("nobody there");
}

#[test]
fn a_command_beside_a_screen_has_no_part_in_the_terminal() {
    let dir = open_dir();
    let out = dir.path().join("out");
    let script = "for fd in 0 1 2; do readlink /proc/self/fd/$fd; done > \"$OUT\"";
    // The redirection is the script's own; what its descriptors were shows in the second line only
    // before it, so each is asked of the shell itself.
    let script = script.replace("/proc/self/", "/proc/$$/");
    let argv = argv(&["sh", "-c", &format!("{{ {script}; }}")]);
    let vars = [("OUT", out.to_str().expect("a name")), ("PATH", "/usr/bin:/bin")];
    let start = Start::capture();
    let prepared = prepare_in(&argv, &Identity::default(), &start, Stdout::Nowhere, environ(&vars));
    assert_eq!(finish(prepared.expect("a shell")), Ended::Code(0));
    let text = fs::read_to_string(&out).expect("its output");
    assert_eq!(text.lines().filter(|line| *line == "/dev/null").count(), 2, "{text}");
}
