//! Running other programs, and saying so.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Tells the developer something, on stderr: stdout belongs to results.
pub(crate) fn say(message: impl Display) {
    eprintln!("xtask: {message}");
}

/// The cargo that started us, so that every build uses the same one.
pub(crate) fn cargo_program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs a command and returns its stdout.
///
/// # Errors
/// When it cannot be started or fails; the error ends with what it said on stderr.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command.output().with_context(|| format!("starting `{line}`"))?;
    finish(&line, &output)
}

/// Like [`capture`], but ends the command after `limit`: for what may wait on a dead network.
///
/// # Errors
/// As [`capture`], and when the limit has passed.
pub(crate) fn capture_within(command: &mut Command, limit: Duration) -> Result<String> {
    let line = line(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting `{line}`"))?;
    let end = Instant::now() + limit;
    // The callers' programs print a few lines, which a pipe holds: nothing needs draining.
    while child.try_wait().with_context(|| format!("waiting for `{line}`"))?.is_none() {
        if Instant::now() >= end {
            // It may have ended this moment; either way it is reaped below.
            let _ = child.kill();
            let _ = child.wait();
            bail!("`{line}` had not ended after {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(50));
    }
    let output = child.wait_with_output().with_context(|| format!("reading from `{line}`"))?;
    finish(&line, &output)
}

/// Like [`capture`], but the developer sees stderr as it comes.
///
/// # Errors
/// When it cannot be started or fails.
pub(crate) fn capture_stdout(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("starting `{line}`"))?;
    finish(&line, &output)
}

/// Runs a command whose output the developer should see.
///
/// # Errors
/// When it cannot be started or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    let status = command.status().with_context(|| format!("starting `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Whether we are root already.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// `program` with root's rights: as it is for root, else through sudo, which may ask.
///
/// # Errors
/// When we are not root, and there is no sudo or it refuses.
pub(crate) fn as_root(program: impl AsRef<OsStr>, why: &str) -> Result<Command> {
    if is_root() {
        return Ok(Command::new(program));
    }
    if find_program("sudo").is_none() {
        bail!("{why} needs root, and there is no sudo here: run the same command as root");
    }
    // Asked for beforehand, so that a refusal of sudo's is not taken for the program's exit code.
    if !root_without_asking() {
        say(format_args!("{why} needs root: sudo asks for your password"));
        let status = Command::new("sudo").arg("-v").status().context("starting sudo")?;
        if !status.success() {
            bail!("{why} needs root, and sudo refused: run the same command as root");
        }
    }
    let mut sudo = Command::new("sudo");
    sudo.arg("--").arg(program);
    Ok(sudo)
}

/// Whether [`as_root`] works without asking anybody.
pub(crate) fn root_without_asking() -> bool {
    is_root()
        || Command::new("sudo")
            .args(["-n", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

/// Looks a program up in `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    // Debian keeps administrators' tools in the sbin folders, which a user's PATH lacks.
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

/// The last lines of a log.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn finish(line: &str, output: &Output) -> Result<String> {
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = tail(&said, 5);
        let colon = if said.is_empty() { "" } else { ": " };
        bail!("`{line}` failed ({}){colon}{said}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as it would be typed.
pub(crate) fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_keeps_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 5), "a");
        assert_eq!(tail("", 5), "");
    }

    #[test]
    fn a_failing_command_says_what_it_said() {
        let error = capture(Command::new("sh").args(["-c", "echo gone >&2; exit 3"])).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("gone") && text.contains("exit status: 3"), "{text}");
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let error = capture_within(Command::new("sleep").arg("600"), Duration::from_millis(100))
            .unwrap_err();
        assert!(error.to_string().contains("had not ended"), "{error:#}");
    }
}
