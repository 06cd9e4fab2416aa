//! As whom a command runs, and what it gets.

use crate::support::{Ran, check, machine, run};

/// Prints who it is, what it may and what it has open.
const PORTRAIT: &str = "\
    grep -E '^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapAmb|SigIgn|SigBlk|NoNewPrivs):' /proc/self/status; \
    ls -l /proc/self/fd | grep -cE 'bpf|ring|lock|pipe:' ; \
    chrt -p $$ 2>/dev/null; nice; env | grep -c '^SUDO_'; echo HOME=$HOME; true";

/// A line of the portrait, its fields parted by single blanks.
fn line(ran: &Ran, name: &str) -> String {
    let line = ran.out.lines().find(|line| line.starts_with(name));
    line.unwrap_or_else(|| panic!("no {name} in {ran}"))
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn portrait(machine: &crate::support::Machine, args: &[&str], sudo: bool) -> Ran {
    let json = machine.file("report.json");
    let mut words = vec!["--json", json.as_str()];
    words.extend(args);
    words.extend(["--", "sh", "-c", PORTRAIT]);
    let mut command = check(&words);
    command.current_dir("/");
    if sudo {
        command.env("SUDO_UID", "65534").env("SUDO_GID", "65534").env("SUDO_USER", "nobody");
    }
    let ran = run(&mut command);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran}");
    ran
}

/// The ignored signals of a status file, without 32 and 33: `posix_spawn`
/// (`sysdeps/unix/sysv/linux/spawni.c`) ignores the C library's own for whatever it starts, us
/// included.
fn ignored(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    Some(u64::from_str_radix(line.trim(), 16).ok()? & !(0b11 << 31))
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn under_sudo_it_runs_as_who_called_sudo_with_nothing_of_ours() {
    let machine = machine();
    // Whoever started the tests may ignore signals, as a shell does for what runs behind it.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    for (args, sudo) in
        [(&[][..], true), (&["--user", "nobody"], false), (&["--user", "65534"], true)]
    {
        let ran = portrait(&machine, args, sudo);
        assert_eq!(line(&ran, "Uid:"), "Uid: 65534 65534 65534 65534", "{args:?}");
        assert_eq!(line(&ran, "Gid:"), "Gid: 65534 65534 65534 65534", "{args:?}");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(line(&ran, set), format!("{set} 0000000000000000"), "{args:?}");
        }
        assert_eq!(line(&ran, "NoNewPrivs:"), "NoNewPrivs: 0");
        // Rust ignores SIGPIPE for itself, and not for what it starts.
        let ours = ignored(&status).map(|set| set & !(1 << 12));
        assert!(ours.is_some());
        assert_eq!(ignored(&ran.out), ours, "{args:?}: more or less than we ignore");
        assert_eq!(line(&ran, "SigBlk:"), "SigBlk: 0000000000000000");
        assert!(!line(&ran, "HOME=").contains("/root"), "{ran}");
        let counts: Vec<&str> = ran
            .out
            .lines()
            .filter(|line| !line.is_empty() && line.chars().all(|c| c.is_ascii_digit()))
            .collect();
        // Descriptors of ours (ls's own pipe and the shell's are 2), nice, and sudo's variables.
        assert_eq!(counts.get(1..), Some(&["0", "0"][..]), "{ran}");
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn root_only_if_asked_for() {
    let machine = machine();
    let ran = portrait(&machine, &["--as-root"], true);
    assert_eq!(line(&ran, "Uid:"), "Uid: 0 0 0 0");
    // Nobody called sudo: we are who we are.
    let ran = portrait(&machine, &[], false);
    assert_eq!(line(&ran, "Uid:"), "Uid: 0 0 0 0");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn no_descriptor_of_ours_reaches_it() {
    let _machine = machine();
    // Only the three standard ones, and the directory that is being listed.
    let ran = run(&mut check(&["--", "ls", "/proc/self/fd"]));
    let numbers: Vec<&str> = ran.out.lines().take_while(|line| line.len() < 3).collect();
    assert_eq!(numbers, ["0", "1", "2", "3"], "{ran}");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_user_that_does_not_exist_is_refused_before_anything_starts() {
    let _machine = machine();
    run(&mut check(&["--user", "no-such-user", "--", "true"])).refused(&["no-such-user", "getent"]);
    run(check(&["--", "true"]).env("SUDO_UID", "x")).refused(&["SUDO_UID", "--as-root"]);
    run(&mut check(&["--user", "nobody"])).refused(&["CMD"]);
}
