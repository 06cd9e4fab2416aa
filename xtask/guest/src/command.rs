//! The command: started, its output sent as it comes, its end awaited, nothing left of it.

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait,
};
use unlazy_guest::frame::Kind;
use unlazy_guest::job::{Ended, PATH};

use crate::channel::Channel;

/// Between the request to end and the end by force.
const PATIENCE: Duration = Duration::from_secs(2);
/// For killed processes to be gone: only one that is stuck in the kernel takes longer.
const GONE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);

/// Runs the command to its end.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn run(words: &[String], channel: &Channel) -> Result<Ended> {
    let (program, args) = words.split_first().context("the job names no command")?;
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .envs([("PATH", PATH), ("HOME", "/root"), ("USER", "root"), ("LANG", "C.UTF-8")])
        .current_dir("/root")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting `{program}` in the guest"))?;
    let pid = Pid::from_child(&child);
    let (ended, stopped) = (AtomicBool::new(false), AtomicBool::new(false));
    let status = thread::scope(|scope| {
        let pumps = [
            child.stdout.take().map(|from| pump(scope, from, channel, Kind::Stdout)),
            child.stderr.take().map(|from| pump(scope, from, channel, Kind::Stderr)),
        ];
        scope.spawn(|| {
            if stop_when_asked(pid, &ended, channel) {
                stopped.store(true, Ordering::Release);
            }
        });
        let status = reap_until(pid);
        ended.store(true, Ordering::Release);
        // What it left behind would hold its output open, and write on while files are fetched.
        end_all();
        let end = Instant::now() + GONE;
        while pumps.iter().flatten().any(|pump| !pump.is_finished()) && Instant::now() < end {
            thread::sleep(PAUSE);
        }
        status
    });
    let status = status?;
    Ok(Ended {
        code: status.exit_status(),
        signal: status.terminating_signal(),
        stopped: stopped.into_inner(),
        uptime_ms: 0,
    })
}

/// Sends what comes out of a pipe as it comes.
fn pump<'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut from: impl Read + Send + 'scope,
    channel: &'scope Channel,
    kind: Kind,
) -> ScopedJoinHandle<'scope, ()> {
    scope.spawn(move || {
        // A pipe holds 64 KiB.
        let mut buffer = vec![0; 64 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => channel.send(kind, buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let note = format!("reading the command's output: {error}");
                    return channel.send(Kind::Note, note.as_bytes());
                }
            }
        }
    })
}

/// Ends the command once the host asks for it: politely, then by force. Whether it was asked.
fn stop_when_asked(pid: Pid, ended: &AtomicBool, channel: &Channel) -> bool {
    let mut asked: Option<Instant> = None;
    while !ended.load(Ordering::Acquire) {
        match asked {
            None if channel.stop_asked() => {
                asked = Some(Instant::now());
                // It may have gone this moment.
                let _ = kill_process_group(pid, Signal::TERM);
            }
            Some(since) if since.elapsed() > PATIENCE => {
                let _ = kill_process_group(pid, Signal::KILL);
                return true;
            }
            _ => {}
        }
        thread::sleep(Duration::from_millis(100));
    }
    asked.is_some()
}

/// Reaps whatever ends, as PID 1 must, until the command does.
fn reap_until(pid: Pid) -> Result<WaitStatus> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((who, status))) if who == pid => return Ok(status),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("waiting for the command"),
        }
    }
}

/// Kills all that is left and reaps it.
fn end_all() {
    let end = Instant::now() + GONE;
    while Instant::now() < end {
        for pid in others() {
            // Kernel threads take no notice.
            let _ = kill_process(pid, Signal::KILL);
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => break,
                // Nothing is left: whatever loses its parent becomes ours.
                Err(_) => return,
            }
        }
        thread::sleep(PAUSE);
    }
}

/// All processes but this one.
fn others() -> Vec<Pid> {
    let Ok(dir) = fs::read_dir("/proc") else { return Vec::new() };
    dir.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid: &i32| pid > 1)
        .filter_map(Pid::from_raw)
        .collect()
}
