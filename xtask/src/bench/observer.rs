//! What may watch a loop: how each is attached, and proof that it did watch.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::fifo::{Fifo, Folder};
use super::session::Session;
use super::tracepoints::{Tracepoints, in_tracefs};
use crate::shell;

/// A way to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Observer {
    Nothing,
    Unlazy,
    Bpftrace,
    Perf,
}

pub(crate) const OBSERVERS: [Observer; 4] =
    [Observer::Nothing, Observer::Unlazy, Observer::Bpftrace, Observer::Perf];

impl Observer {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Unlazy => "unlazy check",
            Self::Bpftrace => "bpftrace, counting",
            Self::Perf => "perf record",
        }
    }

    /// Why it cannot be used here, and what to do; `None` if it can.
    pub(crate) fn missing(self) -> Option<String> {
        let (program, package) = match self {
            Self::Nothing | Self::Unlazy => return None,
            Self::Bpftrace => ("bpftrace", "bpftrace"),
            Self::Perf => ("perf", "linux-perf"),
        };
        shell::find_program(program)
            .is_none()
            .then(|| format!("not installed; on Debian: apt-get install {package}"))
    }

    /// Attaches; returns once it is attached.
    ///
    /// # Errors
    /// When the tracer fails or takes too long.
    pub(super) fn attach(self, unlazy: &Path, tracepoints: &Tracepoints) -> Result<Attached> {
        match self {
            Self::Nothing => Ok(Attached::Nothing),
            Self::Unlazy => attach_unlazy(unlazy),
            Self::Bpftrace => attach_bpftrace(tracepoints),
            Self::Perf => attach_perf(tracepoints),
        }
    }
}

/// An attached observer.
pub(super) enum Attached {
    Nothing,
    Unlazy { session: Session, stop: Fifo },
    Bpftrace { session: Session },
    Perf { session: Session },
}

impl Attached {
    /// Its process, which holds its programs; `None` for nobody.
    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Self::Nothing => None,
            Self::Unlazy { session, .. } | Self::Bpftrace { session } | Self::Perf { session } => {
                Some(session.pid())
            }
        }
    }

    /// Detaches, and makes sure that it had watched.
    ///
    /// # Errors
    /// When it fails, or saw nothing.
    pub(super) fn detach(self) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Unlazy { mut session, mut stop } => {
                stop.send("stop")?;
                let status = session.wait()?;
                let events = events_in_report(&session.read("report.json")?)
                    .with_context(|| format!("unlazy ended with {status}: {}", session.said()))?;
                ensure!(events > 0, "unlazy was attached, but saw no event");
                Ok(())
            }
            Self::Bpftrace { mut session } => {
                session.interrupt()?;
                session.wait()?;
                let counted = counts_in(&session.read("stdout")?);
                ensure!(counted > 0, "bpftrace was attached, but counted nothing");
                Ok(())
            }
            Self::Perf { mut session } => {
                let written = bytes_written(session.pid())?;
                ensure!(written > 0, "perf was attached, but wrote nothing: {}", session.said());
                session.interrupt()?;
                session.wait()?;
                Ok(())
            }
        }
    }
}

/// When unlazy has given up waiting for its command to register for SYNC_CORE
/// (`tracer-user/src/session/syscalls.rs`), and some time to detach.
const UNLAZY_SETTLES: Duration = Duration::from_millis(1500);

/// Its command starts once it is attached and ends when we say so: so the window is exact, and
/// nothing depends on what it prints.
fn attach_unlazy(unlazy: &Path) -> Result<Attached> {
    let folder = Folder::new()?;
    let mut ready = Fifo::new(&folder, "ready")?;
    let stop = Fifo::new(&folder, "stop")?;
    let mut command = std::process::Command::new(unlazy);
    command
        .args(["check", "--json"])
        .arg(folder.path().join("report.json"))
        .args(["--", "sh", "-c", "echo ready >\"$0\"; read -r line <\"$1\""])
        .arg(ready.path())
        .arg(stop.path());
    let mut session = Session::start("unlazy", &mut command, folder)?;
    session.wait_until(|_| ready.has_line())?;
    // A command's first second is traced with system calls, in case it registers. Measured is what
    // follows.
    thread::sleep(UNLAZY_SETTLES);
    Ok(Attached::Unlazy { session, stop })
}

fn attach_bpftrace(tracepoints: &Tracepoints) -> Result<Attached> {
    let folder = Folder::new()?;
    let script = folder.path().join("count.bt");
    fs::write(&script, bpftrace_script(tracepoints)).context("writing the bpftrace script")?;
    let mut command = in_tracefs("bpftrace");
    command.arg(&script);
    let mut session = Session::start("bpftrace", &mut command, folder)?;
    // The interval is the script's last probe; a second tick is well after it was attached.
    session.wait_until(|session| Ok(session.read("stdout")?.matches("tick\n").count() >= 2))?;
    Ok(Attached::Bpftrace { session })
}

/// A counter for each tracepoint, as cheap as bpftrace can.
fn bpftrace_script(tracepoints: &Tracepoints) -> String {
    let mut lines: Vec<String> = tracepoints
        .0
        .iter()
        .map(|full| {
            let counter = full.replace(':', "_");
            format!("tracepoint:{full} {{ @{counter} = count(); }}")
        })
        .collect();
    lines.push("interval:ms:200 { printf(\"tick\\n\"); }\n".to_owned());
    lines.join("\n")
}

/// All counts that bpftrace printed at its end: `@name: 123`.
fn counts_in(output: &str) -> u64 {
    output
        .lines()
        .filter_map(|line| line.strip_prefix('@')?.split_once(": ")?.1.parse::<u64>().ok())
        .sum()
}

/// perf writes to /dev/null: its best case, without a disk.
fn attach_perf(tracepoints: &Tracepoints) -> Result<Attached> {
    let folder = Folder::new()?;
    let mut control = Fifo::new(&folder, "control")?;
    let mut ack = Fifo::new(&folder, "ack")?;
    let mut command = in_tracefs("perf");
    command
        .args(["record", "-a", "-o", "/dev/null", "--delay=-1", "-e"])
        .arg(tracepoints.0.join(","))
        .arg(format!("--control=fifo:{},{}", control.path().display(), ack.path().display()));
    let mut session = Session::start("perf", &mut command, folder)?;
    // It starts disabled, and says when it has done what it was told to.
    control.send("enable")?;
    session.wait_until(|_| ack.has_line())?;
    Ok(Attached::Perf { session })
}

/// What a process has handed to `write()`, as `/proc/PID/io` counts it, to /dev/null included.
fn bytes_written(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/io");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let Some(count) = text.lines().find_map(|line| line.strip_prefix("wchar: ")) else {
        bail!("{path} has no `wchar`");
    };
    count.parse().with_context(|| format!("reading {path}"))
}

fn events_in_report(json: &str) -> Result<u64> {
    let report: serde_json::Value = serde_json::from_str(json).context("reading its report")?;
    report["events"]["total"].as_u64().context("its report has no events.total")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_what_bpftrace_counted() {
        let output = "Attaching 3 probes...\ntick\ntick\n\n\n@sched_switch: 40\n@tlb_flush: 2\n";
        assert_eq!(counts_in(output), 42);
        assert_eq!(counts_in("tick\n"), 0);
    }

    #[test]
    fn scripts_a_counter_for_each_tracepoint() {
        let script = bpftrace_script(&Tracepoints(vec!["sched:sched_switch".into()]));
        assert_eq!(
            script,
            "tracepoint:sched:sched_switch { @sched_sched_switch = count(); }\n\
             interval:ms:200 { printf(\"tick\\n\"); }\n"
        );
    }

    #[test]
    fn finds_the_events_in_a_report() {
        assert_eq!(events_in_report(r#"{"events": {"total": 7}}"#).unwrap(), 7);
        assert!(events_in_report("{}").is_err());
    }
}
